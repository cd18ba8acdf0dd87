package hotstuff

import (
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/pacemaker"
	"github.com/hotstuffd/hotstuffd/qc"
)

// applyCertificate applies lock and commit for QC(b″), b″ being held (PROTOCOL §2; HotStuff, Algorithm 5, update).
func (c *Core) applyCertificate(b2 *blocktree.Entry, q *qc.QuorumCertificate) error {
	if b2.Block.View != q.View {
		return ErrAssumption // a quorum voted for a block under another view than its own (S3)
	}
	b1 := b2.Parent()
	if b1 == nil || b2.Block.Height <= c.tree.Committed().Block.Height {
		return nil
	}
	// Lock the head of the two-chain b′ ← b″.
	c.safety.raiseLock(b1.Block.View, b1.Block.ID())
	b0 := b1.Parent()
	if b0 == nil {
		return nil
	}
	// Commit over three consecutive views, not just three direct parents: otherwise two branches could both commit (S1).
	if b1.Block.View != b0.Block.View+1 || b2.Block.View != b1.Block.View+1 {
		return nil
	}
	path, err := c.tree.Commit(b0)
	if err != nil {
		return err
	}
	for _, e := range path {
		c.out.Commit = append(c.out.Commit, Committed{Block: e.Block, Lanes: e.Lanes})
		c.commits = append(c.commits, CommitRecord{Height: e.Block.Height, Block: e.Block.ID()})
	}
	if len(path) > 0 {
		c.pace.Committed()
		c.dropFetches()
	}
	return nil
}

// safeNode is the predicate of HotStuff, Algorithm 4: b extends the locked block, or its justify is higher than the lock,
// which shows that a quorum has moved on.
func (c *Core) safeNode(e *blocktree.Entry) bool {
	s := &c.safety.state
	if e.Block.Justify.View > s.LockView {
		return true
	}
	lock := c.tree.Get(s.LockBlock)
	if lock == nil {
		// The lock is at or above the committed block; if it is not held, only a higher justify can free us.
		return s.LockView <= c.tree.Committed().Block.View
	}
	return c.tree.Descends(e, lock)
}

// leader returns leader(v, parent) (PROTOCOL §4). Nearly always it is asked for the same view and tip as before, several
// times a step, and the answer never changes.
func (c *Core) leader(v qc.View, parent *blocktree.Entry) qc.NodeID {
	if l := &c.led; l.parent == nil || l.view != v || l.parent != parent {
		*l = led{view: v, parent: parent, leader: c.askLeader(v, parent)}
	}
	return c.led.leader
}

// led is the last answer of leader.
type led struct {
	view   qc.View
	parent *blocktree.Entry
	leader qc.NodeID
}

func (c *Core) askLeader(v qc.View, parent *blocktree.Entry) qc.NodeID {
	c.walk.from(parent)
	return c.cfg.Leaders.Leader(v, c.branch)
}

// walk goes down a branch for the leader function, which mostly asks for one block after the other.
type walk struct {
	tip, at *blocktree.Entry
	depth   int // of at below tip
}

func (w *walk) from(tip *blocktree.Entry) { w.tip, w.at, w.depth = tip, tip, 0 }

// link is a pacemaker.Branch.
func (w *walk) link(depth int) (pacemaker.Link, bool) {
	if depth < w.depth {
		w.from(w.tip)
	}
	for ; w.depth < depth && w.at != nil; w.depth++ {
		w.at = w.at.Parent()
	}
	if w.at == nil {
		return pacemaker.Link{}, false
	}
	b := w.at.Block
	return pacemaker.Link{View: b.View, Height: b.Height, Proposer: b.Proposer, Signers: b.Justify.Signers}, true
}
