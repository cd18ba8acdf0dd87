package store

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
)

// reserve is room on the disk that a store holds from the start, in the file RESERVE. To open the databases again takes
// room: they write their journals out as tables, and a manifest. When the disk is full, the reserve is what that is done
// with. It is given up for nothing else, so that whoever fills the disk cannot take it first.
type reserve struct {
	fs       FS
	dir      string
	bytes    int64 // to be held
	headroom int64 // to be free beside it before a full store takes writes again
}

const (
	reserveFile = "RESERVE"
	// reserveBytes is enough for the tables of both databases' write buffers, a full one and the one in use of each (20 MiB).
	reserveBytes = 32 << 20
	// lentShare of the reserve is given up as soon as the disk is full, 1 MiB: where the log is on the same disk, it could
	// not say why the replica stops.
	lentShare = 32

	// The headroom is probed by files in this directory: names take room of their own.
	roomDir   = "ROOM"
	roomFiles = 16
)

func newReserve(o Options, dir string) reserve {
	return reserve{fs: o.FS, dir: dir, bytes: o.ReserveBytes, headroom: o.SegmentBytes + o.ReserveBytes}
}

func (r reserve) name() string { return join(r.dir, reserveFile) }

// has returns how many bytes are held.
func (r reserve) has() int64 {
	f, err := r.fs.Open(r.name())
	if err != nil {
		return 0
	}
	size, err := f.Size()
	if errors.Join(err, f.Close()) != nil {
		return 0
	}
	return size
}

func (r reserve) whole() bool { return r.has() >= r.bytes }

// hold makes the reserve whole. Nothing rests on its durability: the next Open looks for it.
func (r reserve) hold() error {
	f, err := r.fs.Open(r.name())
	if errors.Is(err, fs.ErrNotExist) {
		f, err = r.fs.Create(r.name())
	}
	if err != nil {
		return err
	}
	had, err := f.Size()
	if err == nil {
		if err = f.Allocate(r.bytes); err != nil {
			err = errors.Join(err, f.Truncate(had)) // what it has got of the rest is of no use
		}
	}
	return errors.Join(err, f.Close())
}

// lend gives up a little. That it cannot is no harm but to the log.
func (r reserve) lend() {
	size := r.bytes - r.bytes/lentShare
	if r.has() <= size {
		return
	}
	if f, err := r.fs.Open(r.name()); err == nil {
		_ = f.Truncate(size)
		_ = f.Close()
	}
}

// giveUp frees the reserve and tells whether there was any.
func (r reserve) giveUp() bool {
	return r.has() > 0 && r.fs.RemoveAll(r.name()) == nil
}

// missing returns how many bytes must be free before a full store takes writes again: the next payload segment, as much
// as the reserve for the databases, and what the reserve lacks.
func (r reserve) missing() int64 { return r.headroom + max(0, r.bytes-r.has()) }

// find makes the reserve whole and finds out whether the headroom is there, by taking it and giving it back. No system
// call tells what a quota leaves.
// Expected errors: those for which isFull holds.
func (r reserve) find() error {
	err := r.probe()
	if err == nil {
		err = r.hold()
	}
	return errors.Join(err, r.sweep())
}

func (r reserve) probe() error {
	if err := r.fs.MkdirAll(join(r.dir, roomDir)); err != nil {
		return err
	}
	for i := range roomFiles {
		f, err := r.fs.Create(join(join(r.dir, roomDir), fmt.Sprint(i)))
		if err == nil {
			err = errors.Join(f.Allocate(r.headroom/roomFiles), f.Close())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sweep removes what probe has made, or a crash has left of it.
func (r reserve) sweep() error { return r.fs.RemoveAll(join(r.dir, roomDir)) }

// isFull tells whether an error is the disk's want of room, or the quota's.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// keepFull puts back what LevelDB loses: of some errors it keeps nothing but the text.
func keepFull(err error) error {
	if err == nil || isFull(err) {
		return err
	}
	for _, full := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT} {
		if strings.Contains(err.Error(), full.Error()) {
			return fullError{err, full}
		}
	}
	return err
}

// fullError is an error in whose text another one was found.
type fullError struct {
	error
	full syscall.Errno
}

func (e fullError) Unwrap() []error { return []error{e.error, e.full} }
