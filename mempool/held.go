package mempool

import (
	"slices"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/qc"
)

// marksKept is how many of a peer's marks are kept. The newest often names a batch that has not come here yet, and then says nothing about how much of
// our run the peer holds; the one before it does.
const marksKept = 2

// PeerHeld takes in the marks that a peer attached to a vote or a timeout. They are not signed and advise only: whom to ask, and what to propose after
// a batch was missing. Marks of a wrong length are ignored. held is not changed afterwards.
func (p *Pool) PeerHeld(from qc.NodeID, held blocktree.Lanes) {
	if len(held) != len(p.lanes) || !p.cfg.Committee.Has(from) || slices.Equal(p.marks[from][0], held) {
		return
	}
	p.marks[from][1] = p.marks[from][0]
	p.marks[from][0] = held
}

// Held returns the marks to attach to an own vote or timeout: for each origin, how far the run that may be proposed next is held and synced here.
func (p *Pool) Held() blocktree.Lanes {
	held := slices.Clone(p.frontier.lanes)
	for origin := range held {
		held[origin] = p.reach(qc.NodeID(origin), held[origin], p.frontier.height+1)
	}
	return held
}

// claimsToHold tells whether a peer's marks say that it holds the batch at ref's position.
func (p *Pool) claimsToHold(peer qc.NodeID, ref blocktree.BatchRef) bool {
	for _, lanes := range p.marks[peer] {
		if lanes != nil && lanes[ref.Origin].Incarnation == ref.Incarnation && lanes[ref.Origin].Seq > ref.Seq {
			return true
		}
	}
	return false
}

// limit makes Build careful with an origin for some views: it seems to push its batches to some replicas only.
func (p *Pool) limit(origin qc.NodeID) {
	p.shelves[origin].limitedUntil = p.frontier.view + p.cfg.HeldLimitViews
}

// heldByQuorum returns the part of an unbroken run of one lane that a quorum, this replica included, holds with the same digests.
func (p *Pool) heldByQuorum(run []*item) []*item {
	if len(run) == 0 {
		return nil
	}
	reach := make([]int, 0, len(p.marks)) // of each replica: how many of the run it holds
	for peer := range p.marks {
		if qc.NodeID(peer) == p.cfg.Self {
			reach = append(reach, len(run))
			continue
		}
		k := 0
		for _, lanes := range p.marks[peer] {
			if lanes != nil {
				k = max(k, matched(run, lanes[run[0].ref.Origin]))
			}
		}
		reach = append(reach, k)
	}
	slices.Sort(reach)
	return run[:reach[len(reach)-p.cfg.Committee.Quorum()]]
}

// matched returns how many of a run lie before a mark that names one of them as its last: by the links, they are the same batches there.
func matched(run []*item, mark blocktree.Cursor) int {
	first := run[0].ref
	if mark.Incarnation != first.Incarnation || mark.Seq <= first.Seq || mark.Seq-first.Seq > uint64(len(run)) {
		return 0
	}
	k := int(mark.Seq - first.Seq)
	if run[k-1].ref.Digest != mark.Last {
		return 0
	}
	return k
}
