package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io/fs"

	"github.com/hotstuffd/hotstuffd/api/wire"
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/syndtr/goleveldb/leveldb"
	lerrors "github.com/syndtr/goleveldb/leveldb/errors"
	"github.com/syndtr/goleveldb/leveldb/opt"
)

// safety holds what gates messages: the safety state, in LevelDB and in the slots, and blocks and commits in LevelDB. What
// LevelDB has not synced is in the newest slot too.
type safety struct {
	id    Identity
	db    *level
	slots *slots
	k     uint64            // sequence of the newest safety state
	sum   [sha256.Size]byte // of its bytes
	batch leveldb.Batch
	lag   lag // what LevelDB has and may not have synced

	attempt [sha256.Size]byte // of the state whose write is under way, or has failed
}

const (
	safetyDir         = "safety"
	safetyWriteBuffer = 4 * opt.MiB
)

// Keys of the safety database.
var (
	keyState      = []byte("s") // the newest safety state
	keyLast       = []byte("l") // the newest commit record with its lanes
	keyCheckpoint = []byte("k") // the newest checkpoint certificate
	keyPrevious   = []byte("p") // SHA-256 of the safety state before the newest one
	keyVouched    = []byte("v") // the number of the newest payload frame that was durable before the newest safety state
	keyFloor      = []byte("f") // the block that Prune has made the floor, as a commit record with its lanes
	keyFirst      = []byte("g") // the number of the oldest payload segment that Prune has not given up
)

func keyBlock(id qc.BlockID) []byte           { return append([]byte{'b'}, id[:]...) }
func keyCommitted(h qc.Height) []byte         { return binary.BigEndian.AppendUint64([]byte{'c'}, uint64(h)) }
func keyHeight(h qc.Height) []byte            { return binary.BigEndian.AppendUint64([]byte{'h'}, uint64(h)) }
func keyAt(h qc.Height, id qc.BlockID) []byte { return append(keyHeight(h), id[:]...) }

var synced = &opt.WriteOptions{Sync: true}

// makeSafety writes the first safety state, k = 1, to both places.
func makeSafety(o Options, dir string, id Identity, genesis *blocktree.Block, nonce hotstuff.Nonce) (*safety, error) {
	first := hotstuff.SafetyState{Sequence: 1, Epoch: id.Epoch, LockBlock: genesis.ID(),
		HighQC: blocktree.GenesisQC(genesis, id.Limits.Nodes), Nonce: nonce}
	state, err := wire.AppendSafetyState(nil, &first)
	if err != nil {
		return nil, err
	}
	if err := writeFile(o.FS, dir, slotsFile, slotsContent(id.owner(), slot{k: first.Sequence, state: state}), slotsBytes); err != nil {
		return nil, err
	}
	s := &safety{id: id, k: first.Sequence}
	if s.slots, err = openSlots(o.FS, dir, id, false); err != nil {
		return nil, err
	}
	if s.db, err = makeLevel(o.FS, join(dir, safetyDir), o.writeBuffer(safetyWriteBuffer), prefix); err != nil {
		return nil, joinClose(err, s.slots.f)
	}
	if err := s.db.Put(keyState, state); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// openSlots opens the slots. Before format 4 they had no copies: raise makes room for those.
// Expected errors: fs.ErrNotExist, ErrSafetyLost.
func openSlots(fsys FS, dir string, id Identity, raise bool) (*slots, error) {
	f, err := fsys.Open(join(dir, slotsFile))
	if err != nil {
		return nil, err
	}
	size, err := f.Size()
	if err == nil && size < slotsBytes && !raise {
		err = refuse(dir, ErrSafetyLost, "file %s has %d bytes, not %d", slotsFile, size, slotsBytes)
	}
	if err != nil {
		return nil, joinClose(err, f)
	}
	// The size must be durable before the format that says so. A process that was killed between write and sync leaves a slot
	// that is read and is not on the disk: a power cut would take it from under what was built on it.
	err = f.Allocate(slotsBytes)
	if err == nil {
		err = f.Reread()
	}
	if err != nil {
		return nil, joinClose(err, f)
	}
	return &slots{f: f, owner: id.owner()}, nil
}

// openSafety opens both places and compares them.
// Expected errors: ErrSafetyLost.
func openSafety(o Options, dir string, id Identity) (*safety, error) {
	format, err := storedFormat(o.FS, dir)
	if err != nil {
		return nil, err
	}
	slots, err := openSlots(o.FS, dir, id, format < 4)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, refuse(dir, ErrSafetyLost, "file %s is missing", slotsFile)
	}
	if err != nil {
		return nil, err
	}
	db, err := openLevel(o.FS, join(dir, safetyDir), o.writeBuffer(safetyWriteBuffer), prefix)
	if errors.Is(err, errDamaged) || errors.Is(err, fs.ErrNotExist) {
		err = refuse(dir, ErrSafetyLost, "database %s: %v", safetyDir, err)
	}
	if err != nil {
		return nil, joinClose(err, slots.f)
	}
	s := &safety{id: id, db: db, slots: slots}
	if err := s.compare(dir); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// compare accepts a LevelDB that holds the state of the newest whole slot, the one after it, or one before it from which
// the slot leads on (PROTOCOL §7): then it brings the other up to that. Behind those, a synced write was lost; further ahead,
// a slot was.
func (s *safety) compare(dir string) error {
	newest, ok, err := s.slots.newest()
	if err != nil {
		return err
	}
	if !ok {
		return refuse(dir, ErrSafetyLost, "neither slot of %s is whole", slotsFile)
	}
	state, bytesOfState, err := s.state()
	if errors.Is(err, leveldb.ErrNotFound) || errors.Is(err, wire.ErrMalformed) || lerrors.IsCorrupted(err) {
		return refuse(dir, ErrSafetyLost, "database %s: its safety state: %v", safetyDir, err)
	}
	if err != nil {
		return err
	}
	s.k, s.sum = state.Sequence, sha256.Sum256(bytesOfState)
	switch {
	case s.db.found < newest.synced:
		return refuse(dir, ErrSafetyLost, "database %s ends with write %d, it had synced %d", safetyDir, s.db.found, newest.synced)
	case s.k < newest.k:
		return s.catchUp(dir, newest)
	case s.k > newest.k+1:
		return refuse(dir, ErrSafetyLost, "database %s is at record %d, %s at %d", safetyDir, s.k, slotsFile, newest.k)
	case s.k == newest.k && !bytes.Equal(bytesOfState, newest.state):
		return refuse(dir, ErrSafetyLost, "database %s and %s differ in record %d", safetyDir, slotsFile, s.k)
	case s.k == newest.k:
		return nil
	}
	// The state after the one in the slot must be its successor, not that of another replica.
	previous, err := s.db.Get(keyPrevious, nil)
	if sum := sha256.Sum256(newest.state); err == nil && !bytes.Equal(previous, sum[:]) {
		err = errors.New("it does not follow the one before")
	}
	if err != nil {
		return refuse(dir, ErrSafetyLost, "database %s: record %d: %v", safetyDir, s.k, err)
	}
	// The crash came between the two writes. Finish the second: the next one goes to the slot of the newest whole state.
	return s.slots.write(slot{k: s.k, synced: s.db.synced.Load(), state: bytesOfState})
}

// catchUp does to LevelDB what a slot says that it had not synced.
func (s *safety) catchUp(dir string, newest slot) error {
	writes, ok := newest.after(s.k)
	if !ok {
		return refuse(dir, ErrSafetyLost, "database %s is at record %d, %s goes on from %d to %d", safetyDir, s.k, slotsFile,
			newest.k-newest.lag.n, newest.k)
	}
	s.batch.Reset()
	var previous []byte
	for i, write := range writes {
		var b leveldb.Batch
		err := b.Load(write)
		if err == nil {
			err = b.Replay(&s.batch)
		}
		if i == 0 && err == nil {
			f := find{key: keyPrevious}
			err = b.Replay(&f)
			previous = f.value
		}
		if err != nil {
			return refuse(dir, ErrSafetyLost, "%s: a write before record %d: %v", slotsFile, newest.k, err)
		}
	}
	if !bytes.Equal(previous, s.sum[:]) {
		return refuse(dir, ErrSafetyLost, "what %s has after record %d does not follow that of database %s", slotsFile, s.k, safetyDir)
	}
	state, err := wire.ParseSafetyState(newest.state, s.id.Limits)
	if err != nil || state.Sequence != newest.k {
		return refuse(dir, ErrSafetyLost, "%s: record %d is malformed (%v)", slotsFile, newest.k, err)
	}
	s.batch.Put(keyState, newest.state)
	if err := s.db.Write(&s.batch, synced); err != nil {
		return keepFull(err)
	}
	s.k, s.sum = newest.k, sha256.Sum256(newest.state)
	return nil
}

// find looks for what a batch puts under a key.
type find struct{ key, value []byte }

// Put is of leveldb.BatchReplay.
func (f *find) Put(key, value []byte) {
	if bytes.Equal(key, f.key) {
		f.value = value
	}
}

// Delete is of leveldb.BatchReplay.
func (f *find) Delete([]byte) {}

func (s *safety) state() (hotstuff.SafetyState, []byte, error) {
	data, err := s.db.Get(keyState, nil)
	if err != nil {
		return hotstuff.SafetyState{}, nil, err
	}
	state, err := wire.ParseSafetyState(data, s.id.Limits)
	return state, data, err
}

// known is what the safety database says of the payload.
type known struct {
	vouched uint64                 // number of the newest frame that a vote may rely on
	first   uint64                 // number of the oldest segment that was not given up
	floor   *hotstuff.CommitRecord // what Prune was last told; nil: nothing was pruned
}

// Expected errors: ErrSafetyLost.
func (s *safety) known(dir string) (k known, err error) {
	if k.vouched, err = s.number(dir, keyVouched, 0); err != nil {
		return k, err
	}
	if k.first, err = s.number(dir, keyFirst, firstSegment); err != nil {
		return k, err
	}
	data, err := s.get(dir, keyFloor)
	if data == nil || err != nil {
		return k, err
	}
	floor, err := wire.ParseCommitRecord(data, s.id.Limits)
	if err != nil || len(floor.Lanes) != s.id.Limits.Nodes {
		return k, refuse(dir, ErrSafetyLost, "database %s: its floor is damaged", safetyDir)
	}
	k.floor = &floor
	return k, nil
}

// get returns a record, nil if there is none.
// Expected errors: ErrSafetyLost.
func (s *safety) get(dir string, key []byte) ([]byte, error) {
	data, err := s.db.Get(key, nil)
	if errors.Is(err, leveldb.ErrNotFound) {
		return nil, nil
	}
	if lerrors.IsCorrupted(err) {
		err = refuse(dir, ErrSafetyLost, "database %s: record %s: %v", safetyDir, key, err)
	}
	return data, err
}

// number returns a record of eight bytes, or what holds if there is none.
// Expected errors: ErrSafetyLost.
func (s *safety) number(dir string, key []byte, none uint64) (uint64, error) {
	data, err := s.get(dir, key)
	if data == nil || err != nil {
		return none, err
	}
	if len(data) != 8 {
		return 0, refuse(dir, ErrSafetyLost, "database %s: record %s of %d bytes", safetyDir, key, len(data))
	}
	return binary.BigEndian.Uint64(data), nil
}

func (s *safety) close() error { return errors.Join(s.db.Close(), s.slots.f.Close()) }
