package twins

import (
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
)

// checkPersist holds an instance to the rules in what it makes durable before it speaks. Twins obey them too, each by itself.
func (w *world) checkPersist(x *instance, records []hotstuff.Record) {
	high := x.core.Safety().HighQC
	w.learnCertificate(x, &high)
	for _, rec := range records {
		switch rec := rec.(type) {
		case hotstuff.BlockRecord:
			w.blocks[rec.Block.ID()] = rec.Block
		case hotstuff.SafetyState:
			w.checkState(x, &x.state, &rec)
			x.state = rec
		}
	}
}

// checkState checks a change of the safety state.
func (w *world) checkState(x *instance, old, s *hotstuff.SafetyState) {
	if s.LockView < old.LockView || s.HighQC.View < old.HighQC.View {
		w.fail(x, "lowers its lock or its high QC (S9)")
	}
	// QC(b″) is known: the lock is at its parent or higher (PROTOCOL §2).
	if e := x.core.Tree().Get(s.HighQC.Block); e != nil && e.Parent() != nil && e.Parent().Block.View > s.LockView {
		w.fail(x, "knows a certificate of view %d and is not locked on view %d, but on %d", s.HighQC.View, e.Parent().Block.View, s.LockView)
	}
	v := s.LastVoted
	if v == nil || old.LastVoted != nil && v.View == old.LastVoted.View && v.Block == old.LastVoted.Block {
		return
	}
	w.votes[ballot{x.id, v.View, v.Block}] = *v
	if old.LastVoted != nil && v.View <= old.LastVoted.View {
		w.fail(x, "votes in view %d after one of view %d", v.View, old.LastVoted.View)
	}
	// A vote that a timeout of its view or a later one does not carry was cast after it (S11).
	if t := s.LastTimeout; t != nil && (t.View > v.View || t.View == v.View && (t.Vote == nil || t.Vote.Block != v.Block)) {
		w.fail(x, "votes in view %d, which it has timed out", v.View)
	}
	w.checkVote(x, s, v)
}

// checkVote checks conditions 2, 4 and 5 of the vote rule from the blocks alone (PROTOCOL §2).
func (w *world) checkVote(x *instance, s *hotstuff.SafetyState, v *qc.Vote) {
	b := w.blocks[v.Block]
	switch {
	case b == nil:
		w.fail(x, "votes for a block that it has not stored")
	case b.View != v.View:
		w.fail(x, "votes in view %d for a block of view %d (S3)", v.View, b.View)
	case b.Proposer != w.scenario.Leader(v.View, nil):
		w.fail(x, "votes for a block of %v, which does not lead view %d", b.Proposer, v.View)
	case b.TC == nil && b.Justify.View+1 != b.View,
		b.TC != nil && (b.TC.View+1 != b.View || b.Justify.View < b.TC.HighQC.View):
		w.fail(x, "votes in view %d for a block whose certificates do not fit", v.View)
	case b.Justify.View > s.LockView:
		return
	}
	for a := b; a.View >= s.LockView; a = w.blocks[a.Parent] {
		if a.ID() == s.LockBlock || s.LockView == 0 {
			return
		}
	}
	w.fail(x, "votes in view %d against its lock of view %d", v.View, s.LockView)
}

// checkCommits checks that there is one committed chain, told oldest first and each block once (S12), and that each commit is
// by the rule.
func (w *world) checkCommits(x *instance, committed []hotstuff.Committed) {
	for _, e := range committed {
		b := e.Block
		if b.Parent != x.committed.ID() {
			w.fail(x, "commits height %d, which does not follow what it committed before, height %d", b.Height, x.committed.Height)
		}
		x.committed = b
		if int(b.Height) == len(w.chain) {
			w.chain = append(w.chain, b.ID())
		}
		if w.chain[b.Height] != b.ID() {
			w.fail(x, "commits %v at height %d, where %v is committed: agreement is broken", b.ID(), b.Height, w.chain[b.Height])
		}
		w.note(x, "commits height %d, view %d, %v", b.Height, b.View, b.ID())
	}
	if len(committed) > 0 && !w.byRule(x.committed) {
		w.fail(x, "commits view %d without a certificate on a chain of three consecutive views (S1)", x.committed.View)
	}
}

// byRule tells whether b ← b′ ← b″ have consecutive views and b″ is certified (HotStuff, Algorithm 5).
func (w *world) byRule(b *blocktree.Block) bool {
	b2 := w.blocks[w.certified[b.View+2]]
	if b2 == nil || b2.View != b.View+2 {
		return false
	}
	b1 := w.blocks[b2.Parent]
	return b1 != nil && b1.View == b.View+1 && b1.Parent == b.ID()
}

// learn takes note of the certificates in a message that an instance sends.
func (w *world) learn(x *instance, m hotstuff.Message) {
	for _, q := range certificates(m) {
		w.learnCertificate(x, q)
	}
}

// learnCertificate checks that at most one block of a view is certified.
func (w *world) learnCertificate(x *instance, q *qc.QuorumCertificate) {
	known, ok := w.certified[q.View]
	if ok && known != q.Block {
		w.fail(x, "has a certificate of %v, and %v of the same view %d is certified", q.Block, known, q.View)
	}
	if !ok {
		w.certified[q.View] = q.Block
	}
}

// forked tells whether a block was certified that is not on the committed chain, as high as that is.
func (w *world) forked() bool {
	for _, id := range w.certified {
		if b := w.blocks[id]; int(b.Height) < len(w.chain) && w.chain[b.Height] != id {
			return true
		}
	}
	return false
}
