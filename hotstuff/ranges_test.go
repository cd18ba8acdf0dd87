package hotstuff_test

import (
	"slices"
	"testing"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
)

// behind is a solo far behind a chain, with all peers connected, and what it has asked and was not answered.
type behind struct {
	*solo
	chain  []*blocktree.Block // by height
	target qc.BlockID
	open   map[qc.NodeID]qc.Height // from which height each peer was asked
	late   bool                    // it may be asked again although it has not answered
}

// partBlocks is how many blocks of a part are certified: one more certifies the last.
const partBlocks = 20

// newBehind has a chain with blocks in the given views, the first part of which n1 has delivered.
func newBehind(t *testing.T, views ...qc.View) *behind {
	s := &behind{solo: newSolo(t), open: map[qc.NodeID]qc.Height{}}
	s.chain = s.chainOf(views...)
	for id := qc.NodeID(1); id < 4; id++ {
		s.turn(s.r, hotstuff.Peer{ID: id, Up: true})
	}
	return s
}

func consecutive(from, to qc.View) (views []qc.View) {
	for v := from; v <= to; v++ {
		views = append(views, v)
	}
	return views
}

// begin shows the certificate of the newest block, and lets who is asked first deliver.
func (s *behind) begin() {
	s.t.Helper()
	top := s.chain[len(s.chain)-1]
	s.target = top.ID()
	s.giveQC(top)
	s.hear(s.wait(s.now + 100))
	if len(s.open) != 1 || s.open[1] == 0 {
		s.t.Fatalf("asked %v, want n1 alone, who named the block", s.open)
	}
	s.answer(1)
}

// hear notes requests. A peer has one at a time.
func (s *behind) hear(said []packet) {
	s.t.Helper()
	for _, p := range of(said, "request") {
		m := p.msg.(*hotstuff.BlockRequest)
		if m.Target != s.target {
			s.t.Fatalf("asks for %v", m)
		}
		if from, busy := s.open[p.to]; busy && !s.late {
			s.t.Fatalf("asks n%d from height %d, which has not answered for height %d", p.to, m.From, from)
		}
		s.open[p.to] = m.From
	}
}

// part is what a correct peer answers.
func (s *behind) part(from qc.Height) []*blocktree.Block {
	return s.chain[min(int(from), len(s.chain)):min(int(from)+partBlocks+1, len(s.chain))]
}

// answer has a peer answer rightly.
func (s *behind) answer(id qc.NodeID) { s.t.Helper(); s.give(id, s.part(s.open[id])) }

// give has a peer answer with these blocks.
func (s *behind) give(id qc.NodeID, blocks []*blocktree.Block) {
	s.t.Helper()
	delete(s.open, id)
	s.hear(s.solo.give(id, &hotstuff.BlockResponse{Target: s.target, Blocks: blocks}))
}

// expire lets time pass for so long that whoever was asked is late, and forgets whom.
func (s *behind) expire() {
	s.t.Helper()
	late := s.open
	s.open, s.late = map[qc.NodeID]qc.Height{}, true
	s.hear(s.wait(s.now + 1500))
	if len(late) > 0 && len(s.open) == 0 {
		s.t.Fatal("nobody is asked any more")
	}
}

func (s *behind) placed() qc.Height {
	h := qc.Height(0)
	for _, b := range s.chain {
		if s.r.core.Tree().Get(b.ID()) != nil {
			h = b.Height
		}
	}
	return h
}

func (s *behind) mustAsk(want map[qc.NodeID]qc.Height, why string) {
	s.t.Helper()
	for id, from := range want {
		if s.open[id] != from {
			s.t.Fatalf("%s: asked %v, want %v", why, s.open, want)
		}
	}
	if len(s.open) != len(want) {
		s.t.Fatalf("%s: asked %v, want %v", why, s.open, want)
	}
}

// finish lets all peers but some answer, at once, until the target is there.
func (s *behind) finish(silent ...qc.NodeID) (asked int) {
	s.t.Helper()
	for ; s.r.core.Tree().Get(s.target) == nil; asked++ {
		answered := false
		for id := qc.NodeID(1); id < 4 && !answered; id++ {
			if _, ok := s.open[id]; ok && !slices.Contains(silent, id) {
				s.answer(id)
				answered = true
			}
		}
		if !answered {
			s.expire()
		}
		if asked > 200 {
			s.t.Fatalf("no end: placed up to height %d", s.placed())
		}
	}
	return asked
}

// TestRangesComeFromSeveralPeersAtOnce: when one answer shows that much more lies ahead, each peer is asked for another
// range. What comes early is held until it has its turn, and its peer has the next range to bring meanwhile.
func TestRangesComeFromSeveralPeersAtOnce(t *testing.T) {
	s := newBehind(t, consecutive(1, 300)...)
	s.begin()
	s.mustAsk(map[qc.NodeID]qc.Height{1: 21, 2: 41, 3: 61}, "one range each")
	s.answer(3)
	if s.placed() != 20 {
		t.Fatalf("placed up to height %d, though height 21 is not here", s.placed())
	}
	s.mustAsk(map[qc.NodeID]qc.Height{1: 21, 2: 41, 3: 81}, "the next range")
	s.answer(2)
	s.answer(3)
	s.mustAsk(map[qc.NodeID]qc.Height{1: 21}, "four are all: no more is held")
	s.answer(1)
	if s.placed() != 100 {
		t.Fatalf("placed up to height %d, want all that was held", s.placed())
	}
	s.mustAsk(map[qc.NodeID]qc.Height{1: 121, 2: 141, 3: 101}, "on from there")
	if asked := s.finish(); asked > 13 {
		t.Errorf("%d more answers for 200 blocks of 20 each", asked)
	}
	if c := s.r.core.Tree().Committed().Block.Height; c != 298 {
		t.Errorf("committed up to height %d, want 298", c)
	}
}

// TestSmallGapsTakeOneRequest: what one or two answers can bring is asked of one peer.
func TestSmallGapsTakeOneRequest(t *testing.T) {
	s := newBehind(t, consecutive(1, 55)...)
	s.begin()
	s.mustAsk(map[qc.NodeID]qc.Height{1: 21}, "one peer")
	s.answer(1)
	s.mustAsk(map[qc.NodeID]qc.Height{1: 41}, "again")
	s.answer(1)
	if s.r.core.Tree().Get(s.target) == nil {
		t.Error("the target is not here")
	}
}

// TestLateRangeGoesToAnother, also when but one peer ever answers; and the silent are asked again all the same.
func TestLateRangeGoesToAnother(t *testing.T) {
	s := newBehind(t, consecutive(1, 200)...)
	s.begin()
	s.answer(1)
	s.mustAsk(map[qc.NodeID]qc.Height{1: 81, 2: 41, 3: 61}, "n2 and n3 have not answered yet")
	before := s.open
	s.expire()
	if s.open[2] == before[2] || s.open[3] == before[3] {
		t.Fatalf("asked %v again, before %v", s.open, before)
	}
	s.finish(2, 3)
}

// TestLatePeersHoldUpLittle: a peer that never answers is asked but now and then, about once a second.
func TestLatePeersHoldUpLittle(t *testing.T) {
	s := newBehind(t, consecutive(1, 1500)...)
	s.begin()
	silent, steps := 0, 0
	for ; s.r.core.Tree().Get(s.target) == nil; steps++ {
		for _, id := range []qc.NodeID{1, 3} {
			if _, asked := s.open[id]; asked {
				s.answer(id)
			}
		}
		if _, asked := s.open[2]; asked {
			silent++
			delete(s.open, 2)
		}
		s.hear(s.wait(s.now + 200))
		if steps > 500 {
			t.Fatalf("placed up to height %d", s.placed())
		}
	}
	t.Logf("%d requests to the silent peer in %d steps", silent, steps)
	if silent > 5 || steps > 55 {
		t.Errorf("%d requests to the silent peer in %d steps, two in 42 are enough", silent, steps)
	}
}

// TestFarPeerIsWaitedFor: an answer that came late tells how far its peer is. The next one is waited for.
func TestFarPeerIsWaitedFor(t *testing.T) {
	s := newBehind(t, consecutive(1, 50)...)
	s.target = s.chain[50].ID()
	s.giveQC(s.chain[50])
	s.hear(s.wait(s.now + 1500)) // 1000 is what everybody has: another is asked
	delete(s.open, 2)
	s.answer(1)
	s.mustAsk(map[qc.NodeID]qc.Height{1: 21}, "what follows")
	if said := of(s.wait(s.now+1500), "request"); len(said) > 0 {
		t.Error("asks another although it knows how far the peer is")
	}
}

// TestRangesEndWhereNothingIs: views without blocks make the chain seem longer than it is. When f+1 peers have nothing, no
// more is asked for there.
func TestRangesEndWhereNothingIs(t *testing.T) {
	s := newBehind(t, append(consecutive(1, 200), consecutive(701, 705)...)...)
	s.begin()
	beyond := 0
	for s.r.core.Tree().Get(s.target) == nil {
		last := qc.NodeID(0) // whose range is the highest: it answers first
		for id := range qc.NodeID(4) {
			if s.open[id] > s.open[last] {
				last = id
			}
		}
		if s.open[last] <= 205 {
			s.answer(last)
			continue
		}
		if beyond++; beyond > 20 {
			t.Fatalf("placed up to height %d, and asks without end for what does not exist", s.placed())
		}
		s.give(last, nil)
	}
	if beyond < 2 || beyond > 3 {
		t.Errorf("%d requests for what does not exist, want two, and one that was under way", beyond)
	}
}

// TestRangeOfALostBranch: a peer that lies delivers a range of a branch that is certified and lost. The next range does not
// fit; the true one is fetched again, by others, and held ranges go.
func TestRangeOfALostBranch(t *testing.T) {
	s := newBehind(t, append(consecutive(1, 40), consecutive(101, 300)...)...)
	lost := []*blocktree.Block{s.chain[40]}
	for v := qc.View(42); len(lost) <= partBlocks+1; v += 2 { // no three consecutive views: nothing commits
		lost = append(lost, s.on(lost[len(lost)-1], v))
	}
	s.begin()
	s.mustAsk(map[qc.NodeID]qc.Height{1: 21, 2: 41, 3: 61}, "one range each")
	s.answer(3)
	s.give(2, lost[1:])
	s.answer(1)
	if s.r.core.Tree().Get(lost[20].ID()) == nil || s.placed() != 40 {
		t.Fatal("the lost branch is not here, as it should be for this test")
	}
	delete(s.open, 3) // it was asked for a range that is of no use now
	s.mustAsk(map[qc.NodeID]qc.Height{1: s.r.core.Tree().Committed().Block.Height + 1}, "one peer, of no bad name, from the committed block")
	s.late = true // n3 does not say that it works on the old range
	s.answer(1)
	s.mustAsk(map[qc.NodeID]qc.Height{1: s.placed() + 1}, "one at a time up to where it did not fit")
	s.finish()
}

// TestLiarsDoNotHoldUp: with one peer that has nothing, little or nonsense for every range, the target is here after a
// bounded number of answers, and most come from the others.
func TestLiarsDoNotHoldUp(t *testing.T) {
	for name, lie := range map[string]func(s *behind, from qc.Height) []*blocktree.Block{
		"nothing":           func(*behind, qc.Height) []*blocktree.Block { return nil },
		"one block":         func(s *behind, from qc.Height) []*blocktree.Block { return s.part(from)[:min(2, len(s.part(from)))] },
		"the wrong heights": func(s *behind, from qc.Height) []*blocktree.Block { return s.part(from + 7) },
		"the first blocks":  func(s *behind, from qc.Height) []*blocktree.Block { return s.part(1) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newBehind(t, consecutive(1, 400)...)
			s.begin()
			lies, truths := 0, 0
			for s.r.core.Tree().Get(s.target) == nil {
				before := lies + truths
				if from, asked := s.open[2]; asked {
					lies++
					s.give(2, lie(s, from))
				}
				for _, id := range []qc.NodeID{1, 3} {
					if _, asked := s.open[id]; asked {
						truths++
						s.answer(id)
					}
				}
				if before == lies+truths {
					s.expire()
				}
				if lies+truths > 200 {
					t.Fatalf("no end: placed up to height %d", s.placed())
				}
			}
			t.Logf("%d answers of the liar, %d of others", lies, truths)
			if truths > 40 || lies > 40 {
				t.Errorf("%d answers of the liar, %d of others; 20 suffice", lies, truths)
			}
		})
	}
}

// TestRestartGoesOnFromTheDisk: what was placed before a crash is not fetched again.
func TestRestartGoesOnFromTheDisk(t *testing.T) {
	s := newBehind(t, consecutive(1, 300)...)
	s.begin()
	for _, id := range []qc.NodeID{1, 2, 3, 1} {
		s.answer(id)
	}
	before := s.placed()
	s.crash(s.r)
	s.start(s.r)
	if s.take(); s.placed() != before || before < 80 {
		t.Fatalf("placed up to height %d before the crash, %d after it", before, s.placed())
	}
	for id := qc.NodeID(1); id < 4; id++ {
		s.turn(s.r, hotstuff.Peer{ID: id, Up: true})
	}
	s.open = map[qc.NodeID]qc.Height{}
	s.giveQC(s.chain[300])
	s.hear(s.wait(s.now + 100))
	// The three blocks above the committed one are asked for again: another branch might leave there.
	s.mustAsk(map[qc.NodeID]qc.Height{1: before - 2}, "from the committed block")
	s.finish()
}
