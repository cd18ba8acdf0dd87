package store

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/hotstuffd/hotstuffd/api/wire"
	"github.com/hotstuffd/hotstuffd/hotstuff"
)

// Append makes records durable, all or none, before it returns (PROTOCOL §7). If there is a safety state among them, one sync
// does that, of its slot, which holds all that LevelDB has not synced; now and then LevelDB is synced before, and the slot
// need hold nothing. Else LevelDB is synced. Messages that depend on the records may leave afterwards. The batches that
// their blocks name must have been appended before.
//
// There is at most one safety state, with the sequence after the last one's, or the last one again; and the last commit
// has its lanes. Else nothing is written and the caller has a bug. After a failed write every later call returns the
// failure.
// Expected errors: ErrFull; every other one is final.
func (s *Store) Append(records []hotstuff.Record) error {
	if err := s.beginWrite(); err != nil {
		return err
	}
	defer s.end()
	state, err := s.safety.collect(records)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if state == nil && s.safety.batch.Len() == 0 {
		return nil // LevelDB would sync nothing
	}
	if state == nil {
		if err := s.safety.db.Write(&s.safety.batch, synced); err != nil {
			return s.fail(keepFull(err))
		}
		s.safety.lag.reset()
		return nil
	}
	s.safety.attempt = sha256.Sum256(state)
	if err := s.safety.write(state, s.payload.durable.Load()); err != nil {
		return s.fail(keepFull(err))
	}
	s.safety.k++
	s.safety.sum, s.safety.attempt = s.safety.attempt, [sha256.Size]byte{}
	return nil
}

// write makes the batch durable, with the state after the newest one, and notes how far the payload has come.
func (s *safety) write(state []byte, vouched uint64) error {
	s.batch.Put(keyPrevious, s.sum[:])
	s.batch.Put(keyVouched, binary.BigEndian.AppendUint64(nil, vouched))
	rest := s.batch.Dump()
	s.batch.Put(keyState, state)
	if s.lag.add(rest, state) {
		if err := s.slots.write(slot{s.k + 1, s.db.synced.Load(), state, s.lag}); err != nil {
			return err
		}
		return s.db.Write(&s.batch, nil)
	}
	if err := s.db.Write(&s.batch, synced); err != nil {
		return err
	}
	s.lag.reset()
	return s.slots.write(slot{k: s.k + 1, synced: s.db.synced.Load(), state: state})
}

// collect gathers records in the LevelDB batch, but for the safety state among them: of that it returns the bytes, or nil if
// there is none that is new. A write that is repeated after Revive may have reached both places before.
func (s *safety) collect(records []hotstuff.Record) (state []byte, err error) {
	s.batch.Reset()
	lanes := true
	for _, record := range records {
		switch r := record.(type) {
		case hotstuff.BlockRecord:
			data, err := wire.AppendBlock(nil, r.Block)
			if err != nil {
				return nil, err
			}
			s.batch.Put(keyBlock(r.Block.ID()), data)
			s.batch.Put(keyAt(r.Block.Height, r.Block.ID()), nil)
		case hotstuff.CommitRecord:
			s.batch.Put(keyCommitted(r.Height), r.Block[:])
			if lanes = len(r.Lanes) == s.id.Limits.Nodes; !lanes {
				continue
			}
			data, err := wire.AppendCommitRecord(nil, &r)
			if err != nil {
				return nil, err
			}
			s.batch.Put(keyLast, data)
		case hotstuff.CheckpointRecord:
			data, err := wire.AppendCheckpoint(nil, r.Certificate)
			if err != nil {
				return nil, err
			}
			s.batch.Put(keyCheckpoint, data)
		case hotstuff.SafetyState:
			next, err := wire.AppendSafetyState(nil, &r)
			if err != nil {
				return nil, err
			}
			if state == nil && r.Sequence == s.k && sha256.Sum256(next) == s.sum {
				continue
			}
			if state != nil || r.Sequence != s.k+1 {
				return nil, fmt.Errorf("safety state %d after %d: want one, and the next", r.Sequence, s.k)
			}
			state = next
			if len(state) > slotBytes-slotHeader-bodyHeader {
				return nil, fmt.Errorf("safety state of %d bytes: larger than the genesis limits allow", len(state))
			}
		default:
			return nil, fmt.Errorf("unknown record %T", record)
		}
	}
	if !lanes {
		return nil, fmt.Errorf("the last commit of a write has no lanes")
	}
	return state, nil
}
