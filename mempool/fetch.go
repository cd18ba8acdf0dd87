package mempool

import (
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/qc"
)

// fetchDue asks for the missing batches whose time has come: the proposer first, then peers that said they hold it, then all others, one after another
// and again from the start. Digests for one peer travel together.
func (p *Pool) fetchDue() {
	if len(p.wanted) == 0 {
		return
	}
	asks := make(map[qc.NodeID][]blocktree.Digest)
	live := p.wanted[:0]
	for _, it := range p.wanted {
		if !it.fetching() {
			continue
		}
		live = append(live, it)
		if it.due > p.now {
			continue
		}
		it.due = p.now + p.cfg.FetchRetry
		if p.cfg.Committee.Size() == 1 {
			continue // nobody to ask: the operator has to bring the batch back to the disk
		}
		to := p.nextPeer(it)
		asks[to] = append(asks[to], it.ref.Digest)
		if it.requiredOnly() {
			p.limit(it.ref.Origin)
		}
	}
	clear(p.wanted[len(live):])
	p.wanted = live
	for to := range p.cfg.Committee.Size() {
		p.ask(qc.NodeID(to), asks[qc.NodeID(to)])
	}
}

func (p *Pool) ask(to qc.NodeID, digests []blocktree.Digest) {
	for len(digests) > 0 {
		n := min(len(digests), RequestDigestsMax)
		p.ready.Fetch = append(p.ready.Fetch, Fetch{to, &BatchRequest{Digests: digests[:n:n]}})
		digests = digests[n:]
	}
}

// nextPeer chooses whom to ask for a missing batch, and notes it.
func (p *Pool) nextPeer(it *item) qc.NodeID {
	n := p.cfg.Committee.Size()
	if it.tried == nil || it.tried.Count() == n {
		it.tried = qc.NewBitmap(n)
		it.tried.Set(p.cfg.Self)
	}
	choice := it.proposer
	if it.tried.Has(choice) {
		found, claims := false, false
		for i := 1; i < n && !claims; i++ {
			peer := qc.NodeID((int(p.cfg.Self) + i) % n)
			if it.tried.Has(peer) {
				continue
			}
			claims = p.claimsToHold(peer, it.ref)
			if claims || !found {
				choice, found = peer, true
			}
		}
	}
	it.tried.Set(choice)
	return choice
}

// requiredOnly tells whether only uncommitted blocks miss the item.
func (it *item) requiredOnly() bool {
	for _, w := range it.waiters {
		if w.claim.committed {
			return false
		}
	}
	return true
}
