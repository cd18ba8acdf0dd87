package node

import (
	"errors"
	"slices"
	"sync"

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
	Reply func(to qc.NodeID, message any) (queued bool) // keeps nothing of a message
	Fail  func(error)                                   // a store that cannot be read: the node stops
	Holds *Holds                                        // what peers are fetching
	Now   func() qc.Ticks

	chunks sync.Pool // of *[]byte: memory of a chunk
}

const (
	// responseBytes is about how many bytes of blocks one response holds.
	responseBytes = 1 << 20
	// blockBytes is about what a block without payload takes, refBytes what one batch adds.
	blockBytes, refBytes = 512, 96
)

// walkMax bounds how far a branch is walked back for one request, blocks.
const walkMax = 1 << 14

// Blocks answers with the first part of the target's branch, from the height asked for: all of it if it fits a response;
// else of the committed chain, which is cheaper to find; and with nothing if there is nothing, so that the peer asks
// another.
func (s *Server) Blocks(to qc.NodeID, r *hotstuff.BlockRequest) {
	if floor := s.Store.Floor(); r.From < floor {
		s.Reply(to, &hotstuff.Pruned{Floor: floor})
	} else {
		s.Holds.note(to, r.From, s.Now())
	}
	blocks, err := s.branch(r.Target, r.From, hotstuff.ResponseBlocksMax)
	if err == nil && blocks == nil {
		blocks, err = s.committed(r.From)
	}
	if err == nil && len(blocks) < 2 {
		// The last block of a part only certifies those before it, so one alone is none. A long branch without a commit:
		blocks, err = s.branch(r.Target, r.From, walkMax)
	}
	if err != nil {
		s.Fail(err)
		return
	}
	s.Reply(to, &hotstuff.BlockResponse{Target: r.Target, Blocks: blocks})
}

// branch walks back from target to height from, over at most walk blocks, and returns the first part of the way in
// ascending order, as much as fits a response; nil if the way is longer, is not held, or does not pass that height.
func (s *Server) branch(target qc.BlockID, from qc.Height, walk int) ([]*blocktree.Block, error) {
	var way []*blocktree.Block // descending; blocks near the target make room for those near from
	for id := target; walk > 0; walk-- {
		b, err := s.Store.Block(id)
		if errors.Is(err, store.ErrNotFound) || err == nil && (b.Height < from || b.Height-from >= qc.Height(walk)) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if len(way) == 2*hotstuff.ResponseBlocksMax {
			way = append(way[:0], way[hotstuff.ResponseBlocksMax:]...)
		}
		way = append(way, b)
		if b.Height == from {
			slices.Reverse(way)
			return fitting(way), nil
		}
		id = b.Parent
	}
	return nil, nil
}

// fitting cuts blocks to what fits a response.
func fitting(blocks []*blocktree.Block) []*blocktree.Block {
	size := 0
	for i, b := range blocks {
		if size += blockBytes + refBytes*len(b.Payload); i == hotstuff.ResponseBlocksMax || size > responseBytes && i > 1 {
			return blocks[:i]
		}
	}
	return blocks
}

// committed returns committed blocks from height from on, as many as fit a response.
func (s *Server) committed(from qc.Height) ([]*blocktree.Block, error) {
	var blocks []*blocktree.Block
	for h := from; len(blocks) <= hotstuff.ResponseBlocksMax; h++ {
		id, ok, err := s.Store.CommittedID(h)
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		b, err := s.Store.Block(id)
		if errors.Is(err, store.ErrNotFound) {
			break // pruned since
		}
		if err != nil {
			return nil, err
		}
		if blocks = append(blocks, b); len(fitting(blocks)) < len(blocks) {
			break
		}
	}
	return fitting(blocks), nil
}

// Batches answers with each batch asked for that is held, as long as there is room in the peer's queue. Where one is not, it
// may have been pruned.
func (s *Server) Batches(to qc.NodeID, r *mempool.BatchRequest) {
	s.Holds.renew(to, s.Now())
	lacking := false
	for _, d := range r.Digests {
		b, err := s.Store.Batch(d)
		if errors.Is(err, store.ErrNotFound) {
			lacking = true
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
	if floor := s.Store.Floor(); lacking && floor > 0 {
		s.Reply(to, &hotstuff.Pruned{Floor: floor})
	}
}

// Snapshots answers with an offer of each snapshot above the height asked for.
func (s *Server) Snapshots(to qc.NodeID, r *hotstuff.SnapshotRequest) {
	for _, m := range s.Store.Snapshots() {
		if at := m.Height(); at > r.Above {
			s.Holds.note(to, at, s.Now())
			s.Reply(to, &hotstuff.SnapshotOffer{Certificate: m.Certificate, Bytes: uint64(m.Bytes), Chunks: m.Chunks})
		}
	}
}

// Chunk answers with one chunk of a snapshot, or with none if there is no such snapshot any more, or it is damaged: the
// peer has others to ask.
func (s *Server) Chunk(to qc.NodeID, r *hotstuff.ChunkRequest) {
	s.Holds.note(to, r.Height, s.Now())
	buf, _ := s.chunks.Get().(*[]byte)
	if buf == nil {
		buf = new([]byte)
	}
	data, err := s.Store.SnapshotChunk(*buf, r.Height, int(r.Index))
	if err != nil {
		data = nil
	}
	s.Reply(to, &hotstuff.Chunk{Height: r.Height, Index: r.Index, Data: data})
	if *buf = data; data != nil {
		s.chunks.Put(buf)
	}
}
