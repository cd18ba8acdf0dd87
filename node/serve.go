package node

import (
	"errors"
	"slices"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/store"
)

// Server answers peers that lack blocks or batches, from the store. Each peer is served by its own reader, one request
// at a time, so a peer that asks much makes only itself wait.
type Server struct {
	Store Stored
	Reply func(to qc.NodeID, message any) (queued bool)
	Fail  func(error) // a store that cannot be read: the node stops
}

const (
	// responseBytes is about how many bytes of blocks one response holds.
	responseBytes = 1 << 20
	// blockBytes is about what a block without payload takes, refBytes what one batch adds.
	blockBytes, refBytes = 512, 96
)

// Blocks answers with the branch of the target, from the height asked for; or, when that is too long, with committed
// blocks from there on; or with nothing, so that the peer asks another.
func (s *Server) Blocks(to qc.NodeID, r *hotstuff.BlockRequest) {
	branch, err := s.branch(r.Target, r.From)
	if err == nil && branch == nil {
		branch, err = s.committed(r.From)
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		s.Fail(err)
		return
	}
	s.Reply(to, &hotstuff.BlockResponse{Target: r.Target, Blocks: branch})
}

// branch returns the blocks from height from to target in ascending order, nil if they do not fit a response.
func (s *Server) branch(target qc.BlockID, from qc.Height) ([]*blocktree.Block, error) {
	var branch []*blocktree.Block
	size := 0
	for id := target; ; {
		b, err := s.Store.Block(id)
		if err != nil {
			return nil, err
		}
		if b.Height < from {
			return nil, nil // another branch than the one the peer has committed
		}
		branch = append(branch, b)
		size += blockBytes + refBytes*len(b.Payload)
		if size > responseBytes || len(branch) > hotstuff.ResponseBlocksMax {
			return nil, nil
		}
		if b.Height == from {
			slices.Reverse(branch)
			return branch, nil
		}
		id = b.Parent
	}
}

// committed returns committed blocks from height from on, as many as fit a response.
func (s *Server) committed(from qc.Height) ([]*blocktree.Block, error) {
	var blocks []*blocktree.Block
	for size := 0; size < responseBytes && len(blocks) < hotstuff.ResponseBlocksMax; from++ {
		id, ok, err := s.Store.CommittedID(from)
		if err != nil || !ok {
			return blocks, err
		}
		b, err := s.Store.Block(id)
		if err != nil {
			return nil, err
		}
		blocks = append(blocks, b)
		size += blockBytes + refBytes*len(b.Payload)
	}
	return blocks, nil
}

// Batches answers with each batch asked for that is held, as long as there is room in the peer's queue.
func (s *Server) Batches(to qc.NodeID, r *mempool.BatchRequest) {
	for _, d := range r.Digests {
		b, err := s.Store.Batch(d)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			s.Fail(err)
			return
		}
		if !s.Reply(to, b) {
			return
		}
	}
}
