package mempool

import (
	"iter"
	"slices"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/qc"
)

// laterLanesMax bounds how many later lanes of an origin are tried. An honest origin has one, or a few if it starts again and again.
const laterLanesMax = 16

// follow yields the unbroken run of one lane from a cursor on that a block of the given height could name: held, synced, linked, not expired.
// Of siblings it takes the one that came first.
func (p *Pool) follow(origin qc.NodeID, c blocktree.Cursor, height qc.Height) iter.Seq[*item] {
	s := &p.shelves[origin]
	return func(yield func(*item) bool) {
		for _, it := range s.items[s.search(c.Incarnation, c.Seq):] {
			r := &it.ref
			switch {
			case r.Incarnation != c.Incarnation || r.Seq > c.Seq:
				return
			case r.Seq < c.Seq || !it.synced || it.batch.Prev != c.Last:
				continue // a sibling of the one that was taken, or of the one wanted
			case height > r.Expiry || r.Expiry-height > p.cfg.ExpiryDistanceMax:
				continue
			}
			if !yield(it) {
				return
			}
			c.Seq++
			c.Last = r.Digest
		}
	}
}

// first returns the first batch of follow, or nil.
func (p *Pool) first(origin qc.NodeID, c blocktree.Cursor, height qc.Height) *item {
	for it := range p.follow(origin, c, height) {
		return it
	}
	return nil
}

// successor returns where the lowest later lane begins that a block of the given height could begin.
func (p *Pool) successor(origin qc.NodeID, c blocktree.Cursor, height qc.Height) (blocktree.Cursor, bool) {
	s := &p.shelves[origin]
	for range laterLanesMax {
		i := s.nextLane(c.Incarnation)
		if i == len(s.items) {
			break
		}
		c = blocktree.Cursor{Incarnation: s.items[i].ref.Incarnation}
		if p.first(origin, c, height) != nil {
			return c, true
		}
	}
	return blocktree.Cursor{}, false
}

// runs returns what a block of the given height could name of an origin: the rest of its lane, and then the beginning of a later one. That one closes
// the earlier for good, which is why it comes only after all of it.
func (p *Pool) runs(origin qc.NodeID, c blocktree.Cursor, height qc.Height) (run, opened []*item) {
	run = p.collect(p.follow(origin, c, height))
	if c, ok := p.successor(origin, c, height); ok {
		opened = p.collect(p.follow(origin, c, height))
	}
	return run, opened
}

// collect gathers as many batches as one block may name.
func (p *Pool) collect(run iter.Seq[*item]) (items []*item) {
	for it := range run {
		if uint64(len(items)) == uint64(p.cfg.BlockBatchesMax) {
			break
		}
		items = append(items, it)
	}
	return items
}

// nextRun returns where the next run begins: at c, or if nothing can follow there, where a later lane begins.
func (p *Pool) nextRun(origin qc.NodeID, c blocktree.Cursor, height qc.Height) blocktree.Cursor {
	if p.first(origin, c, height) == nil {
		if later, ok := p.successor(origin, c, height); ok {
			return later
		}
	}
	return c
}

// reach returns how far the next run goes.
func (p *Pool) reach(origin qc.NodeID, c blocktree.Cursor, height qc.Height) blocktree.Cursor {
	var last *item
	for it := range p.follow(origin, p.nextRun(origin, c, height), height) {
		last = it
	}
	if last == nil {
		return c
	}
	return blocktree.Cursor{Incarnation: last.ref.Incarnation, Seq: last.ref.Seq + 1, Last: last.ref.Digest}
}

// candidates returns what Build may name of an origin, in order.
func (p *Pool) candidates(origin qc.NodeID, c blocktree.Cursor, height qc.Height) []*item {
	if p.frontier.view >= p.shelves[origin].limitedUntil {
		run, opened := p.runs(origin, c, height)
		return append(run, opened...)
	}
	// Marks speak of the next run alone, and of all of it.
	run := slices.Collect(p.follow(origin, p.nextRun(origin, c, height), height))
	return p.heldByQuorum(run)
}
