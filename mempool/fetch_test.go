package mempool_test

import (
	"slices"
	"testing"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
)

// hungry is a pool of five that has committed blocks of 400 batches and holds none; its four peers are connected.
type hungry struct {
	*solo
	now   qc.Ticks
	lane  map[blocktree.Digest]*mempool.Batch
	open  [][]blocktree.Digest // what each peer was asked for and has not answered
	asked []int                // how many each peer was asked for
}

func newHungry(t *testing.T) *hungry {
	s := &hungry{solo: newSolo(t, 5, func(c *mempool.Config) { c.ResolveBytes = 2_000_000 }), lane: map[blocktree.Digest]*mempool.Batch{}, open: make([][]blocktree.Digest, 5), asked: make([]int, 5)}
	for id := qc.NodeID(1); id < 5; id++ {
		s.SetPeer(id, true)
	}
	for i, b := range s.roster.lane(1, laneOne, 400, "x") {
		s.lane[b.Digest()] = b
		if i%10 == 9 {
			run := make([]*mempool.Batch, 0, 10)
			for _, b := range s.lane {
				if b.Seq/10 == uint64(i)/10 {
					run = append(run, b)
				}
			}
			slices.SortFunc(run, func(a, b *mempool.Batch) int { return int(a.Seq) - int(b.Seq) })
			s.commit(run...)
		}
	}
	s.Loaded(s.Ready().Load, nil)
	return s
}

// pass lets time pass and notes what is asked.
func (s *hungry) pass(d qc.Ticks) {
	s.t.Helper()
	s.now += d
	for _, f := range s.at(s.now).Fetch {
		s.open[f.To] = append(s.open[f.To], f.Request.Digests...)
		s.asked[f.To] += len(f.Request.Digests)
	}
}

// answer has a peer send all that it was asked for.
func (s *hungry) answer(id qc.NodeID) {
	s.t.Helper()
	for _, d := range s.open[id] {
		s.Receive(id, s.verified(s.t, s.lane[d]))
	}
	s.open[id] = nil
	s.sync()
}

// TestBatchesAreAskedOfAllPeers: each for about the same, and none for more than its allowance: 100 bytes, a 32nd of what
// the configuration allows. The rest waits for room.
func TestBatchesAreAskedOfAllPeers(t *testing.T) {
	s := newHungry(t)
	s.pass(1)
	for id, n := range s.asked[1:] {
		if n < 15 || n > 27 { // batches of 4 to 6 bytes
			t.Errorf("n%d is asked for %d batches", id+1, n)
		}
	}
	before := slices.Clone(s.asked)
	s.pass(1)
	expect(t, "no more while all are busy", s.asked, before...)
	s.answer(2)
	s.pass(1)
	if s.asked[2] < before[2]+25 || s.asked[1] != before[1] || s.asked[3] != before[3] {
		t.Errorf("asked %v, before %v: want the peer that answered, for more than before", s.asked, before)
	}
	due, ok := s.Deadline()
	expectTrue(t, "what waits for room is not due", ok && due > s.now)
}

// TestFastPeersGiveMore: allowances grow with what comes at once, and shrink with what is late. What is late comes from others.
func TestFastPeersGiveMore(t *testing.T) {
	s := newHungry(t)
	s.pass(1)
	for round := 0; s.Stats().Missing > 0; round++ {
		s.answer(1)
		s.answer(2)
		s.answer(4) // n3 never answers
		s.pass(3)
		if round > 60 {
			t.Fatalf("%d are still missing", s.Stats().Missing)
		}
	}
	t.Logf("asked %v in %d ticks", s.asked, s.now)
	if s.asked[3] > 60 || s.now > 100 {
		t.Errorf("asked %v in %d ticks: the peer that never answers holds up the rest", s.asked, s.now)
	}
	for _, id := range []int{1, 2, 4} {
		if s.asked[id] < 40 {
			t.Errorf("asked %v: want a share of each that answers", s.asked)
		}
	}
}

// TestFarPeers: answers that take longer than the usual wait are waited for, once one has come: hardly anything comes twice.
func TestFarPeers(t *testing.T) {
	s := newHungry(t)
	type answer struct {
		at   qc.Ticks
		from qc.NodeID
		of   []blocktree.Digest
	}
	var way []answer
	for s.Stats().Missing > 0 {
		for len(way) > 0 && way[0].at <= s.now {
			s.open[way[0].from] = way[0].of
			s.answer(way[0].from)
			way = way[1:]
		}
		s.pass(1)
		for id := range s.open {
			if len(s.open[id]) > 0 {
				way = append(way, answer{s.now + 50, qc.NodeID(id), s.open[id]})
				s.open[id] = nil
			}
		}
		if s.now > 1000 {
			t.Fatalf("%d are still missing", s.Stats().Missing)
		}
	}
	total := s.asked[1] + s.asked[2] + s.asked[3] + s.asked[4]
	t.Logf("asked %v in %d ticks", s.asked, s.now)
	if total > 400+250 {
		t.Errorf("asked for %d batches where 400 are missing", total)
	}
}

// TestAllowanceFollowsThePeer: a peer that was fast is asked for much; once it is slow, or silent, for less.
func TestAllowanceFollowsThePeer(t *testing.T) {
	for _, silent := range []bool{false, true} {
		s := newHungry(t)
		for range 3 {
			s.pass(1)
			s.answer(2)
		}
		s.pass(1)
		fast := len(s.open[2])
		for range 3 {
			if silent { // late after 22 ticks: one for the way, twice, and the usual 20
				s.open[2] = nil
				s.pass(23)
				continue
			}
			rest := s.open[2][1:] // the first comes at once, the rest as if the peer had much to send
			s.open[2] = s.open[2][:1]
			s.answer(2)
			s.pass(15)
			more := s.open[2]
			s.open[2] = rest
			s.answer(2)
			s.open[2] = more
			s.pass(1)
		}
		if slow := len(s.open[2]); fast < 40 || slow == 0 || 4*slow > 3*fast {
			t.Errorf("silent %v: asked for %d at once when it was fast, for %d then", silent, fast, slow)
		}
	}
}

// TestLostConnection: what was asked of a peer that is gone is asked of others at once.
func TestLostConnection(t *testing.T) {
	s := newHungry(t)
	s.pass(1)
	lost := slices.Clone(s.open[3])
	s.SetPeer(3, false)
	for _, id := range []qc.NodeID{1, 2, 4} {
		s.answer(id)
	}
	s.pass(1)
	for _, d := range lost {
		if !slices.Contains(s.open[1], d) && !slices.Contains(s.open[2], d) && !slices.Contains(s.open[4], d) {
			t.Fatalf("%v is not asked of another peer", d)
		}
	}
	expect(t, "and the lost one is asked for nothing more", []int{s.asked[3]}, len(lost))
}

// TestEveryPeerIsAskedInTheEnd: a batch that but one peer has, whichever it is, comes within one round.
func TestEveryPeerIsAskedInTheEnd(t *testing.T) {
	s := newHungry(t)
	for s.pass(1); s.Stats().Missing > 0; s.pass(3) {
		s.answer(1)
		s.answer(2)
		s.answer(4)
	}
	s.Executed(s.height)
	s.commit(s.roster.lane(2, laneOne, 1, "y")...)
	s.Loaded(s.Ready().Load, nil)
	began := s.now
	var order []qc.NodeID
	for len(order) < 4 {
		s.now++
		for _, f := range s.at(s.now).Fetch {
			order = append(order, f.To)
		}
		expectTrue(t, "a round lasts for four waits", s.now < began+4*60)
	}
	slices.Sort(order)
	expect(t, "each once", order, 1, 2, 3, 4)
}
