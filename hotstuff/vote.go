package hotstuff

import (
	"slices"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/qc"
)

// candidate is a proposal of the present view, by its leader, in its place in the tree.
type candidate struct {
	entry   *blocktree.Entry
	payload payloadState
}

type payloadState uint8

const (
	payloadAsked   payloadState = iota // Questions.Require was given
	payloadDurable                     // held, checked against the block, synced
	payloadInvalid
)

// blocksPerView bounds the proposals of one leader in one view that are kept, be the view over or not: more than one is its
// fault, and the second is kept only as a block that others may certify.
const blocksPerView = 2

// onProposal takes a verified proposal: certificates first, then the block.
func (c *Core) onProposal(b *blocktree.Block, from qc.NodeID) error {
	if err := c.onCertificates(&b.Justify, b.TC, from); err != nil {
		return err
	}
	return c.placeProposal(b, from)
}

// placeProposal puts a proposal into the tree, or keeps it until its parent was fetched.
func (c *Core) placeProposal(b *blocktree.Block, from qc.NodeID) error {
	parent := c.tree.Get(b.Parent)
	if parent == nil {
		// The parent is being fetched since its certificate came, with this proposal at the latest. The leader function
		// needs it: until then anyone may claim to lead, so one block each is kept.
		if o := c.orphans[b.Proposer]; b.View >= c.pace.View() && (o == nil || b.View > o.View) {
			c.orphans[b.Proposer] = b
		}
		return nil
	}
	if c.leader(b.View, parent) != b.Proposer {
		c.drop(from, ErrNotLeader)
		return nil
	}
	if b.Time <= parent.Block.Time {
		c.drop(from, ErrTime)
		return nil
	}
	known := c.tree.Get(b.ID()) != nil
	if !known && c.tree.Proposed(b.View, b.Proposer) >= blocksPerView {
		c.drop(from, ErrEquivocation)
		return nil
	}
	e, err := c.tree.Insert(b)
	if err != nil {
		c.drop(from, err)
		return nil
	}
	if !known {
		c.out.Persist = append(c.out.Persist, BlockRecord{Block: b})
		if err := c.onHeld(e); err != nil {
			return err
		}
	}
	c.consider(e, from)
	return nil
}

// onHeld follows up a block that has just come into the tree: its certificate may have come before it.
func (c *Core) onHeld(e *blocktree.Entry) error {
	if err := c.applyCertificate(e.Parent(), &e.Block.Justify); err != nil {
		return err
	}
	if err := c.arrived(e); err != nil {
		return err
	}
	if q := &c.safety.state.HighQC; q.Block == e.Block.ID() {
		if err := c.applyCertificate(e, q); err != nil {
			return err
		}
	}
	return nil
}

// consider makes a block of the present view a candidate for our vote.
func (c *Core) consider(e *blocktree.Entry, from qc.NodeID) {
	if e.Block.View != c.pace.View() {
		return
	}
	for _, x := range c.candidates {
		if x.entry == e {
			return
		}
	}
	x := &candidate{entry: e}
	if len(e.Block.Payload) == 0 {
		x.payload = payloadDurable
	} else {
		c.require = append(c.require, Requirement{Block: e.Block, Before: e.Parent().Lanes})
	}
	if len(c.candidates) > 0 {
		c.drop(from, ErrEquivocation)
	}
	c.candidates = append(c.candidates, x)
}

func (c *Core) onPayloadStatus(p PayloadStatus) {
	for _, x := range c.candidates {
		if x.entry.Block.ID() != p.Block {
			continue
		}
		x.payload = payloadDurable
		if !p.Valid {
			x.payload = payloadInvalid
			c.drop(x.entry.Block.Proposer, ErrPayload)
		}
	}
}

// dueAt is when a candidate that lies too far in our future may be voted for (PROTOCOL §8).
func (c *Core) dueAt(x *candidate) (qc.Ticks, bool) {
	ahead := x.entry.Block.Time - c.wall - c.cfg.Limits.ClockSkewMax
	if ahead <= 0 {
		return 0, false
	}
	const nanosPerTick = 1e9 / int64(qc.TicksPerSecond)
	return c.now + qc.Ticks(ahead/nanosPerTick) + 1, true
}

// tryVote votes for the first candidate that passes the vote rule (PROTOCOL §2). Conditions 2, 3 (ancestors and fields)
// and 4 were checked when the candidate was verified and placed.
func (c *Core) tryVote() error {
	v := c.pace.View()
	if !c.safety.mayVote(v) {
		return nil
	}
	for _, x := range c.candidates {
		if x.payload != payloadDurable || !c.safeNode(x.entry) {
			continue
		}
		if _, early := c.dueAt(x); early {
			continue
		}
		b := x.entry.Block
		vote := c.safety.vote(v, b.ID())
		c.gated = true
		c.cast++
		c.votedIn, c.votedAt = v, c.now
		c.collect(vote, c.cfg.Self) // also when another leads next: timeouts may bring the others' votes to us
		switch next := c.leader(v+1, x.entry); {
		case next == c.cfg.Self:
			c.safety.reserve(v + 1)
		case c.peerDown[next]:
			// Nobody would sum the votes. Sent to all, they make the certificate without waiting for timeouts.
			c.broadcast(&VoteMessage{Vote: vote})
		default:
			c.send(next, &VoteMessage{Vote: vote})
		}
		return nil
	}
	return nil
}

// onOwnVote takes a verified vote under our own key that came from the network. A replayed one is ignored: the alarm must
// not be a weapon (S14).
func (c *Core) onOwnVote(v qc.Vote) error {
	if c.safety.foreign(v.View, v.Block) {
		return ErrKeyInUse
	}
	return nil
}

// collect keeps a vote, plain or embedded in a timeout, for any view above the high QC's, even one that was left: the
// third certificate of a dead leader's view is rebuilt from them by every live replica (L1, L14).
func (c *Core) collect(v qc.Vote, from qc.NodeID) {
	if v.View <= c.safety.state.HighQC.View {
		return
	}
	held := c.votes[v.Signer]
	i, found := slices.BinarySearchFunc(held, v.View, func(h qc.Vote, view qc.View) int {
		switch {
		case h.View < view:
			return -1
		case h.View > view:
			return +1
		}
		return 0
	})
	if found {
		if held[i].Block != v.Block {
			c.drop(from, ErrDoubleVote)
		}
		return
	}
	held = slices.Insert(held, i, v)
	if len(held) > votesPerSigner {
		held = slices.Delete(held, 0, 1)
	}
	c.votes[v.Signer] = held
	c.trySum(v.View, v.Block)
}

type sumKey struct {
	view  qc.View
	block qc.BlockID
}

// trySum asks for the sum of the votes for a block once they are a quorum. One check for all of them (S6).
func (c *Core) trySum(view qc.View, block qc.BlockID) {
	key := sumKey{view, block}
	if len(c.sums) >= sumsMax || slices.Contains(c.sums, key) {
		return
	}
	count := 0
	for _, held := range c.votes {
		for i := range held {
			if held[i].View == view && held[i].Block == block {
				count++
			}
		}
	}
	if count < c.cfg.Committee.Quorum() {
		return
	}
	votes := make([]qc.Vote, 0, count)
	for _, held := range c.votes {
		for _, v := range held {
			if v.View == view && v.Block == block {
				votes = append(votes, v)
			}
		}
	}
	c.sums = append(c.sums, key)
	c.out.Verify = append(c.out.Verify, VerifyRequest{View: view, Block: block, Votes: votes, Ahead: c.goAhead(view, block, votes)})
}

// onSum takes the certificate that our sum made, or the names of those who spoiled it.
func (c *Core) onSum(s Sum) error {
	if s.state != (qc.Checkpoint{}) {
		return c.onCheckpointSum(s)
	}
	c.sums = slices.DeleteFunc(c.sums, func(k sumKey) bool { return k == sumKey{s.view, s.block} })
	early := c.ahead.checked(s) // what has left and rests on it
	for _, id := range s.bad {
		c.drop(id, ErrBadVote)
		c.spoilers[id] = true
		// The slot stays taken, by a vote for nothing: or each repeat of a bad vote would cost another check.
		for i := range c.votes[id] {
			if v := &c.votes[id][i]; v.View == s.view && v.Block == s.block {
				v.Block = qc.BlockID{}
			}
		}
	}
	news := s.cert != nil && s.cert.View > c.safety.state.HighQC.View
	if news {
		if err := c.onCertificate(s.cert, c.cfg.Self); err != nil {
			return err
		}
	}
	if early.block != nil {
		if err := c.adopt(early.block); err != nil {
			return err
		}
	}
	switch {
	case early.shared:
		c.shared = c.shared || c.pace.View() == s.view+1
	case news && early.block == nil:
		c.shareCertificate(s.cert)
	}
	c.trySums()
	return nil
}

// trySums takes up what had to wait while sumsMax sums were under way, and what is left after bad votes were dropped.
func (c *Core) trySums() {
	count := make(map[sumKey]int)
	for _, held := range c.votes {
		for _, v := range held {
			key := sumKey{v.View, v.Block}
			if count[key]++; count[key] == c.cfg.Committee.Quorum() && !v.Block.IsZero() {
				c.trySum(v.View, v.Block)
			}
		}
	}
}

// shareCertificate broadcasts a certificate that we have just made, unless our own proposal will carry it at once.
// Nobody else may know it, and without it the view cannot be entered (PROTOCOL §3, §5).
func (c *Core) shareCertificate(q *qc.QuorumCertificate) {
	if c.pace.View() != q.View+1 {
		return
	}
	e := c.tree.Get(q.Block)
	if e != nil && c.leader(q.View+1, e) == c.cfg.Self && c.willProposeAtOnce() {
		return
	}
	c.shared = true
	c.broadcast(&CertificateMessage{QC: q})
}

// shareWhileHolding broadcasts the certificate by which a leader that holds its proposal has entered the view, wherever it
// came from: a Byzantine replica may have shown it to the leader alone (PROTOCOL §3, §5). So does one that may not propose,
// for it may have done so before a restart.
func (c *Core) shareWhileHolding() {
	q := &c.safety.state.HighQC
	if c.shared || c.build != nil || q.View == 0 || q.View+1 != c.pace.View() {
		return
	}
	if _, ok := c.leading(); ok && !c.willProposeAtOnce() {
		c.shared = true
		held := *q // the high QC moves on, the message does not
		c.broadcast(&CertificateMessage{QC: &held})
	}
}

// dropVotes forgets the votes that a certificate of the view has made useless.
func (c *Core) dropVotes(upTo qc.View) {
	for i, held := range c.votes {
		c.votes[i] = slices.DeleteFunc(held, func(v qc.Vote) bool { return v.View <= upTo })
	}
}
