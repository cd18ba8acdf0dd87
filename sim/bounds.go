package sim

import "github.com/hotstuffd/hotstuffd/hotstuff"

// Bounds of what a correct replica may keep. They are generous: what grows without bound passes any.
const (
	treeMax = 2000
	// namedMax is how many batches are held because a block names them, beside each origin's quota of others.
	namedMax = 5000
	// quotaStep is what a batch counts at the least against its origin's quota, bytes (mempool's itemOverhead).
	quotaStep = 4096
)

// bounds checks that nothing grows without bound.
func (c *checker) bounds(l *life, core *hotstuff.Core) {
	if n := core.Tree().Len(); n > treeMax {
		c.w.fail("bounds", "%v holds %d blocks in its tree", l.r.id, n)
	}
	if s := l.driver.Pool().Stats(); s.Batches > namedMax+c.w.cfg.Nodes*c.w.cfg.Mempool.PeerBytes/quotaStep {
		c.w.fail("bounds", "%v holds %d batches", l.r.id, s.Batches)
	}
}
