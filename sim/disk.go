package sim

import (
	"errors"
	"iter"
	"math"
	"slices"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/node"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/store"
)

// disk is what one replica has synced. It outlives the replica's crashes. Package store's own tests show that the real
// one keeps these promises under torn and lost writes; here its promises are what counts.
type disk struct {
	root      *blocktree.Block
	safety    hotstuff.SafetyState
	blocks    map[qc.BlockID]*blocktree.Block
	heights   [][]*blocktree.Block // by height, those of one height in the order of their IDs
	chain     []qc.BlockID         // committed, by height
	last      hotstuff.CommitRecord
	certified *qc.CheckpointCertificate
	batches   map[blocktree.Digest]*mempool.Batch
	lanes     [][]*mempool.Batch // by origin, in lane order

	// What was pruned is hidden from the replica and its peers, and not from the checks.
	floor     qc.Height
	passed    blocktree.Lanes // next() of the block at the floor
	snapshots []*snapshot     // ascending
	held      qc.Height       // of them, from here up
	partial   *snapshot       // that is being received; nil: there is none
}

var _ node.Stored = (*disk)(nil)

func newDisk(root *blocktree.Block, n int) *disk {
	return &disk{
		root: root, safety: hotstuff.SafetyState{Sequence: 1, Epoch: root.Epoch, LockBlock: root.ID(), HighQC: blocktree.GenesisQC(root, n)}, // as store.Init
		blocks: make(map[qc.BlockID]*blocktree.Block), heights: make([][]*blocktree.Block, 1), chain: []qc.BlockID{root.ID()},
		last:    hotstuff.CommitRecord{Block: root.ID(), Lanes: make(blocktree.Lanes, n)},
		batches: make(map[blocktree.Digest]*mempool.Batch), lanes: make([][]*mempool.Batch, n), held: math.MaxUint64,
	}
}

// errDiskFull is a write that fails.
var errDiskFull = errors.New("no space left on the simulated device")

// write makes records durable, all of them.
func (d *disk) write(records []hotstuff.Record) error {
	for _, r := range records {
		switch r := r.(type) {
		case hotstuff.BlockRecord:
			d.addBlock(r.Block)
		case hotstuff.CommitRecord:
			if int(r.Height) != len(d.chain) {
				if _, err := d.snapshot(r.Height); err != nil || int(r.Height) < len(d.chain) {
					return errors.New("a commit out of order is persisted")
				}
				d.chain = append(d.chain, make([]qc.BlockID, int(r.Height)-len(d.chain))...) // a snapshot has passed them
			}
			d.chain = append(d.chain, r.Block)
			d.last = r
		case hotstuff.CheckpointRecord:
			if d.certified != nil && r.Certificate.Checkpoint.Height <= d.certified.Checkpoint.Height {
				return errors.New("a checkpoint certificate goes back")
			}
			d.certified = r.Certificate
		case hotstuff.SafetyState:
			if r.Sequence != d.safety.Sequence+1 {
				return errors.New("a safety state out of order is persisted")
			}
			d.safety = r
		}
	}
	if d.last.Lanes == nil {
		return errors.New("the last commit of a write has no lanes")
	}
	return nil
}

func (d *disk) addBlock(b *blocktree.Block) {
	if d.blocks[b.ID()] != nil {
		return
	}
	d.blocks[b.ID()] = b
	for int(b.Height) >= len(d.heights) {
		d.heights = append(d.heights, nil)
	}
	at := &d.heights[b.Height]
	i, _ := slices.BinarySearchFunc(*at, b, func(x, y *blocktree.Block) int {
		a, b := x.ID(), y.ID()
		return slices.Compare(a[:], b[:])
	})
	*at = slices.Insert(*at, i, b)
}

func (d *disk) addBatch(b *mempool.Batch) {
	if d.batches[b.Digest()] != nil {
		return
	}
	d.batches[b.Digest()] = b
	lane := &d.lanes[b.Origin]
	i, _ := slices.BinarySearchFunc(*lane, b, func(x, y *mempool.Batch) int {
		if c := compareLane(x, y.Incarnation, y.Seq); c != 0 {
			return c
		}
		a, b := x.Digest(), y.Digest()
		return slices.Compare(a[:], b[:])
	})
	*lane = slices.Insert(*lane, i, b)
}

func compareLane(b *mempool.Batch, i blocktree.Incarnation, seq uint64) int {
	if c := b.Incarnation.Compare(i); c != 0 {
		return c
	}
	switch {
	case b.Seq < seq:
		return -1
	case b.Seq > seq:
		return +1
	}
	return 0
}

// Recover implements node.Stored.
func (d *disk) Recover() (store.Recovered, error) {
	return store.Recovered{Safety: d.safety, Commit: d.last, Certified: d.certified}, nil
}

// CommittedID implements node.Stored.
func (d *disk) CommittedID(h qc.Height) (id qc.BlockID, ok bool, err error) {
	if uint64(h) >= uint64(len(d.chain)) || h < d.floor || d.chain[h].IsZero() {
		return id, false, nil
	}
	return d.chain[h], true, nil
}

// Block implements node.Stored.
func (d *disk) Block(id qc.BlockID) (*blocktree.Block, error) {
	if id == d.root.ID() {
		return d.root, nil
	}
	if b := d.blocks[id]; b != nil && b.Height >= d.floor {
		return b, nil
	}
	return nil, store.ErrNotFound
}

// BlocksAbove implements node.Stored.
func (d *disk) BlocksAbove(h qc.Height) (blocks []*blocktree.Block, err error) {
	for i := int(max(h+1, d.floor)); i < len(d.heights); i++ {
		blocks = append(blocks, d.heights[i]...)
	}
	return blocks, nil
}

// HasBatch implements node.Stored.
func (d *disk) HasBatch(digest blocktree.Digest) (bool, error) {
	_, err := d.Batch(digest)
	return err == nil, nil
}

// Batch implements node.Stored.
func (d *disk) Batch(digest blocktree.Digest) (*mempool.Batch, error) {
	if b := d.batches[digest]; b != nil && !d.gone(b.Origin, b.Incarnation, b.Seq, b.Expiry) {
		return b, nil
	}
	return nil, store.ErrNotFound
}

// BatchesFrom implements node.Stored.
func (d *disk) BatchesFrom(origin qc.NodeID, from blocktree.Cursor) iter.Seq2[*mempool.Batch, error] {
	return func(yield func(*mempool.Batch, error) bool) {
		for _, b := range d.lanes[origin] {
			if compareLane(b, from.Incarnation, from.Seq) < 0 || d.gone(b.Origin, b.Incarnation, b.Seq, b.Expiry) {
				continue
			}
			if !yield(b, nil) {
				return
			}
		}
	}
}

// holds tells whether a block and all its batches are on disk.
func (d *disk) holds(b *blocktree.Block) bool {
	if d.blocks[b.ID()] == nil && b.ID() != d.root.ID() {
		return false
	}
	for i := range b.Payload {
		if d.batches[b.Payload[i].Digest] == nil {
			return false
		}
	}
	return true
}
