package mempool_test

import (
	"fmt"
	"testing"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
)

// TestOnlySyncedContiguousBatchesAreProposed: what is held but not synced, what lies behind a gap and what is expired is not includable.
func TestOnlySyncedContiguousBatchesAreProposed(t *testing.T) {
	s := newSolo(t, 4, nil)
	lane := s.lane(1, laneOne, 3, "x")
	s.Receive(1, s.verified(t, lane[0]))
	unsynced := s.Ready().Persist
	expectTrue(t, "held is not enough", !s.Includable() && len(s.build()) == 0)
	s.Persisted(unsynced)
	expectTrue(t, "synced is", s.Includable())
	s.hold(lane[2])
	expect(t, "up to the gap", s.build(), "x-0")
	s.hold(lane[1])
	expect(t, "all of it", s.build(), "x-0", "x-1", "x-2")

	after, err := s.tip.Extend([]blocktree.BatchRef{lane[0].Ref()}, 1, 100, nil)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "on another branch, from where it stands", s.names(s.Build(after, 2)), "x-1", "x-2")
	expectTrue(t, "nothing expired", len(s.Build(s.tip, 51)) == 0 && len(s.Build(s.tip, 50)) == 3)

	s.SetFrontier(after, 50, 60, 2)
	expectTrue(t, "expired on the frontier", !s.Includable())
}

// TestOrphanedBatchesAreProposedAgain: a block that named a batch lost; the next leader's branch stands before it, so it proposes it, in order (L10).
func TestOrphanedBatchesAreProposedAgain(t *testing.T) {
	s := newSolo(t, 4, nil)
	lane := s.lane(1, laneOne, 2, "x")
	s.hold(lane...)
	lost := s.block(2, lane...)
	s.Require(lost, s.tip)
	s.sync()
	s.commit() // the chain goes past it
	s.sync()
	expect(t, "again", s.build(), "x-0", "x-1")
}

// TestOriginsShareABlockEvenly: bytes are dealt to whoever has the least; what one does not need goes to the others; ties turn with the height.
func TestOriginsShareABlockEvenly(t *testing.T) {
	sized := func(s *solo, origin qc.NodeID, sizes ...int) {
		var prev blocktree.Digest
		for i, size := range sizes {
			b := s.sign(&mempool.Batch{Origin: origin, Incarnation: laneOne, Seq: uint64(i), Prev: prev, Expiry: 50, Count: 1,
				Blob: blob(string(make([]byte, size-2)))})
			prev = b.Digest()
			s.hold(b)
		}
	}
	took := func(refs []blocktree.BatchRef) []int {
		n := make([]int, 4)
		for _, r := range refs {
			n[r.Origin]++
		}
		return n
	}
	t.Run("by bytes", func(t *testing.T) {
		s := newSolo(t, 4, func(c *mempool.Config) { c.BlockBatchesMax = 100 })
		sized(s, 1, 500, 500, 500, 500, 500, 500, 500, 500)
		sized(s, 2, 250, 250, 250, 250, 250, 250, 250, 250, 250, 250)
		sized(s, 3, 500)
		expect(t, "batches of each", took(s.Build(s.tip, 1)), 0, 4, 6, 1)
		// 4000 bytes: 500 for the third, 1750 each for the others, of which the first can use 2000 and the second 1500 in whole batches
	})
	t.Run("by count", func(t *testing.T) {
		s := newSolo(t, 4, nil)
		sized(s, 1, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10)
		sized(s, 2, 400, 400, 400, 400, 400, 400)
		expect(t, "many small ones take no more places", took(s.Build(s.tip, 1)), 0, 5, 5, 0)
	})
	t.Run("one place", func(t *testing.T) {
		s := newSolo(t, 4, func(c *mempool.Config) { c.BlockBatchesMax = 1 })
		for origin := range qc.NodeID(4) {
			sized(s, origin, 10)
		}
		var winners []qc.NodeID
		for h := range qc.Height(4) {
			winners = append(winners, s.Build(s.tip, h+1)[0].Origin)
		}
		expect(t, "everybody's turn comes", winners, 3, 2, 1, 0)
	})
	t.Run("an old lane is not cut off by a new one", func(t *testing.T) {
		s := newSolo(t, 4, func(c *mempool.Config) { c.BlockBatchesMax = 2 })
		first := s.lane(1, laneOne, 3, "old")
		s.commit(first[0])
		s.hold(first[1:]...)
		s.hold(s.lane(1, blocktree.Incarnation{Starts: 2}, 1, "new")...)
		expect(t, "no room for the new lane", s.build(), "old-1", "old-2")
		s.commit(first[1])
		expect(t, "now there is", s.build(), "old-2", "new-0")
	})
}

// TestBacklogStopsPayloadNotViews: while execution is behind, payloads are empty and admission is paused, but views are timed as before (L13).
func TestBacklogStopsPayloadNotViews(t *testing.T) {
	s := newSolo(t, 4, func(c *mempool.Config) { c.BacklogBytes = 10 })
	lane := s.lane(1, laneOne, 4, "xxx")
	s.hold(lane...)
	s.commit(lane[0])
	expectTrue(t, "below the bound", s.Admitting() && len(s.build()) == 3)
	s.commit(lane[1])
	expectTrue(t, "at the bound", !s.Admitting() && len(s.build()) == 0 && s.Includable())
	s.Executed(2)
	expectTrue(t, "after execution", s.Admitting() && len(s.build()) == 2 && s.Stats().BacklogBytes == 0)
}

// TestHeldLimit: after a batch had to be fetched, its origin's batches are proposed only as far as a quorum holds the very same ones, for some views.
func TestHeldLimit(t *testing.T) {
	s := newSolo(t, 4, nil)
	lane, forged := s.lane(1, laneOne, 5, "x"), s.lane(1, laneOne, 5, "forged")
	missing := s.block(2, s.lane(1, laneOne, 1, "withheld")...)
	s.SetFrontier(s.tip, 0, 10, 2)
	s.Require(missing, s.tip)
	s.at(5) // asks for the withheld batch
	s.Cancel(missing.ID())
	s.hold(lane...)
	s.hold(s.lane(2, laneOne, 1, "y")...)

	mark := func(seq int, lane []*mempool.Batch) blocktree.Lanes {
		m := make(blocktree.Lanes, 4)
		m[1] = blocktree.Cursor{Incarnation: laneOne, Seq: uint64(seq), Last: lane[seq-1].Digest()}
		return m
	}
	expect(t, "no marks, nothing of this origin", s.build(), "y-0")
	s.PeerHeld(1, mark(4, lane))
	expect(t, "two hold the first: not a quorum", s.build(), "y-0")
	s.PeerHeld(2, mark(3, forged))
	expect(t, "another digest does not count", s.build(), "y-0")
	s.PeerHeld(3, mark(2, lane))
	expect(t, "three hold the first two", s.build(), "x-0", "x-1", "y-0")
	s.PeerHeld(3, mark(3, lane))
	expect(t, "and then a third", s.build(), "x-0", "x-1", "x-2", "y-0")
	ahead := s.lane(1, laneOne, 9, "x")
	s.PeerHeld(3, mark(9, ahead))
	expect(t, "a mark beyond what is held here leaves the one before it", s.build(), "x-0", "x-1", "x-2", "y-0")
	expectTrue(t, "views are timed as without the limit", s.Includable())
	s.PeerHeld(3, make(blocktree.Lanes, 3))
	s.PeerHeld(9, mark(1, lane))
	expect(t, "malformed marks are ignored", s.build(), "x-0", "x-1", "x-2", "y-0")

	s.SetFrontier(s.tip, 0, 15, 2)
	expectTrue(t, "still limited five views later", len(s.build()) == 4)
	s.SetFrontier(s.tip, 0, 16, 2)
	expectTrue(t, "and free after six", len(s.build()) == 6)
}

// TestHeldLimitIsNotForTheCommitted: catching up fetches much, and says nothing about an origin.
func TestHeldLimitIsNotForTheCommitted(t *testing.T) {
	s := newSolo(t, 4, nil)
	lane := s.lane(1, laneOne, 2, "x")
	s.commit(lane[0])
	s.Loaded(s.Ready().Load, nil)
	expectTrue(t, "it is fetched", len(s.at(0).Fetch) == 1)
	s.hold(lane[1])
	expect(t, "no limit", s.names(s.Build(s.tip, 2)), "x-1")
}

// TestMarksTellWhatIsHeld: own marks go from the frontier as far as batches are held and synced, into a later lane only when nothing is left before it.
func TestMarksTellWhatIsHeld(t *testing.T) {
	s := newSolo(t, 4, nil)
	old, later := s.lane(1, laneOne, 3, "old"), s.lane(1, blocktree.Incarnation{Starts: 2}, 2, "new")
	cursor := func(b *mempool.Batch) blocktree.Cursor {
		return blocktree.Cursor{Incarnation: b.Incarnation, Seq: b.Seq + 1, Last: b.Digest()}
	}
	s.commit(old[0])
	s.hold(old[2])
	expectTrue(t, "nothing after the frontier yet", s.Held()[1] == cursor(old[0]))
	s.hold(old[1])
	expectTrue(t, "the gap is closed", s.Held()[1] == cursor(old[2]))
	s.hold(later...)
	expectTrue(t, "the old lane is told first", s.Held()[1] == cursor(old[2]))
	frontier := make(blocktree.Lanes, 4)
	frontier[1] = cursor(old[2])
	s.SetFrontier(frontier, 2, 3, 1)
	expectTrue(t, "then the new one", s.Held()[1] == cursor(later[1]))
	expectTrue(t, "the frontier itself is not changed", frontier[1] == cursor(old[2]))
}

// TestPushToLeader: a leader that seems to lack includable batches is sent some, own ones first, within a budget.
func TestPushToLeader(t *testing.T) {
	s := newSolo(t, 4, func(c *mempool.Config) { c.BatchBytesMax = 2 * 4200; c.BlockBytesMax = 100_000 })
	s.hold(s.lane(1, laneOne, 3, "x")...)
	s.submit("own")
	s.at(0)
	s.SetFrontier(s.tip, 0, 1, 0)
	s.PushToLeader()
	expectTrue(t, "a leader does not push to itself", len(s.Ready().Push) == 0)
	s.SetFrontier(s.tip, 0, 2, 2)
	s.PushToLeader()
	var got []string
	for _, push := range s.Ready().Push {
		got = append(got, fmt.Sprintf("%v%v", push.To, commands(push.Batch)))
	}
	expect(t, "pushed", got, "n2[own]", "n2[x-0]", "n2[x-1]")
}

// TestReconnectedPeerGetsWhatIsInFlight: a push to a peer that is away is lost; when it is back it gets the batches that are not committed.
func TestReconnectedPeerGetsWhatIsInFlight(t *testing.T) {
	s := newSolo(t, 4, nil)
	s.submit("a")
	a := s.at(0).Broadcast[0]
	s.submit("b")
	b := s.at(10).Broadcast[0]
	s.commit(a)
	s.sync()
	s.SetPeer(3, true)
	expect(t, "pushed", s.Ready().Push, mempool.Push{To: 3, Batch: b})
}
