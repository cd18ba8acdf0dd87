package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/syndtr/goleveldb/leveldb/opt"
	"github.com/syndtr/goleveldb/leveldb/util"
)

// View opens a store to look at it. It judges and repairs as Open does, but what it writes stays in memory: no byte of the
// directory changes. Until it is closed no other process can open the store, but others can view it too.
// Expected errors: Open's, but ErrReadOnly.
func View(dir string, id Identity, o Options) (*Store, error) {
	o.FS = newOverlay()
	return openStore(dir, id, o.withDefaults())
}

// Contents is how much a store holds.
type Contents struct {
	Blocks      int // from the floor up, those of other branches too
	Lowest, Top qc.Height
	Batches     int
	Segments    int
}

// Contents counts what the store holds. It reads all keys.
func (s *Store) Contents() (c Contents, err error) {
	if err := s.begin(); err != nil {
		return c, err
	}
	defer s.end()
	err = count(s.safety.db, util.Range{Start: keyHeight(max(1, s.Floor())), Limit: []byte{'h' + 1}}, func(key []byte) {
		at := qc.Height(binary.BigEndian.Uint64(key[1:]))
		if c.Blocks == 0 {
			c.Lowest = at
		}
		c.Blocks, c.Top = c.Blocks+1, at
	})
	if err == nil {
		err = count(s.payload.index.db, util.Range{Start: []byte{'d'}, Limit: []byte{'d' + 1}}, func([]byte) { c.Batches++ })
	}
	c.Segments = int(s.payload.newest.Load() - s.payload.first.Load() + 1)
	return c, err
}

func count(db *level, r util.Range, visit func(key []byte)) error {
	it := db.NewIterator(&r, &opt.ReadOptions{DontFillCache: true})
	defer it.Release()
	for it.Next() {
		visit(it.Key())
	}
	return it.Error()
}

// FloorCommit returns the block that Prune was last told, with the lanes after it; ok is false if nothing was pruned.
func (s *Store) FloorCommit() (c hotstuff.CommitRecord, ok bool) {
	if at := s.floor.Load(); at != nil {
		return *at, true
	}
	return c, false
}

// SnapshotFiles reads the snapshots in a store's directory, also while a process has the store open: a snapshot's files are
// never written to, and one that is removed while it is read stays readable.
type SnapshotFiles struct{ s *Store }

// ReadSnapshots lists the snapshots of a store's directory, and touches nothing.
// Expected errors: ErrSafetyLost (there is no store), ErrOtherChain, ErrNewerFormat.
func ReadSnapshots(dir string, id Identity, o Options) (*SnapshotFiles, error) {
	o.FS = newOverlay()
	o = o.withDefaults()
	if err := checkChain(o.FS, dir, id); err != nil {
		return nil, err
	}
	x := newSnapshots(o, dir, id)
	list, _, err := x.readAll()
	x.list.Store(&list)
	return &SnapshotFiles{&Store{dir: dir, id: id, snapshots: x}}, err
}

// List returns the whole snapshots, newest first, as Store.Snapshots does.
func (f *SnapshotFiles) List() []SnapshotMeta { return f.s.Snapshots() }

// Open returns a reader of a snapshot, as Store.OpenSnapshot does.
// Expected errors: ErrNotFound; of a read: ErrChunk.
func (f *SnapshotFiles) Open(height qc.Height) (io.ReadCloser, error) {
	return f.s.OpenSnapshot(height)
}

// readAll reads the description of each snapshot that has both its files.
func (x *snapshots) readAll() (whole []SnapshotMeta, damaged []qc.Height, err error) {
	names, err := x.fs.List(x.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("store: snapshots: %w", err)
	}
	for _, name := range names {
		height, ok := snapshotHeight(name, metaSuffix)
		if !ok || !slices.Contains(names, snapshotName(height, dataSuffix)) {
			continue
		}
		m, ok, err := x.read(height)
		switch {
		case err != nil:
			return nil, nil, err
		case ok:
			whole = append(whole, m)
		default:
			damaged = append(damaged, height)
		}
	}
	slices.SortFunc(whole, newestFirst)
	return whole, damaged, nil
}
