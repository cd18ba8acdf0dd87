package hotstuff_test

import (
	"strings"
	"testing"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
)

// TestVoteNeedsEveryField breaks one thing of an otherwise valid proposal at a time (PROTOCOL §2.2 to §2.4; S2).
// n0 stands in view 6 and holds b1 and b5; the valid proposal is b6 on b5.
func TestVoteNeedsEveryField(t *testing.T) {
	cases := []struct {
		name   string
		why    string // in the trace; empty: it is voted for
		change func(s *solo, b, b1 *blocktree.Block)
	}{
		{"valid", "", func(*solo, *blocktree.Block, *blocktree.Block) {}},
		{"another epoch", "malformed", func(_ *solo, b, _ *blocktree.Block) { b.Epoch = 2 }},
		{"not the leader", "does not lead", func(_ *solo, b, _ *blocktree.Block) { b.Proposer = 1 }},
		{"a stranger", "malformed", func(_ *solo, b, _ *blocktree.Block) { b.Proposer = 4 }},
		{"height skips", "does not follow", func(_ *solo, b, _ *blocktree.Block) { b.Height++ }},
		{"parent is not justified", "does not follow", func(_ *solo, b, b1 *blocktree.Block) { b.Parent = b1.ID() }},
		{"view is the justify's", "does not follow", func(s *solo, b, _ *blocktree.Block) { b.Justify.View = b.View }},
		{"older parent without a TC", "do not fit", func(s *solo, b, b1 *blocktree.Block) {
			b.Parent, b.Justify, b.Height = b1.ID(), s.certify(b1), 2
		}},
		{"superfluous TC", "do not fit", func(s *solo, b, b1 *blocktree.Block) { b.TC = s.giveUp(5, b1) }},
		{"TC of another view", "do not fit", func(s *solo, b, b1 *blocktree.Block) {
			b.Parent, b.Justify, b.Height, b.TC = b1.ID(), s.certify(b1), 2, s.giveUp(6, b1)
		}},
		{"forged justify", "signature", func(_ *solo, b, _ *blocktree.Block) { b.Justify.Signature[0] ^= 1 }},
		{"too few signers", "quorum", func(_ *solo, b, _ *blocktree.Block) { b.Justify.Signers = qc.Bitmap{3} }},
		{"forged TC", "signature", func(s *solo, b, b1 *blocktree.Block) {
			tc := *s.giveUp(5, b1)
			tc.Signature[0] ^= 1
			b.Parent, b.Justify, b.Height, b.TC = b1.ID(), s.certify(b1), 2, &tc
		}},
		{"time is the parent's", "time is not after", func(s *solo, b, _ *blocktree.Block) { b.Time = s.block(b.Parent).Time }},
		{"batch skips a place", "not the next of its lane", func(_ *solo, b, _ *blocktree.Block) {
			b.Payload = []blocktree.BatchRef{{Origin: 1, Seq: 1, Bytes: 1, Expiry: 100}}
		}},
		{"too large a batch", "limits", func(_ *solo, b, _ *blocktree.Block) {
			b.Payload = []blocktree.BatchRef{{Origin: 1, Bytes: 1<<10 + 1, Expiry: 100}}
		}},
		{"too many batches", "limits", func(_ *solo, b, _ *blocktree.Block) {
			for i := range uint64(65) {
				b.Payload = append(b.Payload, blocktree.BatchRef{Origin: 1, Seq: i, Bytes: 1, Expiry: 100})
			}
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := newSolo(t)
			bs := s.chainOf(1, 5)
			s.propose(bs[1])
			s.propose(bs[2])
			s.giveQC(bs[2])
			s.takeTrace()
			b := s.on(bs[2], 6, func(b *blocktree.Block) { c.change(s, b, bs[1]) }, func(b *blocktree.Block) {
				if b.Proposer > 3 { // sign needs a key; the check comes first
					s.keys, s.public = append(s.keys, s.keys[0]), append(s.public, s.public[0])
				}
			})
			s.mustVote(s.propose(b), b, c.why == "")
			if trace := s.refused(); !strings.Contains(trace, c.why) {
				t.Errorf("want a refusal that says %q, got:\n%s", c.why, trace)
			}
		})
	}
}

// TestJustifyBelowTheTC: a block entered by TC(v−1) stands on a certificate at least as high as the highest that the TC's
// signers hold, or a leader could leave out what a quorum knows (§2.4).
func TestJustifyBelowTheTC(t *testing.T) {
	for _, fair := range []bool{true, false} {
		s := newSolo(t)
		bs := s.chainOf(1, 5)
		s.propose(bs[1])
		s.propose(bs[2])
		on := bs[2]
		if !fair {
			on = bs[1]
		}
		b := s.on(on, 9, func(b *blocktree.Block) { b.TC = s.giveUp(8, bs[2]) })
		s.mustVote(s.propose(b), b, fair)
	}
}

// TestVoteNeedsProposersSignature: a proposal may be relayed, but nobody else can make one.
func TestVoteNeedsProposersSignature(t *testing.T) {
	s := newSolo(t)
	b := s.on(s.genesis, 1)
	b.Signature[5] ^= 1
	s.mustVote(s.give(2, &hotstuff.Proposal{Block: b}), b, false)
	b.Signature[5] ^= 1
	s.mustVote(s.give(2, &hotstuff.Proposal{Block: b}), b, true)
}

// TestVoteOnceAView: one vote a view, for the first block that deserves one; and none in a view that is over (§2.1).
func TestVoteOnceAView(t *testing.T) {
	s := newSolo(t)
	b := s.on(s.genesis, 1)
	s.mustVote(s.propose(b), b, true)
	twin := s.forgeTwin(b)
	s.mustVote(s.propose(twin), twin, false)
	if trace := s.refused(); !strings.Contains(trace, "further block by the leader") {
		t.Errorf("a second proposal is not reported:\n%s", trace)
	}
	s.giveQC(s.on(s.genesis, 2))
	late := s.on(s.genesis, 2, func(b *blocktree.Block) { b.Time++ })
	s.mustVote(s.propose(late), late, false)
}

// TestNoVoteAfterTimeout: who gave up on a view does not vote in it (S11).
func TestNoVoteAfterTimeout(t *testing.T) {
	s := newSolo(t)
	if said := s.wait(11_000); len(of(said, "timeout")) == 0 {
		t.Fatal("no timeout at the deadline")
	}
	b := s.on(s.genesis, 1)
	s.mustVote(s.propose(b), b, false)
}

// TestVoteWaitsForPayload: only when the batches are held and synced, and never when one contradicts the block (§2.6).
func TestVoteWaitsForPayload(t *testing.T) {
	for _, valid := range []bool{true, false} {
		s := newSolo(t)
		s.r.withhold = true
		b := s.on(s.genesis, 1, func(b *blocktree.Block) { b.Payload = []blocktree.BatchRef{{Origin: 1, Bytes: 1, Expiry: 100}} })
		s.mustVote(s.propose(b), b, false)
		s.turn(s.r, hotstuff.PayloadStatus{Block: b.ID(), Valid: valid})
		s.mustVote(s.take(), b, valid)
	}
}

// TestVoteWaitsForTime: a block from the future is held until it is due within the skew bound, then voted for (§8).
// A wall clock that was set back makes the wait no longer than it should be.
func TestVoteWaitsForTime(t *testing.T) {
	s := newSolo(t)
	s.now = 10
	b := s.on(s.genesis, 1, func(b *blocktree.Block) { b.Time = s.wall() + 50_000_000 + 20*100_000 })
	s.mustVote(s.propose(b), b, false)
	s.mustVote(s.wait(29), b, false)
	s.mustVote(s.wait(31), b, true)
}

// TestWallClockSetBack: a clock that was far ahead for a moment does not make every later proposal of ours one from the
// future.
func TestWallClockSetBack(t *testing.T) {
	s := newSolo(t)
	s.step(s.r, hotstuff.Tick{Now: 1, Wall: 1 << 60})
	s.finish(s.r)
	b3 := s.on(s.genesis, 3)
	s.propose(b3)
	made := of(s.giveQC(b3), "proposal")
	if len(made) != 1 || made[0].msg.(*hotstuff.Proposal).Block.Time > 1<<59 {
		t.Fatalf("the leader of view 4 says %v", made)
	}
}

// TestVoteAgainstTheLock: not for a branch that leaves the locked block, unless its justify is higher than the lock
// (§2.5; HotStuff, safeNode).
func TestVoteAgainstTheLock(t *testing.T) {
	s := newSolo(t)
	bs := s.chainOf(1, 2, 3)
	for _, b := range bs[1:] {
		s.propose(b)
	}
	s.giveQC(bs[3])
	if lock := s.r.core.Safety().LockView; lock != 2 {
		t.Fatalf("locked view %d, want 2", lock)
	}
	side := s.on(bs[1], 5) // justify of view 1, not above the lock of view 2
	s.mustVote(s.propose(side), side, false)
	if s.r.core.View() != 5 {
		t.Fatal("the certificates of a proposal that may not be voted for count all the same")
	}

	// The side branch grows: a quorum has accepted it, so the lock gives way.
	up := s.on(side, 6)
	s.mustVote(s.propose(up), up, true)
}

// TestVoteNeedsAncestors: a block whose parent is not held is voted for once the branch was fetched (§2.3; L5, L6).
func TestVoteNeedsAncestors(t *testing.T) {
	s := newSolo(t)
	bs := s.chainOf(1, 5, 6)
	s.mustVote(s.propose(bs[3]), bs[3], false)
	said := of(s.wait(s.r.core.Deadline()), "request")
	if len(said) != 1 || said[0].to != bs[3].Proposer {
		t.Fatalf("want one request to who named the block, got %v", said)
	}
	s.mustVote(s.give(2, &hotstuff.BlockResponse{Target: bs[2].ID(), Blocks: bs[1:3]}), bs[3], true)
}

// TestVotesGoToTheNextLeader, and to all when its connection is down.
func TestVotesGoToTheNextLeader(t *testing.T) {
	s := newSolo(t)
	b := s.on(s.genesis, 1)
	if said := of(s.propose(b), "vote"); len(said) != 1 || said[0].to != 2 {
		t.Fatalf("got %v", said)
	}
	s = newSolo(t)
	s.turn(s.r, hotstuff.Peer{ID: 2, Up: false})
	if said := s.propose(s.on(s.genesis, 1)); len(said) < 3 {
		t.Fatalf("the next leader is down, and the vote goes to %d", len(said))
	}
}

// TestBlocksPerView: an equivocating leader can make us store two blocks of a view and no more, be the view over or not.
func TestBlocksPerView(t *testing.T) {
	for _, over := range []bool{false, true} {
		s := newSolo(t)
		b := s.on(s.genesis, 1)
		if over {
			s.giveQC(s.on(s.genesis, 2))
		}
		for range 20 {
			s.propose(s.forgeTwin(b))
		}
		if held := s.r.core.Tree().Len(); held != 3 {
			t.Errorf("view over: %v: %d blocks held, want genesis and two", over, held)
		}
	}
}
