package hsnet_test

import (
	"testing"
	"time"

	hsnet "github.com/hotstuffd/hotstuffd/net"
)

// pair starts two replicas, the second of which takes only so many frames of each class before its handler blocks.
func pair(t testing.TB, c *cluster, space room) (a, b *replica) {
	a, b = c.start(0), c.startWith(c.config(1), space)
	a.awaitUp(1)
	b.awaitUp(1)
	return a, b
}

// A handler that blocks on bulk holds back bulk alone: with megabytes of it stuck, consensus and sync frames pass.
func TestBlockedBulkDelaysNothingElse(t *testing.T) {
	a, b := pair(t, newCluster(t, 2), room{hsnet.Consensus: 8, hsnet.Sync: 8})
	for a.Send(1, hsnet.Bulk, make([]byte, 1<<20)) {
		// until the queue is full, behind full windows and a blocked reader
	}
	began := time.Now()
	for i := range uint32(300) { // long enough for the bulk to fill its window
		a.Send(1, hsnet.Consensus, numberedFrame(i, 1000))
		a.Send(1, hsnet.Sync, numberedFrame(i, 20_000))
		if got := frameNumber(b.awaitFrame(hsnet.Consensus).frame); got != i {
			t.Fatalf("consensus frame %d came as %d", i, got)
		}
		if got := frameNumber(b.awaitFrame(hsnet.Sync).frame); got != i {
			t.Fatalf("sync frame %d came as %d", i, got)
		}
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("600 frames took %v beside stalled bulk", took)
	}
	if got := b.Stats().Received[hsnet.Bulk].Frames; got > 1 {
		t.Errorf("%d bulk frames passed a handler that is blocked on the first", got)
	}
}

// A full bulk queue refuses the newest frame: what arrives is the unbroken beginning of what was sent.
func TestFullBulkQueueRefusesTheNewest(t *testing.T) {
	c := newCluster(t, 2)
	a, b := pair(t, c, room{})
	sent := uint32(0)
	for a.Send(1, hsnet.Bulk, numberedFrame(sent, 1<<20)) {
		sent++
	}
	// Everything in between is bounded too: the queue, two stream windows at most, and a frame in hand at each end.
	if bound := uint32(32 + 2*4 + 2); sent > bound {
		t.Errorf("%d MiB were accepted behind a handler that takes nothing, wanted at most %d", sent, bound)
	}
	for i := range sent {
		if got := frameNumber(b.awaitFrame(hsnet.Bulk).frame); got != i {
			t.Fatalf("frame %d came in place of %d", got, i)
		}
	}
	if dropped := a.Stats().Dropped[hsnet.Bulk]; dropped[hsnet.DropFull] != 1 || dropped[hsnet.DropDisplaced] != 0 {
		t.Errorf("dropped bulk frames by reason: %v, wanted 1 refused", dropped)
	}
}

// A full consensus queue drops its oldest frames: the newest always arrives, and order is kept.
func TestFullConsensusQueueDropsTheOldest(t *testing.T) {
	c := newCluster(t, 2)
	a, b := pair(t, c, room{})
	sent := uint32(0)
	displaced := func() uint64 { return a.Stats().Dropped[hsnet.Consensus][hsnet.DropDisplaced] }
	for displaced() < 10 {
		if !a.Send(1, hsnet.Consensus, numberedFrame(sent, 1<<20)) {
			t.Fatalf("consensus frame %d was refused", sent)
		}
		sent++
	}
	missing, last := uint32(0), uint32(0)
	for last != sent-1 {
		got := frameNumber(b.awaitFrame(hsnet.Consensus).frame)
		if got < last {
			t.Fatalf("frame %d came after %d", got, last)
		}
		if got > last {
			missing += got - last - 1
		}
		last = got
	}
	if uint64(missing) != displaced() || b.Stats().Received[hsnet.Consensus].Frames != uint64(sent-missing) {
		t.Errorf("%d frames are missing of %d, %d were counted as displaced", missing, sent, displaced())
	}
}

// The queue is bounded in frames too, and what waits when the connection ends is counted as lost.
func TestQueueBoundInFramesAndLoss(t *testing.T) {
	c := newCluster(t, 2)
	c.limits[hsnet.Sync].QueueFrames = 5
	a, b := pair(t, c, room{})
	for a.Send(1, hsnet.Sync, make([]byte, 1<<20)) {
		// until five wait behind the full window
	}
	b.stop()
	await(t, a.down, "PeerDown")
	dropped := a.Stats().Dropped[hsnet.Sync]
	if dropped[hsnet.DropFull] != 1 || dropped[hsnet.DropLost] == 0 || dropped[hsnet.DropLost] > 5 {
		t.Errorf("dropped sync frames by reason: %v, wanted 1 refused and 1 to 5 lost", dropped)
	}
}
