package store_test

import (
	"errors"
	"io"
	"io/fs"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/store"
	"github.com/syndtr/goleveldb/leveldb/storage"
)

var errDisk = errors.New("the disk fails")

// failingFS is the real file system until it is told to fail: then every write, or every sync, of a file fails. It
// counts syncs, and watches LevelDB's journals.
type failingFS struct {
	store.FS
	writes, syncs atomic.Bool
	full          atomic.Bool // writes fail with ENOSPC
	synced        atomic.Int64

	mu       sync.Mutex
	unlisted map[string]bool // directories with a journal whose name is not durable
	lingers  map[string]bool // directories with a removed journal that may come back
	unsynced int             // journals closed with unsynced writes
	unnamed  int             // writes to journals whose name is not durable
	journals int             // made
}

func (f *failingFS) Open(name string) (store.File, error) {
	file, err := f.FS.Open(name)
	if err != nil {
		return nil, err
	}
	return failingFile{file, f}, nil
}

func (f *failingFS) LevelDB(dir string) (storage.Storage, error) {
	s, err := f.FS.LevelDB(dir)
	return failingStorage{s, f, dir}, err
}

func (f *failingFS) SyncDir(dir string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.unlisted, dir)
	delete(f.lingers, dir)
	return f.FS.SyncDir(dir)
}

func (f *failingFS) write() error {
	if f.full.Load() {
		return syscall.ENOSPC
	}
	if f.writes.Load() {
		return errDisk
	}
	return nil
}

func (f *failingFS) sync() error {
	if f.syncs.Load() {
		return errDisk
	}
	f.synced.Add(1)
	return nil
}

type failingFile struct {
	store.File
	fs *failingFS
}

func (f failingFile) WriteAt(p []byte, at int64) (int, error) {
	if err := f.fs.write(); err != nil {
		return 0, err
	}
	return f.File.WriteAt(p, at)
}

func (f failingFile) Sync() error { return errors.Join(f.fs.sync(), f.File.Sync()) }

type failingStorage struct {
	storage.Storage
	fs  *failingFS
	dir string
}

func (s failingStorage) Create(fd storage.FileDesc) (storage.Writer, error) {
	w, err := s.Storage.Create(fd)
	if fd.Type == storage.TypeJournal {
		s.fs.mu.Lock()
		defer s.fs.mu.Unlock()
		s.fs.journals++
		s.fs.unlisted[s.dir] = true
	}
	return &failingWriter{Writer: w, s: s, journal: fd.Type == storage.TypeJournal}, err
}

func (s failingStorage) Remove(fd storage.FileDesc) error {
	if fd.Type == storage.TypeJournal {
		s.fs.mu.Lock()
		defer s.fs.mu.Unlock()
		s.fs.lingers[s.dir] = true
	}
	return s.Storage.Remove(fd)
}

type failingWriter struct {
	storage.Writer
	s       failingStorage
	journal bool
	dirty   bool
}

func (w *failingWriter) Write(p []byte) (int, error) {
	if err := w.s.fs.write(); err != nil {
		return 0, err
	}
	w.dirty = true
	w.s.fs.mu.Lock()
	defer w.s.fs.mu.Unlock()
	if w.journal && w.s.fs.unlisted[w.s.dir] {
		w.s.fs.unnamed++
	}
	return w.Writer.Write(p)
}

func (w *failingWriter) Sync() error {
	w.dirty = false
	return errors.Join(w.s.fs.sync(), w.Writer.Sync())
}

func (w *failingWriter) Close() error {
	w.s.fs.mu.Lock()
	defer w.s.fs.mu.Unlock()
	if w.journal && w.dirty {
		w.s.fs.unsynced++
	}
	return w.Writer.Close()
}

func newFailingFS() *failingFS {
	return &failingFS{FS: store.OS, unlisted: map[string]bool{}, lingers: map[string]bool{}}
}

// After a failed write or sync nothing is known about what reached the disk: every later call fails, though the disk has
// recovered, and a restart finds a store that is whole.
func TestFailedWriteEndsTheStore(t *testing.T) {
	appendState := func(s *store.Store) error { return s.Append([]hotstuff.Record{state(2)}) }
	appendBatch := func(s *store.Store) error { return s.AppendBatches(run(0, 1)) }
	fail := map[string]func(*failingFS) *atomic.Bool{
		"write": func(f *failingFS) *atomic.Bool { return &f.writes },
		"sync":  func(f *failingFS) *atomic.Bool { return &f.syncs },
	}
	for what, flag := range fail {
		for name, call := range map[string]func(*store.Store) error{"records": appendState, "batches": appendBatch} {
			t.Run(what+" of "+name, func(t *testing.T) {
				fs := newFailingFS()
				s, dir := newStore(t, store.Options{FS: fs, SegmentBytes: options.SegmentBytes})
				flag(fs).Store(true)
				if err := call(s); !errors.Is(err, errDisk) {
					t.Fatalf("got %v, want the disk's error", err)
				}
				flag(fs).Store(false)
				_, readErr := s.Block(genesis.ID())
				for later, err := range map[string]error{"records": appendState(s), "batches": appendBatch(s), "read": readErr} {
					if !errors.Is(err, errDisk) {
						t.Errorf("later %s: %v, want the disk's error", later, err)
					}
				}
				open(t, crash(t, dir), options)
			})
		}
	}
}

// What gates a message costs one sync, of its slot; records that gate none, and batches, cost one.
func TestSyncsAreCounted(t *testing.T) {
	fs := newFailingFS()
	s, _ := newStore(t, store.Options{FS: fs, SegmentBytes: 1 << 20})
	for _, c := range []struct {
		name string
		call func() error
		want int64
	}{
		{"vote", func() error { return s.Append([]hotstuff.Record{hotstuff.BlockRecord{Block: block(1)}, state(2)}) }, 1},
		{"commit", func() error { return s.Append([]hotstuff.Record{commit(1)}) }, 1},
		{"batches", func() error { return s.AppendBatches(run(0, 5)) }, 1},
		{"read", func() error { _, err := s.Block(genesis.ID()); return err }, 0},
		{"lanes", func() error {
			for _, err := range s.BatchesFrom(1, blocktree.Cursor{}) {
				if err != nil {
					return err
				}
			}
			return nil
		}, 0},
	} {
		before := fs.synced.Load()
		if err := c.call(); err != nil {
			t.Fatal(err)
		}
		if got := fs.synced.Load() - before; got != c.want {
			t.Errorf("%s: %d syncs, want %d", c.name, got, c.want)
		}
	}
}

// When a slot can hold no more of what LevelDB lacks, LevelDB is synced before the slot that holds nothing of it: with each
// seventeenth vote, if they are small. Nothing else would have that vote's writes after a power cut.
func TestLevelDBIsSyncedOnceItsLagIsFull(t *testing.T) {
	fs := newFailingFS()
	s, _ := newStore(t, store.Options{FS: fs, SegmentBytes: 1 << 20})
	var alone int // votes since the last one that took two syncs
	for k := uint64(2); k < 70; k++ {
		before := fs.synced.Load()
		if err := s.Append([]hotstuff.Record{state(k)}); err != nil {
			t.Fatal(err)
		}
		switch got := fs.synced.Load() - before; {
		case got >= 2:
			alone = 0
		case got == 1:
			alone++
		default:
			t.Fatalf("vote %d: %d syncs", k, got)
		}
		if alone > 16 {
			t.Fatalf("%d votes in a row were synced in their slots alone", alone)
		}
	}
}

// A power cut keeps a prefix of LevelDB's writes: a journal's name is durable before anything is written to it, and a
// full journal is before the next one is begun; a removed one stays away. LevelDB by itself sees to none of these.
func TestJournalsAreDurableInOrder(t *testing.T) {
	fs := newFailingFS()
	s, dir := newStore(t, store.Options{FS: fs})
	made := fs.journals
	for starts := range uint64(3) { // the index turns its journal over with about 2 MB of entries
		var batches []*mempool.Batch
		for seq := range uint64(10_000) {
			batches = append(batches, batch(starts, seq, 0))
		}
		appendBatches(t, s, batches...)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if fs.journals == made {
		t.Error("no journal was turned over: nothing is shown")
	}
	if fs.unnamed > 0 || fs.unsynced > 0 {
		t.Errorf("%d writes to journals without a durable name, %d journals closed unsynced", fs.unnamed, fs.unsynced)
	}
	open(t, dir, store.Options{FS: fs}) // replays the journals and removes them
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if len(fs.lingers) > 0 {
		t.Errorf("journals removed, and not durably: %v", fs.lingers)
	}
}

// refusingFS lets nothing be written, or no lock be taken.
type refusingFS struct {
	store.FS
	err   error
	locks bool // it refuses locks alone
}

var refusing = map[string]*refusingFS{
	"read-only file system": {err: syscall.EROFS},
	"files of another user": {err: syscall.EACCES},
	"immutable":             {err: syscall.EPERM},
	"lock of another user":  {err: syscall.EACCES, locks: true},
}

func (f *refusingFS) Open(name string) (store.File, error) {
	if f.locks {
		return f.FS.Open(name)
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: f.err}
}

func (f *refusingFS) Create(name string) (store.File, error) {
	return nil, &fs.PathError{Op: "create", Path: name, Err: f.err}
}

func (f *refusingFS) Rename(from, _ string) error {
	return &fs.PathError{Op: "rename", Path: from, Err: f.err}
}

func (f *refusingFS) Lock(name string) (io.Closer, error) {
	return nil, &fs.PathError{Op: "lock", Path: name, Err: f.err}
}
