package mempool

import (
	"errors"
	"fmt"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/qc"
)

// Config is what a Pool is told once.
type Config struct {
	Self      qc.NodeID
	Committee *qc.Committee
	Identity  qc.Identity // signs own batches

	// Limits of the genesis document, the same on all replicas.
	BatchBytesMax     uint32    // blob of one batch, bytes
	BlockBatchesMax   uint32    // batches named by one block
	BlockBytesMax     uint64    // sum of the blobs named by one block, bytes
	ExpiryDistanceMax qc.Height // a batch's expiry is at most this far above the block that names it

	// Own commands.
	BatchBytes   int      // a batch is closed at this size, bytes
	BatchDelay   qc.Ticks // how long a batch may wait for more commands while others are under way
	PendingBytes int      // admission pauses at this many bytes of own requests under way

	// Batches of others.
	PeerBytes  int      // quota of one origin's batches that no block names, bytes
	FetchGrace qc.Ticks // how long a named batch may be late before it is asked for
	FetchRetry qc.Ticks // how long a peer has to answer before the next one is asked, beside what its answers are known to take
	FetchBytes int      // batches under way from one peer at most, but for one more and those that a vote waits for, bytes

	// Execution.
	BacklogBytes uint64 // payload and admission pause at this many bytes committed and not executed
	ResolveBytes uint64 // committed batches are loaded and fetched at most about this far ahead of execution, bytes, each with a few kilobytes on top

	// HeldLimitViews is for how many views, after a batch of an origin had to be fetched, Build names of that origin only what a quorum holds.
	HeldLimitViews qc.View
}

// check tells what is wrong with c, in words for whoever wrote the configuration.
func (c *Config) check() error {
	switch {
	case c.Committee == nil || !c.Committee.Has(c.Self):
		return fmt.Errorf("mempool: %v is not in the committee", c.Self)
	case c.Identity == nil:
		return errors.New("mempool: there is no identity key to sign batches with")
	case c.BatchBytes < 1 || uint64(c.BatchBytes) > uint64(c.BatchBytesMax):
		return fmt.Errorf("mempool: batch_bytes is %d, want 1 to the genesis limit %d", c.BatchBytes, c.BatchBytesMax)
	case c.BlockBatchesMax < 1 || c.BlockBytesMax < uint64(c.BatchBytesMax):
		return fmt.Errorf("mempool: a block of %d batches and %d bytes cannot name one batch of %d bytes",
			c.BlockBatchesMax, c.BlockBytesMax, c.BatchBytesMax)
	case c.ExpiryDistanceMax < 2:
		return fmt.Errorf("mempool: expiry distance %d leaves a batch no time, want at least 2", c.ExpiryDistanceMax)
	case c.PendingBytes < 1:
		return fmt.Errorf("mempool: pending_bytes is %d, want at least 1", c.PendingBytes)
	case c.BacklogBytes < 1:
		return fmt.Errorf("mempool: a backlog of 0 bytes would never admit anything")
	case c.FetchBytes < 1:
		return fmt.Errorf("mempool: fetch bytes of 0 would never ask for anything")
	case c.FetchRetry < 1:
		return fmt.Errorf("mempool: fetch retry of 0 ticks would ask without end")
	}
	return nil
}

// Recovered is where a Pool starts: the facts on disk.
type Recovered struct {
	// Incarnation of the lane that this start opens: raised above all earlier ones, and synced. Zero: no lane is open, and
	// nothing is admitted, until Opened.
	Incarnation blocktree.Incarnation
	// Height of the last executed block, and next() of it. Committed is then called for every later committed block, as if it were new.
	Height qc.Height
	Lanes  blocktree.Lanes
	// Held are the synced batches at or above Lanes. A missing one costs time only: it is loaded if committed, and fetched if required.
	Held []*Batch
}
