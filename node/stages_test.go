package node

import (
	"math"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hotstuffd/hotstuffd/app"
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
)

// observed returns how many observations each stage has, and their sum in seconds.
func observed(t *testing.T, s *stages) (counts map[string]int, sums map[string]float64) {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(s.histograms)
	families, err := registry.Gather()
	if err != nil || len(families) != 1 {
		t.Fatalf("%d metrics, %v", len(families), err)
	}
	counts, sums = map[string]int{}, map[string]float64{}
	for _, m := range families[0].GetMetric() {
		stage, h := m.GetLabel()[0].GetValue(), m.GetHistogram()
		counts[stage], sums[stage] = int(h.GetSampleCount()), h.GetSampleSum()
	}
	return counts, sums
}

// stageTest is the way of own batches through the stages, without the rest of a node.
type stageTest struct {
	*stages
	t *testing.T
}

func newStageTest(t *testing.T) stageTest {
	return stageTest{newStages(2, time.Now().Add(-time.Second)), t}
}

func (s stageTest) batch(seq uint64) *mempool.Batch {
	return &mempool.Batch{Origin: 2, Incarnation: blocktree.Incarnation{Starts: 1}, Seq: seq, Count: 1, Blob: mempool.AppendCommand(nil, []byte("x"))}
}

func (s stageTest) naming(batches ...*mempool.Batch) *blocktree.Block {
	b := &blocktree.Block{View: 7, Height: 3}
	for _, x := range batches {
		b.Payload = append(b.Payload, x.Ref())
	}
	return b
}

// The stages of a request follow each other without a gap, so what they sum up to is its whole time.
func TestStagesAddUp(t *testing.T) {
	s := newStageTest(t)
	first, second := s.batch(0), s.batch(1)
	foreign := s.batch(0)
	foreign.Origin = 1
	requests := []*app.Request{{}, {}, {}}
	for _, r := range requests {
		s.taken(r)
	}
	s.closed([]*mempool.Batch{first, foreign})
	s.broadcast(first)
	s.verified(s.naming(first, foreign), time.Now())
	s.closed([]*mempool.Batch{second})
	s.broadcast(second)
	s.sent(second)                                                  // again, to one that was away
	s.broadcast(&hotstuff.Proposal{Block: s.naming(first, second)}) // first was seen before
	s.committed(s.naming(first, second))
	s.executed(first, requests[0])
	s.executed(first, requests[1])
	s.executed(second, requests[2])
	counts, sums := observed(t, s.stages)
	for stage, want := range map[string]int{"batching": 3, "proposal": 3, "commit": 3, "apply": 3, "total": 3, "push": 2, "qc_check": 1,
		"vote": 0, "sum": 0, "sync": 0, "payload_sync": 0, "reply": 0} {
		if got, ok := counts[stage]; !ok || got != want {
			t.Errorf("%s was observed %d times, want %d", stage, got, want)
		}
		if sums[stage] < 0 {
			t.Errorf("%s took %v seconds", stage, sums[stage])
		}
	}
	if parts := sums["batching"] + sums["proposal"] + sums["commit"] + sums["apply"]; math.Abs(parts-sums["total"]) > 1e-9 {
		t.Errorf("the stages sum up to %v seconds, total is %v", parts, sums["total"])
	}
}

// A batch that was seen in no proposal was seen when it was committed. Of one whose moments are forgotten, and of a request
// that nobody took in, nothing is made up.
func TestStagesOfWhatWasNotSeen(t *testing.T) {
	s := newStageTest(t)
	var r app.Request
	s.taken(&r)
	fetched, forgotten := s.batch(0), s.batch(1)
	s.closed([]*mempool.Batch{fetched, forgotten, s.batch(1 + ownMoments)})
	s.committed(s.naming(fetched, forgotten))
	s.executed(fetched, &r)
	s.executed(forgotten, &r)
	s.executed(fetched, &app.Request{})
	counts, sums := observed(t, s.stages)
	if counts["commit"] != 1 || sums["commit"] != 0 || counts["total"] != 2 {
		t.Errorf("observed %v, %v: want one commit at once, and two totals", counts, sums)
	}
}

// A vote is measured from the check of its proposal, once, and only if it is for that block.
func TestStageOfVotes(t *testing.T) {
	s := newStageTest(t)
	b := s.naming()
	s.verified(b, time.Now())
	vote := &hotstuff.VoteMessage{Vote: qc.Vote{View: b.View, Block: b.ID()}}
	s.sent(&hotstuff.VoteMessage{Vote: qc.Vote{View: b.View, Block: qc.BlockID{1}}})
	s.sent(&hotstuff.VoteMessage{Vote: qc.Vote{View: b.View + proposalMoments, Block: b.ID()}})
	if counts, _ := observed(t, s.stages); counts["vote"] != 0 {
		t.Error("a vote for another block is measured")
	}
	s.sent(vote)
	s.broadcast(vote)
	if counts, _ := observed(t, s.stages); counts["vote"] != 1 {
		t.Errorf("the vote was observed %d times, want once", counts["vote"])
	}
}

// What is measured of each request, batch and view costs no memory.
func TestStagesAllocateNothing(t *testing.T) {
	s := newStageTest(t)
	batch := s.batch(0)
	block := s.naming(batch)
	block.ID()
	batches, r := []*mempool.Batch{batch}, &app.Request{}
	var message, vote any = batch, &hotstuff.VoteMessage{Vote: qc.Vote{View: block.View, Block: block.ID()}}
	if allocs := testing.AllocsPerRun(100, func() {
		s.taken(r)
		s.closed(batches)
		s.broadcast(message)
		s.verified(block, s.start)
		s.sent(vote)
		s.committed(block)
		s.executed(batch, r)
	}); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// BenchmarkStages measures one command in one batch in one block: the dearest case.
func BenchmarkStages(b *testing.B) {
	s := stageTest{stages: newStages(2, time.Now())}
	batch := s.batch(0)
	block := s.naming(batch)
	block.ID()
	batches, r := []*mempool.Batch{batch}, &app.Request{}
	var vote any = &hotstuff.VoteMessage{Vote: qc.Vote{View: block.View, Block: block.ID()}}
	b.ReportAllocs()
	for b.Loop() {
		s.taken(r)
		s.closed(batches)
		s.pushed(batch)
		s.verified(block, s.start)
		s.sent(vote)
		s.committed(block)
		s.executed(batch, r)
	}
}
