package hotstuff

import (
	"bytes"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/qc"
)

// The leader of the next view adds up the votes that make its certificate and checks the sum, and then every replica checks
// it once more. So it need not wait: what it tells others before its own check ends, they check for themselves, and nothing
// here rests on it until then (PROTOCOL §5). What it costs if a vote was bad: nobody takes the proposal, and the view has no
// other. Whoever spoilt the sum is named by the check, and no sum with a vote of theirs is trusted again. So each faulty
// replica may cost each leader one view since its start.
//
// Theorem (agreement) is not touched: it rests on votes, locks and commits, and none of these follows from what is unchecked.

// ahead is a sum that is used before it is checked, one at a time: its check must name the spoiler before another is trusted.
type ahead struct {
	sum    sumKey                // under way; zero: none
	used   *qc.QuorumCertificate // what it makes, unchecked
	asking bool                  // a payload is asked for, to propose on it
	block  *blocktree.Block      // our proposal that has left, with the unchecked certificate in it
	shared bool                  // the unchecked certificate was broadcast
}

// checked takes out what has become of a sum, and returns it if the certificate that was used is the one that was checked.
func (a *ahead) checked(s Sum) (good ahead) {
	if a.sum != (sumKey{s.view, s.block}) {
		return ahead{}
	}
	if s.cert != nil && a.used != nil && s.cert.Signature == a.used.Signature && bytes.Equal(s.cert.Signers, a.used.Signers) {
		good = *a
	}
	*a = ahead{}
	return good
}

// goAhead tells whether a sum of votes is wanted before it is checked, and notes that it is: by the leader of the view after
// the present one, unless one of the votes is of somebody who has spoilt a sum, or another sum is used so.
func (c *Core) goAhead(view qc.View, block qc.BlockID, votes []qc.Vote) bool {
	if c.ahead.sum != (sumKey{}) {
		return false
	}
	for i := range votes {
		if c.spoilers[votes[i].Signer] {
			return false
		}
	}
	_, ok := c.leadingAfter(view, block)
	if ok {
		c.ahead.sum = sumKey{view, block}
	}
	return ok
}

// leadingAfter returns the block that we propose on if the present view ends with a certificate for it.
func (c *Core) leadingAfter(view qc.View, block qc.BlockID) (*blocktree.Entry, bool) {
	e := c.tree.Get(block)
	return e, e != nil && view == c.pace.View() && e.Block.View == view && c.leader(view+1, e) == c.cfg.Self
}

// onUnchecked takes a sum that is not checked yet. If it is good, then either a block must follow at once, and is proposed;
// or nothing waits for one, and the others want the certificate (PROTOCOL §5).
func (c *Core) onUnchecked(q *qc.QuorumCertificate) {
	if q == nil || c.ahead.sum != (sumKey{q.View, q.Block}) || c.ahead.used != nil {
		return
	}
	c.ahead.used = q
	e, ok := c.leadingAfter(q.View, q.Block)
	switch {
	case !ok:
	case c.tailAfter(e):
		if c.mayProposeAhead(q.View + 1) {
			c.ahead.asking = true
		}
	case !c.includable:
		c.ahead.shared = true
		c.out.First = append(c.out.First, Envelope{Broadcast: true, Message: &CertificateMessage{QC: q}})
	}
}

// mayProposeAhead: the view is reserved on disk, for the state will not hold the proposal before the check; and it is not
// paced.
func (c *Core) mayProposeAhead(v qc.View) bool {
	paced := c.heavy && c.now < c.pace.PacedAt(c.votedAt)
	return v <= c.reserved && c.safety.mayPropose(v) && !paced
}

// tailAfter is tailOpen for the moment when the last block of a branch is certified, which may commit its grandparent.
func (c *Core) tailAfter(e *blocktree.Entry) bool {
	b1 := e.Parent()
	if b1 == nil || b1.Parent() == nil {
		return c.tailOpen(e)
	}
	b0 := b1.Parent()
	if b0.Block.Height == 0 || e.Block.View != b1.Block.View+1 || b1.Block.View != b0.Block.View+1 {
		return c.tailOpen(e)
	}
	return len(e.Block.Payload) > 0 || len(b1.Block.Payload) > 0
}

// askAhead asks for the payload of a proposal on an unchecked certificate.
func (c *Core) askAhead() bool {
	if !c.ahead.asking {
		return false
	}
	q := c.ahead.used
	e, ok := c.leadingAfter(q.View, q.Block)
	if !ok || !c.mayProposeAhead(q.View+1) {
		c.ahead.asking = false
		return false
	}
	c.ask(q.View+1, e)
	return true
}

// proposeAhead makes and broadcasts our block for the next view, and lays it aside until its certificate is checked.
func (c *Core) proposeAhead(refs []blocktree.BatchRef) {
	q := c.ahead.used
	c.ahead.asking = false
	b := c.newBlock(c.tree.Get(q.Block), q, refs) // askAhead has just seen that it is held
	c.safety.proposeAhead(b)
	c.ahead.block = b
	c.out.First = append(c.out.First, Envelope{Broadcast: true, Message: &Proposal{Block: b}})
}

// adopt takes up our proposal that was made ahead, as one that was just made: its certificate is checked.
func (c *Core) adopt(b *blocktree.Block) error {
	c.safety.adopt(b)
	c.gated = true
	return c.placeProposal(b, c.cfg.Self)
}

// adoptCertified takes it up when a certificate for it has overtaken our own check: a quorum has checked what it rests on.
func (c *Core) adoptCertified(q *qc.QuorumCertificate) error {
	b := c.ahead.block
	if b == nil || q.Block != b.ID() {
		return nil
	}
	c.ahead.block = nil
	return c.adopt(b)
}
