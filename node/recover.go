package node

import (
	"fmt"
	"iter"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/store"
)

// Stored is what a replica's disk says, to a start and to peers that lack something: a *store.Store. Errors other than
// store.ErrNotFound mean that the disk cannot be read, and stop the node.
type Stored interface {
	Recover() (store.Recovered, error)
	CommittedID(qc.Height) (id qc.BlockID, ok bool, err error)
	Block(qc.BlockID) (*blocktree.Block, error)
	BlocksAbove(qc.Height) ([]*blocktree.Block, error)
	HasBatch(blocktree.Digest) (bool, error)
	Batch(blocktree.Digest) (*mempool.Batch, error)
	BatchesFrom(qc.NodeID, blocktree.Cursor) iter.Seq2[*mempool.Batch, error]
}

// recovered is what the store says about where this replica stands.
type recovered struct {
	core hotstuff.Recovered
	// The application is replayed up to block replayTo, all of whose batches are on disk; lanes is next(replayTo).
	replayTo qc.Height
	lanes    blocktree.Lanes
	// unplayed are committed blocks above replayTo: a batch of the first of them still has to be fetched.
	unplayed []hotstuff.Committed
	held     []*mempool.Batch // not executed yet
}

// recoverState reads the store. The safety state is the store's to judge; here its facts are put together.
func recoverState(s Stored, genesis *blocktree.Block, n int, depth, distanceMax qc.Height) (*recovered, error) {
	stored, err := s.Recover()
	if err != nil {
		return nil, err
	}
	r := &recovered{core: hotstuff.Recovered{Safety: stored.Safety, Committed: genesis, Lanes: make(blocktree.Lanes, n),
		Certified: stored.Certified}}
	if err := r.walk(s, genesis, stored.Commit.Height, depth, distanceMax); err != nil {
		return nil, err
	}
	if r.core.Above, err = s.BlocksAbove(stored.Commit.Height); err != nil {
		return nil, err
	}
	for origin := range qc.NodeID(n) {
		for b, err := range s.BatchesFrom(origin, r.lanes[origin]) {
			if err != nil {
				return nil, err
			}
			r.held = append(r.held, b)
		}
	}
	return r, nil
}

// walk goes up the committed chain: it folds the lanes, finds the first block whose payload is not complete on disk, and
// keeps the newest blocks for the leader function.
func (r *recovered) walk(s Stored, genesis *blocktree.Block, top, depth, distanceMax qc.Height) error {
	lanes := r.core.Lanes
	chain := []*blocktree.Block{genesis}
	r.lanes = lanes
	complete := true
	for h := qc.Height(1); h <= top; h++ {
		b, err := committedBlock(s, h)
		if err != nil {
			return err
		}
		if b.Parent != chain[len(chain)-1].ID() {
			return fmt.Errorf("store: committed block %d does not follow the one before it", h)
		}
		if lanes, err = lanes.Extend(b.Payload, h, distanceMax, nil); err != nil {
			return fmt.Errorf("store: committed block %d: %w", h, err)
		}
		if complete {
			if complete, err = payloadHeld(s, b); err != nil {
				return err
			}
		}
		if complete {
			r.replayTo, r.lanes = h, lanes
		} else {
			r.unplayed = append(r.unplayed, hotstuff.Committed{Block: b, Lanes: lanes})
		}
		if chain = append(chain, b); qc.Height(len(chain)) > 2*depth+2 {
			chain = append([]*blocktree.Block(nil), chain[len(chain)-int(depth)-1:]...)
		}
	}
	last := len(chain) - 1
	r.core.Committed, r.core.Lanes, r.core.Below = chain[last], lanes, chain[:last]
	return nil
}

func committedBlock(s Stored, h qc.Height) (*blocktree.Block, error) {
	id, ok, err := s.CommittedID(h)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("store: committed block %d is missing", h)
	}
	return s.Block(id)
}

func payloadHeld(s Stored, b *blocktree.Block) (bool, error) {
	for i := range b.Payload {
		ok, err := s.HasBatch(b.Payload[i].Digest)
		if err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}

// replay brings the application up to the committed blocks on disk.
func replay(s Stored, to qc.Height, stop <-chan struct{}) func(*executor) error {
	return func(x *executor) error {
		for h := qc.Height(1); h <= to; h++ {
			select {
			case <-stop:
				return nil
			default:
			}
			e, err := storedExecution(s, h)
			if err != nil {
				return err
			}
			x.apply(e)
		}
		return nil
	}
}
