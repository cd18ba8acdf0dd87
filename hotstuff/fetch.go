package hotstuff

import (
	"slices"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/qc/peers"
)

// fetch is a block that a certificate names and that is not held.
type fetch struct {
	cert qc.QuorumCertificate // of the block; applied when it comes, though the high QC may have moved on to another branch
	hint qc.NodeID            // who named it: the first to be asked
}

// asking is the one request for a target that is under way. One at a time: most often the wanted blocks lie on one branch,
// and the highest brings the others with it. While much lies between, ranges of it are asked from other peers as well
// (ranges.go).
type asking struct {
	target qc.BlockID // zero before the first request
	tried  qc.Bitmap  // peers asked in this round
	rounds int        // that are over: each peer was asked in each
	retry  qc.Ticks   // when to ask again
	again  bool       // ask deliverer for what follows, before the next in turn
	peer   qc.NodeID  // who was asked last
	open   bool       // and has not answered
	// Who last delivered a part, and the height after it; 0 before that, and when another peer is asked.
	deliverer qc.NodeID
	from      qc.Height
	ranges    ranges
}

// fetchesMax bounds the blocks wanted at once: those of the highest views.
const fetchesMax = 4

// fetchGrace is how long a block that was named may still come by itself, since blocks and certificates come from
// different peers: 3 ms.
const fetchGrace = qc.TicksPerSecond * 3 / 1000

// fetch wants the block of a certificate, and its ancestors, unless it does already, or the block lost to the committed one.
func (c *Core) fetch(q *qc.QuorumCertificate, hint qc.NodeID) {
	if q.View <= c.tree.Committed().Block.View || c.wanted(q.Block) {
		return
	}
	if len(c.fetches) == 0 {
		c.askAnew()
	}
	i := 0
	for i < len(c.fetches) && c.fetches[i].cert.View > q.View {
		i++
	}
	c.fetches = slices.Insert(c.fetches, i, fetch{*q, hint}) // highest first
	if last := len(c.fetches) - 1; last >= fetchesMax {
		// The lowest goes, not the oldest: replayed old certificates must not displace the block of the high QC. The one
		// that is being asked for stays, or a slow answer would never be of use while the chain goes on.
		if c.fetches[last].cert.Block == c.asking.target {
			last--
		}
		c.fetches = slices.Delete(c.fetches, last, last+1)
	}
}

// Fetching tells whether blocks are wanted that are not here.
func (c *Core) Fetching() bool { return len(c.fetches) > 0 }

func (c *Core) wanted(id qc.BlockID) bool {
	return slices.ContainsFunc(c.fetches, func(f fetch) bool { return f.cert.Block == id })
}

// endFetches wants some blocks no longer. If one of them is being asked for, the next has its turn after a grace.
func (c *Core) endFetches(of func(fetch) bool) {
	c.fetches = slices.DeleteFunc(c.fetches, func(f fetch) bool {
		if !of(f) {
			return false
		}
		if f.cert.Block == c.asking.target {
			c.askAnew()
		}
		return true
	})
}

// askAnew begins with the next target after a grace.
func (c *Core) askAnew() {
	c.asking = asking{tried: qc.NewBitmap(c.cfg.Committee.Size()), retry: c.now + fetchGrace}
}

// arrived ends the fetch of a block that is held now, and applies the certificate that waited for it.
func (c *Core) arrived(e *blocktree.Entry) error {
	i := slices.IndexFunc(c.fetches, func(f fetch) bool { return f.cert.Block == e.Block.ID() })
	if i < 0 {
		return nil
	}
	cert := c.fetches[i].cert
	c.endFetches(func(f fetch) bool { return f.cert.Block == cert.Block })
	return c.applyCertificate(e, &cert)
}

// dropFetches ends the fetches of blocks that lost to the committed block: nobody need hold them any more.
func (c *Core) dropFetches() {
	committed := c.tree.Committed().Block.View
	c.endFetches(func(f fetch) bool { return f.cert.View <= committed })
}

// fetchDue is when the next request is due; ok is false if nothing is wanted.
func (c *Core) fetchDue() (at qc.Ticks, ok bool) {
	if len(c.fetches) == 0 {
		return 0, false
	}
	if at, ok := c.asking.rangesDue(); ok {
		return at, true
	}
	return c.asking.retry, true
}

// retryFetches asks when it is due: who has just delivered a part, for the next one; or else the next peer in turn, from the
// committed block up, for the last one may have delivered another branch. A peer that delivers too little never keeps
// the others from their turn. When all have had theirs, the next lower block is tried.
func (c *Core) retryFetches() {
	if len(c.fetches) == 0 {
		return
	}
	a := &c.asking
	if c.askRanges(); a.covered() || c.now < a.retry {
		return
	}
	if a.again {
		if peer, ok := c.goOnWith(); ok {
			c.askBlocks(peer, a.from)
		} else {
			a.retry = a.ranges.late() // one is free then, or when it answers
		}
		return
	}
	if a.open {
		c.peers.Failed(a.peer, c.now, peers.Late)
	}
	f := c.fetches[a.rounds%len(c.fetches)]
	peer, ok := c.fetchPeer(f.hint)
	if !ok { // all have had their turn
		a.rounds++
		clear(a.tried)
		f = c.fetches[a.rounds%len(c.fetches)]
		if peer, ok = c.fetchPeer(f.hint); !ok {
			a.retry = c.now + c.pace.RetryEvery() // a committee of one
			return
		}
	}
	a.target, a.from = f.cert.Block, 0
	a.tried.Set(peer)
	c.askBlocks(peer, 0)
}

// askBlocks asks a peer for the target's branch from a height up, or from the committed block.
func (c *Core) askBlocks(peer qc.NodeID, from qc.Height) {
	a := &c.asking
	if r := a.ranges.of(peer); r != nil {
		r.open = false // one request at a time, and this one comes first
	}
	c.send(peer, &BlockRequest{Target: a.target, From: max(from, c.tree.Committed().Block.Height+1)})
	c.askedAt[peer] = max(c.now, 1)
	a.peer, a.open, a.again = peer, true, false
	a.retry = c.now + c.peers.Patience(peer, c.pace.RetryEvery())
}

// goOnWith chooses whom to ask for what follows: of those that are not asked for a range the best; who has delivered is the
// first among equals.
func (c *Core) goOnWith() (qc.NodeID, bool) {
	free := func(id qc.NodeID) bool { return c.openRequests(id) == 0 }
	return c.peers.Best(c.now, c.asking.deliverer, free, c.openRequests)
}

// fetchPeer chooses of the peers that were not asked in this round the best; the one that named the block is the first
// among equals.
func (c *Core) fetchPeer(hint qc.NodeID) (qc.NodeID, bool) {
	return c.peers.Best(c.now, hint, func(id qc.NodeID) bool { return !c.asking.tried.Has(id) }, c.openRequests)
}

// openRequests tells how many requests for blocks a peer has not answered: one, or none.
func (c *Core) openRequests(id qc.NodeID) int {
	if a := &c.asking; a.open && a.peer == id || a.ranges.of(id) != nil {
		return 1
	}
	return 0
}

// onBlocks inserts fetched blocks. They are certified: by the hash that was asked for, or by a certificate that was verified
// with them. So a block that does not fit is no peer's fault, but a broken assumption.
func (c *Core) onBlocks(m *BlockResponse, from qc.NodeID) error {
	if !c.wanted(m.Target) {
		c.drop(from, ErrUnasked)
		return nil
	}
	answers := m.Target == c.asking.target && c.weigh(m, from)
	if len(m.Blocks) == 0 || c.hold(m, from) {
		return nil
	}
	for _, b := range m.Blocks {
		if ok, err := c.placeCertified(b, from); !ok || err != nil {
			if answers {
				c.peers.Failed(from, c.now, peers.Wrong)
			}
			return err
		}
	}
	c.continueFetch(m.Target, m.Blocks, from)
	return c.placeRanges()
}

// weigh takes what an answer says of its peer, and passes over at once a peer that has nothing. It tells whether the answer
// was waited for.
func (c *Core) weigh(m *BlockResponse, from qc.NodeID) bool {
	a := &c.asking
	r, asked := a.ranges.of(from), c.askedAt[from]
	if asked == 0 {
		return false // it was not asked, or has answered
	}
	if a.again {
		a.retry = c.now // it is free
	}
	took := c.now - asked
	c.askedAt[from] = 0
	switch {
	case r == nil && !(a.open && a.peer == from):
		c.peers.Measure(from, took, true) // it was given up
		return false
	case len(m.Blocks) < rangeMin && !m.complete():
		// A block at a time would be for ever: what has next to nothing counts as nothing.
		c.peers.Failed(from, c.now, peers.Empty)
	default:
		c.peers.Served(from, c.now)
		c.peers.Measure(from, took, true)
	}
	if r != nil {
		c.rangeAnswered(r, m)
		return true
	}
	// When all have had their turn it waits, or peers that have nothing would be asked without end.
	if len(m.Blocks) == 0 {
		a.open = false
		if _, ok := c.fetchPeer(from); ok {
			a.retry = c.now
		}
	}
	return true
}

// complete tells whether the answer reaches its target.
func (m *BlockResponse) complete() bool {
	n := len(m.Blocks)
	return n > 0 && m.Blocks[n-1].ID() == m.Target
}

// placeCertified puts a certified block into the tree. ok is false if it has no place there: the branch does not start at
// what we hold, or lost to our committed block.
func (c *Core) placeCertified(b *blocktree.Block, from qc.NodeID) (ok bool, err error) {
	if c.tree.Get(b.ID()) != nil {
		return true, nil
	}
	// Whatever is certified in a higher view than the committed block's descends from it, or two blocks are committed.
	committed := c.tree.Committed().Block
	below, beside := b.Height <= committed.Height, b.Height == committed.Height+1 && b.Parent != committed.ID()
	if (below || beside) && b.View > committed.View {
		return false, blocktree.ErrConflictingCommit
	}
	if below {
		return true, nil // pruned long ago
	}
	e, err := c.tree.Insert(b)
	switch err {
	case nil:
	case blocktree.ErrUnknownParent, blocktree.ErrOld:
		return false, nil
	default:
		return false, ErrAssumption
	}
	c.out.Persist = append(c.out.Persist, BlockRecord{Block: b})
	if err := c.onCertificate(&b.Justify, from); err != nil {
		return false, err
	}
	return true, c.onHeld(e)
}

// continueFetch asks a peer that has just delivered for what follows, at once. Only a part that reaches further than the
// last counts, so that replayed parts cost nothing.
func (c *Core) continueFetch(target qc.BlockID, part []*blocktree.Block, from qc.NodeID) {
	last := part[len(part)-1]
	if a := &c.asking; a.target == target && last.Height >= a.from {
		a.deliverer, a.from, a.again, a.open, a.retry = from, last.Height+1, true, false, c.now
		c.planRanges(part)
	}
}

// placeOrphans takes up proposals whose parents have come, in order of proposer.
func (c *Core) placeOrphans() error {
	for id := range qc.NodeID(c.cfg.Committee.Size()) {
		b := c.orphans[id]
		if b == nil || c.tree.Get(b.Parent) == nil {
			continue
		}
		delete(c.orphans, id)
		if err := c.placeProposal(b, id); err != nil {
			return err
		}
	}
	return nil
}
