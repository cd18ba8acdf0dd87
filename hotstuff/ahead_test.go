package hotstuff_test

import (
	"testing"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
)

// summing is a solo that leads view 12, on a chain of which one block is committed and the newest is of view 11. Sums come back
// when the test hands them over, unchecked first.
type summing struct {
	*solo
	b9, b11 *blocktree.Block
	bad     qc.NodeID // whose votes are bad; 0: nobody's, that being the core under test
}

// newSumming names a batch in the block of view 11, or in that of view 9, which a certificate for the other commits; 0: in none.
func newSumming(t *testing.T, payloadIn qc.View) *summing {
	s := &summing{solo: newSolo(t)}
	s.opt.ahead, s.opt.lateSum = true, true
	b := s.genesis
	for _, v := range []qc.View{5, 6, 7, 9, 10, 11} {
		b = s.on(b, v, func(b *blocktree.Block) {
			if v == payloadIn {
				b.Payload = []blocktree.BatchRef{{Origin: 1, Bytes: 1, Expiry: 100}}
			}
		})
		if v == 9 {
			s.b9 = b
		}
		if s.propose(b); v < 11 {
			continue
		}
		s.b11 = b
	}
	if s.r.core.Tree().Committed().Block.Height != 1 || s.r.core.View() != 11 {
		t.Fatal("the chain is not what the test wants")
	}
	return s
}

// votes gives votes of others, and returns what is said but for the answers of the verification pool, and those.
func (s *summing) votes(b *blocktree.Block, ids ...qc.NodeID) (said, sums []packet) {
	for _, id := range ids {
		v := s.forgeVote(id, b.View, b.ID())
		if id == s.bad {
			v.Signature = s.forgeVote(id, b.View, s.b9.ID()).Signature
		}
		said = append(said, s.give(id, &hotstuff.VoteMessage{Vote: v})...)
	}
	return split(said)
}

func split(all []packet) (said, sums []packet) {
	for _, p := range all {
		if p.sum != nil {
			sums = append(sums, p)
		} else {
			said = append(said, p)
		}
	}
	return said, sums
}

// hand hands over an answer of the pool, and returns what is said then.
func (s *summing) hand(p packet) (said, sums []packet) {
	s.deliver(p)
	return split(s.take())
}

// handAll hands over answers in their order.
func (s *summing) handAll(sums []packet) (said []packet) {
	for _, p := range sums {
		now, _ := s.hand(p)
		said = append(said, now...)
	}
	return said
}

func (s *summing) mustSay(what string, said []packet, proposals, certificates int) {
	s.t.Helper()
	if len(of(said, "proposal")) != proposals || len(of(said, "qc")) != certificates {
		s.t.Fatalf("%s: it says %v, want %d proposals and %d certificates", what, said, proposals, certificates)
	}
}

// aheadOfCheck has the leader's proposal leave on a sum that is not checked, and returns it with the check's answer.
func (s *summing) aheadOfCheck(ids ...qc.NodeID) (*blocktree.Block, packet) {
	s.t.Helper()
	_, sums := s.votes(s.b11, ids...)
	if len(sums) != 2 {
		s.t.Fatalf("a quorum of votes brings %d answers, want the sum, and the sum checked", len(sums))
	}
	said, _ := s.hand(sums[0])
	s.mustSay("the sum is not checked", said, 1, 0)
	return of(said, "proposal")[0].msg.(*hotstuff.Proposal).Block, sums[1]
}

// TestProposesAheadOfItsCheck: the next proposal leaves on a sum of votes that is not checked. Until it is, nothing else rests
// on it: neither view, high QC nor disk, and no vote. Then the proposal is as any other, and is not sent again.
func TestProposesAheadOfItsCheck(t *testing.T) {
	s := newSumming(t, 11)
	b12, checked := s.aheadOfCheck(1, 2)
	if b12.View != 12 || b12.Parent != s.b11.ID() || b12.Justify.View != 11 {
		t.Fatalf("it proposes %+v", b12)
	}
	if got := s.r.core.Safety(); s.r.core.View() != 11 || got.HighQC.View != 10 || got.LastProposal != nil || got.LastVoted.View != 11 {
		t.Fatalf("an unchecked certificate has led to view %d and %+v", s.r.core.View(), got)
	}
	said, _ := s.hand(checked)
	s.mustSay("the sum is good", said, 0, 0)
	s.mustVote(said, b12, true)
	if disk := s.r.disk.safety; disk.LastProposal == nil || disk.LastProposal.ID() != b12.ID() || disk.HighQC.View != 11 {
		t.Errorf("on disk: %+v", disk)
	}
}

// TestSpoiltSumCostsItsViewAlone: a proposal on a sum with a bad vote is nobody's, the leader's neither, and it makes no other
// one in that view; but the certificate is made of the other votes, and shown. A sum with a vote of the spoiler's is not used
// again before it is checked.
func TestSpoiltSumCostsItsViewAlone(t *testing.T) {
	s := newSumming(t, 11)
	s.bad = 1
	b12, checked := s.aheadOfCheck(1, 2)
	said, _ := s.hand(checked)
	s.mustSay("one vote was bad", said, 0, 0)
	s.mustVote(said, b12, false)
	_, sums := s.votes(s.b11, 3)
	said = s.handAll(sums)
	s.mustSay("a quorum is good", said, 0, 1)
	if s.r.core.View() != 12 || s.r.core.Safety().LastProposal != nil {
		t.Fatalf("in view %d, having proposed %v", s.r.core.View(), s.r.core.Safety().LastProposal)
	}
	b15 := s.on(s.b11, 15)
	s.propose(b15)
	if _, sums := s.votes(b15, 1, 2); len(sums) != 1 {
		t.Errorf("a sum with the spoiler's vote brings %d answers, want the checked one alone", len(sums))
	}
}

// TestAheadOfItsCheckNeedsItsReservation: without a vote on disk that reserves the view, a restart could propose there again. A
// vote of the same turn is not on disk yet.
func TestAheadOfItsCheckNeedsItsReservation(t *testing.T) {
	for _, votes := range []bool{false, true} {
		s := &summing{solo: newSolo(t)}
		s.opt.ahead, s.opt.lateSum = true, true
		s.b11 = s.on(s.genesis, 11, func(b *blocktree.Block) { b.Payload = []blocktree.BatchRef{{Origin: 1, Bytes: 1, Expiry: 100}} })
		s.r.withhold = true // so it does not vote yet
		s.propose(s.b11)
		_, sums := s.votes(s.b11, 1, 2, 3)
		if len(sums) != 2 {
			t.Fatalf("%d answers", len(sums))
		}
		s.step(s.r, s.tick())
		if votes {
			s.step(s.r, hotstuff.PayloadStatus{Block: s.b11.ID(), Valid: true})
		}
		s.step(s.r, sums[0].sum)
		s.finish(s.r)
		said, _ := split(s.take())
		s.mustSay("view 12 is not reserved", said, 0, 0)
		if voted := s.r.disk.safety.LastVoted != nil; voted != votes {
			t.Fatalf("it has voted: %v, want %v", voted, votes)
		}
		said, _ = s.hand(sums[1])
		s.mustSay("the sum is checked", said, 1, 0)
	}
}

// TestNoSecondProposalAfterACrash: a proposal that has left ahead of its check is not on disk. A restart makes no other one in
// its view, and shows the certificate.
func TestNoSecondProposalAfterACrash(t *testing.T) {
	s := newSumming(t, 11)
	s.aheadOfCheck(1, 2)
	s.crash(s.r)
	s.take()
	s.submit(2, "a2")
	s.start(s.r)
	said := append(s.take(), s.giveQC(s.b11)...)
	s.mustSay("after the restart", said, 0, 1)
}

// TestIdleLeaderShowsItsCertificateAheadOfItsCheck: when the certificate commits what there is to commit, others wait for that,
// and not for a block. It is shown once.
func TestIdleLeaderShowsItsCertificateAheadOfItsCheck(t *testing.T) {
	for _, payloadIn := range []qc.View{0, 9} {
		s := newSumming(t, payloadIn)
		_, sums := s.votes(s.b11, 1, 2)
		said, _ := s.hand(sums[0])
		s.mustSay("the sum is not checked", said, 0, 1)
		if s.r.core.View() != 11 || s.r.core.Tree().Committed().Block.Height != 1 {
			t.Fatal("it believes in the sum")
		}
		said, _ = s.hand(sums[1])
		s.mustSay("the sum is good", said, 0, 0)
		if s.r.core.View() != 12 || s.r.core.Tree().Committed().Block.ID() != s.b9.ID() {
			t.Fatal("it does not believe in the sum")
		}
	}
}

// TestSpoiltCertificateIsShownAgain: without the bad vote.
func TestSpoiltCertificateIsShownAgain(t *testing.T) {
	s := newSumming(t, 0)
	s.bad = 1
	_, sums := s.votes(s.b11, 1, 2)
	said, _ := s.hand(sums[0])
	s.mustSay("the sum is not checked", said, 0, 1)
	said, _ = s.hand(sums[1])
	s.mustSay("one vote was bad", said, 0, 0)
	_, sums = s.votes(s.b11, 3)
	said = s.handAll(sums)
	if s.mustSay("a quorum is good", said, 0, 1); s.r.core.View() != 12 {
		t.Errorf("in view %d", s.r.core.View())
	}
}

// TestCertificateOvertakesTheCheck: others have certified the proposal before the leader's own check is over. It does not ask
// them for its own block.
func TestCertificateOvertakesTheCheck(t *testing.T) {
	s := newSumming(t, 11)
	b12, checked := s.aheadOfCheck(1, 2)
	said, _ := split(s.giveQC(b12))
	if len(of(said, "request")) != 0 || s.r.core.View() != 13 || s.r.core.Safety().LastProposal == nil {
		t.Fatalf("in view %d it says %v", s.r.core.View(), said)
	}
	said, _ = s.hand(checked)
	s.mustSay("the check is over", said, 0, 0)
}

// TestOneSumAtATimeIsTrusted: while the check of one is under way, no other is used before its own. Two bad votes of one replica
// would else cost two views.
func TestOneSumAtATimeIsTrusted(t *testing.T) {
	s := newSumming(t, 11)
	s.aheadOfCheck(1, 2)
	b15 := s.on(s.b11, 15)
	s.propose(b15)
	if _, sums := s.votes(b15, 1, 2); len(sums) != 1 {
		t.Errorf("another sum brings %d answers, want the checked one alone", len(sums))
	}
}

// TestCertificateIsShownAlthoughTheProposalWasSpoilt: the spoiler can take its bad vote out of the proposal's certificate, put a
// good one in, and show that to the leader alone. The others look to the leader for it, and would else wait for two timeouts.
func TestCertificateIsShownAlthoughTheProposalWasSpoilt(t *testing.T) {
	for _, before := range []bool{true, false} {
		s := newSumming(t, 11)
		s.bad = 1
		_, checked := s.aheadOfCheck(1, 2)
		var said []packet
		if before {
			said = s.giveQC(s.b11)
		}
		now, _ := s.hand(checked)
		said = append(said, now...)
		if !before {
			said = append(said, s.giveQC(s.b11)...)
		}
		if s.r.core.View() != 12 {
			t.Fatal("not in view 12")
		}
		s.mustSay("the certificate has come", said, 0, 1)
	}
}

// TestSpoiltSumWithACertificate: more votes than a quorum, one of them bad. The certificate of the others is made at once, and is
// not the proposal's.
func TestSpoiltSumWithACertificate(t *testing.T) {
	s := newSumming(t, 11)
	s.bad = 1
	b12, checked := s.aheadOfCheck(1, 2)
	req := hotstuff.VerifyRequest{View: 11, Block: s.b11.ID()}
	for id := range qc.NodeID(4) {
		v := s.forgeVote(id, 11, s.b11.ID())
		if id == s.bad {
			v.Signature = s.forgeVote(id, 11, s.b9.ID()).Signature
		}
		req.Votes = append(req.Votes, v)
	}
	checked.sum = s.r.verifier.Sum(req, nil)
	said, _ := s.hand(checked)
	s.mustSay("one of four was bad", said, 0, 1)
	s.mustVote(said, b12, false)
	if s.r.core.View() != 12 || s.r.core.Safety().LastProposal != nil || s.r.core.Tree().Get(b12.ID()) != nil {
		t.Fatalf("in view %d, having taken up %v", s.r.core.View(), s.r.core.Safety().LastProposal)
	}
}

// TestAnswersOutOfOrder: a late unchecked sum is not taken for that of another sum of the same votes but one.
func TestAnswersOutOfOrder(t *testing.T) {
	s := newSumming(t, 11)
	s.bad = 1
	_, first := s.votes(s.b11, 1, 2)
	s.hand(first[1])
	_, second := s.votes(s.b11, 3)
	s.hand(first[0])
	s.handAll(second)
	if p := s.r.core.Safety().LastProposal; p != nil && s.certs().QC(&p.Justify) != nil {
		t.Error("on disk is a proposal whose certificate is none")
	}
}

// TestLateCheckLowersNothing: the check ends when the leader has proposed in a later view, where it may not do so again.
func TestLateCheckLowersNothing(t *testing.T) {
	s := newSumming(t, 11)
	_, checked := s.aheadOfCheck(1, 2)
	s.r.withhold = true
	s.submit(2, "a2")
	b15 := s.on(s.b11, 15, func(b *blocktree.Block) { b.Payload = []blocktree.BatchRef{{Origin: 3, Bytes: 1, Expiry: 100}} })
	s.propose(b15)
	s.mustSay("it leads view 16", s.giveQC(b15), 1, 0)
	said, _ := s.hand(checked)
	s.mustSay("the check of view 11 is over", said, 0, 0)
	if p := s.r.core.Safety().LastProposal; p == nil || p.View != 16 {
		t.Errorf("last proposal %v", p)
	}
}

// TestAheadAgain: after a good sum, and after a spoilt one without the spoiler's vote.
func TestAheadAgain(t *testing.T) {
	for _, bad := range []qc.NodeID{0, 1} {
		s := newSumming(t, 11)
		s.bad = bad
		_, checked := s.aheadOfCheck(1, 2)
		s.hand(checked)
		b15 := s.on(s.b11, 15)
		s.propose(b15)
		_, sums := s.votes(b15, 2, 3)
		if len(sums) != 2 {
			t.Errorf("bad %v: %d answers, want the sum unchecked too", bad, len(sums))
			continue
		}
		said, _ := s.hand(sums[0])
		s.mustSay("the next sum", said, 1, 0)
	}
}
