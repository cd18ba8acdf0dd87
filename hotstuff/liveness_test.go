package hotstuff_test

import (
	"fmt"
	"testing"

	"github.com/hotstuffd/hotstuffd/qc"
)

// TestEveryRotationCommits with the largest number of dead replicas that is tolerated, however they are spread (L1): within
// any two rotations a submitted batch is committed by all who live.
func TestEveryRotationCommits(t *testing.T) {
	for _, n := range []int{1, 4, 7, 10, 16, 31} {
		f := (n - 1) / 3
		for name, dead := range map[string]func(i int) int{
			"in a row":    func(i int) int { return 1 + i },
			"every third": func(i int) int { return 3*i + 1 },
		} {
			t.Run(fmt.Sprintf("n%d/%s", n, name), func(t *testing.T) {
				c := newCluster(t, defaults(n))
				alive := c.nodes[0]
				down := map[qc.NodeID]bool{}
				for i := range f {
					down[qc.NodeID(dead(i))] = true
				}
				for _, r := range c.nodes {
					if !down[r.id] {
						c.start(r)
					}
				}
				for batch := range 3 {
					from := alive.core.View()
					c.submit(0, fmt.Sprint(batch))
					for alive.core.Tree().Committed().Lanes[0].Seq <= uint64(batch) {
						c.quiet()
						c.run(1000, true)
						if v := alive.core.View(); v > from+qc.View(2*n) {
							t.Fatalf("batch %d is not committed %d views later\n%s", batch, v-from, c.show())
						}
					}
				}
			})
		}
	}
}
