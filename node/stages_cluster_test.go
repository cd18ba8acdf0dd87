package node_test

import (
	"fmt"
	"math"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// stage is what a replica has observed of one stage.
type stage struct {
	count   uint64
	seconds float64
}

func (s stage) mean() float64 { return s.seconds / float64(s.count) }

// stages returns what replica i has observed, by stage.
func (c *cluster) stages(i int) map[string]stage {
	c.t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(c.nodes[i].Collectors()...)
	families, err := registry.Gather()
	if err != nil {
		c.t.Fatal(err)
	}
	found := map[string]stage{}
	for _, f := range families {
		if f.GetName() != "hotstuffd_stage_seconds" {
			continue
		}
		for _, m := range f.GetMetric() {
			h := m.GetHistogram()
			found[m.GetLabel()[0].GetValue()] = stage{h.GetSampleCount(), h.GetSampleSum()}
		}
	}
	return found
}

// Every stage of a command's way is observed, at every replica, and they fit together: the four that follow each other make
// up the whole, and no other takes longer.
func TestStagesOfCommands(t *testing.T) {
	c := newCluster(t, 4)
	for i := range 4 {
		c.start(i)
	}
	const commands = 40
	var group sync.WaitGroup
	for i := range 4 {
		group.Go(func() {
			for k := range commands {
				c.do(i, fmt.Sprintf("n%d-%d", i, k))
			}
			c.query(i)
		})
	}
	group.Wait()
	all := map[string]stage{}
	for i := range 4 {
		found := c.stages(i)
		for name, s := range found {
			all[name] = stage{all[name].count + s.count, all[name].seconds + s.seconds}
		}
		total, parts := found["total"], 0.0
		if total.count != commands+1 {
			t.Errorf("node %d: %d requests, want %d", i, total.count, commands+1)
		}
		for _, name := range []string{"batching", "proposal", "commit", "apply"} {
			if found[name].count != total.count {
				t.Errorf("node %d: %s was observed %d times, want once a request", i, name, found[name].count)
			}
			parts += found[name].seconds
		}
		if math.Abs(parts-total.seconds) > 1e-6*total.seconds {
			t.Errorf("node %d: the stages sum up to %v seconds, total is %v", i, parts, total.seconds)
		}
	}
	for _, name := range []string{"batching", "push", "proposal", "qc_check", "sync", "payload_sync", "vote", "sum", "commit", "apply", "reply"} {
		s := all[name]
		t.Logf("%-12s %6d times, mean %v ms", name, s.count, 1000*s.mean())
		if s.count == 0 || s.seconds <= 0 {
			t.Errorf("%s was never observed, or takes no time: %+v", name, s)
		} else if s.mean() >= all["total"].mean() {
			t.Errorf("%s takes %v s on average, the whole way %v s", name, s.mean(), all["total"].mean())
		}
	}
	t.Logf("%-12s %6d times, mean %v ms", "total", all["total"].count, 1000*all["total"].mean())
}
