package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/hotstuffd/hotstuffd/api/wire"
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/util"
)

// Recovered is where a restart begins.
type Recovered struct {
	Safety hotstuff.SafetyState
	// Commit is the newest commit, with its lanes; that of genesis if there is none.
	Commit hotstuff.CommitRecord
	// Certified is the newest checkpoint certificate; nil if there is none.
	Certified *qc.CheckpointCertificate
}

// Recover returns the newest safety state and the newest commit.
func (s *Store) Recover() (Recovered, error) {
	if err := s.begin(); err != nil {
		return Recovered{}, err
	}
	defer s.end()
	state, _, err := s.safety.state()
	if err != nil {
		return Recovered{}, fmt.Errorf("store: safety state: %w", err)
	}
	commit, err := s.lastCommit()
	if err != nil {
		return Recovered{}, fmt.Errorf("store: newest commit: %w", err)
	}
	certified, err := s.lastCheckpoint()
	if err != nil {
		return Recovered{}, fmt.Errorf("store: newest checkpoint: %w", err)
	}
	return Recovered{state, commit, certified}, nil
}

func (s *Store) lastCheckpoint() (*qc.CheckpointCertificate, error) {
	data, err := s.safety.db.Get(keyCheckpoint, nil)
	if errors.Is(err, leveldb.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return wire.ParseCheckpoint(data, s.id.Limits)
}

func (s *Store) lastCommit() (hotstuff.CommitRecord, error) {
	data, err := s.safety.db.Get(keyLast, nil)
	if errors.Is(err, leveldb.ErrNotFound) {
		return hotstuff.CommitRecord{Block: s.genesis.ID(), Lanes: make(blocktree.Lanes, s.id.Limits.Nodes)}, nil
	}
	if err != nil {
		return hotstuff.CommitRecord{}, err
	}
	return wire.ParseCommitRecord(data, s.id.Limits)
}

// Block returns a stored block, or genesis, which need not be stored. The block may be shared: its ID is computed. One below
// the floor counts as not stored.
// Expected errors: ErrNotFound.
func (s *Store) Block(id qc.BlockID) (*blocktree.Block, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.end()
	return s.block(id)
}

func (s *Store) block(id qc.BlockID) (*blocktree.Block, error) {
	if id == s.genesis.ID() {
		return s.genesis, nil
	}
	data, err := s.safety.db.Get(keyBlock(id), nil)
	if errors.Is(err, leveldb.ErrNotFound) {
		return nil, ErrNotFound
	}
	var b *blocktree.Block
	if err == nil {
		b, err = wire.ParseBlock(data, s.id.Limits)
	}
	if err == nil && b.ID() != id {
		err = fmt.Errorf("its bytes are those of block %s", b.ID().Hex())
	}
	if err != nil {
		return nil, fmt.Errorf("store: block %s: %w", id.Hex(), err)
	}
	if b.Height < s.Floor() {
		return nil, ErrNotFound
	}
	return b, nil
}

// CommittedID returns the ID of the committed block of a height; ok is false above the committed height, and below the
// floor, but for genesis.
func (s *Store) CommittedID(height qc.Height) (id qc.BlockID, ok bool, err error) {
	if err := s.begin(); err != nil {
		return id, false, err
	}
	defer s.end()
	return s.committedID(height)
}

func (s *Store) committedID(height qc.Height) (id qc.BlockID, ok bool, err error) {
	if height == 0 {
		return s.genesis.ID(), true, nil
	}
	if height < s.Floor() {
		return id, false, nil
	}
	data, err := s.safety.db.Get(keyCommitted(height), nil)
	switch {
	case errors.Is(err, leveldb.ErrNotFound):
		return id, false, nil
	case err == nil && len(data) != len(id):
		err = fmt.Errorf("record of %d bytes", len(data))
		fallthrough
	case err != nil:
		return id, false, fmt.Errorf("store: committed block of height %d: %w", height, err)
	}
	return qc.BlockID(data), true, nil
}

// BlocksAbove returns the stored blocks above a height, in ascending order of height: with the committed height, the
// blocks that a restart puts back into its tree. Blocks of one height are in the order of their IDs. There are none below
// the floor.
func (s *Store) BlocksAbove(height qc.Height) ([]*blocktree.Block, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.end()
	ids, err := s.blockIDs(height+1, math.MaxUint64)
	if err != nil {
		return nil, err
	}
	blocks := make([]*blocktree.Block, 0, len(ids))
	for _, at := range ids {
		b, err := s.block(at.ID)
		if errors.Is(err, ErrNotFound) && at.Height < s.Floor() {
			continue // pruned meanwhile
		}
		if err != nil {
			return nil, err
		}
		blocks = append(blocks, b)
	}
	return blocks, nil
}

// BlockAt names a stored block and its height.
type BlockAt struct {
	Height qc.Height
	ID     qc.BlockID
}

// BlockIDs names the stored blocks from a height on and below another, in ascending order of height.
func (s *Store) BlockIDs(from, below qc.Height) ([]BlockAt, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.end()
	return s.blockIDs(from, below)
}

func (s *Store) blockIDs(from, below qc.Height) (list []BlockAt, err error) {
	it := s.safety.db.NewIterator(&util.Range{Start: keyHeight(max(from, s.Floor())), Limit: keyHeight(below)}, nil)
	defer it.Release()
	for it.Next() {
		at := it.Key()[1:]
		list = append(list, BlockAt{qc.Height(binary.BigEndian.Uint64(at)), qc.BlockID(at[8:])})
	}
	return list, it.Error()
}
