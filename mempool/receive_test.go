package mempool_test

import (
	"math"
	"testing"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/mempool"
)

var laneOne = blocktree.Incarnation{Starts: 1}

// TestQuotaHoldsOnlyForWhatNoBlockNames: an origin's surplus is dropped, unless a block names it; when the block is given up, what is farthest goes.
func TestQuotaHoldsOnlyForWhatNoBlockNames(t *testing.T) {
	s := newSolo(t, 4, func(c *mempool.Config) { c.PeerBytes = 3 * 4200 })
	lane := s.lane(1, laneOne, 5, "x")
	s.hold(lane[:4]...)
	expectTrue(t, "the fourth is over the quota", s.Stats().Batches == 3 && s.Stats().Drops.Quota == 1)
	s.hold(s.lane(2, laneOne, 1, "y")...)
	expectTrue(t, "another origin has its own", s.Stats().Batches == 4)

	b := s.block(1, lane...)
	s.Require(b, s.tip)
	for _, x := range lane {
		s.Receive(1, s.verified(t, x))
	}
	expect(t, "named batches are kept", s.sync().Available, b.ID())
	expectTrue(t, "all five", s.Stats().Batches == 6)

	s.Cancel(b.ID())
	expectTrue(t, "without the block the quota holds again", s.Stats().Batches == 4)
	expectTrue(t, "the nearest are kept", s.Lookup(lane[2].Digest()) != nil && s.Lookup(lane[3].Digest()) == nil)
	expect(t, "and can be proposed", s.build(), "x-0", "x-1", "x-2", "y-0")

	s.commit(lane[:3]...)
	s.sync()
	s.Executed(1)
	s.commit()
	next := s.lane(1, blocktree.Incarnation{Starts: 2}, 5, "z")
	s.hold(next...)
	expectTrue(t, "what was executed makes room for as much, and no more", s.Lookup(next[2].Digest()) != nil && s.Lookup(next[3].Digest()) == nil)
}

// TestQuotaDropsTheLaterSibling: of two batches for one position that blocks named and gave up, the one that came first is kept.
func TestQuotaDropsTheLaterSibling(t *testing.T) {
	s := newSolo(t, 4, func(c *mempool.Config) { c.PeerBytes = 4200 })
	left, right := s.lane(1, laneOne, 1, "left"), s.lane(1, laneOne, 1, "right")
	onLeft, onRight := s.block(1, left...), s.block(2, right...)
	s.Require(onLeft, s.tip)
	s.Require(onRight, s.tip)
	s.hold(left[0], right[0])
	s.Cancel(onLeft.ID())
	s.Cancel(onRight.ID())
	expect(t, "kept", s.build(), "left-0")
	expectTrue(t, "dropped", s.Lookup(right[0].Digest()) == nil)
}

// TestStaleAndOversizedAreDropped: a batch that no block can name takes no memory.
func TestStaleAndOversizedAreDropped(t *testing.T) {
	s := newSolo(t, 4, nil)
	lane := s.lane(1, blocktree.Incarnation{Starts: 2}, 3, "x")
	s.hold(lane...)
	s.commit(lane[:2]...)
	s.sync()
	s.Executed(1)

	old := s.lane(1, laneOne, 1, "closed lane")[0]
	passed := s.sign(&mempool.Batch{Origin: 1, Incarnation: lane[0].Incarnation, Expiry: 50})
	expired := s.sign(&mempool.Batch{Origin: 2, Incarnation: laneOne, Expiry: 1})
	large := s.sign(&mempool.Batch{Origin: 2, Incarnation: laneOne, Expiry: 50, Count: 1, Blob: blob(string(make([]byte, 1000)))})
	before := s.Stats().Batches
	s.hold(old, passed, expired, large)
	expectTrue(t, "none is kept", s.Stats().Batches == before)
	expectTrue(t, "each is counted", s.Stats().Drops == mempool.Drops{Stale: 3, Oversized: 1})
	s.Receive(1, mempool.Verified{})
	expectTrue(t, "what was not verified is nothing", s.Stats().Batches == before)
}

// TestExpiredBatchesLeaveMemory: at its expiry a batch is garbage, but not while a block that may yet be certified names it.
func TestExpiredBatchesLeaveMemory(t *testing.T) {
	s := newSolo(t, 4, nil)
	lane := s.lane(1, laneOne, 2, "x")
	s.hold(lane...)
	s.commitUpTo(48)
	pin := s.block(1, lane[0])
	pin.Height = 50
	s.Require(pin, s.tip)
	s.sync()
	s.commitUpTo(49)
	expectTrue(t, "both are held below their expiry", s.Stats().Batches == 2)
	s.commitUpTo(50)
	expectTrue(t, "none at it", s.Stats().Batches == 0)
}

// TestForkedLane: an origin signs two batches for one position. Both are held, so a block on either gets its vote, but a third only takes memory if a
// block names it. A proposal follows the one that the branch follows.
func TestForkedLane(t *testing.T) {
	s := newSolo(t, 4, nil)
	left, right, third := s.lane(1, laneOne, 2, "left"), s.lane(1, laneOne, 2, "right"), s.lane(1, laneOne, 1, "third")
	s.hold(left[0], right[0], third[0], right[1], left[1])
	expectTrue(t, "the third sibling is dropped", s.Stats().Drops.Sibling == 1 && s.Stats().Batches == 4)
	expect(t, "one branch is proposed, whole", s.build(), "left-0", "left-1")

	onLeft, onRight, onThird := s.block(1, left[0]), s.block(2, right...), s.block(3, third...)
	for _, b := range []*blocktree.Block{onLeft, onRight, onThird} {
		s.Require(b, s.tip)
	}
	expect(t, "both forks are available", s.sync().Available, onLeft.ID(), onRight.ID())
	s.hold(third[0])
	expectTrue(t, "the third is kept once a block names it", s.Lookup(third[0].Digest()) != nil)

	s.commit(right[0])
	s.sync()
	expect(t, "the committed branch goes on", s.build(), "right-1")
	s.Executed(1)
	expectTrue(t, "the losers are gone", s.Lookup(left[0].Digest()) == nil && s.Lookup(third[0].Digest()) == nil)
}

// TestExtremePositions: sequence numbers and incarnations are foreign. The greatest neither break the order nor hold anything up.
func TestExtremePositions(t *testing.T) {
	s := newSolo(t, 4, nil)
	last := blocktree.Incarnation{Rejoin: math.MaxUint64, Starts: math.MaxUint64}
	far := s.sign(&mempool.Batch{Origin: 1, Incarnation: last, Seq: math.MaxUint64, Prev: blocktree.Digest{1}, Expiry: math.MaxUint64})
	farToo := s.sign(&mempool.Batch{Origin: 1, Incarnation: laneOne, Seq: math.MaxUint64, Prev: blocktree.Digest{1}, Expiry: 50})
	s.hold(far, farToo)
	expectTrue(t, "nothing can be named", !s.Includable() && len(s.build()) == 0)
	s.hold(s.lane(1, laneOne, 2, "x")...)
	expect(t, "a lane is found beside them", s.build(), "x-0", "x-1")
}

// TestManyUselessLanesCostLittle: lanes without a first batch cannot hide the present one, and only so many of them are looked through.
func TestManyUselessLanesCostLittle(t *testing.T) {
	s := newSolo(t, 4, func(c *mempool.Config) { c.PeerBytes = 1000 * 4200 })
	for i := range uint64(100) {
		s.hold(s.sign(&mempool.Batch{Origin: 1, Incarnation: blocktree.Incarnation{Starts: 10 + i}, Seq: 5, Prev: blocktree.Digest{1}, Expiry: 50}))
	}
	s.hold(s.lane(1, blocktree.Incarnation{Starts: 500}, 1, "behind")...)
	expectTrue(t, "a lane behind too many useless ones waits", !s.Includable())
	s.hold(s.lane(1, blocktree.Incarnation{Starts: 2}, 1, "before")...)
	expect(t, "one before them does not", s.build(), "before-0")
}

// TestExecutedBatchesLeave: batches stay in memory until they are executed, and no longer.
func TestExecutedBatchesLeave(t *testing.T) {
	s := newSolo(t, 4, nil)
	lane := s.lane(1, laneOne, 3, "x")
	s.hold(lane...)
	s.commit(lane...)
	s.sync()
	expectTrue(t, "all are held until execution", s.Stats().Batches == 3)
	s.Executed(1)
	expectTrue(t, "then none", s.Stats().Batches == 0)
}

// TestRecoveredBatchesAreUsable: a start proposes what was synced before it, and forgets what is behind it.
func TestRecoveredBatchesAreUsable(t *testing.T) {
	r := newRoster(t, 4)
	own, foreign := r.lane(0, laneOne, 3, "own"), r.lane(1, laneOne, 2, "x")
	rec := mempool.Recovered{Incarnation: blocktree.Incarnation{Starts: 2}, Height: 3, Lanes: make(blocktree.Lanes, 4)}
	rec.Lanes[0] = blocktree.Cursor{Incarnation: laneOne, Seq: 1, Last: own[0].Digest()}
	rec.Lanes[1] = blocktree.Cursor{Incarnation: laneOne, Seq: 1, Last: foreign[0].Digest()}
	rec.Held = append(append(rec.Held, own...), foreign...)
	s := &solo{t: t, roster: r, Pool: newPool(t, testConfig(r, 0), rec), tip: rec.Lanes, height: 3, view: 3}
	expectTrue(t, "the executed ones are not kept", s.Stats().Batches == 3)
	s.submit("new")
	s.at(0)
	expect(t, "the old lane comes before the new", s.build(), "own-1", "own-2", "new", "x-1")
	s.commit(own[1:]...)
	e := s.sync().Execute
	expectTrue(t, "whoever waited before the crash is gone", len(e) == 1 && e[0].Spans[0] == nil)
}

// TestConfigurationsThatCannotWork are refused with words.
func TestConfigurationsThatCannotWork(t *testing.T) {
	r := newRoster(t, 4)
	for name, spoil := range map[string]func(*mempool.Config){
		"a stranger":           func(c *mempool.Config) { c.Self = 4 },
		"no key":               func(c *mempool.Config) { c.Identity = nil },
		"batches over genesis": func(c *mempool.Config) { c.BatchBytes = 1001 },
		"empty batches":        func(c *mempool.Config) { c.BatchBytes = 0 },
		"blocks too small":     func(c *mempool.Config) { c.BlockBytesMax = 999 },
		"blocks of nothing":    func(c *mempool.Config) { c.BlockBatchesMax = 0 },
		"no time":              func(c *mempool.Config) { c.ExpiryDistanceMax = 1 },
		"no admission":         func(c *mempool.Config) { c.PendingBytes = 0 },
		"no backlog":           func(c *mempool.Config) { c.BacklogBytes = 0 },
		"endless retries":      func(c *mempool.Config) { c.FetchRetry = 0 },
	} {
		cfg := testConfig(r, 0)
		spoil(&cfg)
		if _, err := mempool.New(cfg, startOf(4)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := mempool.New(testConfig(r, 0), startOf(3)); err == nil {
		t.Errorf("lanes of another committee: accepted")
	}
}
