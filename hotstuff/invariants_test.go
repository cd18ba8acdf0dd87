package hotstuff_test

import (
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
)

// history is what one replica has signed and committed over all its lives.
type history struct {
	votes     map[qc.View]qc.BlockID
	timeouts  map[qc.View]qc.View // the high QC view signed
	proposals map[qc.View]qc.BlockID
	committed qc.Height // in this life
	fresh     bool      // no commit in this life yet
}

func newHistory() history {
	return history{votes: map[qc.View]qc.BlockID{}, timeouts: map[qc.View]qc.View{}, proposals: map[qc.View]qc.BlockID{}, fresh: true}
}

func (h *history) restarted() { h.fresh = true }

// persist writes what Ready.Persist holds and checks that the safety state contradicts nothing that it said before:
// one vote, one timeout, one proposal a view; none in a view that was timed out; nothing ever lowered (S9, S11).
func (c *cluster) persist(r *replica, records []hotstuff.Record) {
	c.tb.Helper()
	for _, rec := range records {
		switch rec := rec.(type) {
		case hotstuff.BlockRecord:
			c.name(rec.Block)
			c.checkCertificate(r, &rec.Block.Justify)
			r.disk.blocks[rec.Block.ID()] = rec.Block
		case hotstuff.CommitRecord:
			if int(rec.Height) != len(r.disk.chain) {
				c.fatal("n%d persists the commit of height %d after height %d", r.id, rec.Height, len(r.disk.chain)-1)
			}
			if r.disk.blocks[rec.Block] == nil {
				c.fatal("n%d persists the commit of a block that it has not stored", r.id)
			}
			r.disk.chain = append(r.disk.chain, rec.Block)
			if rec.Lanes != nil {
				r.disk.lanes = rec.Lanes
			}
		case hotstuff.CheckpointRecord:
			r.disk.certified = rec.Certificate
		case hotstuff.SafetyState:
			c.checkSafety(r, r.disk.safety, rec)
			c.checkCertificate(r, &rec.HighQC)
			if b := rec.LastProposal; b != nil {
				c.checkCertificate(r, &b.Justify)
			}
			r.disk.safety = rec
		}
	}
}

// checkCertificate: what is on disk was verified (S16).
func (c *cluster) checkCertificate(r *replica, q *qc.QuorumCertificate) {
	c.tb.Helper()
	if err := c.certs().QC(q); err != nil {
		c.fatal("n%d writes a certificate of view %d that is none: %v", r.id, q.View, err)
	}
}

func (c *cluster) checkSafety(r *replica, old, s hotstuff.SafetyState) {
	c.tb.Helper()
	if s.Sequence != old.Sequence+1 {
		c.fatal("n%d writes safety state %d after %d", r.id, s.Sequence, old.Sequence)
	}
	if s.LockView < old.LockView || s.HighQC.View < old.HighQC.View || s.Reserved < old.Reserved {
		c.fatal("n%d lowers its lock, its high QC or what it has reserved", r.id)
	}
	if v := s.LastVoted; v != nil && v != old.LastVoted {
		if old.LastTimeout != nil && v.View <= old.LastTimeout.View || old.LastVoted != nil && v.View <= old.LastVoted.View {
			c.fatal("n%d votes in view %d, which it has left", r.id, v.View)
		}
		b := r.disk.blocks[v.Block]
		if b == nil {
			c.fatal("n%d votes for a block that it has not stored", r.id)
		}
		if s.HighQC.View < b.Justify.View {
			c.fatal("n%d forgets the certificate under the block that it votes for", r.id)
		}
		once(c, r.id, "votes", r.past.votes, v.View, v.Block)
	}
	if t := s.LastTimeout; t != nil && t != old.LastTimeout {
		once(c, r.id, "times out", r.past.timeouts, t.View, t.HighQC.View)
	}
	if b := s.LastProposal; b != nil && b != old.LastProposal {
		c.name(b)
		once(c, r.id, "proposes", r.past.proposals, b.View, b.ID())
	}
}

// checkSend checks persist before send: what a message says in the replica's own name is on its disk, or is below what
// is, so that a restart can say nothing else (S9).
func (c *cluster) checkSend(r *replica, m hotstuff.Message) {
	c.tb.Helper()
	s := &r.disk.safety
	vote := func(v *qc.Vote) {
		if s.LastVoted == nil || v.View > s.LastVoted.View || v.View == s.LastVoted.View && v.Block != s.LastVoted.Block {
			c.fatal("n%d sends a vote in view %d that is not persisted", r.id, v.View)
		}
		once(c, r.id, "votes", r.past.votes, v.View, v.Block)
	}
	switch m := m.(type) {
	case *hotstuff.VoteMessage:
		vote(&m.Vote)
	case *hotstuff.TimeoutMessage:
		t := m.Timeout
		if s.LastTimeout == nil || t.View > s.LastTimeout.View {
			c.fatal("n%d sends a timeout of view %d that is not persisted", r.id, t.View)
		}
		once(c, r.id, "times out", r.past.timeouts, t.View, t.HighQC.View)
		if t.Vote != nil {
			vote(t.Vote)
		}
	case *hotstuff.Proposal:
		if m.Block.View > s.Reserved && (s.LastProposal == nil || m.Block.View > s.LastProposal.View) {
			c.fatal("n%d sends a proposal of view %d, and neither it nor its view is persisted", r.id, m.Block.View)
		}
		once(c, r.id, "proposes", r.past.proposals, m.Block.View, m.Block.ID())
	}
}

// once records what a replica said in a view, on disk or to others, in any of its lives: never two things.
func once[T comparable](c *cluster, id qc.NodeID, does string, said map[qc.View]T, v qc.View, what T) {
	c.tb.Helper()
	if before, ok := said[v]; ok && before != what {
		c.fatal("%v %s twice in view %d", id, does, v)
	}
	said[v] = what
}

// commit checks that there is one committed chain, told oldest first and, in one life, each block once (S12).
func (c *cluster) commit(r *replica, e hotstuff.Committed) {
	c.tb.Helper()
	h, id := e.Block.Height, e.Block.ID()
	if !r.past.fresh && h != r.past.committed+1 {
		c.fatal("n%d commits height %d after height %d", r.id, h, r.past.committed)
	}
	r.past.committed, r.past.fresh = h, false
	if int(h) == len(c.chain) {
		if e.Block.Parent != c.chain[h-1] {
			c.fatal("n%d commits %s, which does not extend the committed chain", r.id, c.label(id))
		}
		c.chain = append(c.chain, id)
	}
	if int(h) > len(c.chain) || c.chain[h] != id {
		c.fatal("n%d commits %s at height %d, where %s was committed", r.id, c.label(id), h, c.label(c.chain[h]))
	}
	c.note(r.id, "commits %s%s", c.label(id), c.payload(e.Block))
}

// checkTimers: when all is answered, the next deadline lies ahead. A core that wants a tick now and does nothing with
// it would spin its driver.
func (c *cluster) checkTimers(r *replica) {
	c.tb.Helper()
	if at := r.core.Deadline(); at <= c.now {
		c.fatal("n%d: deadline %d is not after now, %d (view %d)", r.id, at, c.now, r.core.View())
	}
}

// learn keeps the certificates that the network has seen, for Byzantine replicas to use.
func (c *cluster) learn(m hotstuff.Message) {
	switch m := m.(type) {
	case *hotstuff.Proposal:
		c.name(m.Block)
		c.learnCerts(&m.Block.Justify, m.Block.TC)
	case *hotstuff.TimeoutMessage:
		c.learnCerts(&m.Timeout.HighQC, m.Timeout.TC)
	case *hotstuff.CertificateMessage:
		c.learnCerts(m.QC, m.TC)
	}
}

func (c *cluster) learnCerts(q *qc.QuorumCertificate, tc *qc.TimeoutCertificate) {
	if q != nil {
		if known, ok := c.qcs[q.View]; ok && known.Block != q.Block {
			c.fatal("two blocks of view %d are certified: %s and %s", q.View, c.label(known.Block), c.label(q.Block))
		}
		c.qcs[q.View] = *q
	}
	if tc != nil {
		c.tcs[tc.View] = tc
	}
}

// name gives a block its label: b<view>, with a prime for each earlier block of the view.
func (c *cluster) name(b *blocktree.Block) {
	if _, ok := c.labels[b.ID()]; ok {
		return
	}
	c.labels[b.ID()] = labelOf(b.View, len(c.ofView[b.View]))
	c.ofView[b.View] = append(c.ofView[b.View], b)
}
