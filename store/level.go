package store

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/syndtr/goleveldb/leveldb"
	lerrors "github.com/syndtr/goleveldb/leveldb/errors"
	"github.com/syndtr/goleveldb/leveldb/filter"
	"github.com/syndtr/goleveldb/leveldb/opt"
	"github.com/syndtr/goleveldb/leveldb/storage"
)

// level is one LevelDB in a directory. What was written is on disk as a prefix of the writes: a crash loses the last
// unsynced ones and nothing before them, and a hole is an error when it is opened.
type level struct {
	*leveldb.DB
	storage storage.Storage

	// LevelDB numbers what is written. found is the newest write that was there when it was opened, done the newest one now, or
	// one before it while another is under way, and synced one that is on the disk, with all before it.
	found        uint64
	done, synced atomic.Uint64
}

// errDamaged is wrapped by openLevel's error when the files are there and do not make a whole database.
var errDamaged = errors.New("damaged database")

// options of both databases. LevelDB's own tolerance for damaged logs is on, and harmless: checkLogs has shown by then
// that nothing is dropped but one torn record at the end of a log, which was never synced, so nobody relies on it. With
// LevelDB's strictness instead, every power cut in the middle of a write would leave a database that cannot be opened.
func levelOptions(writeBuffer int) *opt.Options {
	return &opt.Options{
		Strict:                       opt.StrictAll &^ (opt.StrictJournal | opt.StrictManifest),
		WriteBuffer:                  writeBuffer,
		CompactionTableSize:          min(4*writeBuffer, opt.DefaultCompactionTableSize),
		DisableLargeBatchTransaction: true, // one path for all: larger batches would go around the journal, into tables
		NoWriteMerge:                 true,
		Compression:                  opt.NoCompression, // hashes and signatures do not compress
		BlockCacheCapacity:           4 * opt.MiB,
		OpenFilesCacheCapacity:       64,
		Filter:                       filter.NewBloomFilter(10), // lookups are by hash: most tables do not have it
		WriteL0SlowdownTrigger:       16,                        // a slowed write delays a vote
		WriteL0PauseTrigger:          32,
		DisableSeeksCompaction:       true,
	}
}

// journals says what a power cut may leave of a database's unsynced writes.
type journals bool

const (
	pieces journals = false // anything: such a database may be damaged, and is made again
	prefix journals = true  // the first ones
)

// makeLevel makes an empty database in a new directory.
func makeLevel(fsys FS, dir string, writeBuffer int, j journals) (*level, error) {
	if err := fsys.MkdirAll(dir); err != nil {
		return nil, err
	}
	o := levelOptions(writeBuffer)
	o.ErrorIfExist = true
	return startLevel(fsys, dir, o, j, func(storage.Storage) (writes, error) { return writes{}, nil })
}

// openLevel opens an existing database.
// Expected errors: fs.ErrNotExist, errDamaged.
func openLevel(fsys FS, dir string, writeBuffer int, j journals) (*level, error) {
	if _, err := fsys.List(dir); err != nil {
		return nil, err // LevelDB would make the directory
	}
	o := levelOptions(writeBuffer)
	o.ErrorIfMissing = true
	return startLevel(fsys, dir, o, j, checkLogs)
}

func startLevel(fsys FS, dir string, o *opt.Options, j journals, check func(storage.Storage) (writes, error)) (*level, error) {
	bare, err := fsys.LevelDB(dir)
	if err != nil {
		return nil, err
	}
	stor := &orderedStorage{Storage: bare, journals: j, syncDir: func() error { return fsys.SyncDir(dir) }}
	was, err := check(stor)
	if err != nil {
		return nil, joinClose(err, stor)
	}
	db, err := leveldb.Open(stor, o)
	if lerrors.IsCorrupted(err) {
		err = fmt.Errorf("%w: %w", errDamaged, err)
	}
	if err != nil {
		return nil, joinClose(keepFull(err), stor)
	}
	l := &level{DB: db, storage: stor, found: was.newest()}
	l.done.Store(was.passed())
	l.synced.Store(was.passed()) // LevelDB has put what was in journals in tables
	return l, nil
}

// Write is LevelDB's, and counts. LevelDB writes, and syncs, nothing for an empty batch.
func (l *level) Write(b *leveldb.Batch, o *opt.WriteOptions) error {
	before := l.done.Load() // others may write meanwhile
	if err := l.DB.Write(b, o); err != nil {
		return err
	}
	l.done.Add(uint64(b.Len()))
	if o.GetSync() && b.Len() > 0 {
		l.raiseSynced(before + uint64(b.Len()))
	}
	return nil
}

func (l *level) raiseSynced(to uint64) {
	for from := l.synced.Load(); from < to && !l.synced.CompareAndSwap(from, to); {
		from = l.synced.Load()
	}
}

// Put writes one record, synced.
func (l *level) Put(key, value []byte) error {
	var b leveldb.Batch
	b.Put(key, value)
	return l.Write(&b, synced)
}

func (l *level) Close() error { return errors.Join(l.DB.Close(), l.storage.Close()) }

// orderedStorage closes five holes through which LevelDB can lose an earlier write and keep a later one. It does not sync
// the directory of a new journal, so that a whole journal may vanish, and it closes a full journal without syncing it. It
// syncs the directory of a new table only after the manifest that names it, so that the table alone may vanish. When it
// cannot name a new manifest durably it removes that, though the name may come to be durable. And when it cannot sync a
// journal it gives the number of that write, which the file has, to the next one, which may be waiting already.
type orderedStorage struct {
	storage.Storage
	journals journals
	syncDir  func() error
	manifest atomic.Pointer[storage.FileDesc] // which may be the one that CURRENT names; nil: there is no doubt
	failed   atomic.Pointer[error]            // the first failure of a journal; nil: none. No journal is written to after it
}

// fail remembers the first failure of a journal, and returns the error of an operation on one.
func (s *orderedStorage) fail(err error) error {
	if err != nil {
		s.failed.CompareAndSwap(nil, &err)
	}
	if first := s.failed.Load(); first != nil {
		return *first
	}
	return nil
}

func (s *orderedStorage) SetMeta(fd storage.FileDesc) error {
	s.manifest.Store(&fd)
	err := s.Storage.SetMeta(fd)
	if err == nil {
		s.manifest.Store(nil)
	}
	return err
}

func (s *orderedStorage) Create(fd storage.FileDesc) (storage.Writer, error) {
	if fd.Type == storage.TypeJournal {
		return s.createJournal(fd)
	}
	w, err := s.Storage.Create(fd)
	if err != nil {
		return nil, err
	}
	switch fd.Type {
	case storage.TypeTable:
		return syncedWithName{w, s.syncDir}, nil
	default:
		return w, nil
	}
}

func (s *orderedStorage) createJournal(fd storage.FileDesc) (storage.Writer, error) {
	if err := s.fail(nil); err != nil {
		return nil, err
	}
	w, err := s.Storage.Create(fd)
	if err != nil {
		return nil, s.fail(err)
	}
	if err := s.fail(s.syncDir()); err != nil {
		return nil, joinClose(err, w)
	}
	if s.journals == prefix {
		w = &prefixJournal{Writer: w}
	}
	return journalFile{w, s}, nil
}

// Remove also syncs: an old journal with a torn end must not come back beside newer ones.
func (s *orderedStorage) Remove(fd storage.FileDesc) error {
	if doubtful := s.manifest.Load(); doubtful != nil && *doubtful == fd {
		return nil // the next Open removes it, if it is not the one
	}
	if err := s.Storage.Remove(fd); err != nil || fd.Type != storage.TypeJournal {
		return err
	}
	return s.syncDir()
}

// journalFile is one of the journals, of which none is written to after a failure. It is synced when it is closed.
type journalFile struct {
	storage.Writer
	of *orderedStorage
}

func (w journalFile) Write(p []byte) (int, error) {
	if err := w.of.fail(nil); err != nil {
		return 0, err
	}
	n, err := w.Writer.Write(p)
	return n, w.of.fail(err)
}

func (w journalFile) Sync() error {
	if err := w.of.fail(nil); err != nil {
		return err
	}
	return w.of.fail(w.Writer.Sync())
}

func (w journalFile) Close() error {
	return errors.Join(w.Sync(), w.of.fail(w.Writer.Close()))
}

// prefixJournal syncs now and then by itself, so that a power cut leaves the first ones of the unsynced records, whatever it
// does to the file. A reader of journals passes over all that follows damage in the same block; it does not in the next block.
// So no record goes unsynced behind one that reaches into another block, or behind one that ends with its block.
type prefixJournal struct {
	storage.Writer
	size   int64 // of the file
	synced int64 // of that
}

// Of LevelDB's journals: a file is made of blocks, a block of chunks, and a chunk has its type behind four bytes of checksum
// and two of length. A record is one chunk, or a first, middle ones and a last.
const (
	journalBlock  = 32 << 10
	chunkType     = 6
	chunkOfRecord = 1 // the whole of it
	chunkFirst    = 2
)

func (w *prefixJournal) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(p) > chunkType && w.size%journalBlock == 0 && (p[chunkType] == chunkOfRecord || p[chunkType] == chunkFirst) {
		if err := w.Sync(); err != nil {
			return 0, err
		}
	}
	n, err := w.Writer.Write(p)
	w.size += int64(n)
	if err == nil && w.synced/journalBlock != (w.size-1)/journalBlock {
		err = w.Sync()
	}
	return n, err
}

func (w *prefixJournal) Sync() error {
	if w.synced == w.size {
		return nil
	}
	if err := w.Writer.Sync(); err != nil {
		return err
	}
	w.synced = w.size
	return nil
}

type syncedWithName struct {
	storage.Writer
	syncDir func() error
}

func (w syncedWithName) Sync() error {
	if err := w.Writer.Sync(); err != nil {
		return err
	}
	return w.syncDir()
}
