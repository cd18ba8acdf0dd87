package store

import (
	"errors"
	"iter"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
)

// BatchesFrom gives the stored batches of an origin from a cursor on, in the order of their lanes, those of higher
// incarnations included: what a restart puts back into the mempool. The cursor's Last is not looked at; there may be
// gaps, and an origin that equivocated may have several batches at one position. The first error ends it.
// Expected errors: ErrPayloadLost.
func (s *Store) BatchesFrom(origin qc.NodeID, from blocktree.Cursor) iter.Seq2[*mempool.Batch, error] {
	return func(yield func(*mempool.Batch, error) bool) {
		key := keyLane(origin, from.Incarnation, from.Seq)
		for {
			b, at, err := s.nextInLane(origin, key)
			if b == nil && err == nil || !yield(b, err) || err != nil {
				return
			}
			key = append(at, 0) // the least key above at
		}
	}
}

// nextInLane returns the batch of the first lane entry at or above a key, and the entry's key; nil at the end.
func (s *Store) nextInLane(origin qc.NodeID, from []byte) (*mempool.Batch, []byte, error) {
	if err := s.begin(); err != nil {
		return nil, nil, err
	}
	defer s.end()
	for {
		key, digest, ok, err := s.payload.index.next(origin, from)
		if !ok || err != nil {
			return nil, nil, s.payload.indexError(err)
		}
		b, err := s.payload.batch(digest)
		if !errors.Is(err, ErrNotFound) {
			return b, key, err
		}
		from = append(key, 0) // Prune has not come here yet
	}
}
