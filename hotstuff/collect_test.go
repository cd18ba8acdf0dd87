package hotstuff_test

import (
	"strings"
	"testing"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
)

// vote gives n0 a vote of another replica.
func (s *solo) vote(id qc.NodeID, b *blocktree.Block) []packet {
	return s.give(id, &hotstuff.VoteMessage{Vote: s.forgeVote(id, b.View, b.ID())})
}

// TestVotesMakeACertificate, once they are a quorum, in whatever order they and the proposal come.
func TestVotesMakeACertificate(t *testing.T) {
	s := newSolo(t)
	b := s.on(s.genesis, 3)
	s.vote(1, b)
	s.vote(2, b)
	s.vote(2, b)
	if s.r.core.Safety().HighQC.View != 0 {
		t.Fatal("two of four made a certificate")
	}
	s.vote(3, b)
	if high := s.r.core.Safety().HighQC; high.View != 3 || s.r.core.View() != 4 {
		t.Fatalf("high QC %d, view %d", high.View, s.r.core.View())
	}
}

// TestBadVoteIsNamedAndPaidForOnce: a vote that does not verify spoils no sum, its signer is named, and repeating it
// costs no further check (S6).
func TestBadVoteIsNamedAndPaidForOnce(t *testing.T) {
	s := newSolo(t)
	b := s.on(s.genesis, 3)
	bad := s.forgeVote(1, 3, b.ID())
	bad.Signature[0] ^= 1
	s.propose(b) // n0 leads view 4: its own vote is the first
	s.give(1, &hotstuff.VoteMessage{Vote: bad})
	s.vote(2, b)
	if trace := s.refused(); strings.Count(trace, "vote: signature does not verify") != 1 {
		t.Fatalf("the bad vote is not named once:\n%s", trace)
	}
	s.give(1, &hotstuff.VoteMessage{Vote: bad})
	if trace := s.refused(); strings.Contains(trace, "does not verify") {
		t.Errorf("a repeated bad vote was checked again:\n%s", trace)
	}
	s.vote(3, b)
	if high := s.r.core.Safety().HighQC.View; high != 3 {
		t.Errorf("high QC %d: the good votes do not count", high)
	}
}

// TestDoubleVoteIsNamed: of two votes by one signer in one view the first counts.
func TestDoubleVoteIsNamed(t *testing.T) {
	s := newSolo(t)
	b := s.on(s.genesis, 3)
	s.vote(1, b)
	s.vote(1, s.forgeTwin(b))
	if trace := s.refused(); !strings.Contains(trace, "a second one by one signer") {
		t.Errorf("not named:\n%s", trace)
	}
}

// TestVotesAreBounded: of each signer the newest eight are kept, whatever views it claims, and only its own are lost.
func TestVotesAreBounded(t *testing.T) {
	s := newSolo(t)
	b := s.on(s.genesis, 3)
	s.vote(2, b)
	s.vote(3, b)
	s.vote(1, b)
	if s.r.core.Safety().HighQC.View != 3 {
		t.Fatal("three votes make no certificate")
	}
	s = newSolo(t)
	b = s.on(s.genesis, 3)
	s.vote(1, b)
	for v := qc.View(100); v < 108; v++ {
		s.give(1, &hotstuff.VoteMessage{Vote: s.forgeVote(1, v, b.ID())})
	}
	s.vote(2, b)
	s.vote(3, b)
	if s.r.core.Safety().HighQC.View != 0 {
		t.Error("the ninth newest vote of a signer was kept")
	}
}

// TestSumsWaitTheirTurn: more quorums at once than sums may be under way lose none of them.
func TestSumsWaitTheirTurn(t *testing.T) {
	s := newSolo(t)
	s.opt.lateSum = true
	var last *blocktree.Block
	for v := qc.View(3); v < 9; v++ {
		last = s.on(s.genesis, v)
		for id := qc.NodeID(1); id < 4; id++ {
			s.deliver(packet{from: id, to: 0, msg: &hotstuff.VoteMessage{Vote: s.forgeVote(id, v, last.ID())}})
		}
	}
	if got := len(s.queue); got != 4 {
		t.Fatalf("%d sums at once, want the bound of 4", got)
	}
	s.quiet()
	if high := s.r.core.Safety().HighQC.View; high != 8 {
		t.Errorf("high QC %d, want 8", high)
	}
}

// TestVotesInTimeoutsCount, also in late ones of a view that is over: from them the certificate is rebuilt that a dead or
// silent leader has swallowed (L1, L14). A vote for another view, or by another signer, is void.
func TestVotesInTimeoutsCount(t *testing.T) {
	s := newSolo(t)
	b := s.on(s.genesis, 1)
	s.give(1, &hotstuff.CertificateMessage{TC: s.giveUp(1, s.genesis)})
	for id := qc.NodeID(1); id < 4; id++ {
		out := s.timeout(id, 1, s.genesis)
		vote := s.forgeVote(id, 1, b.ID())
		if id == 1 {
			vote.Signer = 2
		}
		out.Vote = &vote
		s.give(id, &hotstuff.TimeoutMessage{Timeout: out})
	}
	if s.r.core.Safety().HighQC.View != 0 {
		t.Fatal("a vote of another's counted")
	}
	s.vote(1, b)
	if high := s.r.core.Safety().HighQC.View; high != 1 {
		t.Errorf("high QC %d, want 1", high)
	}
}
