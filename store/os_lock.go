//go:build unix

package store

import (
	"errors"
	"os"
	"syscall"
)

// lockFile takes the lock alone.
func lockFile(f *os.File) error { return flock(f, syscall.LOCK_EX) }

// shareFile takes the lock beside others who share it.
func shareFile(f *os.File) error { return flock(f, syscall.LOCK_SH) }

func flock(f *os.File, how int) error {
	err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrInUse
	}
	return err
}
