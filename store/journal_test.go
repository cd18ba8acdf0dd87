package store

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/journal"
	"github.com/syndtr/goleveldb/leveldb/storage"
)

// file is a journal in memory that knows what of it is synced.
type file struct {
	data   []byte
	synced int
	syncs  int
	before func() // a sync
}

func (f *file) Write(p []byte) (int, error) {
	f.data = append(f.data, p...)
	return len(p), nil
}

func (f *file) Sync() error {
	f.before()
	f.synced = len(f.data)
	f.syncs++
	return nil
}

func (f *file) Close() error { return nil }

// after returns what a power cut may leave: the synced part, and of each sector behind it the whole, zeros, rubbish or a part.
func (f *file) after(rng *rand.Rand) []byte {
	const sector = 512
	left := bytes.Clone(f.data)
	for at := f.synced; at < len(left); {
		end := min(len(left), (at/sector+1)*sector)
		switch part := left[at:end]; rng.IntN(6) {
		case 0:
			clear(part)
		case 1:
			for i := range part {
				part[i] = byte(rng.Uint32())
			}
		case 2:
			clear(part[rng.IntN(len(part)):])
		}
		at = end
	}
	return left[:f.synced+rng.IntN(len(left)-f.synced+1)]
}

// Records of all sizes are written to a journal, some of them synced, and the power fails, before a sync or between two writes:
// what is there then are the first ones, the synced ones among them, and the store takes the journal for one that a power cut
// has left.
func TestPowerCutLeavesTheFirstRecords(t *testing.T) {
	unsynced := 0
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 8))
		var records [][]byte // the last may not be written yet
		synced := 0
		f := &file{}
		cut := func() {
			var found [][]byte
			var damage dropped
			err := damage.scan(bytes.NewReader(f.after(rng)), func(record []byte) error {
				found = append(found, record)
				return nil
			})
			if err != nil {
				t.Fatalf("seed %d, %d records: %v", seed, len(records), err)
			}
			if len(found) < synced {
				t.Fatalf("seed %d: %d of %d synced records are there", seed, len(found), synced)
			}
			for i, r := range found {
				if !bytes.Equal(r, records[i]) {
					t.Fatalf("seed %d: record %d of %d is another one", seed, i, len(found))
				}
			}
		}
		f.before = func() {
			for range 4 {
				cut()
			}
		}
		stored := &prefixJournal{Writer: f}
		w := journal.NewWriter(stored)
		size := []int{300, 3000, 40_000}[rng.IntN(3)]
		for len(f.data) < 3*journalBlock {
			record := fmt.Appendf(nil, "%d ", len(records))
			record = append(record, make([]byte, rng.IntN(size))...)
			if rest := journalBlock - len(f.data)%journalBlock; rest > 30 && rest < 2*size && rng.IntN(3) == 0 {
				record = append(record[:4], make([]byte, rest-4-7-rng.IntN(8))...) // ends with its block, or just before
			}
			records = append(records, record)
			next, err := w.Next()
			if err == nil {
				_, err = next.Write(record)
			}
			if err == nil {
				err = w.Flush()
			}
			if err == nil && rng.IntN(12) == 0 {
				err = stored.Sync()
				synced = len(records)
			}
			if err != nil {
				t.Fatal(err)
			}
			if rng.IntN(8) == 0 {
				cut()
			}
		}
		unsynced += len(records) - f.syncs
	}
	if unsynced < 3000 {
		t.Errorf("%d records went without a sync of their own: nothing is shown", unsynced)
	}
}

// failing lets the next sync of a journal fail.
type failing struct {
	FS
	next bool
}

func (f *failing) LevelDB(dir string) (storage.Storage, error) {
	s, err := f.FS.LevelDB(dir)
	return failingStorage{s, f}, err
}

type failingStorage struct {
	storage.Storage
	fs *failing
}

func (s failingStorage) Create(fd storage.FileDesc) (storage.Writer, error) {
	w, err := s.Storage.Create(fd)
	if fd.Type == storage.TypeJournal {
		w = failingJournal{w, s.fs}
	}
	return w, err
}

type failingJournal struct {
	storage.Writer
	fs *failing
}

var errSync = errors.New("the sync fails")

func (w failingJournal) Sync() error {
	if w.fs.next {
		w.fs.next = false
		return errSync
	}
	return w.Writer.Sync()
}

// A write whose sync fails is in the file, and LevelDB gives its number to the next one. Nobody can be waiting to write that:
// nothing is written to a journal after a failure, and the database opens again.
func TestNothingIsWrittenAfterAFailedSync(t *testing.T) {
	for _, j := range []journals{prefix, pieces} {
		fs := &failing{FS: OS}
		dir := filepath.Join(t.TempDir(), "level")
		l, err := makeLevel(fs, dir, 1<<20, j)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Put([]byte("1"), []byte("kept")); err != nil {
			t.Fatal(err)
		}
		var some, none leveldb.Batch
		some.Put([]byte("0"), nil)
		if err := errors.Join(l.Write(&some, nil), l.Write(&none, synced)); err != nil {
			t.Fatal(err)
		}
		if has, want := l.synced.Load(), uint64(1); has != want {
			t.Errorf("write %d counts as synced, want %d: LevelDB syncs nothing for an empty batch", has, want)
		}
		fs.next = true
		for _, key := range []string{"2", "3"} {
			if err := l.Put([]byte(key), nil); !errors.Is(err, errSync) {
				t.Errorf("write %s: %v, want the failure of the sync", key, err)
			}
		}
		_ = l.Close() // says it once more
		l, err = openLevel(OS, dir, 1<<20, j)
		if err != nil {
			t.Fatal(err)
		}
		if v, err := l.Get([]byte("1"), nil); string(v) != "kept" || err != nil {
			t.Errorf("write 1: %q, %v", v, err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}
