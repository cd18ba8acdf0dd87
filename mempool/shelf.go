package mempool

import (
	"cmp"
	"slices"
	"sort"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/qc"
)

// shelf is one origin's held batches that a block above the committed one may name by position, in ascending order of position; siblings, which only
// an equivocating origin makes, in order of arrival.
type shelf struct {
	items  []*item
	loose  int       // cost of those that nothing names, bytes; bounded by Config.PeerBytes
	expiry qc.Height // no loose item expires at a lower height

	limitedUntil qc.View // Build names only what a quorum holds, in views below this
}

func comparePosition(a blocktree.Incarnation, aSeq uint64, b blocktree.Incarnation, bSeq uint64) int {
	if c := a.Compare(b); c != 0 {
		return c
	}
	return cmp.Compare(aSeq, bSeq)
}

// search returns the index of the first item at or after a position.
func (s *shelf) search(inc blocktree.Incarnation, seq uint64) int {
	return sort.Search(len(s.items), func(i int) bool {
		return comparePosition(s.items[i].ref.Incarnation, s.items[i].ref.Seq, inc, seq) >= 0
	})
}

// nextLane returns the index of the first item of a later lane.
func (s *shelf) nextLane(inc blocktree.Incarnation) int {
	return sort.Search(len(s.items), func(i int) bool { return s.items[i].ref.Incarnation.Compare(inc) > 0 })
}

// insert places an item behind those of its position. Sequence numbers are foreign: the greatest has no successor to search for.
func (s *shelf) insert(it *item) {
	i := sort.Search(len(s.items), func(i int) bool {
		return comparePosition(s.items[i].ref.Incarnation, s.items[i].ref.Seq, it.ref.Incarnation, it.ref.Seq) > 0
	})
	s.items = slices.Insert(s.items, i, it)
}

func (s *shelf) loosen(it *item) {
	s.loose += it.cost()
	s.expiry = min(s.expiry, it.ref.Expiry)
}

// remove takes a loose item off the shelf.
func (s *shelf) remove(it *item) {
	i := s.search(it.ref.Incarnation, it.ref.Seq)
	for s.items[i] != it {
		i++
	}
	s.items = slices.Delete(s.items, i, i+1)
	s.loose -= it.cost()
	it.shelved = false
}

// siblings counts the batches held at a position.
func (s *shelf) siblings(inc blocktree.Incarnation, seq uint64) int {
	n := 0
	for i := s.search(inc, seq); i < len(s.items) && s.items[i].ref.Incarnation == inc && s.items[i].ref.Seq == seq; i++ {
		n++
	}
	return n
}

// evict brings a shelf within its quota, after a claim let go of batches: the farthest from being named go first. They stay on disk.
func (p *Pool) evict(s *shelf) {
	for i := len(s.items) - 1; i >= 0 && s.loose > p.cfg.PeerBytes; i-- {
		if it := s.items[i]; it.named == 0 {
			s.remove(it)
			p.dropUnused(it)
		}
	}
}

// sweep takes off all shelves what no block can name any more. What a claim still names stays in the index.
func (p *Pool) sweep() {
	for origin := range p.shelves {
		s, c := &p.shelves[origin], p.lanes[origin]
		passed := s.search(c.Incarnation, c.Seq)
		for _, it := range s.items[:passed] {
			it.shelved = false
			if it.named == 0 {
				s.loose -= it.cost()
				p.dropUnused(it)
			}
		}
		s.items = slices.Delete(s.items, 0, passed)
		if s.expiry <= p.height {
			p.expire(s)
		}
	}
}

func (p *Pool) expire(s *shelf) {
	s.expiry = ^qc.Height(0)
	s.items = slices.DeleteFunc(s.items, func(it *item) bool {
		switch {
		case it.named > 0:
			return false // release looks at it again
		case it.ref.Expiry > p.height:
			s.expiry = min(s.expiry, it.ref.Expiry)
			return false
		}
		it.shelved = false
		s.loose -= it.cost()
		p.dropUnused(it)
		return true
	})
}
