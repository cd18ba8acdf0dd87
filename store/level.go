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

// makeLevel makes an empty database in a new directory.
func makeLevel(fsys FS, dir string, writeBuffer int) (*level, error) {
	if err := fsys.MkdirAll(dir); err != nil {
		return nil, err
	}
	o := levelOptions(writeBuffer)
	o.ErrorIfExist = true
	return startLevel(fsys, dir, o, func(storage.Storage) error { return nil })
}

// openLevel opens an existing database.
// Expected errors: fs.ErrNotExist, errDamaged.
func openLevel(fsys FS, dir string, writeBuffer int) (*level, error) {
	if _, err := fsys.List(dir); err != nil {
		return nil, err // LevelDB would make the directory
	}
	o := levelOptions(writeBuffer)
	o.ErrorIfMissing = true
	return startLevel(fsys, dir, o, checkLogs)
}

func startLevel(fsys FS, dir string, o *opt.Options, check func(storage.Storage) error) (*level, error) {
	bare, err := fsys.LevelDB(dir)
	if err != nil {
		return nil, err
	}
	stor := &orderedStorage{Storage: bare, syncDir: func() error { return fsys.SyncDir(dir) }}
	if err := check(stor); err != nil {
		return nil, joinClose(err, stor)
	}
	db, err := leveldb.Open(stor, o)
	if lerrors.IsCorrupted(err) {
		err = fmt.Errorf("%w: %w", errDamaged, err)
	}
	if err != nil {
		return nil, joinClose(keepFull(err), stor)
	}
	return &level{db, stor}, nil
}

func (l *level) Close() error { return errors.Join(l.DB.Close(), l.storage.Close()) }

// orderedStorage closes four holes through which LevelDB can lose an earlier write and keep a later one. It does not sync
// the directory of a new journal, so that a whole journal may vanish, and it closes a full journal without syncing it. It
// syncs the directory of a new table only after the manifest that names it, so that the table alone may vanish. And when it
// cannot name a new manifest durably it removes that, though the name may come to be durable.
type orderedStorage struct {
	storage.Storage
	syncDir  func() error
	manifest atomic.Pointer[storage.FileDesc] // which may be the one that CURRENT names; nil: there is no doubt
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
	w, err := s.Storage.Create(fd)
	if err != nil {
		return nil, err
	}
	switch fd.Type {
	case storage.TypeJournal:
		if err := s.syncDir(); err != nil {
			return nil, joinClose(err, w)
		}
		return syncedOnClose{w}, nil
	case storage.TypeTable:
		return syncedWithName{w, s.syncDir}, nil
	default:
		return w, nil
	}
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

type syncedOnClose struct{ storage.Writer }

func (w syncedOnClose) Close() error {
	return errors.Join(w.Sync(), w.Writer.Close())
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
