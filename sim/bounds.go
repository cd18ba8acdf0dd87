package sim

import "github.com/hotstuffd/hotstuffd/hotstuff"

// Bounds of what a correct replica may keep. They are generous: what grows without bound passes any.
const (
	treeMax    = 2000
	batchesMax = 5000
)

// bounds checks that nothing grows without bound.
func (c *checker) bounds(l *life, core *hotstuff.Core) {
	if n := core.Tree().Len(); n > treeMax {
		c.w.fail("bounds", "%v holds %d blocks in its tree", l.r.id, n)
	}
	if s := l.driver.Pool().Stats(); s.Batches > batchesMax {
		c.w.fail("bounds", "%v holds %d batches", l.r.id, s.Batches)
	}
}
