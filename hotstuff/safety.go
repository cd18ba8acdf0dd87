package hotstuff

import (
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/qc"
)

// safety is the one signing authority (S10). Everything that this replica signs is signed by one of its methods,
// each of which refuses what would contradict an earlier signature, and changes the state that is synced before the
// signature leaves; but a proposal may leave before it is synced itself, if its view was reserved (reserve).
//
// Theorem (agreement). Two blocks that commit do not conflict. It rests on: one vote a view (vote), no vote in a view
// that was timed out (vote, timeout), no vote against the lock unless a later certificate shows that a quorum has moved
// on (Core.safeNode), and quorums that share an honest replica. HotStuff, Theorem 2 and Lemma 1.
type safety struct {
	state     SafetyState
	committee *qc.Committee
	self      qc.NodeID
	signer    qc.Signer
	identity  qc.Identity
	// barred is what an earlier life had reserved: it may have proposed in views up to this one, and nobody knows what.
	barred qc.View
	// ahead is the highest view that a proposal has left for which the state does not hold: it rests on a sum that is not
	// checked, or turned out to be spoilt.
	ahead qc.View
}

func newSafety(cfg Config, state SafetyState) safety {
	return safety{state: state, committee: cfg.Committee, self: cfg.Self, signer: cfg.Signer, identity: cfg.Identity, barred: state.Reserved}
}

func (s *safety) lastVotedView() qc.View {
	if s.state.LastVoted == nil {
		return 0
	}
	return s.state.LastVoted.View
}

func (s *safety) lastTimeoutView() qc.View {
	if s.state.LastTimeout == nil {
		return 0
	}
	return s.state.LastTimeout.View
}

// rejoining tells whether the safety state was lost and the nonce is not yet seen committed: nothing is signed.
func (s *safety) rejoining() bool { return !s.state.Nonce.IsZero() }

// maySign: a replica that has lost its safety state signs in views above those in which it may have signed before alone
// (PROTOCOL §7, and the theorem in rejoin.go).
func (s *safety) maySign(v qc.View) bool { return !s.rejoining() && v > s.state.Floor }

// mayVote: v is above every view that was voted in or timed out in (PROTOCOL §2.1; S11).
func (s *safety) mayVote(v qc.View) bool {
	return s.maySign(v) && v > s.lastVotedView() && v > s.lastTimeoutView()
}

// unproposed: this replica has neither voted nor timed out in v, and holds no proposal of its own there or later. It may still
// not propose there (mayPropose), but the others look to it for the certificate by which the view was entered.
func (s *safety) unproposed(v qc.View) bool {
	return s.mayVote(v) && (s.state.LastProposal == nil || v > s.state.LastProposal.View)
}

// mayPropose: one proposal a view, never in a view voted or timed out in, never below an earlier one, be that one nobody's
// (proposeAhead), and none that an earlier life may have made already (PROTOCOL §7).
func (s *safety) mayPropose(v qc.View) bool { return s.unproposed(v) && v > s.ahead && v > s.barred }

// reserve notes that a proposal in v may leave before it is on disk itself. It is called with the vote in v−1, by whoever
// leads v on the block voted for, so that the note costs no write of its own.
//
// The proposal needs no write for what others make of it: what they lock and commit rests on votes alone. It is written so
// that no restart proposes another block in its view, and that the note prevents as well: after a restart nothing is
// proposed in views up to the reserved one but what was stored. A crash within that one view may cost a timeout then.
func (s *safety) reserve(v qc.View) { s.state.Reserved = max(s.state.Reserved, v) }

// vote signs the vote for a block that the vote rule accepts, and remembers it. The caller has checked mayVote.
func (s *safety) vote(view qc.View, block qc.BlockID) qc.Vote {
	if !s.mayVote(view) {
		panic("hotstuff: vote against the safety state") // unreachable: Core.tryVote asks mayVote first
	}
	v := qc.Vote{View: view, Block: block, Signer: s.self, Signature: s.signer.Sign(s.committee.VoteMessage(view, block))}
	s.state.LastVoted = &v
	return v
}

// timeout signs the timeout of a view, once: a repeat gets the same one (PROTOCOL §1: signed once, rebroadcast verbatim).
func (s *safety) timeout(view qc.View) *qc.Timeout {
	if t := s.state.LastTimeout; t != nil && t.View >= view {
		return t
	}
	if !s.maySign(view) {
		panic("hotstuff: timeout against the safety state") // unreachable: its callers ask maySign first
	}
	t := &qc.Timeout{Epoch: s.committee.Epoch, View: view, HighQC: s.state.HighQC, Signer: s.self}
	if t.HighQC.View+1 != view {
		t.TC = s.state.LastTC // TC(view−1): the view was entered by it
	}
	if v := s.state.LastVoted; v != nil && v.View == view {
		t.Vote = v
	}
	t.Signature = s.signer.Sign(s.committee.TimeoutMessage(view, t.HighQC.View))
	s.state.LastTimeout = t
	return t
}

// propose signs a proposal and remembers it whole: a restart may send this block again, and no other in its view. It leaves
// once it is on disk, or at once if its view was reserved on disk before.
// The caller has checked mayPropose.
func (s *safety) propose(b *blocktree.Block) {
	if !s.mayPropose(b.View) {
		panic("hotstuff: proposal against the safety state") // unreachable: Core.maybePropose asks mayPropose first
	}
	s.sign(b)
	s.state.LastProposal = b
}

// proposeAhead signs a proposal that rests on an unchecked certificate. Nothing unchecked enters the state, so it is
// remembered in memory alone, until adopt; the view must be reserved on disk, which keeps a restart from proposing in it.
func (s *safety) proposeAhead(b *blocktree.Block) {
	if !s.mayPropose(b.View) || b.View > s.state.Reserved {
		panic("hotstuff: proposal against the safety state") // unreachable: Core.mayProposeAhead asks both first
	}
	s.sign(b)
	s.ahead = b.View
}

// adopt remembers a proposal that was made ahead: the certificate in it is checked.
func (s *safety) adopt(b *blocktree.Block) {
	if last := s.state.LastProposal; last == nil || b.View > last.View {
		s.state.LastProposal = b
	}
}

func (s *safety) sign(b *blocktree.Block) {
	b.Signature = s.identity.Sign(blocktree.SigningMessage(s.committee.Chain, b.ID()))
}

// checkpoint signs a state that this replica has come to. No view is part of it: it contradicts no vote.
func (s *safety) checkpoint(cp qc.Checkpoint) qc.SignedCheckpoint {
	return qc.SignedCheckpoint{Checkpoint: cp, Signer: s.self, Signature: s.signer.Sign(s.committee.CheckpointMessage(cp))}
}

// raiseLock locks a block of a higher view (HotStuff, Algorithm 5, line 12: lock the head of a two-chain).
func (s *safety) raiseLock(view qc.View, block qc.BlockID) {
	if view > s.state.LockView {
		s.state.LockView, s.state.LockBlock = view, block
	}
}

// raiseIncarnation opens a lane that no earlier one of this replica can be mistaken for.
func (s *safety) raiseIncarnation(atLeast blocktree.Incarnation) {
	s.state.Incarnation.Starts++
	if s.state.Incarnation.Compare(atLeast) < 0 {
		s.state.Incarnation = atLeast
	}
}

// rejoin ends a rejoin: from now on the replica signs in views above the high QC's.
func (s *safety) rejoin() {
	w := s.state.HighQC.View
	s.state.Nonce, s.state.Floor, s.state.Incarnation = Nonce{}, w, blocktree.Incarnation{Rejoin: w}
}

// foreign tells whether a verified vote of this replica's own key is one that it never cast (S14). An old vote that is
// replayed is not: it is equal, or below the last one. What was signed before a loss is forgotten, and lies below the
// floor; what lies below it proves nothing, and while the replica rejoins nothing does.
func (s *safety) foreign(view qc.View, block qc.BlockID) bool {
	if s.rejoining() || view < s.state.Floor {
		return false
	}
	last := s.state.LastVoted
	if last == nil {
		return true
	}
	return view > last.View || view == last.View && block != last.Block
}

// foreignTimeout is the same for timeouts, which are told apart by the high QC view that they sign.
func (s *safety) foreignTimeout(t *qc.Timeout) bool {
	if s.rejoining() || t.View < s.state.Floor {
		return false
	}
	last := s.state.LastTimeout
	if last == nil {
		return true
	}
	return t.View > last.View || t.View == last.View && t.HighQC.View != last.HighQC.View
}
