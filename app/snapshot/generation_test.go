package snapshot_test

import (
	"slices"
	"testing"

	"github.com/hotstuffd/hotstuffd/app/snapshot"
	"pgregory.net/rapid"
)

// A node is frozen exactly while a mark is unreleased that was set after it was made, in whatever order marks are released;
// and the executor learns of a release when it settles, not in the middle of a write.
func TestMarksDecideWhatIsFrozen(t *testing.T) {
	type marked struct {
		*snapshot.Mark
		at int // how many nodes there were
	}
	rapid.Check(t, func(rt *rapid.T) {
		var g snapshot.Generations
		var nodes []uint64
		var marks []marked
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			switch rapid.IntRange(0, 3).Draw(rt, "step") {
			case 0:
				nodes = append(nodes, g.Now())
			case 1:
				marks = append(marks, marked{g.Freeze(), len(nodes)})
				if len(nodes) > 0 && !g.Frozen(nodes[len(nodes)-1]) {
					rt.Fatal("what was just frozen is not")
				}
			default:
				if len(marks) == 0 {
					continue
				}
				i := rapid.IntRange(0, len(marks)-1).Draw(rt, "which")
				before := g.AnyFrozen()
				marks[i].Release()
				if g.AnyFrozen() != before {
					rt.Fatal("a release is seen before Settle")
				}
				marks = slices.Delete(marks, i, i+1)
			}
			g.Settle()
			if g.AnyFrozen() != (len(marks) > 0) {
				rt.Fatalf("%d marks, and frozen: %v", len(marks), g.AnyFrozen())
			}
			for n, born := range nodes {
				want := slices.ContainsFunc(marks, func(m marked) bool { return n < m.at })
				if g.Frozen(born) != want {
					rt.Fatalf("node %d: frozen is %v", n, !want)
				}
			}
		}
	})
}
