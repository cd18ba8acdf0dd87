package sim

import (
	"errors"
	"io"
	"iter"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/node"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/store"
)

// errDiskUnreadable is a read that fails. A node must stop over it: taken for "there is nothing", it would have a
// replica vote without what it promised to hold, or start from less than it has signed.
var errDiskUnreadable = errors.New("the simulated device cannot be read")

// diskFault tells whether an error is for the disk to answer for: then a correct node stops, and starts again.
func diskFault(err error) bool {
	return errors.Is(err, errDiskFull) || errors.Is(err, errDiskUnreadable)
}

// reader is a disk as a replica sees it in one of its lives: it may be unreadable for a while. The checks look past
// it.
type reader struct {
	disk node.Stored
	l    *life
}

var _ node.Stored = reader{}

// err is what a read comes to; after one that fails a correct node must not go on.
func (d reader) err() error {
	l, r := d.l, d.l.r
	if !r.unreadable {
		return nil
	}
	if !l.readFailed {
		l.readFailed = true
		r.w.after(1, func() {
			if r.correct() && r.life == l {
				r.w.fail("disk", "%v goes on after a read has failed", r.id)
			}
		})
	}
	return errDiskUnreadable
}

// Recover implements node.Stored.
func (d reader) Recover() (store.Recovered, error) {
	if err := d.err(); err != nil {
		return store.Recovered{}, err
	}
	return d.disk.Recover()
}

// CommittedID implements node.Stored.
func (d reader) CommittedID(h qc.Height) (qc.BlockID, bool, error) {
	if err := d.err(); err != nil {
		return qc.BlockID{}, false, err
	}
	return d.disk.CommittedID(h)
}

// Block implements node.Stored.
func (d reader) Block(id qc.BlockID) (*blocktree.Block, error) {
	if err := d.err(); err != nil {
		return nil, err
	}
	return d.disk.Block(id)
}

// BlocksAbove implements node.Stored.
func (d reader) BlocksAbove(h qc.Height) ([]*blocktree.Block, error) {
	if err := d.err(); err != nil {
		return nil, err
	}
	return d.disk.BlocksAbove(h)
}

// HasBatch implements node.Stored.
func (d reader) HasBatch(digest blocktree.Digest) (bool, error) {
	if err := d.err(); err != nil {
		return false, err
	}
	return d.disk.HasBatch(digest)
}

// Batch implements node.Stored.
func (d reader) Batch(digest blocktree.Digest) (*mempool.Batch, error) {
	if err := d.err(); err != nil {
		return nil, err
	}
	return d.disk.Batch(digest)
}

// BatchesFrom implements node.Stored.
func (d reader) BatchesFrom(origin qc.NodeID, from blocktree.Cursor) iter.Seq2[*mempool.Batch, error] {
	if err := d.err(); err != nil {
		return func(yield func(*mempool.Batch, error) bool) { yield(nil, err) }
	}
	return d.disk.BatchesFrom(origin, from)
}

// Snapshots implements node.Stored. The list was read when the store was opened.
func (d reader) Snapshots() []store.SnapshotMeta { return d.disk.Snapshots() }

// Floor implements node.Stored.
func (d reader) Floor() qc.Height { return d.disk.Floor() }

// SnapshotChunk implements node.Stored.
func (d reader) SnapshotChunk(buf []byte, h qc.Height, index int) ([]byte, error) {
	if d.l.r.unreadable {
		return nil, errDiskUnreadable // a peer's request: nobody relies on the answer
	}
	return d.disk.SnapshotChunk(buf, h, index)
}

// OpenSnapshot implements node.Stored.
func (d reader) OpenSnapshot(h qc.Height) (io.ReadCloser, error) {
	if err := d.err(); err != nil {
		return nil, err
	}
	return d.disk.OpenSnapshot(h)
}

// cannotRead stops a node whose disk cannot be read, as package node does, unless it has no power to do so.
func (l *life) cannotRead(err error) {
	switch {
	case l.over:
	case errors.Is(err, ErrPowerCut):
		l.r.crash()
	default:
		l.halt(err)
	}
}
