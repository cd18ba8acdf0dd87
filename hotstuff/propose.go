package hotstuff

import (
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/qc"
)

// proposable returns the block to propose on, if we may propose in the present view.
func (c *Core) proposable() (*blocktree.Entry, bool) {
	if !c.safety.mayPropose(c.pace.View()) {
		return nil, false
	}
	return c.leading()
}

// leading returns the block to propose on, if the present view is ours to propose in and we have not: only on the high QC,
// only as its leader, with the certificate by which the view was entered (PROTOCOL §3, §4).
func (c *Core) leading() (*blocktree.Entry, bool) {
	v, s := c.pace.View(), &c.safety.state
	if !c.safety.unproposed(v) {
		return nil, false
	}
	parent := c.tip()
	if parent == nil || c.leader(v, parent) != c.cfg.Self {
		return nil, false
	}
	return parent, s.HighQC.View+1 == v || s.LastTC != nil && s.LastTC.View+1 == v
}

// proposalDue is when a leader next has a reason to propose; the moment may have passed. ok is false if it may not.
//
// Uncommitted payload: at once, so that the tail commits without another command (L8). A batch that may be named: at
// once, or paced under load. A batch that may not be named now: an empty block within base/2. Otherwise: the heartbeat.
func (c *Core) proposalDue() (due qc.Ticks, ok bool) {
	parent, ok := c.proposable()
	if !ok {
		return 0, false
	}
	switch {
	case c.tailOpen(parent), c.includable && !c.refused:
		if c.heavy {
			return c.pace.PacedAt(c.votedAt), true
		}
		return c.pace.Entered(), true
	case c.includable:
		half, _ := c.pace.HalfTime()
		return half, true
	}
	return c.pace.HeartbeatAt(), true
}

// willProposeAtOnce tells whether our proposal follows so soon that the certificate in it need not be sent ahead.
func (c *Core) willProposeAtOnce() bool {
	due, ok := c.proposalDue()
	return ok && due <= c.now+c.cfg.Timing.MinView
}

// maybePropose asks for a payload when a proposal is due.
func (c *Core) maybePropose() {
	c.build = nil
	if c.askAhead() {
		return
	}
	if due, ok := c.proposalDue(); ok && c.now >= due {
		c.ask(c.pace.View(), c.tip())
	}
}

func (c *Core) ask(v qc.View, parent *blocktree.Entry) {
	c.build = &PayloadRequest{View: v, Parent: parent.Block.ID(), Height: parent.Block.Height + 1, Lanes: parent.Lanes}
}

// onPayload proposes what was built; or, when nothing may be named and nothing else calls for a block, waits.
func (c *Core) onPayload(p Payload) error {
	if c.build == nil || p.View != c.build.View || p.Parent != c.build.Parent {
		return nil
	}
	height := c.build.Height
	c.build = nil
	if c.checkpoints.stalled(height) {
		p.Refs = nil // nobody runs further ahead of what is known to be agreed
	}
	if c.ahead.asking {
		c.proposeAhead(p.Refs)
		return nil
	}
	parent, ok := c.proposable()
	if !ok {
		return nil
	}
	if len(p.Refs) == 0 && !c.emptyDue(parent) {
		c.refused = true
		return nil
	}
	return c.propose(parent, p.Refs)
}

// emptyDue tells whether an empty block is due now.
func (c *Core) emptyDue(parent *blocktree.Entry) bool {
	if c.tailOpen(parent) || c.now >= c.pace.HeartbeatAt() {
		return true
	}
	half, working := c.pace.HalfTime()
	return working && c.now >= half
}

// propose makes, keeps and broadcasts our block for the present view, and considers it for our own vote like any other.
func (c *Core) propose(parent *blocktree.Entry, refs []blocktree.BatchRef) error {
	s := &c.safety.state
	b := c.newBlock(parent, &s.HighQC, refs)
	if b.View = c.pace.View(); b.Justify.View+1 != b.View {
		b.TC = s.LastTC
	}
	c.safety.propose(b)
	c.gated = true
	if err := c.placeProposal(b, c.cfg.Self); err != nil {
		return err
	}
	if b.View <= c.reserved {
		c.out.First = append(c.out.First, Envelope{Broadcast: true, Message: &Proposal{Block: b}})
		return nil
	}
	c.broadcast(&Proposal{Block: b})
	return nil
}

// newBlock makes a block for the view after its certificate's.
func (c *Core) newBlock(parent *blocktree.Entry, justify *qc.QuorumCertificate, refs []blocktree.BatchRef) *blocktree.Block {
	return &blocktree.Block{
		Epoch: c.cfg.Committee.Epoch, View: justify.View + 1, Height: parent.Block.Height + 1, Parent: parent.Block.ID(),
		Justify: *justify, Proposer: c.cfg.Self, Time: max(c.wall, parent.Block.Time+1), Payload: refs,
	}
}
