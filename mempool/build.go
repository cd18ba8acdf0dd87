package mempool

import (
	"container/heap"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/qc"
)

// Includable tells whether a block on the frontier could name some batch: held and synced here, contiguous, not expired. It is what views are timed by,
// so neither a held limit nor a backlog makes it false.
func (p *Pool) Includable() bool {
	for origin, c := range p.frontier.lanes {
		if p.first(qc.NodeID(origin), c, p.frontier.height+1) != nil {
			return true
		}
		if _, ok := p.successor(qc.NodeID(origin), c, p.frontier.height+1); ok {
			return true
		}
	}
	return false
}

// PushToLeader sends batches that a block on the frontier could name to the leader of the view, which seems to lack them: own ones first, at least one,
// together at most about one batch's largest size. One suffices to make it propose.
func (p *Pool) PushToLeader() {
	if p.frontier.leader == p.cfg.Self {
		return
	}
	n := p.cfg.Committee.Size()
	budget := int(p.cfg.BatchBytesMax)
	for i := range n {
		origin := qc.NodeID((int(p.cfg.Self) + i) % n)
		run, opened := p.runs(origin, p.frontier.lanes[origin], p.frontier.height+1)
		for _, it := range append(run, opened...) {
			p.ready.Push = append(p.ready.Push, Push{p.frontier.leader, it.batch})
			if budget -= it.cost(); budget <= 0 {
				return
			}
		}
	}
}

// pushFlight sends the own batches in flight to a peer that is there again: what was pushed while it was away is lost.
func (p *Pool) pushFlight(peer qc.NodeID) {
	for _, s := range p.own.flight {
		p.ready.Push = append(p.ready.Push, Push{peer, s.item.batch})
	}
}

// Build chooses the payload of a block of the given height, on a parent after which the lanes stand as given. Origins share the bytes of a block evenly.
// It is empty while execution is behind. The result is valid by Lanes.Extend.
func (p *Pool) Build(lanes blocktree.Lanes, height qc.Height) []blocktree.BatchRef {
	if p.behind() {
		return nil
	}
	shares := make(shareHeap, 0, len(lanes))
	for origin, c := range lanes {
		if run := p.candidates(qc.NodeID(origin), c, height); len(run) > 0 {
			// Among equals the order turns with the height, or the first origins would always win the last places.
			rank := (origin + int(height%qc.Height(len(lanes)))) % len(lanes)
			shares = append(shares, &share{run: run, rank: rank})
		}
	}
	all := append([]*share(nil), shares...)
	n := p.deal(shares)

	refs := make([]blocktree.BatchRef, 0, n)
	for _, s := range all {
		for _, it := range s.run[:s.taken] {
			refs = append(refs, it.ref)
		}
	}
	return refs
}

// deal gives the block's room to the origins, one batch at a time, always to the one that has the least so far, and returns the number of batches.
func (p *Pool) deal(shares shareHeap) (batches uint32) {
	// A small batch counts as much as an even part of a full block, or many small ones would take all places of the count.
	floor := p.cfg.BlockBytesMax / uint64(p.cfg.BlockBatchesMax)
	room := p.cfg.BlockBytesMax
	heap.Init(&shares)
	for len(shares) > 0 && batches < p.cfg.BlockBatchesMax {
		s := shares[0]
		size := uint64(s.run[s.taken].ref.Bytes)
		if size > room {
			heap.Pop(&shares)
			continue
		}
		room -= size
		batches++
		s.taken++
		s.charged += max(size, floor)
		if s.taken == len(s.run) {
			heap.Pop(&shares)
		} else {
			heap.Fix(&shares, 0)
		}
	}
	return batches
}

// share is one origin's part of a block that is being built.
type share struct {
	run     []*item
	taken   int
	charged uint64 // bytes, small batches rounded up
	rank    int    // decides among equals
}

// shareHeap has the origin with the least on top.
type shareHeap []*share

func (h shareHeap) Len() int { return len(h) }
func (h shareHeap) Less(i, j int) bool {
	return h[i].charged < h[j].charged || h[i].charged == h[j].charged && h[i].rank < h[j].rank
}
func (h shareHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *shareHeap) Push(x any)   { *h = append(*h, x.(*share)) }
func (h *shareHeap) Pop() any {
	old := *h
	s := old[len(old)-1]
	*h = old[:len(old)-1]
	return s
}
