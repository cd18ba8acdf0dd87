package cutdisk_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/hotstuffd/hotstuffd/store"
	"github.com/hotstuffd/hotstuffd/store/internal/cutdisk"
	"github.com/syndtr/goleveldb/leveldb/storage"
)

// must fails the test on any error.
func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func create(t *testing.T, d *cutdisk.Disk, name string) store.File {
	t.Helper()
	f, err := d.Create(name)
	must(t, err)
	return f
}

func write(t *testing.T, f store.File, data string, at int64) {
	t.Helper()
	_, err := f.WriteAt([]byte(data), at)
	must(t, err)
}

// text returns what a file holds, or "none".
func text(t *testing.T, d *cutdisk.Disk, name string) string {
	t.Helper()
	f, err := d.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "none"
	}
	must(t, err)
	size, err := f.Size()
	must(t, err)
	p := make([]byte, size)
	if _, err := f.ReadAt(p, 0); size > 0 {
		must(t, err)
	}
	return string(p)
}

// What is synced is there after any cut; what is not may be lost in the ways that the losses say.
func TestLosses(t *testing.T) {
	d := cutdisk.New()
	must(t, d.MkdirAll("/d"))
	f := create(t, d, "/d/old")
	write(t, f, "synced", 0)
	must(t, f.Sync(), d.SyncDir("/d"))
	write(t, f, "SY", 0)
	write(t, f, "tail", 6)
	g := create(t, d, "/d/new")
	write(t, g, "new", 0)
	must(t, g.Sync(), d.Rename("/d/new", "/d/newer"))

	for loss, want := range map[cutdisk.Loss][2]string{
		cutdisk.Everything: {"synced", "none"},
		cutdisk.Nothing:    {"SYncedtail", "new"},
		cutdisk.Names:      {"SYncedtail", "none"},
		cutdisk.Data:       {"synced", "new"},
		cutdisk.Grown:      {"synced\x00\x00\x00\x00", "new"},
	} {
		found, _ := d.Cut(loss, 1)
		if got := [2]string{text(t, found, "/d/old"), text(t, found, "/d/newer")}; got != want {
			t.Errorf("%v lost: found %q, want %q", loss, got, want)
		}
	}
	if got := text(t, d.Kill(), "/d/old"); got != "SYncedtail" {
		t.Errorf("after a kill: %q", got)
	}
	seen := map[string]bool{}
	for seed := range uint64(500) {
		found, fates := d.Cut(cutdisk.Mixed, seed)
		again, same := d.Cut(cutdisk.Mixed, seed)
		old := text(t, found, "/d/old")
		if fates != same || old != text(t, again, "/d/old") {
			t.Fatalf("seed %d gives two disks", seed)
		}
		if old[2:6] != "nced" {
			t.Fatalf("seed %d: synced bytes are %q", seed, old)
		}
		seen[old] = true
	}
	for _, want := range []string{"synced", "SYnced", "synced\x00\x00\x00\x00", "SYncedtail", "synced\x00\x00\x00\x00", "Synced"} {
		if !seen[want] {
			t.Errorf("mixed losses never leave %q", want)
		}
	}
}

// A failed sync may lose what reads go on to show, and what no later sync writes; to read again tells the truth.
func TestFailedSync(t *testing.T) {
	lost := 0
	for seed := range uint64(20) {
		d := cutdisk.New()
		f := create(t, d, "/f")
		must(t, d.SyncDir("/"))
		write(t, f, "data", 0)
		d.Fail(1, 1, seed)
		if err := f.Sync(); !errors.Is(err, cutdisk.ErrIO) {
			t.Fatalf("got %v", err)
		}
		must(t, f.Sync())
		if got := text(t, d, "/f"); got != "data" {
			t.Fatalf("a read gives %q", got)
		}
		found, _ := d.Cut(cutdisk.Nothing, 0)
		must(t, f.Reread())
		if text(t, found, "/f") != text(t, d, "/f") {
			t.Errorf("on disk %q, read again %q", text(t, found, "/f"), text(t, d, "/f"))
		}
		if text(t, d, "/f") != "data" {
			lost++
		}
	}
	if lost == 0 {
		t.Error("a failed sync never lost anything")
	}
}

func TestFullDisk(t *testing.T) {
	d := cutdisk.New()
	f := create(t, d, "/f")
	d.Fill(3)
	if _, err := f.WriteAt([]byte("12345"), 0); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v, want ENOSPC", err)
	}
	if got := text(t, d, "/f"); got != "123" {
		t.Errorf("wrote %q", got)
	}
	write(t, f, "abc", 0) // in place
	d.Mend()
	write(t, f, "12345", 0)
}

// LevelDB's view does what goleveldb's own file storage does: the same calls leave the same files and give the same
// answers, also where CURRENT was damaged.
func TestLevelDBLikeTheReal(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 0))
		dir := t.TempDir()
		theirs, err := storage.OpenFile(dir, false)
		must(t, err)
		d := cutdisk.New()
		must(t, d.MkdirAll("/l"))
		ours, err := d.LevelDB("/l")
		must(t, err)
		var script []string
		for range 25 {
			call := randomCall(rng)
			script = append(script, call.name)
			a, b := call.do(theirs, func(name string, data []byte) { must(t, os.WriteFile(filepath.Join(dir, name), data, 0o600)) }),
				call.do(ours, func(name string, data []byte) {
					f := create(t, d, "/l/"+name)
					write(t, f, string(data), 0)
				})
			if a != b {
				t.Fatalf("seed %d, %v: %q, goleveldb's: %q", seed, script, b, a)
			}
		}
		for _, name := range realFiles(t, dir) {
			want, err := os.ReadFile(filepath.Join(dir, name))
			must(t, err)
			if got := text(t, d, "/l/"+name); got != string(want) {
				t.Fatalf("seed %d, %v: %s has %q, goleveldb's %q", seed, script, name, got, want)
			}
		}
		names, err := d.List("/l")
		must(t, err)
		if want := realFiles(t, dir); !slices.Equal(slices.DeleteFunc(names, func(n string) bool { return n == "LOCK" }), want) {
			t.Fatalf("seed %d, %v: files %v, goleveldb's %v", seed, script, names, want)
		}
		must(t, theirs.Close(), ours.Close())
	}
}

// realFiles lists a directory but for what LevelDB does not read.
func realFiles(t *testing.T, dir string) (names []string) {
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		if e.Name() != "LOCK" && e.Name() != "LOG" {
			names = append(names, e.Name())
		}
	}
	return names
}

// call is one call of a storage; do returns what it answers.
type call struct {
	name string
	do   func(s storage.Storage, put func(name string, data []byte)) string
}

func randomCall(rng *rand.Rand) call {
	fd := storage.FileDesc{Type: []storage.FileType{storage.TypeManifest, storage.TypeJournal, storage.TypeTable}[rng.IntN(3)], Num: rng.Int64N(4)}
	meta := storage.FileDesc{Type: storage.TypeManifest, Num: rng.Int64N(4)}
	data := []byte(strings.Repeat("x", rng.IntN(9)))
	broken := []string{"CURRENT", "CURRENT.bak", "CURRENT.2", "CURRENT.3"}[rng.IntN(4)]
	content := []string{"MANIFEST-000001\n", "MANIFEST-000003\n", "MANIFEST-0000", "rubbish\n"}[rng.IntN(4)]
	failed := func(err error) string { return fmt.Sprint(err != nil) }
	switch rng.IntN(8) {
	case 0, 1:
		return call{fmt.Sprint("create ", fd), func(s storage.Storage, _ func(string, []byte)) string {
			w, err := s.Create(fd)
			if err != nil {
				return err.Error()
			}
			_, err = w.Write(data)
			return failed(errors.Join(err, w.Sync(), w.Close()))
		}}
	case 2:
		return call{fmt.Sprint("set ", meta), func(s storage.Storage, _ func(string, []byte)) string { return failed(s.SetMeta(meta)) }}
	case 3:
		return call{"get", func(s storage.Storage, _ func(string, []byte)) string {
			fd, err := s.GetMeta()
			var corrupted *storage.ErrCorrupted
			return fmt.Sprint(fd, errors.Is(err, fs.ErrNotExist), errors.As(err, &corrupted))
		}}
	case 4:
		return call{fmt.Sprint("remove ", fd), func(s storage.Storage, _ func(string, []byte)) string { return failed(s.Remove(fd)) }}
	case 5:
		return call{fmt.Sprintf("put %s %q", broken, content), func(_ storage.Storage, put func(string, []byte)) string {
			put(broken, []byte(content))
			return ""
		}}
	case 6:
		return call{fmt.Sprint("read ", fd), func(s storage.Storage, _ func(string, []byte)) string {
			r, err := s.Open(fd)
			if err != nil {
				return fmt.Sprint(errors.Is(err, fs.ErrNotExist))
			}
			var b bytes.Buffer
			_, err = b.ReadFrom(r)
			return b.String() + failed(errors.Join(err, r.Close()))
		}}
	default:
		return call{"list", func(s storage.Storage, _ func(string, []byte)) string {
			fds, err := s.List(storage.TypeAll)
			slices.SortFunc(fds, func(a, b storage.FileDesc) int { return strings.Compare(a.String(), b.String()) })
			return fmt.Sprint(fds, failed(err))
		}}
	}
}
