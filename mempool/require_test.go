package mempool_test

import (
	"fmt"
	"testing"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
)

// TestAvailableMeansHeldAndSynced: the answer comes when the last batch is synced, not when it arrives (S17).
func TestAvailableMeansHeldAndSynced(t *testing.T) {
	s := newSolo(t, 4, nil)
	lane := s.lane(1, laneOne, 2, "x")
	b := s.block(1, lane...)
	s.hold(lane[0])
	s.Require(b, s.tip)
	s.Receive(1, s.verified(t, lane[1]))
	twin := s.block(3, lane...)
	s.Require(twin, s.tip)
	r := s.Ready()
	expectTrue(t, "held is not enough", len(r.Available) == 0 && len(r.Persist) == 1 && s.Stats().Missing == 0)
	s.Persisted(r.Persist)
	expect(t, "synced is", s.Ready().Available, b.ID(), twin.ID())
	s.Require(b, s.tip)
	expect(t, "asked again, answered again", s.Ready().Available, b.ID())
	empty := s.block(2)
	s.Require(empty, s.tip)
	expect(t, "an empty block is available at once", s.Ready().Available, empty.ID())
	s.commitUpTo(1)
	s.Require(b, s.tip)
	expectTrue(t, "a block at the committed height has no answer", len(s.Ready().Available) == 0)
}

// TestPayloadThatLies: every field of a reference is checked against the batch, whether the batch came before the block or after it; and so are the link
// to its predecessor and the genesis limits.
func TestPayloadThatLies(t *testing.T) {
	other := newRoster(t, 4).lane(1, laneOne, 2, "y") // of the same size
	for name, spoil := range map[string]func(b *blocktree.Block){
		"bytes":           func(b *blocktree.Block) { b.Payload[1].Bytes++ },
		"expiry":          func(b *blocktree.Block) { b.Payload[1].Expiry++ },
		"origin":          func(b *blocktree.Block) { b.Payload[0].Origin, b.Payload[1].Origin = 2, 2 },
		"incarnation":     func(b *blocktree.Block) { b.Payload[0].Incarnation.Starts, b.Payload[1].Incarnation.Starts = 9, 9 },
		"sequence number": func(b *blocktree.Block) { b.Payload[1].Digest = b.Payload[0].Digest },
		"predecessor":     func(b *blocktree.Block) { b.Payload[0].Digest = other[0].Digest() },
	} {
		for _, batchFirst := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/batch first %v", name, batchFirst), func(t *testing.T) {
				s := newSolo(t, 4, nil)
				lane := s.lane(1, laneOne, 2, "x")
				b := s.block(1, lane...)
				spoil(b)
				if batchFirst {
					s.hold(lane[0], lane[1], other[0])
				}
				s.Require(b, s.tip)
				if !batchFirst {
					s.hold(lane[0], lane[1], other[0])
				}
				r := s.Ready()
				expectTrue(t, "never available", len(r.Available) == 0)
				expectTrue(t, "nothing is pinned", s.Stats().Required == 0)
				s.Require(b, s.tip)
				expect(t, "invalid", s.Ready().Invalid, b.ID())
			})
		}
	}
	for name, spoil := range map[string]func(b *blocktree.Block){
		"a gap":           func(b *blocktree.Block) { b.Payload = b.Payload[1:] },
		"a batch's limit": func(b *blocktree.Block) { b.Payload[0].Bytes = 1001 },
		"a block's limit": func(b *blocktree.Block) {
			b.Payload = nil
			for i := range 5 {
				b.Payload = append(b.Payload, blocktree.BatchRef{Origin: 1, Incarnation: laneOne, Seq: uint64(i),
					Digest: blocktree.Digest{byte(i), 1}, Bytes: 1000, Expiry: 50})
			}
		},
		"too many": func(b *blocktree.Block) {
			b.Payload = nil
			for i := range 11 {
				b.Payload = append(b.Payload, blocktree.BatchRef{Origin: 1, Incarnation: laneOne, Seq: uint64(i),
					Digest: blocktree.Digest{byte(i), 1}, Bytes: 1, Expiry: 50})
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSolo(t, 4, nil)
			b := s.block(1, s.lane(1, laneOne, 2, "x")...)
			spoil(b)
			s.Require(b, s.tip)
			expect(t, "invalid at once", s.Ready().Invalid, b.ID())
			expectTrue(t, "and nothing is looked for", s.Stats().Missing == 0 && s.Stats().Batches == 0)
		})
	}
}

// TestOneLiarDoesNotSpoilTheOther: two blocks name one missing batch, one of them with a false size.
func TestOneLiarDoesNotSpoilTheOther(t *testing.T) {
	s := newSolo(t, 4, nil)
	lane := s.lane(1, laneOne, 1, "x")
	honest, liar := s.block(1, lane...), s.block(2, lane...)
	liar.Payload[0].Bytes++
	s.Require(liar, s.tip)
	s.Require(honest, s.tip)
	s.Receive(1, s.verified(t, lane[0]))
	r := s.sync()
	expect(t, "invalid", r.Invalid, liar.ID())
	expect(t, "available", r.Available, honest.ID())
}

// TestFetchRotation: after the grace the proposer is asked, then who said to hold the batch, then the rest, then all again.
func TestFetchRotation(t *testing.T) {
	s := newSolo(t, 5, nil)
	lane := s.lane(1, laneOne, 1, "x")
	marks := make(blocktree.Lanes, 5)
	marks[1] = blocktree.Cursor{Incarnation: laneOne, Seq: 1, Last: lane[0].Digest()}
	s.PeerHeld(3, marks)
	s.Tick(100)
	b := s.block(2, lane...)
	s.Require(b, s.tip)
	s.Flush()
	expectTrue(t, "nothing is asked within the grace", len(s.Ready().Fetch) == 0)
	var asked []qc.NodeID
	for range 6 {
		due, ok := s.Deadline()
		expectTrue(t, "there is a deadline", ok)
		expectTrue(t, "nothing happens before it", len(s.at(due-1).Fetch) == 0)
		r := s.at(due)
		expectTrue(t, "one peer at a time", len(r.Fetch) == 1)
		expect(t, "is asked for the batch", r.Fetch[0].Request.Digests, lane[0].Digest())
		asked = append(asked, r.Fetch[0].To)
	}
	expect(t, "order", asked, 2, 3, 1, 4, 2, 3)
	due, _ := s.Deadline()
	expectTrue(t, "the grace, then the retries", due == 100+5+6*20)
	s.Receive(1, s.verified(t, lane[0]))
	expect(t, "available", s.sync().Available, b.ID())
	_, ok := s.Deadline()
	expectTrue(t, "nothing is asked any more", !ok && s.Stats().Missing == 0)
}

// TestRequestsAreBounded: digests for one peer travel together, up to the bound of a message; a cancelled block asks for nothing.
func TestRequestsAreBounded(t *testing.T) {
	s := newSolo(t, 4, func(c *mempool.Config) { c.BlockBatchesMax = 1000 })
	b := s.block(2, s.lane(1, laneOne, 150, "x")...)
	cancelled := s.block(3, s.lane(2, laneOne, 10, "y")...)
	s.Require(b, s.tip)
	s.Require(cancelled, s.tip)
	s.Cancel(cancelled.ID())
	var sizes []int
	for _, f := range s.at(5).Fetch {
		expectTrue(t, "to the proposer", f.To == 2)
		sizes = append(sizes, len(f.Request.Digests))
	}
	expect(t, "digests in each request", sizes, mempool.RequestDigestsMax, mempool.RequestDigestsMax, 150-2*mempool.RequestDigestsMax)
}

// TestRequirementsAreBounded: a flood of proposals pins so many payloads and no more; the lowest views are let go.
func TestRequirementsAreBounded(t *testing.T) {
	s := newSolo(t, 4, nil)
	var blocks []*blocktree.Block
	for i := range 100 {
		b := s.block(2, s.lane(1, laneOne, 1, fmt.Sprint("x", i))...)
		blocks = append(blocks, b)
	}
	for _, b := range blocks[1:] {
		s.Require(b, s.tip)
	}
	s.Require(blocks[0], s.tip)
	expectTrue(t, "32 are pinned", s.Stats().Required == 32 && s.Stats().Batches == 32)
	for _, tag := range []string{"x0", "x67", "x68", "x99"} {
		s.Receive(1, s.verified(t, s.lane(1, laneOne, 1, tag)[0]))
	}
	expect(t, "the newest", s.sync().Available, blocks[68].ID(), blocks[99].ID())
	s.commitUpTo(1)
	expectTrue(t, "all are forgotten at their height", s.Stats().Required == 0 && s.Stats().Missing == 0)
}

// TestGuessedDigest: a block names our next batch before we made it. That must not disturb the lane.
func TestGuessedDigest(t *testing.T) {
	s := newSolo(t, 4, nil)
	own := s.lane(0, laneOne, 1, "a")[0]
	b, liar := s.block(1, own), s.block(2, own)
	liar.Payload[0].Expiry--
	s.Require(b, s.tip)
	s.Require(liar, s.tip)
	s.submit("a-0")
	r := s.at(0)
	expectTrue(t, "it is the same batch", len(r.Broadcast) == 1 && r.Broadcast[0].Digest() == own.Digest())
	expect(t, "available", r.Available, b.ID())
	expect(t, "invalid", r.Invalid, liar.ID())
	s.commit(own)
	expect(t, "owner", s.sync().Execute[0].Spans[0], mempool.Span{Owner: "a-0", Count: 1})
}
