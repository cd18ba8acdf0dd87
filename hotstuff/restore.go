package hotstuff

import (
	"fmt"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/qc"
)

// Restored tells that the state after a block was taken over from a snapshot, checked against its certificate, and is
// durable. It is the first input of its turn after the Tick.
type Restored struct {
	Certificate *qc.CheckpointCertificate
	Block       *blocktree.Block   // of the certificate
	Lanes       blocktree.Lanes    // next(Block)
	Below       []*blocktree.Block // its ancestors in ascending order, as many as Leaders.Depth, or down to genesis
}

// onRestored goes on from a snapshot (PROTOCOL §9). If its block is not committed here, it becomes the root of the tree:
// a quorum has signed the state after it, so correct replicas have committed it, and no two blocks of one height commit.
//
// The safety state stays as it is: nothing that was signed is forgotten, no view is left, and neither lock nor high QC
// goes back. They may lie below the new root; then everything in the tree descends from a committed block of a
// view at or above the lock's, which is what a lock is for (safeNode), and there is nothing to propose on (tip) until a
// certificate of a later view comes.
func (c *Core) onRestored(in Restored) error {
	at := in.Certificate.Checkpoint
	if in.Block.ID() != at.Block || in.Block.Height != at.Height {
		return fmt.Errorf("hotstuff: snapshot of height %d restored under the certificate of height %d", in.Block.Height, at.Height)
	}
	c.checkpoints.skipTo(at.Height)
	if err := c.onCheckpointCertificate(in.Certificate); err != nil {
		return err
	}
	if in.Block.Height <= c.tree.Committed().Block.Height {
		return nil
	}
	above := c.tree.Above()
	tree, err := blocktree.New(in.Block, in.Lanes, in.Below, qc.Height(c.cfg.Leaders.Depth()), c.cfg.Limits.ExpiryDistanceMax)
	if err != nil {
		return err
	}
	c.tree, c.led, c.build, c.candidates, c.require = tree, led{}, nil, nil, nil
	c.persistRoot(in.Block, in.Below)
	c.commits = append(c.commits[:0], CommitRecord{Height: in.Block.Height, Block: in.Block.ID()})
	c.pace.Committed()
	c.dropFetches()
	return c.replant(above)
}

// persistRoot has the block of a snapshot put on disk, with those below it: whoever notes that it is committed must have it.
func (c *Core) persistRoot(root *blocktree.Block, below []*blocktree.Block) {
	for _, b := range append(append([]*blocktree.Block(nil), below...), root) {
		if b.Height > 0 {
			c.out.Persist = append(c.out.Persist, BlockRecord{Block: b})
		}
	}
}

// replant puts blocks back that were held above the root before it moved, as far as they descend from the new one. Their
// certificates may commit some of them at once.
func (c *Core) replant(above []*blocktree.Entry) error {
	root := c.tree.Committed().Block.Height
	for _, old := range above {
		if old.Block.Height <= root {
			continue
		}
		e, err := c.tree.Insert(old.Block)
		if err != nil {
			continue // of another branch, or below: it has lost
		}
		if err := c.onHeld(e); err != nil {
			return err
		}
	}
	return nil
}

func (Restored) input() {}
