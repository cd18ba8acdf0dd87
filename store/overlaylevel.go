package store

import (
	"errors"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/syndtr/goleveldb/leveldb/storage"
)

// levelFiles is LevelDB's storage over an FS. It finds files by the rules of storage.OpenFile's, whose names they have, and
// takes no lock: the store's own keeps others out.
type levelFiles struct {
	fs     FS
	dir    string
	locked atomic.Bool
}

// The file that names the manifest; and while that is replaced, the new one's number behind a dot, and the old text.
const (
	levelCurrent = "CURRENT"
	levelBackup  = levelCurrent + ".bak"
	levelTable   = ".ldb"
	levelTable0  = ".sst" // as older versions have named tables
)

type levelUnlocker struct{ l *levelFiles }

// Unlock implements storage.Locker.
func (u levelUnlocker) Unlock() { u.l.locked.Store(false) }

// Lock implements storage.Storage.
func (l *levelFiles) Lock() (storage.Locker, error) {
	if l.locked.Swap(true) {
		return nil, storage.ErrLocked
	}
	return levelUnlocker{l}, nil
}

// Log implements storage.Storage.
func (l *levelFiles) Log(string) {}

// SetMeta implements storage.Storage.
func (l *levelFiles) SetMeta(fd storage.FileDesc) error {
	return writeFile(l.fs, l.dir, levelCurrent, []byte(fd.String()+"\n"), 0)
}

// GetMeta returns the manifest that CURRENT names, its backup where that is damaged or names a file that is not there, or one
// that was about to take its place and is newer.
func (l *levelFiles) GetMeta() (found storage.FileDesc, err error) {
	names, err := l.fs.List(l.dir)
	if err != nil {
		return found, err
	}
	var damage error
	better := func(name string) (ok bool, err error) {
		fd, err := l.named(name, names)
		var corrupted *storage.ErrCorrupted
		switch {
		case errors.As(err, &corrupted):
			damage = err
			return false, nil
		case errors.Is(err, fs.ErrNotExist):
			return false, nil
		case err == nil && (found.Zero() || fd.Num > found.Num):
			found = fd
		}
		return err == nil, err
	}
	ok, err := better(levelCurrent)
	if !ok && err == nil {
		_, err = better(levelBackup)
	}
	for _, name := range names {
		if number, ok := strings.CutPrefix(name, levelCurrent+"."); ok && err == nil {
			if _, e := strconv.ParseInt(number, 10, 64); e == nil {
				_, err = better(name)
			}
		}
	}
	switch {
	case err != nil || !found.Zero():
		return found, err
	case damage != nil:
		return found, damage
	}
	return found, notThere("open", join(l.dir, levelCurrent))
}

// named returns the manifest that a file names, if it is there.
func (l *levelFiles) named(name string, names []string) (fd storage.FileDesc, err error) {
	text, err := readSmall(l.fs, join(l.dir, name), 64)
	if err != nil {
		return fd, err
	}
	target, whole := strings.CutSuffix(text, "\n")
	fd, ok := parseLevelName(target)
	if !whole || !ok {
		return fd, &storage.ErrCorrupted{Err: errors.New("leveldb/storage: corrupted or incomplete CURRENT file")}
	}
	if !slices.Contains(names, fd.String()) {
		return fd, notThere("open", join(l.dir, fd.String()))
	}
	return fd, nil
}

// parseLevelName returns which of LevelDB's files a name is of.
func parseLevelName(name string) (fd storage.FileDesc, ok bool) {
	if digits, ok := strings.CutPrefix(name, "MANIFEST-"); ok {
		n, err := strconv.ParseInt(digits, 10, 64)
		return storage.FileDesc{Type: storage.TypeManifest, Num: n}, err == nil
	}
	digits, suffix, _ := strings.Cut(name, ".")
	kind, ok := map[string]storage.FileType{"log": storage.TypeJournal, "ldb": storage.TypeTable, "sst": storage.TypeTable,
		"tmp": storage.TypeTemp}[suffix]
	n, err := strconv.ParseInt(digits, 10, 64)
	return storage.FileDesc{Type: kind, Num: n}, ok && err == nil
}

// List implements storage.Storage.
func (l *levelFiles) List(types storage.FileType) (list []storage.FileDesc, err error) {
	names, err := l.fs.List(l.dir)
	for _, name := range names {
		if fd, ok := parseLevelName(name); ok && fd.Type&types != 0 {
			list = append(list, fd)
		}
	}
	return list, err
}

// Open implements storage.Storage.
func (l *levelFiles) Open(fd storage.FileDesc) (storage.Reader, error) {
	name := join(l.dir, fd.String())
	f, err := l.fs.Open(name)
	if old, table := strings.CutSuffix(name, levelTable); table && errors.Is(err, fs.ErrNotExist) {
		f, err = l.fs.Open(old + levelTable0)
	}
	if err != nil {
		return nil, err
	}
	size, err := f.Size()
	if err != nil {
		return nil, joinClose(err, f)
	}
	return levelReader{io.NewSectionReader(f, 0, size), f}, nil
}

// levelReader reads a file from its beginning.
type levelReader struct {
	*io.SectionReader
	io.Closer
}

// Create implements storage.Storage.
func (l *levelFiles) Create(fd storage.FileDesc) (storage.Writer, error) {
	f, err := l.fs.Create(join(l.dir, fd.String()))
	if err != nil {
		return nil, err
	}
	return &levelWriter{File: f}, nil
}

// levelWriter writes a file from its beginning.
type levelWriter struct {
	File
	at int64
}

// Write implements io.Writer.
func (w *levelWriter) Write(p []byte) (int, error) {
	n, err := w.WriteAt(p, w.at)
	w.at += int64(n)
	return n, err
}

// Remove implements storage.Storage.
func (l *levelFiles) Remove(fd storage.FileDesc) error {
	name := join(l.dir, fd.String())
	err := l.fs.RemoveAll(name)
	if old, table := strings.CutSuffix(name, levelTable); table && err == nil {
		err = l.fs.RemoveAll(old + levelTable0)
	}
	return err
}

// Rename implements storage.Storage.
func (l *levelFiles) Rename(from, to storage.FileDesc) error {
	return l.fs.Rename(join(l.dir, from.String()), join(l.dir, to.String()))
}

// Close implements storage.Storage.
func (l *levelFiles) Close() error { return nil }
