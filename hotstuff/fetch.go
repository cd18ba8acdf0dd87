package hotstuff

import (
	"slices"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/qc"
)

// fetch is a block that a certificate names and that is not held.
type fetch struct {
	cert qc.QuorumCertificate // of the block; applied when it comes, though the high QC may have moved on to another branch
	hint qc.NodeID            // who named it: the first to be asked
}

// asking is the one request that is under way. One at a time: most often the wanted blocks lie on one branch, and the
// highest brings the others with it.
type asking struct {
	target qc.BlockID // zero before the first request
	tries  int        // peers asked in turn
	retry  qc.Ticks   // when to ask again
	again  bool       // ask deliverer for what follows, before the next in turn
	peer   qc.NodeID  // who was asked last
	open   bool       // and has not answered
	// Who last delivered a part, and the height after it; 0 before that, and when another peer is asked.
	deliverer qc.NodeID
	from      qc.Height
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
		c.asking = asking{retry: c.now + fetchGrace}
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
			c.asking = asking{retry: c.now + fetchGrace}
		}
		return true
	})
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
func (c *Core) fetchDue() (at qc.Ticks, ok bool) { return c.asking.retry, len(c.fetches) > 0 }

// retryFetches asks when it is due: who has just delivered a part, for the next one; or else the next peer in turn, from the
// committed block up, for the last one may have delivered another branch. A peer that delivers too little never keeps
// the others from their turn. When all have had theirs, the next lower block is tried.
func (c *Core) retryFetches() {
	if at, ok := c.fetchDue(); !ok || c.now < at {
		return
	}
	a := &c.asking
	peer, ok := a.deliverer, true
	if !a.again {
		f := c.fetches[a.tries/c.cfg.Committee.Size()%len(c.fetches)]
		peer, ok = c.fetchPeer(f.hint, a.tries)
		a.target, a.from = f.cert.Block, 0
		a.tries++
	}
	if ok {
		c.send(peer, &BlockRequest{Target: a.target, From: max(a.from, c.tree.Committed().Block.Height+1)})
	}
	a.peer, a.open = peer, ok
	a.again = false
	a.retry = c.now + c.pace.RetryEvery()
}

// fetchPeer takes the peer that named the block first, then the others in turn, those that are connected before others.
func (c *Core) fetchPeer(hint qc.NodeID, tries int) (qc.NodeID, bool) {
	n := c.cfg.Committee.Size()
	var first qc.NodeID
	found := false
	for i := range n {
		id := qc.NodeID((int(hint) + tries + i) % n)
		if id == c.cfg.Self {
			continue
		}
		if c.peerUp[id] {
			return id, true
		}
		if !found {
			first, found = id, true
		}
	}
	return first, found
}

// onBlocks inserts fetched blocks. They are certified: by the hash that was asked for, or by a certificate that was verified
// with them. So a block that does not fit is no peer's fault, but a broken assumption.
func (c *Core) onBlocks(m *BlockResponse, from qc.NodeID) error {
	if !c.wanted(m.Target) {
		c.drop(from, ErrUnasked)
		return nil
	}
	for _, b := range m.Blocks {
		if ok, err := c.placeCertified(b, from); !ok || err != nil {
			return err
		}
	}
	if len(m.Blocks) > 0 {
		c.continueFetch(m.Target, m.Blocks[len(m.Blocks)-1].Height+1, from)
	} else {
		c.fetchElsewhere(m.Target, from)
	}
	return nil
}

// fetchElsewhere asks the next peer at once if the one that was asked has nothing. When all have had their turn it waits:
// else peers that have nothing would be asked without end.
func (c *Core) fetchElsewhere(target qc.BlockID, from qc.NodeID) {
	if a := &c.asking; a.target == target && a.open && a.peer == from {
		a.open = false
		if a.tries%c.cfg.Committee.Size() != 0 {
			a.retry = c.now
		}
	}
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
func (c *Core) continueFetch(target qc.BlockID, next qc.Height, from qc.NodeID) {
	if a := &c.asking; a.target == target && next > a.from {
		a.deliverer, a.from, a.again, a.retry = from, next, true, c.now
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
