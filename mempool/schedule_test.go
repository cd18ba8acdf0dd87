package mempool_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestAnySchedule runs four pools through random schedules of requests, lost messages, forks, late commits, slow executors and crashes, then lets them come
// to rest, and shows what the lanes promise:
//
//   - everywhere the same commands in the same order, each at most once (L12)
//   - the commands of one origin in the order of their submission (L10)
//   - whoever was not cut off by a crash is answered exactly once: "applied" if and only if it was, "dead" if and only if it never will be
//   - all payloads are valid
//   - the same schedule again gives the same outputs
func TestAnySchedule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		schedule := rapid.SliceOfN(rapid.Uint32(), 50, 400).Draw(t, "schedule")
		first := runSchedule(t, schedule)
		if second := runSchedule(t, schedule); first.traceHash() != second.traceHash() {
			t.Fatalf("the same schedule gave two traces")
		}
	})
}

func runSchedule(t *rapid.T, schedule []uint32) *cluster {
	c := newCluster(t)
	for _, x := range schedule {
		c.step(x)
	}
	c.calm(30) // far more than the 8 heights that any batch can live
	c.check()
	return c
}

// check compares what the replicas executed with what was promised.
func (c *cluster) check() {
	c.t.Helper()
	log := strings.Fields(strings.Join(c.nodes[0].logs, " "))
	for _, n := range c.nodes {
		if len(n.logs) != len(c.chain) {
			c.t.Fatalf("%v executed %d of %d blocks", n.id, len(n.logs), len(c.chain))
		}
		if !slices.Equal(n.logs, c.nodes[0].logs) {
			c.t.Fatalf("%v executed\n%v\nn0\n%v", n.id, n.logs, c.nodes[0].logs)
		}
		if s := n.pool.Stats(); s.PendingBytes != 0 || s.Underway != 0 || s.BacklogBytes != 0 || s.Missing != 0 {
			c.t.Fatalf("%v is not at rest: %+v", n.id, s)
		}
	}
	applied := map[string]bool{}
	last := make([]int, clusterSize)
	for _, name := range log {
		f := c.fate[name]
		if applied[name] {
			c.t.Fatalf("%s is applied twice", name)
		}
		applied[name] = true
		if f.order < last[f.at] {
			c.t.Fatalf("%s is applied after a later command of its origin", name)
		}
		last[f.at] = f.order
	}
	for name, f := range c.fate {
		switch {
		case f.answered == "" && !f.lost:
			c.t.Fatalf("%s is never answered", name)
		case f.answered == "applied" && !applied[name]:
			c.t.Fatalf("%s was called applied and is not", name)
		case f.answered == "dead" && applied[name]:
			c.t.Fatalf("%s was called dead and is applied", name)
		}
	}
}
