package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/store"
)

// used returns what a killed process leaves of a store that was opened twice: databases with tables and journals, several
// segments, an index that lags, two snapshots.
func used(t *testing.T) string {
	t.Helper()
	o := withSnapshots
	o.WriteBuffer = 4 << 10
	s, dir := newStore(t, o)
	const halfway = 20
	for k := uint64(2); k <= 2*halfway; k++ {
		appendBatches(t, s, batch(1, k, 900))
		vote(t, s, k)
		must(t, s.Append([]hotstuff.Record{commit(qc.Height(k)), certified(qc.Height(k))}))
		if k%halfway == 3 {
			_, err := take(s, qc.Height(k))
			must(t, err)
		}
		if k == halfway {
			must(t, s.Close())
			s = open(t, dir, o)
		}
	}
	return crash(t, dir)
}

// facts are what a store that opens has.
type facts struct {
	recovered store.Recovered
	contents  store.Contents
	snapshots []store.SnapshotMeta
}

func factsOf(t *testing.T, s *store.Store) (f facts) {
	t.Helper()
	var err error
	f.recovered, err = s.Recover()
	must(t, err)
	f.contents, err = s.Contents()
	must(t, err)
	f.snapshots = s.Snapshots()
	for k := uint64(2); k <= 40; k++ {
		_, err := s.Batch(batch(1, k, 900).Digest())
		must(t, err)
	}
	return f
}

// Whatever state a store was left in, a view comes to what a start comes to, and changes not a byte of it.
func TestViewTellsWhatOpenDoes(t *testing.T) {
	left := used(t)
	current := string(read(t, filepath.Join(left, "safety", "CURRENT")))
	manifest := strings.TrimSpace(current)
	for name, damage := range map[string]func(t *testing.T, dir string){
		"none":            func(*testing.T, string) {},
		"older format":    func(t *testing.T, dir string) { rewrite(t, dir, "CHAIN", "format 4", "format 1") },
		"newer format":    func(t *testing.T, dir string) { rewrite(t, dir, "CHAIN", "format 4", "format 5") },
		"another chain":   func(t *testing.T, dir string) { rewrite(t, dir, "CHAIN", "chain 07", "chain 08") },
		"no CHAIN":        func(t *testing.T, dir string) { remove(t, dir, "CHAIN") },
		"no slots":        func(t *testing.T, dir string) { remove(t, dir, "safety.slots") },
		"no database":     func(t *testing.T, dir string) { remove(t, dir, "safety") },
		"no index":        func(t *testing.T, dir string) { remove(t, dir, "payload/index") },
		"index spoilt":    func(t *testing.T, dir string) { write(t, filepath.Join(dir, "payload", "index.spoilt"), nil) },
		"no segment":      func(t *testing.T, dir string) { remove(t, dir, "payload/00000002.seg") },
		"no locks":        func(t *testing.T, dir string) { remove(t, dir, "LOCK"); remove(t, dir, "safety/LOCK") },
		"no snapshots":    func(t *testing.T, dir string) { remove(t, dir, "snapshots") },
		"half a snapshot": func(t *testing.T, dir string) { remove(t, dir, "snapshots/00000023.snap") },
		"torn slot":       func(t *testing.T, dir string) { spoilByte(t, filepath.Join(dir, "safety.slots"), 200) },
		"no CURRENT":      func(t *testing.T, dir string) { remove(t, dir, "safety/CURRENT") },
		"neither": func(t *testing.T, dir string) {
			remove(t, dir, "safety/CURRENT")
			remove(t, dir, "safety/CURRENT.bak")
		},
		"torn CURRENT": func(t *testing.T, dir string) { write(t, filepath.Join(dir, "safety", "CURRENT"), []byte("MANIF")) },
		"backup alone": func(t *testing.T, dir string) {
			remove(t, dir, "safety/CURRENT")
			write(t, filepath.Join(dir, "safety", "CURRENT.bak"), []byte(current))
		},
		"pending": func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "safety", "CURRENT."+strings.TrimLeft(strings.TrimPrefix(manifest, "MANIFEST-"), "0")), []byte(current))
			write(t, filepath.Join(dir, "safety", "CURRENT"), []byte("MANIFEST-000000\n"))
		},
		"obsolete": func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "safety", "CURRENT.0"), []byte("MANIFEST-000000\n"))
			write(t, filepath.Join(dir, "safety", "MANIFEST-000000"), []byte("nothing"))
		},
		"CURRENT of nothing": func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "safety", "CURRENT"), []byte("MANIFEST-999999\n"))
		},
		"table": func(t *testing.T, dir string) {
			remove(t, dir, "safety/"+filepath.Base(newest(t, dir, "safety/*.ldb")))
		},
		"old name of a table": func(t *testing.T, dir string) {
			table := newest(t, dir, "safety/*.ldb")
			must(t, os.Rename(table, strings.TrimSuffix(table, ".ldb")+".sst"))
		},
		"torn journal": func(t *testing.T, dir string) {
			journal := newest(t, dir, "safety/*.log")
			must(t, os.Truncate(journal, int64(len(read(t, journal)))-3))
		},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "store")
			must(t, os.CopyFS(dir, os.DirFS(left)))
			damage(t, dir)
			before, bytesBefore := listing(t, dir), files(t, dir)
			view, viewErr := store.View(dir, identity, withSnapshots)
			var seen facts
			if viewErr == nil {
				seen = factsOf(t, view)
				must(t, view.Close())
			}
			if after := listing(t, dir); after != before || !reflect.DeepEqual(files(t, dir), bytesBefore) {
				t.Errorf("the view has changed the directory from\n%sto\n%s", before, after)
			}
			s, err := store.Open(dir, identity, withSnapshots)
			if err != nil || viewErr != nil {
				if err == nil || viewErr == nil || err.Error() != viewErr.Error() {
					t.Errorf("the view says %v\nthe start %v", viewErr, err)
				}
				return
			}
			defer s.Close()
			if got := factsOf(t, s); !reflect.DeepEqual(seen, got) {
				t.Errorf("the view shows %+v\nthe start %+v", seen, got)
			}
		})
	}
}

// rewrite replaces a part of a small file.
func rewrite(t *testing.T, dir, name, from, to string) {
	t.Helper()
	text := string(read(t, filepath.Join(dir, name)))
	if !strings.Contains(text, from) {
		t.Fatalf("no %q in %s", from, text)
	}
	write(t, filepath.Join(dir, name), []byte(strings.Replace(text, from, to, 1)))
}

// spoilByte changes a byte of a file.
func spoilByte(t *testing.T, name string, at int) {
	t.Helper()
	data := read(t, name)
	data[at] ^= 1
	write(t, name, data)
}

// A store is viewed by several processes at once, and by none while one has it open, nor opened while it is viewed.
func TestViewAndOpenKeepEachOtherOut(t *testing.T) {
	s, dir := newStore(t, options)
	if _, err := store.View(dir, identity, options); !errors.Is(err, store.ErrInUse) {
		t.Errorf("viewed while it is open: %v", err)
	}
	must(t, s.Close())
	for range 2 {
		view, err := store.View(dir, identity, options)
		must(t, err)
		defer view.Close()
	}
	refused(t, dir, store.ErrInUse)
}

// What is written to a viewed store is there as long as the view, and nowhere else.
func TestViewTakesWritesAndForgetsThem(t *testing.T) {
	s, dir := newStore(t, options)
	vote(t, s, 2)
	must(t, s.Close())
	before := listing(t, dir)
	view, err := store.View(dir, identity, options)
	must(t, err)
	for k := uint64(3); k < 60; k++ {
		appendBatches(t, view, batch(1, k, 900))
		vote(t, view, k)
	}
	for k := uint64(3); k < 60; k++ {
		if _, err := view.Batch(batch(1, k, 900).Digest()); err != nil {
			t.Error(err)
		}
	}
	if k := sequence(t, view); k != 59 {
		t.Errorf("the view is at record %d, want 59", k)
	}
	must(t, view.Close())
	if after := listing(t, dir); after != before {
		t.Errorf("from\n%sto\n%s", before, after)
	}
	if k := sequence(t, open(t, dir, options)); k != 2 {
		t.Errorf("the store is at record %d, want 2", k)
	}
}

// A snapshot whose description is damaged is found, though a start would not list it.
func TestDamagedSnapshotsAreFound(t *testing.T) {
	dir := used(t)
	spoilByte(t, filepath.Join(dir, "snapshots", "00000023.meta"), 90)
	view, err := store.View(dir, identity, withSnapshots)
	must(t, err)
	want := fmt.Sprint([]qc.Height{23})
	if damaged := view.DamagedSnapshots(); fmt.Sprint(damaged) != want {
		t.Errorf("found %v, want %s", damaged, want)
	}
	must(t, view.Close())
	s := open(t, dir, withSnapshots)
	if removed := s.DamagedSnapshots(); fmt.Sprint(removed) != want || len(s.Snapshots()) == 0 {
		t.Errorf("removed %v, want %s; left %d", removed, want, len(s.Snapshots()))
	}
	must(t, s.Close())
	if again := open(t, dir, withSnapshots).DamagedSnapshots(); len(again) != 0 {
		t.Errorf("removed %v again", again)
	}
}

// Snapshots are read while another process has the store open, and touched by nothing.
func TestSnapshotsAreReadBesideTheirOwner(t *testing.T) {
	s, dir := newStore(t, withSnapshots)
	_, err := take(s, 9)
	must(t, err)
	x, err := store.ReadSnapshots(dir, identity, withSnapshots)
	must(t, err)
	if len(x.List()) != 1 || x.List()[0].Height() != 9 {
		t.Fatalf("lists %v", x.List())
	}
	r, err := x.Open(9)
	must(t, err)
	defer r.Close()
	for h := qc.Height(10); h < 13; h++ { // it is removed meanwhile
		_, err := take(s, h)
		must(t, err)
	}
	if data, err := io.ReadAll(r); err != nil || !bytes.Equal(data, snapshotOf(9)) {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	other := identity
	other.Chain[0]++
	if _, err := store.ReadSnapshots(dir, other, withSnapshots); !errors.Is(err, store.ErrOtherChain) {
		t.Errorf("of another chain: %v", err)
	}
}
