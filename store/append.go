package store

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/hotstuffd/hotstuffd/api/wire"
	"github.com/hotstuffd/hotstuffd/hotstuff"
)

// Append makes records durable, all or none, before it returns: one synced LevelDB write, then, if there is a safety
// state among them, its slot (PROTOCOL §7). Messages that depend on them may leave afterwards. The batches that their
// blocks name must have been appended before.
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
	if state != nil {
		s.safety.attempt = sha256.Sum256(state)
		s.safety.batch.Put(keyPrevious, s.safety.sum[:])
		s.safety.batch.Put(keyVouched, binary.BigEndian.AppendUint64(nil, s.payload.durable.Load()))
	}
	if err := s.safety.db.Write(&s.safety.batch, synced); err != nil {
		return s.fail(keepFull(err))
	}
	if state == nil {
		return nil
	}
	if err := s.safety.slots.write(s.safety.k+1, state); err != nil {
		return s.fail(err)
	}
	s.safety.k++
	s.safety.sum, s.safety.attempt = s.safety.attempt, [sha256.Size]byte{}
	return nil
}

// collect gathers records in the LevelDB batch and returns the bytes of the safety state among them, or nil if there is none
// that is new: a write that is repeated after Revive may have reached both places before.
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
			if len(state) > slotBytes-slotHeader {
				return nil, fmt.Errorf("safety state of %d bytes: larger than the genesis limits allow", len(state))
			}
			s.batch.Put(keyState, state)
		default:
			return nil, fmt.Errorf("unknown record %T", record)
		}
	}
	if !lanes {
		return nil, fmt.Errorf("the last commit of a write has no lanes")
	}
	return state, nil
}
