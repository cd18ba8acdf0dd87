package hotstuff_test

import (
	"strings"
	"testing"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
)

// TestCommitNeedsConsecutiveViews: three blocks in a row with their certificates commit only if their views are
// consecutive too (S1), and only the first of them and its ancestors (S12).
func TestCommitNeedsConsecutiveViews(t *testing.T) {
	for _, c := range []struct {
		views  []qc.View
		commit qc.Height
	}{
		{[]qc.View{1, 2, 3}, 1},
		{[]qc.View{1, 2, 5}, 0},
		{[]qc.View{1, 5, 6}, 0},
		{[]qc.View{1, 5, 6, 7}, 2},
		{[]qc.View{1, 3, 5, 7}, 0},
	} {
		s := newSolo(t)
		bs := s.chainOf(c.views...)
		for _, b := range bs[1:] {
			s.propose(b)
		}
		s.giveQC(bs[len(bs)-1])
		if got := s.r.core.Tree().Committed().Block.Height; got != c.commit {
			t.Errorf("views %v commit height %d, want %d", c.views, got, c.commit)
		}
	}
}

// TestLockIsTheTwoChainsHead: QC(b″) locks the parent of b″, whatever their views.
func TestLockIsTheTwoChainsHead(t *testing.T) {
	s := newSolo(t)
	bs := s.chainOf(1, 5)
	s.propose(bs[1])
	s.propose(bs[2])
	s.giveQC(bs[2])
	if safety := s.r.core.Safety(); safety.LockBlock != bs[1].ID() || safety.LockView != 1 || safety.HighQC.View != 5 {
		t.Errorf("lock %d, high QC %d", safety.LockView, safety.HighQC.View)
	}
}

// TestCertificateOfAnotherView: a quorum's certificate under another view than its block's is a broken assumption (S3).
func TestCertificateOfAnotherView(t *testing.T) {
	s := newSolo(t)
	b := s.on(s.genesis, 1)
	s.propose(b)
	lie := *b
	lie.View = 2
	var votes []qc.Vote
	for id := qc.NodeID(1); id < 4; id++ {
		votes = append(votes, s.forgeVote(id, 2, b.ID()))
	}
	cert, _ := s.certs().CollectVotes(2, b.ID(), votes)
	s.give(1, &hotstuff.CertificateMessage{QC: cert})
	if s.r.halted != hotstuff.ErrAssumption {
		t.Errorf("halted: %v", s.r.halted)
	}
}

// TestConflictingCommitHalts: a certified block above the committed view that does not descend from the committed block
// means that two blocks are committed: the node stops rather than go on with either.
func TestConflictingCommitHalts(t *testing.T) {
	s := newSolo(t)
	for i, b := range s.chainOf(1, 2, 3) {
		if s.propose(b); i == 3 {
			s.giveQC(b)
		}
	}
	other := []*blocktree.Block{s.genesis}
	for _, v := range []qc.View{5, 6, 7} {
		other = append(other, s.on(other[len(other)-1], v))
	}
	s.giveQC(other[3])
	s.give(1, &hotstuff.BlockResponse{Target: other[3].ID(), Blocks: other[1:]})
	if s.r.halted != blocktree.ErrConflictingCommit {
		t.Errorf("halted: %v", s.r.halted)
	}
}

// TestCertificatesInAnyMessageMoveTheView, by any number of views at once (L2, L4).
func TestCertificatesInAnyMessageMoveTheView(t *testing.T) {
	for name, message := range map[string]func(s *solo, b *blocktree.Block) hotstuff.Message{
		"QC": func(s *solo, b *blocktree.Block) hotstuff.Message {
			q := s.certify(b)
			return &hotstuff.CertificateMessage{QC: &q}
		},
		"TC": func(s *solo, _ *blocktree.Block) hotstuff.Message {
			return &hotstuff.CertificateMessage{TC: s.giveUp(9, s.on(s.genesis, 7))}
		},
		"timeout": func(s *solo, b *blocktree.Block) hotstuff.Message {
			return &hotstuff.TimeoutMessage{Timeout: s.timeout(1, 10, b)}
		},
		"proposal": func(s *solo, b *blocktree.Block) hotstuff.Message { return &hotstuff.Proposal{Block: s.on(b, 10)} },
	} {
		s := newSolo(t)
		b := s.on(s.genesis, 9)
		s.give(1, message(s, b))
		if v := s.r.core.View(); v != 10 {
			t.Errorf("by a %s: view %d, want 10", name, v)
		}
		if high := s.r.core.Safety().HighQC.View; high != 9 && (name != "TC" || high != 7) {
			t.Errorf("by a %s: high QC %d", name, high)
		}
	}
}

// TestHighQCOfAnOldTC: a timeout certificate of a view that is over may still carry a certificate higher than ours.
func TestHighQCOfAnOldTC(t *testing.T) {
	s := newSolo(t)
	s.give(1, &hotstuff.CertificateMessage{TC: s.giveUp(9, s.genesis)})
	b := s.on(s.genesis, 5)
	s.give(1, &hotstuff.CertificateMessage{TC: s.giveUp(6, b)})
	if high := s.r.core.Safety().HighQC.View; high != 5 {
		t.Errorf("high QC %d, want 5", high)
	}
}

// TestTimeoutJoinAndCertificate: f+1 timeouts make a replica join long before its own deadline, and q make the TC, which
// it broadcasts (L3). One timeout, or the same one again, does nothing.
func TestTimeoutJoinAndCertificate(t *testing.T) {
	s := newSolo(t)
	one := &hotstuff.TimeoutMessage{Timeout: s.timeout(1, 1, s.genesis)}
	if said := append(s.give(1, one), s.give(1, one)...); len(said) != 0 {
		t.Fatalf("one of four made it say %v", said)
	}
	said := s.give(2, &hotstuff.TimeoutMessage{Timeout: s.timeout(2, 1, s.genesis)})
	if len(of(said, "timeout")) != 1 || len(of(said, "tc")) != 1 {
		t.Fatalf("said %v", said)
	}
	if s.r.core.View() != 2 {
		t.Errorf("view %d after the TC", s.r.core.View())
	}
}

// TestTimeoutIsRepeatedVerbatim at a fixed interval until the view changes, with the vote of the view in it (L3).
func TestTimeoutIsRepeatedVerbatim(t *testing.T) {
	s := newSolo(t)
	b := s.on(s.genesis, 1)
	s.propose(b)
	first := of(s.wait(1000), "timeout")
	if len(first) != 1 || !voted(first, b) {
		t.Fatalf("at the deadline: %v", first)
	}
	s.giveQC(s.genesis)                  // nothing new
	again := of(s.wait(1250), "timeout") // a quarter of the timeout later: those kept from the next view must learn of it in time
	if len(again) != 1 || again[0].msg.(*hotstuff.TimeoutMessage).Timeout != first[0].msg.(*hotstuff.TimeoutMessage).Timeout {
		t.Fatalf("an interval later: %v", again)
	}
	s.giveQC(b)
	if said := of(s.wait(1700), "timeout"); len(said) != 0 {
		t.Fatalf("in the next view: %v", said)
	}
}

// TestAnswerToTheLate: a timeout of an older view is answered with our highest certificate, at a limited rate.
func TestAnswerToTheLate(t *testing.T) {
	s := newSolo(t)
	s.now = 5
	s.giveQC(s.on(s.genesis, 5))
	late := &hotstuff.TimeoutMessage{Timeout: s.timeout(3, 2, s.genesis)}
	said := s.give(3, late)
	if q := of(said, "qc"); len(q) != 1 || q[0].to != 3 || q[0].msg.(*hotstuff.CertificateMessage).QC.View != 5 {
		t.Fatalf("said %v", said)
	}
	if said := s.give(3, late); len(said) != 0 {
		t.Fatalf("at once again: %v", said)
	}
	s.now += 200
	if said := s.give(3, late); len(of(said, "qc")) != 1 {
		t.Fatalf("20 ms later: %v", said)
	}
}

// TestAnswerDoesNotChange: what was handed out to be sent stays what it was while the core moves on.
func TestAnswerDoesNotChange(t *testing.T) {
	s := newSolo(t)
	s.giveQC(s.on(s.genesis, 5))
	said := s.give(3, &hotstuff.TimeoutMessage{Timeout: s.timeout(3, 2, s.genesis)})
	s.giveQC(s.on(s.genesis, 6))
	if v := said[0].msg.(*hotstuff.CertificateMessage).QC.View; v != 5 {
		t.Errorf("a message under way has become QC(%d)", v)
	}
}

// TestLeaderSharesItsCertificate: an idle leader that learnt a certificate from a single replica shows it to all (§3, §5).
func TestLeaderSharesItsCertificate(t *testing.T) {
	s := newSolo(t)
	bs := s.chainOf(1, 2, 3)
	for _, b := range bs[1:] {
		s.propose(b)
	}
	if said := of(s.giveQC(bs[3]), "qc"); len(said) != 1 {
		t.Fatalf("the leader of view 4 holds its proposal and says %v", said)
	}
	if said := of(s.wait(1000), "qc"); len(said) != 0 {
		t.Fatalf("and again: %v", said)
	}
}

// TestLeaderDownIsTimedOutAtOnce, also when only a certificate tells who leads.
func TestLeaderDownIsTimedOutAtOnce(t *testing.T) {
	s := newSolo(t)
	s.turn(s.r, hotstuff.Peer{ID: 1, Up: false})
	if said := of(s.take(), "timeout"); len(said) != 1 {
		t.Fatalf("said %v", said)
	}
	s = newSolo(t)
	s.turn(s.r, hotstuff.Peer{ID: 2, Up: false})
	if said := of(s.take(), "timeout"); len(said) != 0 {
		t.Fatalf("n2 does not lead view 1, and we say %v", said)
	}
	b := s.on(s.genesis, 1)
	s.propose(b)
	if said := of(s.giveQC(b), "timeout"); len(said) != 1 {
		t.Fatalf("n2 leads view 2, and we say %v", said)
	}
}

// TestHaltsOnItsOwnForeignMessages (S14), and only on those.
func TestHaltsOnItsOwnForeignMessages(t *testing.T) {
	b1 := func(s *solo) *blocktree.Block { b := s.on(s.genesis, 1); s.propose(b); return b }
	for name, c := range map[string]struct {
		message func(s *solo) hotstuff.Message
		halts   bool
	}{
		"its vote": {func(s *solo) hotstuff.Message {
			return &hotstuff.VoteMessage{Vote: s.forgeVote(0, 1, b1(s).ID())}
		}, false},
		"another block": {func(s *solo) hotstuff.Message {
			return &hotstuff.VoteMessage{Vote: s.forgeVote(0, 1, s.forgeTwin(b1(s)).ID())}
		}, true},
		"a later view": {func(s *solo) hotstuff.Message { return &hotstuff.VoteMessage{Vote: s.forgeVote(0, 2, b1(s).ID())} }, true},
		"a bad signature": {func(s *solo) hotstuff.Message {
			v := s.forgeVote(0, 2, b1(s).ID())
			v.Signature[0] ^= 1
			return &hotstuff.VoteMessage{Vote: v}
		}, false},
		"a timeout": {func(s *solo) hotstuff.Message { return &hotstuff.TimeoutMessage{Timeout: s.timeout(0, 1, s.genesis)} }, true},
		"its timeout": {func(s *solo) hotstuff.Message {
			s.wait(11_000)
			return &hotstuff.TimeoutMessage{Timeout: s.timeout(0, 1, s.genesis)}
		}, false},
		"a certificate with its bit": {func(s *solo) hotstuff.Message {
			b := s.on(s.genesis, 1)
			votes := []qc.Vote{s.forgeVote(0, 1, b.ID()), s.forgeVote(1, 1, b.ID()), s.forgeVote(2, 1, b.ID())}
			q, _ := s.certs().CollectVotes(1, b.ID(), votes)
			return &hotstuff.CertificateMessage{QC: q}
		}, true},
	} {
		s := newSolo(t)
		s.give(2, c.message(s))
		if got := s.r.halted == hotstuff.ErrKeyInUse; got != c.halts {
			t.Errorf("%s: halted: %v, want %v", name, s.r.halted, c.halts)
		}
	}
}

// TestRestartProposesNothingElse: in a view that it has proposed in, a restart sends the stored block and may still vote
// for it; it makes no other (PROTOCOL §7).
func TestRestartProposesNothingElse(t *testing.T) {
	s := newSolo(t)
	s.r.withhold = true // the proposal leaves, our own vote for it does not
	s.submit(1, "a1")
	b3 := s.on(s.genesis, 3)
	s.propose(b3)
	made := of(s.giveQC(b3), "proposal")
	if len(made) != 1 {
		t.Fatalf("the leader of view 4 says %v", made)
	}
	b := made[0].msg.(*hotstuff.Proposal).Block
	s.crash(s.r)
	s.r.withhold = false
	s.submit(2, "a2")
	s.start(s.r)
	said := s.take()
	again := of(said, "proposal")
	if len(again) != 1 || again[0].msg.(*hotstuff.Proposal).Block.ID() != b.ID() {
		t.Fatalf("after the restart: %v", said)
	}
	s.mustVote(said, b, true)
}

// TestReservedView: whoever has voted and leads the next view proposes there without a write, for the vote's has noted that
// it may. A restart that does not find the proposal makes no other one in that view, and shows the certificate for it; it
// votes for the first one, and proposes in later views (PROTOCOL §7).
func TestReservedView(t *testing.T) {
	s := newSolo(t)
	s.submit(1, "a1")
	b3 := s.on(s.genesis, 3)
	s.propose(b3)
	if got := s.r.disk.safety; got.LastVoted == nil || got.LastVoted.Block != b3.ID() || got.Reserved != 4 {
		t.Fatalf("on disk: vote %v, reserved %d", got.LastVoted, got.Reserved)
	}
	s.cut = func(*replica) cutAt { return cutBeforePersist }
	made := of(s.giveQC(b3), "proposal")
	if len(made) != 1 || s.r.disk.safety.LastProposal != nil {
		t.Fatalf("the leader of view 4, whose power fails in its next write, says %v", made)
	}
	b4 := made[0].msg.(*hotstuff.Proposal).Block
	s.cut = nil
	s.submit(2, "a2")
	s.start(s.r)
	said := append(s.take(), s.giveQC(b3)...)
	if len(of(said, "proposal")) != 0 || len(of(said, "qc")) != 1 {
		t.Fatalf("after the restart: %v", said)
	}
	s.mustVote(s.propose(b4), b4, true)
	b7 := s.on(b4, 7)
	s.propose(b7)
	if made := of(s.giveQC(b7), "proposal"); len(made) != 1 || made[0].msg.(*hotstuff.Proposal).Block.View != 8 {
		t.Fatalf("the leader of view 8 says %v", made)
	}
}

// TestUnreservedView: in a view that was entered without a vote in the one before, a proposal waits for the write.
func TestUnreservedView(t *testing.T) {
	for _, cut := range []cutAt{cutNever, cutBeforePersist} {
		s := newSolo(t)
		s.submit(1, "a1")
		s.cut = func(*replica) cutAt { return cut }
		said := s.give(1, &hotstuff.CertificateMessage{TC: s.giveUp(3, s.genesis)})
		if made := of(said, "proposal"); (len(made) == 1) != (cut == cutNever) {
			t.Errorf("cut %d: the leader of view 4 says %v", cut, said)
		}
	}
}

// TestRestartFindsItsPlace: a high QC that is never below the committed block, though commits were persisted by a replica
// that has signed nothing.
func TestRestartFindsItsPlace(t *testing.T) {
	s := newSolo(t)
	s.r.withhold = true // no votes: nothing but blocks and commits is persisted
	b := s.genesis
	for i, v := range []qc.View{5, 6, 7, 9} {
		b = s.on(b, v, func(b *blocktree.Block) {
			b.Payload = []blocktree.BatchRef{{Origin: 1, Seq: uint64(i), Bytes: 1, Expiry: 100}}
		})
		s.propose(b)
	}
	before := s.r.core.Tree().Committed().Block.Height
	s.crash(s.r)
	s.start(s.r)
	safety, committed := s.r.core.Safety(), s.r.core.Tree().Committed().Block
	if committed.Height != before || before != 1 {
		t.Errorf("committed height %d, before the restart %d, want 1", committed.Height, before)
	}
	if safety.HighQC.View != 7 || s.r.core.View() != 9 {
		t.Errorf("view %d, high QC %d", s.r.core.View(), safety.HighQC.View)
	}
	if f := s.r.core.Frontier(); !f.Known || len(f.Lanes) != 4 {
		t.Errorf("frontier %+v", f)
	}
}

// TestRestartKnowsStoredCertificates: a block on disk makes its certificate known, though the safety state was written before
// it came. Otherwise the vote for the block, and the timeout of its view, would be written beside an older high QC, and a
// timeout certificate of such voters could hide what they have voted on.
func TestRestartKnowsStoredCertificates(t *testing.T) {
	s := newSolo(t)
	bs := s.chainOf(1, 2, 3, 4)
	s.crash(s.r)
	for _, b := range bs[1:] {
		s.r.disk.blocks[b.ID()] = b
	}
	s.r.disk.safety.HighQC, s.r.disk.safety.LastTC = s.certify(bs[2]), s.giveUp(3, bs[2])
	s.start(s.r)
	s.mustVote(s.take(), bs[4], true)
	if high := s.r.disk.safety.HighQC.View; high != 3 {
		t.Errorf("the vote on QC 3 is written with high QC %d", high)
	}
	made := of(s.wait(s.now+50_000), "timeout")
	if len(made) == 0 || made[0].msg.(*hotstuff.TimeoutMessage).Timeout.HighQC.View != 3 {
		t.Errorf("after a vote on QC 3: timeouts %v", made)
	}
}

// TestCommittedAboveTheHighQC: where a snapshot was taken over, the committed block may be above the high QC. Until a
// certificate of it comes there is nothing to propose on, and no lanes to build for.
func TestCommittedAboveTheHighQC(t *testing.T) {
	s := newSolo(t)
	bs := s.chainOf(1, 2, 3)
	s.crash(s.r)
	for _, b := range bs[1:] {
		s.r.disk.blocks[b.ID()] = b
		s.r.disk.chain = append(s.r.disk.chain, b.ID())
	}
	s.chain = s.r.disk.chain
	s.r.disk.safety.LastTC = s.giveUp(3, s.genesis) // view 4, which n0 leads
	s.start(s.r)
	if s.r.core.View() != 4 || s.r.core.Frontier().Known || len(of(s.wait(20_000), "proposal")) != 0 {
		t.Errorf("view %d, frontier %+v", s.r.core.View(), s.r.core.Frontier())
	}
	if made := of(s.giveQC(bs[3]), "proposal"); len(made) != 0 || !s.r.core.Frontier().Known {
		t.Errorf("with QC(b3): %v", s.r.core.Frontier())
	}
}

// TestOpenLane: the incarnation is raised and synced.
func TestOpenLane(t *testing.T) {
	s := newSolo(t)
	s.turn(s.r, hotstuff.OpenLane{})
	if got := s.r.disk.safety.Incarnation.Starts; got != 1 {
		t.Errorf("incarnation on disk: %d", got)
	}
	if !strings.HasPrefix(s.show(), "n0 view 1") {
		t.Error(s.show())
	}
}
