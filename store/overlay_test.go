package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/hotstuffd/hotstuffd/store"
)

// twin is the same tree twice: one is written to on the disk, the other in memory.
type twin struct {
	t        *testing.T
	dirs     [2]string
	fs       [2]store.FS
	modified string // the listing of the second tree, which must not change
}

func newTwin(t *testing.T) *twin {
	w := &twin{t: t, fs: [2]store.FS{store.OS, store.NewOverlay()}}
	for i := range w.dirs {
		w.dirs[i] = filepath.Join(t.TempDir(), "tree")
		must(t, os.MkdirAll(filepath.Join(w.dirs[i], "a", "deep"), 0o700))
		for name, size := range map[string]int{"long": 3*4096 + 77, "short": 5, "a/in": 4096, "a/deep/er": 9000, "empty": 0} {
			data := make([]byte, size)
			for k := range data {
				data[k] = byte(k) ^ byte(k>>8) ^ byte(size)
			}
			write(t, filepath.Join(w.dirs[i], name), data)
		}
	}
	w.modified = listing(t, w.dirs[1])
	return w
}

// both does the same to both and fails if it does not come to the same.
func (w *twin) both(what string, do func(fsys store.FS, dir string) (string, error)) {
	w.t.Helper()
	var got [2]string
	var failed [2]error
	for i := range got {
		got[i], failed[i] = do(w.fs[i], w.dirs[i])
	}
	if got[0] != got[1] || (failed[0] == nil) != (failed[1] == nil) || errors.Is(failed[0], fs.ErrNotExist) != errors.Is(failed[1], fs.ErrNotExist) {
		w.t.Fatalf("%s: on the disk %.300q, %v; in memory %.300q, %v", what, got[0], failed[0], got[1], failed[1])
	}
}

// step does something at random, the same on both sides.
func (w *twin) step(r *rand.Rand) {
	names := []string{"long", "short", "a/in", "a/deep/er", "empty", "new", "a/new", "b/new"}
	name, other := names[r.IntN(len(names))], names[r.IntN(len(names))]
	offset, size := int64(r.IntN(4*4096)), int64(r.IntN(5*4096))
	data := bytes.Repeat([]byte{byte(r.IntN(255) + 1)}, r.IntN(2*4096))
	file := func(what string, do func(f store.File) error) {
		w.both(what+" "+name, func(fsys store.FS, dir string) (string, error) {
			f, err := fsys.Open(filepath.Join(dir, name))
			if err != nil {
				return "", err
			}
			err = do(f)
			return "", errors.Join(err, f.Sync(), f.Reread(), f.Close())
		})
	}
	switch r.IntN(10) {
	case 0, 1, 2:
		file("write", func(f store.File) error { _, err := f.WriteAt(data, offset); return err })
	case 3, 4:
		file("truncate", func(f store.File) error { return f.Truncate(size) })
	case 5:
		file("allocate", func(f store.File) error { return f.Allocate(size) })
	case 6:
		w.both("create "+name, func(fsys store.FS, dir string) (string, error) {
			if filepath.Dir(name) != "." { // the disk wants the directory first
				if err := fsys.MkdirAll(filepath.Join(dir, filepath.Dir(name))); err != nil {
					return "", err
				}
			}
			f, err := fsys.Create(filepath.Join(dir, name))
			if err != nil {
				return "", err
			}
			return "", f.Close()
		})
	case 7:
		w.both("rename "+name+" to "+other, func(fsys store.FS, dir string) (string, error) {
			if _, err := fsys.List(filepath.Join(dir, filepath.Dir(other))); err != nil || name == other {
				return "", nil
			}
			return "", fsys.Rename(filepath.Join(dir, name), filepath.Join(dir, other))
		})
	case 8:
		gone := append(names, "a", "a/deep")[r.IntN(len(names)+2)]
		if r.IntN(3) > 0 {
			gone = name
		}
		w.both("remove "+gone, func(fsys store.FS, dir string) (string, error) { return "", fsys.RemoveAll(filepath.Join(dir, gone)) })
	case 9:
		w.both("make", func(fsys store.FS, dir string) (string, error) {
			return "", fsys.MkdirAll(filepath.Join(dir, "a", "deep"))
		})
	}
}

// show compares all names and contents.
func (w *twin) show() {
	for _, sub := range []string{".", "a", "a/deep", "b"} {
		w.both("list "+sub, func(fsys store.FS, dir string) (string, error) {
			names, err := fsys.List(filepath.Join(dir, sub))
			slices.Sort(names)
			return fmt.Sprint(names), err
		})
	}
	for _, name := range []string{"long", "short", "a/in", "a/deep/er", "empty", "new", "a/new", "b/new"} {
		w.both("read "+name, func(fsys store.FS, dir string) (string, error) {
			f, err := fsys.Open(filepath.Join(dir, name))
			if err != nil {
				return "", err
			}
			defer f.Close()
			size, err := f.Size()
			if err != nil {
				return "", err
			}
			data := bytes.Repeat([]byte{0xee}, int(size)+10) // what is not read stays
			n, _ := f.ReadAt(data, 0)
			middle := bytes.Repeat([]byte{0xee}, 100)
			m, _ := f.ReadAt(middle, size/2)
			return fmt.Sprint(size, " ") + string(data[:n]) + "/" + string(middle[:m]), nil
		})
	}
}

// Whatever is done to files in memory comes to what it would on the disk, and the disk does not change.
func TestOverlayIsAFileSystem(t *testing.T) {
	for seed := range uint64(60) {
		r, w := rand.New(rand.NewPCG(seed, 1)), newTwin(t)
		for range 40 {
			w.step(r)
			w.show()
		}
		if after := listing(t, w.dirs[1]); after != w.modified {
			t.Fatalf("seed %d: the disk has changed from\n%sto\n%s", seed, w.modified, after)
		}
	}
}
