package store

import (
	"errors"
	"os"
	"syscall"
)

// allocate extends a file with zeros and reserves their blocks, so that a later write neither changes the file's size,
// which would make its sync write the inode too, nor finds the disk full.
func allocate(f *os.File, size int64) error {
	err := control(f, "allocate", func(fd int) error { return syscall.Fallocate(fd, 0, 0, size) })
	if errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.ENOSYS) {
		return f.Truncate(size)
	}
	return err
}

// syncData syncs content and size, without the inode's times.
func syncData(f *os.File) error { return control(f, "sync", syscall.Fdatasync) }

func control(f *os.File, op string, call func(fd int) error) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var callErr error
	err = conn.Control(func(fd uintptr) {
		for callErr = call(int(fd)); callErr == syscall.EINTR; {
			callErr = call(int(fd))
		}
	})
	if err == nil && callErr != nil {
		err = &os.PathError{Op: op, Path: f.Name(), Err: callErr}
	}
	return err
}
