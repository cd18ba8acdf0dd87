//go:build linux && (amd64 || arm64 || loong64 || ppc64le || riscv64 || s390x)

package store

import (
	"os"
	"syscall"
)

// uncache makes the system forget a file's clean pages. Those whose write failed count as clean (fsync(2), since Linux
// 4.13).
func uncache(f *os.File) error {
	const dontNeed = 4 // POSIX_FADV_DONTNEED
	return control(f, "uncache", func(fd int) error {
		if _, _, errno := syscall.Syscall6(syscall.SYS_FADVISE64, uintptr(fd), 0, 0, dontNeed, 0, 0); errno != 0 {
			return errno
		}
		return nil
	})
}
