package sim

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/config"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
)

// The rules for what a replica signs, recomputed from PROTOCOL §1, §2, §4, §6 and §8 alone: from the blocks and
// certificates that were seen and from what the replica has on disk, never from what its core thinks. Many of them back
// each other up, so that breaking one alone forks nothing (docs/model.md). Waiting for a fork would miss that; looking
// at the rule does not.

// voteRule checks a new vote against conditions 1 to 6. old is what was on disk before it, s what is written with it.
func (c *checker) voteRule(r *replica, old, s *hotstuff.SafetyState, v *qc.Vote) {
	b := c.blocks[v.Block]
	if b == nil {
		c.w.fail("S17", "%v votes in view %d for a block that nobody stored", r.id, v.View)
		return
	}
	fail := func(condition int, format string, args ...any) {
		wrong := fmt.Sprintf(format, args...)
		c.w.fail(fmt.Sprintf("vote-%d", condition), "%v votes for %s: %s", r.id, describeBlock(b), wrong)
	}
	parent, wall := c.blocks[b.Parent], c.w.wall(r.skew)
	switch {
	case b.View != v.View:
		fail(1, "in view %d", v.View)
	case v.View <= old.HighQC.View, old.LastTC != nil && v.View <= old.LastTC.View:
		fail(1, "that view was left")
	case parent == nil:
		fail(3, "its parent is unknown")
	case c.leader(b.View, parent) != b.Proposer:
		fail(2, "%v leads", c.leader(b.View, parent))
	case c.w.replicas[b.Proposer].correct() && c.said[b.Proposer].proposals[b.View] != v.Block:
		fail(2, "its proposer never signed it")
	case b.Justify.Block != b.Parent, b.Justify.View != parent.View, b.View <= parent.View, b.Height != parent.Height+1:
		fail(3, "it does not follow from its justify")
	case b.Time <= parent.Time, b.Time > wall+int64(c.w.cfg.Limits.ClockSkewMax):
		fail(3, "its time is %d after its parent's, %d after this replica's", b.Time-parent.Time, b.Time-wall)
	case r.disk.blocks[b.Parent] == nil && !c.writing(b.Parent) && b.Parent != c.w.root.ID():
		fail(3, "its parent is not on disk")
	case b.Justify.View+1 == b.View && b.TC != nil, b.Justify.View+1 != b.View && b.TC == nil:
		fail(4, "it needs exactly one of QC and TC of the view before")
	case b.TC != nil && (b.TC.View+1 != b.View || b.Justify.View < b.TC.HighQC.View):
		fail(4, "its justify is older than TC %d allows, which has QC %d", b.TC.View, b.TC.HighQC.View)
	case b.Justify.View <= old.LockView && !c.descends(b, old.LockBlock):
		fail(5, "it leaves the lock of view %d", old.LockView)
	case s.HighQC.View < b.Justify.View:
		fail(6, "QC %d is written with it, which is below its justify", s.HighQC.View)
	case s.HighQC.View+1 < b.View && (s.LastTC == nil || s.LastTC.View+1 < b.View):
		fail(6, "the certificate by which the view was entered is not written with it")
	}
	if parent != nil {
		if wrong := c.payloadRule(r, b); wrong != "" {
			fail(3, "%s", wrong)
		}
	}
}

// writing tells whether a block is part of the write that is being checked.
func (c *checker) writing(id qc.BlockID) bool {
	return slices.ContainsFunc(c.records, func(rec hotstuff.Record) bool {
		b, ok := rec.(hotstuff.BlockRecord)
		return ok && b.Block.ID() == id
	})
}

// descends tells whether b is a block or stands on it.
func (c *checker) descends(b *blocktree.Block, from qc.BlockID) bool {
	base := c.blocks[from]
	if base == nil || base.Height == 0 {
		return true // nothing is locked yet: every block stands on genesis
	}
	for b != nil && b.Height > base.Height {
		b = c.blocks[b.Parent]
	}
	return b == base
}

// lockRule checks lock and high QC (PROTOCOL §2): they are certified, and the lock is the parent of the highest
// certified block, or higher. Beside the committed block nothing is locked any more.
func (c *checker) lockRule(r *replica, old, s *hotstuff.SafetyState) {
	if s.HighQC.View != old.HighQC.View {
		c.soundQC(r.id, &s.HighQC)
	}
	if s.LastTC != old.LastTC && s.LastTC != nil {
		c.soundTC(r.id, s.LastTC)
	}
	committed := r.disk.last.Block
	for _, rec := range c.records {
		if rec, ok := rec.(hotstuff.CommitRecord); ok {
			committed = rec.Block
		}
	}
	b := c.blocks[s.HighQC.Block]
	held := b != nil && (r.disk.blocks[b.ID()] != nil || c.writing(b.ID()))
	if held && b.ID() != committed && c.descends(b, committed) {
		if p := c.blocks[b.Parent]; p != nil && p.View > s.LockView {
			c.w.fail("lock", "%v holds QC %s and is locked on view %d, not on %d",
				r.id, describeQC(&s.HighQC), s.LockView, p.View)
		}
	}
	if s.LockView == old.LockView {
		return
	}
	if b := c.blocks[s.LockBlock]; b == nil || b.View != s.LockView || !c.hasCertifiedChild(b) {
		c.w.fail("lock", "%v locks %v of view %d, on which nothing certified stands", r.id, s.LockBlock, s.LockView)
	}
}

func (c *checker) hasCertifiedChild(b *blocktree.Block) bool {
	return slices.ContainsFunc(c.children[b.ID()], c.certifiable)
}

// timeoutRule checks a new timeout (PROTOCOL §1, §3).
func (c *checker) timeoutRule(r *replica, old, s *hotstuff.SafetyState) {
	t, v := s.LastTimeout, s.LastVoted
	c.soundQC(r.id, &t.HighQC)
	switch {
	case t.View <= old.HighQC.View, old.LastTC != nil && t.View <= old.LastTC.View:
		c.w.fail("S9", "%v times out view %d, which it has left", r.id, t.View)
	case t.HighQC.View < old.HighQC.View:
		c.w.fail("S9", "%v times out with QC %s and has a higher one on disk", r.id, describeQC(&t.HighQC))
	case t.HighQC.View >= t.View, (t.HighQC.View+1 == t.View) != (t.TC == nil),
		t.TC != nil && (t.TC.View+1 != t.View || t.HighQC.View < t.TC.HighQC.View):
		c.w.fail("L2", "%v times out by %s: its certificates do not fit", r.id, describeTimeout(t))
	case t.Vote == nil && v != nil && v.View == t.View:
		c.w.fail("L14", "%v has voted in view %d, and its timeout does not carry the vote", r.id, t.View)
	case t.Vote != nil && (v == nil || v.View < t.View || v.View == t.View && v.Block != t.Vote.Block):
		c.w.fail("S10", "%v times out view %d with a vote that it never cast", r.id, t.View)
	}
}

// proposalRule checks a new proposal (PROTOCOL §3, §7, §8). old is what was on disk before it.
func (c *checker) proposalRule(r *replica, old *hotstuff.SafetyState, b *blocktree.Block) {
	parent := c.blocks[b.Parent]
	wall := c.w.wall(r.skew)
	switch {
	case parent == nil || c.leader(b.View, parent) != r.id:
		c.w.fail("L11", "%v proposes in view %d, which it does not lead", r.id, b.View)
	case b.View <= old.HighQC.View || b.Justify.View < old.HighQC.View:
		c.w.fail("S9", "%v proposes on QC %d in view %d, below its own QC %d",
			r.id, b.Justify.View, b.View, old.HighQC.View)
	case old.LastVoted != nil && b.View <= old.LastVoted.View, old.LastTimeout != nil && b.View <= old.LastTimeout.View,
		old.LastProposal != nil && b.View <= old.LastProposal.View:
		c.w.fail("S9", "%v proposes in view %d, in which it has signed before", r.id, b.View)
	case b.Time != max(wall, parent.Time+1):
		c.w.fail("time", "%v gives its block a time %d after its clock's, %d after its parent's",
			r.id, b.Time-wall, b.Time-parent.Time)
	case (b.Justify.View+1 == b.View) != (b.TC == nil),
		b.TC != nil && (b.TC.View+1 != b.View || b.Justify.View < b.TC.HighQC.View):
		c.w.fail("L2", "%v proposes %s: its certificates do not fit", r.id, describeBlock(b))
	}
}

// rejoined checks the end of a rejoin: the nonce that was drawn after the last loss stands in a block that is
// committed, by a certificate that the replica holds (PROTOCOL §7; S13).
func (c *checker) rejoined(r *replica, s *hotstuff.SafetyState) {
	for _, height := range r.disk.heights { // what it has stored meanwhile it may vote for
		for _, b := range height {
			c.know(r, b)
		}
	}
	nonce := r.disk.safety.Nonce // until the write is over
	var first *blocktree.Block   // several name it, for every peer was asked
	for b := c.blocks[s.HighQC.Block]; b != nil; b = c.blocks[b.Parent] {
		for i := range b.Payload {
			if batch := c.batch(b.Payload[i].Digest); batch != nil && bytes.Contains(batch.Blob, nonce[:]) {
				first = b
			}
		}
	}
	switch {
	case first == nil:
		c.w.fail("S13", "%v ends its rejoin, and its nonce %v is not committed", r.id, nonce)
	case s.Floor < first.View+2, s.Floor > s.HighQC.View:
		c.w.fail("S13", "%v is to sign above view %d, and its nonce was committed by QC %d at the earliest",
			r.id, s.Floor, first.View+2)
	}
}

// batch finds a batch on any disk.
func (c *checker) batch(d blocktree.Digest) *mempool.Batch {
	for _, r := range c.w.replicas {
		if b := r.disk.batches[d]; b != nil {
			return b
		}
	}
	return nil
}

// seat is one argument of the leader function.
type seat struct {
	view   qc.View
	parent qc.BlockID
}

// leader is leader(v, P), P being a block that was stored. It never changes, so it is worked out once.
func (c *checker) leader(v qc.View, parent *blocktree.Block) qc.NodeID {
	at := seat{v, parent.ID()}
	id, known := c.leaders[at]
	if !known {
		if len(c.leaders) > 10_000 {
			clear(c.leaders)
		}
		id = c.leads(v, parent)
		c.leaders[at] = id
	}
	return id
}

// leads is leader(v, P) by PROTOCOL §4.
func (c *checker) leads(v qc.View, parent *blocktree.Block) qc.NodeID {
	n, window, f := c.w.cfg.Nodes, int(c.w.cfg.Limits.ReputationWindow), (c.w.cfg.Nodes-1)/3
	roster := qc.NodeID(uint64(v) % uint64(n))
	switch c.w.cfg.Leaders {
	case config.LeadersRoundRobin:
		return roster
	case config.LeadersFixed:
		return 0
	}
	at := parent
	for below := range qc.View(3) {
		if at == nil || at.View+below+1 != v {
			return roster
		}
		if below < 2 {
			at = c.blocks[at.Parent]
		}
	}
	if at.Height <= qc.Height(window) {
		return roster
	}
	signs, proposed := make([]bool, n), make([]bool, n)
	for i := range max(window, f) {
		if at == nil {
			return roster // the chain is younger than f blocks
		}
		for id := range n {
			if i < window && at.Justify.Signers.Has(qc.NodeID(id)) {
				signs[id] = true
			}
		}
		if i < f {
			proposed[at.Proposer] = true
		}
		at = c.blocks[at.Parent]
	}
	var may []qc.NodeID
	for id := range n {
		if signs[id] && !proposed[id] {
			may = append(may, qc.NodeID(id))
		}
	}
	if len(may) == 0 {
		return roster
	}
	return may[uint64(v)%uint64(len(may))]
}

// payloadFacts is what a block's payload comes to.
type payloadFacts struct {
	lanes   []blocktree.Cursor // after the block
	prevs   []blocktree.Digest // the predecessor that each batch must name
	wrong   string             // "" for a payload that continues the lanes
	matched bool               // the batches themselves were looked at
}

// payloadRule says what is wrong with the payload of a block that a replica votes for (PROTOCOL §6). What it lacks on
// its disk is another rule's matter.
func (c *checker) payloadRule(r *replica, b *blocktree.Block) string {
	facts := c.payload(b)
	if facts.wrong != "" || facts.matched {
		return facts.wrong
	}
	for i, ref := range b.Payload {
		batch := r.disk.batches[ref.Digest]
		switch {
		case batch == nil:
			return ""
		case batch.Ref() != ref:
			return "its payload describes a batch otherwise than it is"
		case batch.Prev != facts.prevs[i]:
			return "its payload names a batch that does not link to the one before it"
		}
	}
	facts.matched = true
	return ""
}

// payload folds the lanes up to a block.
func (c *checker) payload(b *blocktree.Block) *payloadFacts {
	var path []*blocktree.Block // from b down to the first whose lanes are known
	before := make([]blocktree.Cursor, c.w.cfg.Nodes)
	for at := b; at != nil && at.Height > 0; at = c.blocks[at.Parent] {
		if known := c.payloads[at.ID()]; known != nil {
			before = known.lanes
			break
		}
		path = append(path, at)
	}
	for _, at := range slices.Backward(path) {
		c.payloads[at.ID()] = c.follow(before, at)
		before = c.payloads[at.ID()].lanes
	}
	return c.payloads[b.ID()]
}

// follow folds the lanes over one block.
func (c *checker) follow(before []blocktree.Cursor, b *blocktree.Block) *payloadFacts {
	limits := &c.w.cfg.Limits
	facts := &payloadFacts{lanes: before}
	if len(b.Payload) == 0 {
		return facts
	}
	facts.lanes = slices.Clone(before)
	total := uint64(0)
	for i, ref := range b.Payload {
		if int(ref.Origin) >= len(before) || i > 0 && ref.Origin < b.Payload[i-1].Origin {
			facts.wrong = "its payload is not in order of origins"
			return facts
		}
		at := &facts.lanes[ref.Origin]
		if ref.Incarnation != at.Incarnation {
			was, is := at.Incarnation, ref.Incarnation
			older := is.Rejoin < was.Rejoin || is.Rejoin == was.Rejoin && is.Starts < was.Starts
			if second := was != before[ref.Origin].Incarnation; older || second {
				facts.wrong = "its payload opens a lane that is closed, or two lanes of one origin"
			}
			*at = blocktree.Cursor{Incarnation: ref.Incarnation}
		}
		switch {
		case ref.Seq != at.Seq:
			facts.wrong = fmt.Sprintf("its payload names batch %d of %v, whose next is %d", ref.Seq, ref.Origin, at.Seq)
		case b.Height > ref.Expiry || ref.Expiry > b.Height+limits.ExpiryDistanceMax:
			facts.wrong = "its payload names a batch that is expired, or expires too late"
		case ref.Bytes > limits.BatchBytesMax:
			facts.wrong = "its payload names a batch that is too large"
		}
		facts.prevs = append(facts.prevs, at.Last)
		at.Seq, at.Last = at.Seq+1, ref.Digest
		total += uint64(ref.Bytes)
	}
	if len(b.Payload) > int(limits.BlockBatchesMax) || total > limits.BlockBytesMax {
		facts.wrong = "its payload is too large"
	}
	return facts
}
