package hotstuff

import (
	"math"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/qc/peers"
)

// A replica that is far behind asks several peers at once, each for another range of heights of the committed chain: one
// peer alone leaves it to wait for the way there and back after every answer. A range that comes early is certified like
// any other, by the justify of its last block, but has no place in the tree yet: it is held until those before it are
// placed.
//
// Heights say nothing of branches. So a range may be of a certified branch that lost, from a peer that lies, or the blocks
// below it may be; where it does not fit, all that is held goes, and the place is passed by one request at a time, from peers
// in turn.

// ranges are what is asked ahead of the blocks that are placed, in ascending order.
type ranges struct {
	list []blockRange // bound: rangesMax, each with one answer at most
	// None reaches above end, where peers have nothing; 0: not known. None begins below begin: one there did not fit.
	end, begin qc.Height
}

// blockRange is some heights of the committed chain.
type blockRange struct {
	from, to qc.Height // to is the height after the last
	peer     qc.NodeID // who was asked last, or has delivered blocks
	open     bool      // it has not answered
	due      qc.Ticks  // when it is late
	tried    qc.Bitmap // peers asked in this round
	empty    int       // of all rounds, how many had nothing
	blocks   []*blocktree.Block
}

const (
	// rangesMax bounds the ranges: so many peers are asked at once, and fewer answers are held, each of about a megabyte
	// (node.Server).
	rangesMax = 4
	// rangeMin is the smallest range, blocks: a peer that delivers little must not make all requests little.
	rangeMin = 16
)

// of returns the range that a peer was asked for and has not answered; nil if there is none.
func (rs *ranges) of(id qc.NodeID) *blockRange {
	for i := range rs.list {
		if r := &rs.list[i]; r.open && r.peer == id {
			return r
		}
	}
	return nil
}

// reach is the height after what the range has brought, or is to bring.
func (r *blockRange) reach() qc.Height {
	if r.blocks != nil {
		return r.from + qc.Height(len(r.blocks))
	}
	return r.to
}

// covered tells whether what comes next is a range's to bring.
func (a *asking) covered() bool { return len(a.ranges.list) > 0 && a.ranges.list[0].from <= a.from }

// rangesDue is when the first request is late or due; ok is false if there are no ranges.
func (a *asking) rangesDue() (at qc.Ticks, ok bool) {
	if len(a.ranges.list) == 0 {
		return 0, false
	}
	at = a.ranges.late()
	if !a.covered() {
		at = min(at, a.retry)
	}
	return at, true
}

// late is when the first answer is.
func (rs *ranges) late() qc.Ticks {
	at := qc.Ticks(math.MaxUint64)
	for i := range rs.list {
		if r := &rs.list[i]; r.open {
			at = min(at, r.due)
		}
	}
	return at
}

// planRanges lays ranges of the size of the part that was placed last ahead of it, as long as they end below the target. How
// many blocks lie below it is told by the views between, and by how many views the part has taken for its blocks.
func (c *Core) planRanges(part []*blocktree.Block) {
	a := &c.asking
	rs := &a.ranges
	for len(rs.list) > 0 && rs.list[0].reach() <= a.from {
		rs.list = rs.list[1:]
	}
	first, last := part[0], part[len(part)-1]
	target := c.targetView()
	if target <= last.View || a.from < rs.begin {
		return
	}
	blocks := qc.Height(len(part))
	left := qc.Height(target-last.View) * blocks / qc.Height(last.View-first.Justify.View)
	size := max(blocks, rangeMin)
	end := a.from + left
	if rs.end > 0 {
		end = min(end, rs.end)
	}
	next := a.from
	if n := len(rs.list); n > 0 {
		next = max(next, rs.list[n-1].to)
	}
	for ; len(rs.list) < rangesMax && next+size <= end; next += size {
		rs.list = append(rs.list, blockRange{from: next, to: next + size, tried: qc.NewBitmap(c.cfg.Committee.Size())})
	}
}

// targetView is the view of the target, 0 without one.
func (c *Core) targetView() qc.View {
	for i := range c.fetches {
		if c.fetches[i].cert.Block == c.asking.target {
			return c.fetches[i].cert.View
		}
	}
	return 0
}

// askRanges asks for each range that nobody is asked for, in their order: of the peers without a request the best, and of
// all connected ones each before any is asked again.
func (c *Core) askRanges() {
	a := &c.asking
	for i := range a.ranges.list {
		if r := &a.ranges.list[i]; r.open && c.now >= r.due {
			r.open = false
			c.peers.Failed(r.peer, c.now, peers.Late)
		}
	}
	for i := range a.ranges.list {
		r := &a.ranges.list[i]
		if r.blocks != nil || r.open {
			continue
		}
		peer, ok := c.freePeer(r)
		if !ok {
			continue // one will be free when it answers, or is late
		}
		r.tried.Set(peer)
		r.peer, r.open = peer, true
		r.due = c.now + c.peers.Patience(peer, c.pace.RetryEvery())
		c.askedAt[peer] = max(c.now, 1)
		c.send(peer, &BlockRequest{Target: a.target, From: max(r.from, a.from)})
	}
}

// freePeer chooses whom to ask for a range: who delivered last is the first among equals. All ranges wait for the first, so a
// peer of bad name is asked only when all better ones were; its name is good again in a while.
func (c *Core) freePeer(r *blockRange) (qc.NodeID, bool) {
	untried, better := false, false
	for id := range qc.NodeID(c.cfg.Committee.Size()) {
		if c.peers.Asks(id) && !r.tried.Has(id) {
			untried = true
			better = better || !c.peers.Spared(id, c.now)
		}
	}
	if !untried {
		clear(r.tried)
	}
	may := func(id qc.NodeID) bool {
		return !r.tried.Has(id) && c.openRequests(id) == 0 && !(better && c.peers.Spared(id, c.now))
	}
	return c.peers.Best(c.now, c.asking.deliverer, may, c.openRequests)
}

// rangeAnswered takes note of an answer. When more peers have nothing than may be faulty, one of them is correct: the range
// lies above what is committed, and so do those after it.
func (c *Core) rangeAnswered(r *blockRange, m *BlockResponse) {
	r.open = false
	if len(m.Blocks) > 0 {
		return
	}
	if r.empty++; r.empty > c.cfg.Committee.Faults() {
		rs := &c.asking.ranges
		rs.end = r.from
		for i := range rs.list {
			if rs.list[i].from == rs.end {
				rs.list = rs.list[:i]
				break
			}
		}
	}
}

// hold keeps an answer that has no place in the tree yet, if it is the beginning of a range.
func (c *Core) hold(m *BlockResponse, from qc.NodeID) bool {
	first := m.Blocks[0]
	if first.Height <= c.tree.Committed().Block.Height+1 || c.tree.Get(first.Parent) != nil {
		return false
	}
	for i := range c.asking.ranges.list {
		if r := &c.asking.ranges.list[i]; r.from == first.Height && r.blocks == nil {
			r.blocks, r.peer, r.open = m.Blocks, from, false
			return true
		}
	}
	return false
}

// placeRanges places what is held and has its turn.
func (c *Core) placeRanges() error {
	for {
		a := &c.asking
		if !a.covered() || a.ranges.list[0].blocks == nil {
			return nil
		}
		r := a.ranges.list[0]
		blocks := r.blocks[a.from-r.from:]
		if c.tree.Get(blocks[0].Parent) == nil {
			c.misfit(&r)
			return nil
		}
		target := a.target
		for _, b := range blocks {
			if ok, err := c.placeCertified(b, r.peer); !ok || err != nil {
				return err
			}
		}
		c.continueFetch(target, blocks, r.peer)
	}
}

// misfit drops all ranges: one does not follow what is placed. Who of the two peers has lied, nobody can say yet. Up to there
// one request at a time is made, and the next peers are asked from the committed block up.
func (c *Core) misfit(r *blockRange) {
	a := &c.asking
	c.peers.Failed(r.peer, c.now, peers.Wrong)
	c.peers.Failed(a.deliverer, c.now, peers.Wrong)
	a.ranges = ranges{begin: r.to, end: a.ranges.end}
	clear(a.tried)
	a.again, a.open, a.retry = false, false, c.now
}
