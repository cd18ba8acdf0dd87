package hotstuff_test

import (
	"testing"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
)

func request(said []packet) (to qc.NodeID, m *hotstuff.BlockRequest) {
	if r := of(said, "request"); len(r) == 1 {
		return r[0].to, r[0].msg.(*hotstuff.BlockRequest)
	}
	return 99, &hotstuff.BlockRequest{}
}

// TestFetchAsksTheOthersInTurn: who named the block first, after a grace in which it may come by itself; then the next,
// those connected before others, until it is there (L5).
func TestFetchAsksTheOthersInTurn(t *testing.T) {
	s := newSolo(t)
	s.turn(s.r, hotstuff.Peer{ID: 1, Up: true})
	s.turn(s.r, hotstuff.Peer{ID: 2, Up: true})
	b := s.on(s.genesis, 9)
	if said := of(s.giveQC(b), "request"); len(said) != 0 {
		t.Fatal("no grace")
	}
	var asked []qc.NodeID
	for range 4 {
		s.now = max(s.now+1000, 30)
		s.turn(s.r, s.tick())
		to, m := request(s.take())
		if m.Target != b.ID() || m.From != 1 {
			t.Fatalf("asks for %v", m)
		}
		asked = append(asked, to)
	}
	if asked[0] != 1 || asked[1] != 2 || asked[2] == 3 {
		t.Errorf("asked %v", asked)
	}
	s.give(1, &hotstuff.BlockResponse{Target: b.ID(), Blocks: []*blocktree.Block{b}})
	if _, m := request(s.wait(s.now + 3000)); !m.Target.IsZero() {
		t.Error("asks for what it holds")
	}
}

// TestLatePeersLoseTheirPlace: who is late is no longer the first, though it named the block; but it is asked.
func TestLatePeersLoseTheirPlace(t *testing.T) {
	s := newSolo(t)
	s.turn(s.r, hotstuff.Peer{ID: 1, Up: true})
	s.turn(s.r, hotstuff.Peer{ID: 2, Up: true})
	b := s.on(s.genesis, 9)
	s.giveQC(b)
	var asked []qc.NodeID
	for range 30 {
		s.now += 300
		s.turn(s.r, s.tick())
		for to, m := request(s.take()); !m.Target.IsZero(); {
			if asked = append(asked, to); to == 1 {
				break // it says nothing
			}
			to, m = request(s.give(2, &hotstuff.BlockResponse{Target: b.ID()}))
		}
	}
	if len(asked) < 6 || asked[0] != 1 || asked[2] != 1 || asked[4] != 2 || asked[5] != 1 {
		t.Errorf("asked %v", asked)
	}
}

// TestFetchContinues where the last part ended, at once, from who delivered it; a part that leads nowhere further counts
// for nothing, and whoever only repeats it does not keep the others from their turn.
func TestFetchContinues(t *testing.T) {
	s := newSolo(t)
	bs := s.chainOf(1, 3, 5, 7, 9) // no three consecutive views: nothing commits on the way
	s.giveQC(bs[5])
	target := bs[5].ID()
	s.now = 100
	s.turn(s.r, s.tick())
	s.take()
	part := &hotstuff.BlockResponse{Target: target, Blocks: bs[1:4]}
	if to, m := request(s.give(3, part)); to != 3 || m.From != 3 {
		t.Fatalf("after two certified blocks: asks n%d from height %d", to, m.From)
	}
	if said := s.give(3, part); len(said) != 0 {
		t.Fatalf("the same part again: %v", said)
	}
	turns := map[qc.NodeID]bool{}
	for range 6 {
		s.now += 1000
		s.turn(s.r, s.tick())
		to, _ := request(s.take())
		turns[to] = true
		s.give(3, part)
	}
	if !turns[1] || !turns[2] {
		t.Errorf("asked in turn: %v", turns)
	}
	s.give(2, &hotstuff.BlockResponse{Target: target, Blocks: bs[3:]})
	if s.r.core.Tree().Get(target) == nil {
		t.Error("the branch is complete, the target is not held")
	}
}

// TestFetchGoesOnElsewhere: a peer that has nothing is passed over at once, each once; then they are left in peace. Only
// the answer of the one that was asked counts.
func TestFetchGoesOnElsewhere(t *testing.T) {
	s := newSolo(t)
	b := s.on(s.genesis, 9)
	s.giveQC(b)
	s.now = 100
	s.turn(s.r, s.tick())
	none := &hotstuff.BlockResponse{Target: b.ID()}
	asked, m := request(s.take())
	for _, id := range []qc.NodeID{1, 2, 3} {
		if id != asked {
			if said := s.give(id, none); len(said) != 0 {
				t.Fatalf("n%d was not asked and has nothing: %v", id, said)
			}
		}
	}
	turns := map[qc.NodeID]bool{}
	var last qc.NodeID
	for !m.Target.IsZero() {
		last = asked
		if turns[asked] = true; len(turns) > 3 {
			t.Fatal("asks without end")
		}
		asked, m = request(s.give(asked, none))
		if turns[asked] && !m.Target.IsZero() {
			break // round again: the first in turn has its next one
		}
	}
	if len(turns) != 3 {
		t.Errorf("asked %v at once, want all three", turns)
	}
	if said := of(s.give(last, none), "request"); len(said) > 0 {
		t.Errorf("asks again at once: %v", said)
	}
	if _, m := request(s.wait(s.now + 1000)); m.Target != b.ID() {
		t.Error("has given up")
	}
}

// TestFetchesOneAtATime: of all that is wanted the highest is asked for, for it brings its ancestors; a lower one only when
// no peer has the highest. Old certificates displace nothing.
func TestFetchesOneAtATime(t *testing.T) {
	s := newSolo(t)
	high := s.on(s.genesis, 50)
	s.giveQC(high)
	for v := qc.View(30); v < 40; v++ {
		s.propose(s.on(s.on(s.genesis, v), 51)) // old genuine certificates, in proposals
	}
	asked := map[qc.BlockID]bool{}
	for i := range 30 {
		s.now += 1000
		s.turn(s.r, s.tick())
		_, m := request(s.take())
		if i < 3 && m.Target != high.ID() {
			t.Fatalf("request %d is not for the block of the high QC", i)
		}
		asked[m.Target] = true
	}
	if len(asked) != 4 {
		t.Errorf("%d blocks wanted, want the bound of 4", len(asked))
	}
}

// TestSlowAnswerCounts: while an answer is under way, newer certificates do not displace what was asked for.
func TestSlowAnswerCounts(t *testing.T) {
	s := newSolo(t)
	b := s.on(s.genesis, 1)
	s.giveQC(b)
	s.now = 100
	s.turn(s.r, s.tick())
	for v := qc.View(10); v < 20; v++ {
		s.giveQC(s.on(s.genesis, v))
	}
	s.give(1, &hotstuff.BlockResponse{Target: b.ID(), Blocks: []*blocktree.Block{b}})
	if s.r.core.Tree().Get(b.ID()) == nil {
		t.Error("the answer was thrown away")
	}
}

// TestFetchEndsWithTheBranch: a block that lost to the committed one is asked for no longer.
func TestFetchEndsWithTheBranch(t *testing.T) {
	s := newSolo(t)
	s.giveQC(s.on(s.genesis, 1)) // nobody will ever deliver it
	bs := s.chainOf(5, 6, 7)
	for _, b := range bs[1:] {
		s.propose(b)
	}
	s.giveQC(bs[3])
	if s.r.core.Tree().Committed().Block.View != 5 {
		t.Fatal("nothing was committed")
	}
	if said := of(s.wait(s.now+5000), "request"); len(said) != 0 {
		t.Errorf("still asks: %v", said)
	}
}

// TestCertificateWaitsForItsBlock: a certificate whose block comes late still commits, though the high QC is by then on
// another branch.
func TestCertificateWaitsForItsBlock(t *testing.T) {
	s := newSolo(t)
	bs := s.chainOf(1, 2, 3)
	s.propose(bs[1])
	s.propose(bs[2])
	s.giveQC(bs[3])
	other := s.on(bs[2], 5)
	s.propose(other)
	s.giveQC(other)
	if s.r.core.Tree().Committed().Block != s.genesis {
		t.Fatal("committed without the third block")
	}
	s.give(1, &hotstuff.BlockResponse{Target: bs[3].ID(), Blocks: bs[1:]})
	if got := s.r.core.Tree().Committed().Block.View; got != 1 {
		t.Errorf("committed view %d, want 1", got)
	}
}

// TestUnaskedBlocks are dropped.
func TestUnaskedBlocks(t *testing.T) {
	s := newSolo(t)
	bs := s.chainOf(1, 2, 3)
	s.give(1, &hotstuff.BlockResponse{Target: bs[3].ID(), Blocks: bs[1:]})
	if s.r.core.Tree().Len() != 1 {
		t.Error("blocks that nobody asked for were taken")
	}
}

// TestOrphansAreBounded: of proposals whose parent is not held one a proposer is kept, the newest.
func TestOrphansAreBounded(t *testing.T) {
	s := newSolo(t)
	b1 := s.on(s.genesis, 1)
	s.giveQC(b1)
	first := s.on(b1, 2)
	s.propose(first)
	s.propose(s.forgeTwin(first)) // the same view: the first stays
	said := s.give(1, &hotstuff.BlockResponse{Target: b1.ID(), Blocks: []*blocktree.Block{b1}})
	s.mustVote(said, first, true)
	if held := s.r.core.Tree().Len(); held != 3 {
		t.Errorf("%d blocks held, want genesis, b1 and b2", held)
	}
}
