package node

import (
	"testing"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/store"
)

// pruning is a store whose log is pruned between two reads: it names a committed block, and then has it no more.
type pruning struct{ Stored }

func (pruning) Floor() qc.Height { return 0 }
func (pruning) CommittedID(h qc.Height) (qc.BlockID, bool, error) {
	return qc.BlockID{byte(h)}, h < 10, nil
}
func (pruning) Block(qc.BlockID) (*blocktree.Block, error) { return nil, store.ErrNotFound }

// A peer that asks for blocks which are pruned at that moment gets none of them; that is no failure of the disk, which would
// stop the node.
func TestServingWhileTheLogIsPruned(t *testing.T) {
	var replies []any
	s := Server{Store: pruning{}, Holds: NewHolds(), Now: func() qc.Ticks { return 0 },
		Reply: func(_ qc.NodeID, m any) bool { replies = append(replies, m); return true },
		Fail:  func(err error) { t.Errorf("the node stops: %v", err) }}
	s.Blocks(1, &hotstuff.BlockRequest{Target: qc.BlockID{20}, From: 5})
	if len(replies) != 1 || len(replies[0].(*hotstuff.BlockResponse).Blocks) != 0 {
		t.Errorf("answered with %v, want no blocks", replies)
	}
}
