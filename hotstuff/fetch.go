package hotstuff

import (
	"slices"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/qc"
)

// fetch is a block that is named by a certificate or a proposal and is not held.
type fetch struct {
	target qc.BlockID
	hint   qc.NodeID // who named it
	tries  int
	retry  qc.Ticks // when to ask again
}

// fetchesMax bounds the blocks asked for at once. The newest replaces the oldest: it is the one that matters.
const fetchesMax = 4

// fetchGrace is how long a block that was named may still come by itself, since blocks and certificates come from
// different peers: 3 ms.
const fetchGrace = qc.TicksPerSecond * 3 / 1000

// fetch asks for a block and its ancestors, unless that is under way.
func (c *Core) fetch(target qc.BlockID, hint qc.NodeID) {
	if slices.ContainsFunc(c.fetches, func(f fetch) bool { return f.target == target }) {
		return
	}
	if len(c.fetches) >= fetchesMax {
		c.fetches = slices.Delete(c.fetches, 0, 1)
	}
	c.fetches = append(c.fetches, fetch{target: target, hint: hint, retry: c.now + fetchGrace})
}

// arrived ends the fetch of a block that is held now.
func (c *Core) arrived(id qc.BlockID) {
	c.fetches = slices.DeleteFunc(c.fetches, func(f fetch) bool { return f.target == id })
}

// retryFetches asks for what is due, each time another peer.
func (c *Core) retryFetches() {
	for i := range c.fetches {
		f := &c.fetches[i]
		if c.now < f.retry {
			continue
		}
		if peer, ok := c.fetchPeer(f); ok {
			c.send(peer, &BlockRequest{Target: f.target, From: c.tree.Committed().Block.Height + 1})
		}
		f.tries++
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

// onBlocks inserts fetched blocks. They are certified: by the hash that was asked for, or by a certificate among them that
// was verified. So a block that does not fit is no peer's fault, but a broken assumption.
func (c *Core) onBlocks(m *BlockResponse, v Verified) error {
	i := slices.IndexFunc(c.fetches, func(f fetch) bool { return f.target == m.Target })
	if i < 0 {
		c.drop(v.from, ErrUnasked)
		return nil
	}
	if len(m.Blocks) == 0 {
		return nil // the peer has nothing: the next try asks another
	}
	progress := false
	for _, b := range m.Blocks {
		if c.tree.Get(b.ID()) != nil || b.Height <= c.tree.Committed().Block.Height {
			continue
		}
		e, err := c.tree.Insert(b)
		switch err {
		case nil:
		case blocktree.ErrUnknownParent, blocktree.ErrOld:
			return nil // our committed block has moved on since we asked, or the peer started too high
		default:
			return ErrAssumption
		}
		progress = true
		c.out.Persist = append(c.out.Persist, BlockRecord{Block: b})
		if err := c.onCertificate(&b.Justify, v.from); err != nil {
			return err
		}
		if err := c.onHeld(e); err != nil {
			return err
		}
	}
	if progress {
		c.continueFetch(m.Target, v.from)
	}
	return nil
}

// continueFetch asks a peer that has just delivered for the next part at once.
func (c *Core) continueFetch(target qc.BlockID, from qc.NodeID) {
	for i := range c.fetches {
		if f := &c.fetches[i]; f.target == target {
			f.hint, f.tries, f.retry = from, 0, c.now
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
