package hotstuff

import (
	"cmp"
	"slices"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/qc"
)

// fetch is a block that a certificate names and that is not held.
type fetch struct {
	target qc.BlockID
	view   qc.View   // of target
	hint   qc.NodeID // who named it: the first to be asked
	tries  int       // peers asked in turn
	retry  qc.Ticks  // when to ask again
	again  bool      // ask deliverer for what follows, before the next in turn
	// Who last delivered a part, and the height after it; 0 before that, and when another peer is asked.
	deliverer qc.NodeID
	from      qc.Height
}

// fetchesMax bounds the blocks asked for at once: those of the highest views.
const fetchesMax = 4

// fetchGrace is how long a block that was named may still come by itself, since blocks and certificates come from
// different peers: 3 ms.
const fetchGrace = qc.TicksPerSecond * 3 / 1000

// fetch asks for a certified block and its ancestors, unless that is under way, or the block lost to the committed one.
func (c *Core) fetch(target qc.BlockID, view qc.View, hint qc.NodeID) {
	if view <= c.tree.Committed().Block.View || slices.ContainsFunc(c.fetches, func(f fetch) bool { return f.target == target }) {
		return
	}
	c.fetches = append(c.fetches, fetch{target: target, view: view, hint: hint, retry: c.now + fetchGrace})
	if len(c.fetches) > fetchesMax {
		// The lowest goes, not the oldest: replayed old certificates must not displace the block of the high QC.
		lowest := slices.MinFunc(c.fetches, func(a, b fetch) int { return cmp.Compare(a.view, b.view) })
		c.arrived(lowest.target)
	}
}

// arrived ends the fetch of a block that is held now, or is no longer wanted.
func (c *Core) arrived(id qc.BlockID) {
	c.fetches = slices.DeleteFunc(c.fetches, func(f fetch) bool { return f.target == id })
}

// dropFetches ends the fetches of blocks that lost to the committed block: nobody need hold them any more.
func (c *Core) dropFetches() {
	committed := c.tree.Committed().Block.View
	c.fetches = slices.DeleteFunc(c.fetches, func(f fetch) bool { return f.view <= committed })
}

// retryFetches asks for what is due: who has just delivered a part, for the next one; or else the next peer in turn, from
// the committed block up, for the last one may have delivered another branch. A peer that delivers too little never keeps
// the others from their turn.
func (c *Core) retryFetches() {
	for i := range c.fetches {
		f := &c.fetches[i]
		if c.now < f.retry {
			continue
		}
		peer, ok := f.deliverer, true
		if !f.again {
			peer, ok = c.fetchPeer(f)
			f.from = 0
			f.tries++
		}
		if ok {
			c.send(peer, &BlockRequest{Target: f.target, From: max(f.from, c.tree.Committed().Block.Height+1)})
		}
		f.again = false
		f.retry = c.now + c.pace.RebroadcastEvery()
	}
}

// fetchPeer takes the peer that named the block first, then the others in turn, those that are connected before others.
func (c *Core) fetchPeer(f *fetch) (qc.NodeID, bool) {
	n := c.cfg.Committee.Size()
	var first qc.NodeID
	found := false
	for i := range n {
		id := qc.NodeID((int(f.hint) + f.tries + i) % n)
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
	if !slices.ContainsFunc(c.fetches, func(f fetch) bool { return f.target == m.Target }) {
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
	}
	return nil
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
	for i := range c.fetches {
		if f := &c.fetches[i]; f.target == target && next > f.from {
			f.deliverer, f.from, f.again, f.retry = from, next, true, c.now
		}
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
