package store

import (
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"sync/atomic"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
)

// Options are settings of a store that need not agree with anyone's. The zero value is right for production.
type Options struct {
	FS           FS    // nil: OS
	SegmentBytes int64 // size of a payload segment; 0: 64 MiB
	ReserveBytes int64 // room held for a full disk; 0: 32 MiB
	WriteBuffer  int   // bytes that a database gathers before it writes a table; 0: 4 MiB, the payload index 2 MiB
	ChunkBytes   int64 // size of a chunk of a snapshot; 0: SnapshotChunkBytes, as all have it who send one to another

	// Rest is called between the steps of Prune, each some milliseconds of work, outside of any lock but Prune's own. What it
	// does is the pace of Prune, whose work nobody waits for. nil: it goes on at once.
	Rest func()
}

func (o Options) withDefaults() Options {
	if o.FS == nil {
		o.FS = OS
	}
	if o.SegmentBytes == 0 {
		o.SegmentBytes = 64 << 20
	}
	if o.ChunkBytes == 0 {
		o.ChunkBytes = SnapshotChunkBytes
	}
	if o.ReserveBytes == 0 {
		o.ReserveBytes = reserveBytes
	}
	return o
}

// writeBuffer returns the size of a database's write buffer, which is most of its own when nothing is set.
func (o Options) writeBuffer(most int) int {
	if o.WriteBuffer == 0 {
		return most
	}
	return min(o.WriteBuffer, most)
}

// Store is one replica's durable storage. Its methods may be called by several goroutines; Append has one caller at a
// time, and so have AppendBatches and Prune.
type Store struct {
	dir     string
	id      Identity
	options Options
	genesis *blocktree.Block
	lock    io.Closer
	reserve reserve
	safety  *safety // nil, and payload too, while a full disk does not let them be opened
	payload *payload

	snapshots *snapshots
	held      atomic.Uint64 // HoldSnapshots
	floor     floor
	pruning   pruning

	// alive is held for reading by every call, so that Close and Revive wait for those under way.
	alive sync.RWMutex
	// broken is set by the first failed write, unless the disk was full, and by Close. What reached the disk is unknown from
	// then on, so every later call returns it and the node halts.
	broken atomic.Pointer[error]
	// full is set by a write that met a full disk, and by an Open that did, until Revive has succeeded.
	full     atomic.Pointer[error]
	sound    atomic.Bool // no write has failed since the parts were opened
	promised promise     // of the parts that Revive has closed
}

// Open opens the store of one replica. It repairs what a crash leaves behind in the course of things: one torn record at
// the end of a log, one torn slot, a payload index that lags, a snapshot in the making. It refuses all else. On a full disk
// it makes do with the reserve; the store that it returns is Full then.
// Expected errors: ErrSafetyLost, ErrPayloadLost, ErrOtherChain, ErrNewerFormat, ErrInUse, ErrReadOnly, ErrFull.
func Open(dir string, id Identity, o Options) (*Store, error) {
	s, err := openStore(dir, id, o.withDefaults())
	return s, refuseReadOnly(dir, err)
}

func openStore(dir string, id Identity, o Options) (*Store, error) {
	if err := id.fitsSlot(); err != nil {
		return nil, err
	}
	if err := checkChain(o.FS, dir, id); err != nil {
		return nil, err
	}
	s, err := newStore(dir, id, o)
	if err != nil {
		return nil, err
	}
	err = s.openParts()
	if err == nil {
		err = s.holdReserve()
	}
	if isFull(err) {
		err = s.becomeFull(err)
	}
	if err != nil {
		return nil, joinClose(err, s)
	}
	return s, nil
}

func (s *Store) open(o Options) (err error) {
	// CHAIN is there, and yet its name is not durable if the process that made the store was killed.
	if err := o.FS.SyncDir(s.dir); err != nil {
		return err
	}
	if s.safety, err = openSafety(o, s.dir, s.id); err != nil {
		return err
	}
	known, err := s.safety.known(s.dir)
	if err != nil {
		return err
	}
	s.floor.Store(known.floor)
	if s.payload, err = openPayload(o, s.dir, s.id, known, &s.floor); err != nil {
		return err
	}
	x, err := openSnapshots(o, s.dir, s.id, &s.held)
	if err != nil {
		return err // a store that is being opened again keeps the old ones
	}
	s.snapshots = x
	return raiseFormat(o.FS, s.dir, s.id)
}

// Init makes the store of a replica that has never run, with the safety state of genesis as its first record. From then
// on the absence of a safety state means that it was lost.
// Expected errors: ErrExists, ErrInUse, ErrReadOnly.
func Init(dir string, id Identity, o Options) error {
	return refuseReadOnly(dir, initStore(dir, id, o.withDefaults()))
}

func initStore(dir string, id Identity, o Options) error {
	if err := id.fitsSlot(); err != nil {
		return err
	}
	if err := o.FS.MkdirAll(dir); err != nil {
		return err
	}
	s, err := newStore(dir, id, o)
	if err != nil {
		return err
	}
	return errors.Join(s.init(o, hotstuff.Nonce{}), s.Close())
}

// init makes the parts of a store, with the safety state of genesis, and a nonce if the replica must rejoin.
func (s *Store) init(o Options, nonce hotstuff.Nonce) error {
	names, err := o.FS.List(s.dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if name != lockFileName {
			return refuse(s.dir, ErrExists, "it holds %s", name)
		}
	}
	if s.safety, err = makeSafety(o, s.dir, s.id, s.genesis, nonce); err != nil {
		return err
	}
	if err := makePayload(o, s.dir, s.id); err != nil {
		return err
	}
	if err := o.FS.MkdirAll(join(s.dir, snapshotsDir)); err != nil {
		return err
	}
	if err := s.reserve.hold(); err != nil {
		return err
	}
	// Last: a store without this file was never whole.
	return writeChain(o.FS, s.dir, s.id)
}

const lockFileName = "LOCK"

func newStore(dir string, id Identity, o Options) (*Store, error) {
	lock, err := o.FS.Lock(join(dir, lockFileName))
	if err != nil {
		return nil, fmt.Errorf("store: %s: %w", dir, err)
	}
	s := &Store{dir: dir, id: id, options: o, lock: lock, reserve: newReserve(o, dir), genesis: blocktree.Genesis(id.Chain, id.Epoch, id.Limits.Nodes)}
	s.held.Store(math.MaxUint64)
	s.genesis.ID() // computed once: the block is shared
	return s, nil
}

// Close waits for the calls under way and closes the store. Everything acknowledged is durable already.
func (s *Store) Close() error {
	s.alive.Lock()
	defer s.alive.Unlock()
	if failure := s.broken.Swap(&ErrClosed); failure != nil && *failure == ErrClosed {
		return nil
	}
	err := keepFull(s.closeParts())
	if s.Full() || isFull(err) {
		err = nil // what LevelDB had no room for beside the calls was nothing that anybody was told of
	}
	return errors.Join(err, s.lock.Close())
}

// closeParts closes everything but the lock.
func (s *Store) closeParts() error {
	var errs []error
	if s.payload != nil {
		errs = append(errs, s.payload.close())
	}
	if s.safety != nil {
		errs = append(errs, s.safety.close())
	}
	if s.snapshots != nil {
		errs = append(errs, s.snapshots.close())
	}
	s.payload, s.safety = nil, nil
	return errors.Join(errs...)
}

// begin starts a call; end ends it if begin returned nil.
func (s *Store) begin() error {
	s.alive.RLock()
	if failure := s.broken.Load(); failure != nil {
		s.alive.RUnlock()
		return *failure
	}
	if full := s.full.Load(); s.safety == nil && full != nil { // Revive could not open it again
		s.alive.RUnlock()
		return *full
	}
	return nil
}

// beginWrite starts a call that writes. A full store takes none: behind a record that a failed write has torn, LevelDB
// would begin a new journal, and the next Open would take the torn one for lost.
func (s *Store) beginWrite() error {
	if err := s.begin(); err != nil {
		return err
	}
	if full := s.full.Load(); full != nil {
		s.end()
		return *full
	}
	return nil
}

func (s *Store) end() { s.alive.RUnlock() }

// fail remembers a failed write: for good, unless the disk is full.
func (s *Store) fail(err error) error {
	if isFull(err) {
		s.sound.Store(false)
		return s.becomeFull(err)
	}
	err = fmt.Errorf("store: %s: write failed, the node must stop: %w", s.dir, err)
	s.broken.CompareAndSwap(nil, &err)
	return err
}
