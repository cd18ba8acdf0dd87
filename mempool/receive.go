package mempool

import "github.com/hotstuffd/hotstuffd/qc"

// siblingsMax is how many batches of one position are held when no block names them: two are what a forked origin needs to be seen, and one more
// would only fill memory.
const siblingsMax = 2

// Receive takes in a batch that a peer pushed, or sent because it was asked. A batch that a block names is always kept; any other only within its
// origin's quota, and only if a block may still name it.
func (p *Pool) Receive(from qc.NodeID, v Verified) {
	b := v.batch
	if b == nil {
		return
	}
	if it := p.items[b.Digest()]; it != nil {
		if it.batch == nil {
			p.credit(from, it)
			p.ready.Persist = append(p.ready.Persist, b)
			p.fill(it, b)
		}
		return
	}
	s := &p.shelves[b.Origin]
	switch {
	case uint64(len(b.Blob)) > uint64(p.cfg.BatchBytesMax):
		p.drops.Oversized++
	case !p.nameable(b):
		p.drops.Stale++
	case s.loose+len(b.Blob)+itemOverhead > p.cfg.PeerBytes:
		p.drops.Quota++
	case s.siblings(b.Incarnation, b.Seq) >= siblingsMax:
		p.drops.Sibling++
	default:
		p.hold(p.add(b.Ref()), b)
		p.ready.Persist = append(p.ready.Persist, b)
	}
}

// Persisted says that the payload store has synced these batches.
func (p *Pool) Persisted(batches []*Batch) {
	for _, b := range batches {
		if it := p.items[b.Digest()]; it != nil && it.batch != nil && !it.synced {
			p.settle(it)
		}
	}
}

// fill gives a missing item its batch. Blocks that describe it wrongly are invalid from here on.
func (p *Pool) fill(it *item, b *Batch) {
	p.takeBack(it)
	p.hold(it, b)
	it.tried = nil
	var liars []*claim
	for _, w := range it.waiters {
		if !w.claim.describes(w.at, b) {
			liars = append(liars, w.claim)
		}
	}
	for _, c := range liars {
		p.refuse(c)
	}
}

// settle marks a held item as synced, and completes the claims that waited for it alone.
func (p *Pool) settle(it *item) {
	it.synced = true
	waiters := it.waiters
	it.waiters = nil
	for _, w := range waiters {
		w.claim.missing--
	}
	for _, w := range waiters {
		if w.claim.missing == 0 {
			p.complete(w.claim)
		}
	}
}
