package mempool_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
)

// TestPartialBatchNeverWaitsForAFullOne: a lone command goes at once; while a batch is under way the next one gathers for the delay, or until it is full (L9).
func TestPartialBatchNeverWaitsForAFullOne(t *testing.T) {
	s := newSolo(t, 4, nil)
	s.Tick(7)
	s.submit("a")
	first := s.at(7).Broadcast
	expectTrue(t, "the first batch leaves in the turn of its request", len(first) == 1)

	s.submit("b")
	expectTrue(t, "the next one waits while the first is under way", len(s.at(8).Broadcast) == 0)
	due, ok := s.Deadline()
	expectTrue(t, "the deadline is the delay after its first request", ok && due == 7+10)
	s.submit("c")
	second := s.at(17).Broadcast
	expectTrue(t, "the delay closes it", len(second) == 1)
	expect(t, "it holds both", commands(second[0]), "b", "c")
	expectTrue(t, "it links to the first", second[0].Seq == 1 && second[0].Prev == first[0].Digest())

	s.submit("d")
	s.commit(first[0])
	s.commit(second[0])
	s.sync()
	expectTrue(t, "committed is still under way", len(s.at(18).Broadcast) == 0)
	s.Executed(2)
	expectTrue(t, "with nothing under way it goes at once", len(s.at(18).Broadcast) == 1)
	_, ok = s.Deadline()
	expectTrue(t, "then there is nothing to wait for", !ok)
}

// TestRequestsAreNeverSplit: a batch closes at its size, and one that would not fit goes whole into the next.
func TestRequestsAreNeverSplit(t *testing.T) {
	s := newSolo(t, 4, nil)
	long := string(make([]byte, 60))
	s.submit("a", long)
	s.submit("b", long)
	big := string(make([]byte, 900))
	s.submit("c", big)
	s.submit("d")
	var got []string
	for _, b := range s.at(0).Broadcast {
		got = append(got, "|")
		got = append(got, commands(b)...)
	}
	expect(t, "batches", got, "|", "a", long, "|", "b", long, "|", "c", big)
	expect(t, "the last one waits", commands(s.at(10).Broadcast[0]), "d")
}

// TestSpansTellWhoseCommandsTheyAre: owners come back with the index of their first command, once the block is executed, and only here.
func TestSpansTellWhoseCommandsTheyAre(t *testing.T) {
	s := newSolo(t, 4, nil)
	foreign := s.lane(1, blocktree.Incarnation{Starts: 1}, 1, "x")
	s.hold(foreign...)
	s.submit("a", "b")
	if err := s.Submit(nil, 0, "read", 30); err != nil {
		t.Fatal(err)
	}
	s.submit("c")
	own := s.at(0).Broadcast[0]
	s.commit(own, foreign[0])
	e := s.sync().Execute
	expectTrue(t, "one execution of two batches", len(e) == 1 && len(e[0].Batches) == 2 && e[0].Spans[1] == nil)
	expect(t, "spans", e[0].Spans[0], mempool.Span{Owner: "a", First: 0, Count: 2}, mempool.Span{Owner: "read", First: 2, Count: 0},
		mempool.Span{Owner: "c", First: 2, Count: 1})
}

// TestReadsAloneGetABatch: a request without commands has a position in the log like any other.
func TestReadsAloneGetABatch(t *testing.T) {
	s := newSolo(t, 4, nil)
	if err := s.Submit(nil, 0, "read", 30); err != nil {
		t.Fatal(err)
	}
	b := s.at(0).Broadcast[0]
	s.verified(t, b)
	expectTrue(t, "the batch is empty", b.Count == 0 && len(b.Blob) == 0)
	expectTrue(t, "and includable", s.Includable())
}

// TestBatchInFlightIsNeverDropped: neither a block that names it and is given up, nor a quota, takes an own batch away before it is committed; when it is
// executed nothing holds on to it.
func TestBatchInFlightIsNeverDropped(t *testing.T) {
	s := newSolo(t, 4, func(c *mempool.Config) { c.PeerBytes = 0 })
	s.submit("a")
	own := s.at(0).Broadcast[0]
	lost := s.block(1, own)
	s.Require(lost, s.tip)
	s.Cancel(lost.ID())
	expect(t, "it is still proposed", s.build(), "a")
	s.commit(own)
	s.sync()
	s.Executed(1)
	expectTrue(t, "and forgotten in the end", s.Stats().Batches == 0)
}

// TestAdmissionIsBounded: bytes under way pause admission, reads included, until execution frees them.
func TestAdmissionIsBounded(t *testing.T) {
	s := newSolo(t, 4, nil)
	if err := s.Submit(make([]byte, 1001), 1, "huge", 0); !errors.Is(err, mempool.ErrTooLarge) {
		t.Fatalf("a request above the genesis limit: %v", err)
	}
	var taken int
	for s.Admitting() {
		if err := s.Submit(nil, 0, "read", 0); err != nil {
			t.Fatal(err)
		}
		taken++
	}
	expectTrue(t, "reads cost room", taken == (4000+63)/64)
	if err := s.Submit(blob("a"), 1, "a", 0); !errors.Is(err, mempool.ErrPaused) {
		t.Fatalf("a request while paused: %v", err)
	}
	b := s.at(0).Broadcast[0]
	s.commit(b)
	s.sync()
	expectTrue(t, "still paused before execution", !s.Admitting())
	s.Executed(1)
	expectTrue(t, "and not after it", s.Admitting() && s.Stats().PendingBytes == 0 && s.Stats().Underway == 0)
}

// TestDeadBatchesAreAnsweredOnceTheNextLaneIsOpen: the committed height reaches the expiry of the lane's next batch, so it and all that link to it are
// dead, even those that expire later. Nothing is sent again; requests that were not in a batch yet go into the new lane.
func TestDeadBatchesAreAnsweredOnceTheNextLaneIsOpen(t *testing.T) {
	s := newSolo(t, 4, func(c *mempool.Config) { c.PeerBytes = 2 * 4200 })
	s.submit("a")
	a := s.at(0).Broadcast[0]
	expectTrue(t, "expiry is well below the largest distance", a.Expiry == 50)
	s.hold(s.sign(&mempool.Batch{Origin: 0, Incarnation: blocktree.Incarnation{Starts: 9}, Expiry: 50})) // expires with it
	s.commitUpTo(20)
	s.submit("b")
	b := s.at(10).Broadcast[0]
	expectTrue(t, "the second expires later", b.Expiry == 70)

	s.commitUpTo(49)
	expectTrue(t, "both can still be named", len(s.build()) == 2)
	s.submit("c")
	s.sync()
	s.commitUpTo(50)
	r := s.at(50)
	expectTrue(t, "a new lane is asked for", r.OpenLane == blocktree.Incarnation{Starts: 2})
	expectTrue(t, "nobody is answered before it is synced", len(r.Dead) == 0 && len(r.Broadcast) == 0)
	expectTrue(t, "the draft does not keep the driver awake", deadlineless(s))
	expectTrue(t, "the dead cannot be named", len(s.build()) == 0 && !s.Includable())
	expectTrue(t, "the expired one is forgotten, and its successor until it expires is not", s.Stats().Batches == 1)
	for starts := range uint64(2) {
		s.hold(s.sign(&mempool.Batch{Origin: 0, Incarnation: blocktree.Incarnation{Starts: 5 + starts}, Expiry: 90}))
	}
	expectTrue(t, "it counts towards the quota of its origin", s.Stats().Batches == 2 && s.Stats().Drops.Quota == 1)

	s.Opened(blocktree.Incarnation{Starts: 2})
	r = s.at(51)
	expect(t, "dead", r.Dead, any("a"), any("b"))
	expectTrue(t, "the draft opens the new lane", len(r.Broadcast) == 1 && r.Broadcast[0].Incarnation.Starts == 2 && r.Broadcast[0].Seq == 0)
	expect(t, "and holds what was never signed", commands(r.Broadcast[0]), "c")
	expect(t, "which is what can be proposed", s.build(), "c")
}

// TestClosedLaneGathersWhatItMaySignLater: while no lane is open, full batches wait unsigned, in order, and only a higher incarnation opens one.
func TestClosedLaneGathersWhatItMaySignLater(t *testing.T) {
	s := newSolo(t, 4, nil)
	s.Opened(blocktree.Incarnation{Starts: 9})
	s.submit("a")
	expectTrue(t, "an open lane is not replaced", s.at(0).Broadcast[0].Incarnation == laneOne)
	s.commitUpTo(50)
	s.sync()
	long := string(make([]byte, 60))
	for _, c := range []string{"b", "c", "d"} {
		s.submit(c, long)
	}
	s.Opened(laneOne)
	expectTrue(t, "the same incarnation opens nothing", len(s.at(1).Broadcast) == 0)
	s.commitUpTo(52)
	s.Opened(blocktree.Incarnation{Starts: 2})
	var got []string
	for _, b := range s.at(11).Broadcast {
		got = append(got, fmt.Sprint(b.Incarnation.Starts, "/", b.Seq, " ", commands(b)[0]))
	}
	expect(t, "batches", got, "2/0 b", "2/1 c", "2/2 d")
}

// TestAbandonReturnsEveryOwner: a replica that stops answers all that it took in, in the order of its lane.
func TestAbandonReturnsEveryOwner(t *testing.T) {
	s := newSolo(t, 4, nil)
	s.submit("executed")
	executed := s.at(0).Broadcast
	s.commit(executed...)
	s.sync()
	s.submit("committed")
	committed := s.at(10).Broadcast
	s.commit(committed...)
	s.sync()
	s.submit("behind a missing batch")
	behind := s.at(20).Broadcast
	s.commit(append(behind, s.lane(2, laneOne, 1, "missing")...)...)
	s.submit("in flight")
	s.at(30)
	s.submit("draft")
	expect(t, "the rest", s.Abandon(), any("behind a missing batch"), any("in flight"), any("draft"))

	s = newSolo(t, 4, nil)
	s.submit("dead")
	s.at(0)
	s.commitUpTo(50)
	s.submit("closed", string(make([]byte, 100)))
	s.submit("draft")
	expect(t, "while no lane is open", s.Abandon(), any("dead"), any("closed"), any("draft"))
}

func deadlineless(s *solo) bool {
	_, ok := s.Deadline()
	return !ok
}

// TestLaterLaneOfOursClosesTheLane: the chain shows a lane that this start never opened, so what is in flight can never be applied.
func TestLaterLaneOfOursClosesTheLane(t *testing.T) {
	s := newSolo(t, 4, nil)
	s.submit("a")
	s.at(0)
	s.commit(s.lane(0, blocktree.Incarnation{Starts: 7}, 1, "elsewhere")...)
	r := s.sync()
	expectTrue(t, "the incarnation asked for is above both", r.OpenLane == blocktree.Incarnation{Starts: 8})
	s.Opened(blocktree.Incarnation{Starts: 2})
	r = s.sync()
	expect(t, "dead", r.Dead, any("a"))
	expectTrue(t, "an incarnation that is used up is not enough", r.OpenLane == blocktree.Incarnation{Starts: 8})
	s.Opened(blocktree.Incarnation{Starts: 8})
	s.submit("b")
	expectTrue(t, "now the lane is open", s.at(1).Broadcast[0].Incarnation.Starts == 8)
}

// TestForeignBatchAtOurPosition: another batch under our key stands where ours should; ours and its successors are dead.
func TestForeignBatchAtOurPosition(t *testing.T) {
	s := newSolo(t, 4, nil)
	s.submit("a")
	s.at(0)
	s.commit(s.lane(0, blocktree.Incarnation{Starts: 1}, 1, "forged")...)
	expectTrue(t, "a new lane is asked for", s.sync().OpenLane == blocktree.Incarnation{Starts: 2})
	s.Opened(blocktree.Incarnation{Starts: 2})
	expect(t, "dead", s.sync().Dead, any("a"))
}

// TestStartOnAUsedIncarnation: the committed lanes are past what this start was given, so it must not sign anything before it has another.
func TestStartOnAUsedIncarnation(t *testing.T) {
	r := newRoster(t, 4)
	rec := startOf(4)
	rec.Height = 9
	rec.Lanes[0] = blocktree.Cursor{Incarnation: rec.Incarnation, Seq: 3, Last: blocktree.Digest{1}}
	s := &solo{t: t, roster: r, Pool: newPool(t, testConfig(r, 0), rec), tip: rec.Lanes, height: 9}
	s.submit("a")
	first := s.at(0)
	expectTrue(t, "nothing is signed", len(first.Broadcast) == 0 && first.OpenLane == blocktree.Incarnation{Starts: 2})
}

// TestSnapshotPassesPendingRequests: what a snapshot may or may not contain is answered as unknown, what it shows to be impossible is dead, and what lies
// after it lives on.
func TestSnapshotPassesPendingRequests(t *testing.T) {
	setup := func() (*solo, []*mempool.Batch) {
		s := newSolo(t, 4, nil)
		var own []*mempool.Batch
		for i, c := range []string{"a", "b", "c", "d"} {
			s.Tick(qc.Ticks(100 * i))
			s.submit(c)
			own = append(own, s.at(qc.Ticks(100*i+10)).Broadcast...)
		}
		missing := s.lane(1, blocktree.Incarnation{Starts: 1}, 1, "missing")
		s.commit(append(own[:1:1], missing...)...) // "a" is committed, but not executed: another batch is missing
		expectTrue(t, "nothing is executed yet", len(s.sync().Execute) == 0)
		return s, own
	}
	t.Run("within our lane", func(t *testing.T) {
		s, own := setup()
		lanes := make(blocktree.Lanes, 4)
		lanes[0] = blocktree.Cursor{Incarnation: own[2].Incarnation, Seq: 3, Last: own[2].Digest()}
		s.Restored(9, lanes)
		r := s.sync()
		expect(t, "unknown", r.Unknown, any("a"), any("b"), any("c"))
		s.tip, s.height = lanes, 9
		expect(t, "the rest goes on", s.build(), "d")
		expectTrue(t, "and the accounts hold it alone", s.Stats().Underway == 1 && s.Stats().BacklogBytes == 0)
	})
	t.Run("beyond our lane", func(t *testing.T) {
		s, _ := setup()
		lanes := make(blocktree.Lanes, 4)
		lanes[0] = blocktree.Cursor{Incarnation: blocktree.Incarnation{Starts: 5}, Seq: 1, Last: blocktree.Digest{1}}
		s.Restored(9, lanes)
		r := s.sync()
		expect(t, "unknown", r.Unknown, any("a"), any("b"), any("c"), any("d"))
		expectTrue(t, "a new lane is asked for", r.OpenLane == blocktree.Incarnation{Starts: 6})
	})
	t.Run("past the expiry", func(t *testing.T) {
		s, own := setup()
		lanes := make(blocktree.Lanes, 4)
		lanes[0] = blocktree.Cursor{Incarnation: own[0].Incarnation, Seq: 1, Last: own[0].Digest()}
		s.Restored(60, lanes)
		s.Opened(blocktree.Incarnation{Starts: 2})
		r := s.sync()
		expect(t, "unknown", r.Unknown, any("a"))
		expect(t, "dead", r.Dead, any("b"), any("c"), any("d"))
	})
}
