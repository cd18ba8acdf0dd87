package outage

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/sim"
)

// The simulator's mixed seeds, with every fault that they draw, go on real stores too. Every crash in them is a power cut,
// or a kill. What no store can know is left out: the loss of a whole disk.
func TestMixedSeedsOnStores(t *testing.T) {
	var seeds, cuts, views, commits atomic.Int64
	t.Run("seeds", func(t *testing.T) {
		for part := range uint64(2) {
			t.Run(fmt.Sprint(part), func(t *testing.T) {
				t.Parallel()
				for seed := part; seed < ofCampaign[uint64](200, 10); seed += 2 {
					o := outage{name: fmt.Sprintf("mixed/%d", seed), seed: seed}
					if *again != "" && *again != o.name {
						continue
					}
					p := play(t, mixed(seed), newSite(o))
					p.check(t)
					seeds.Add(1)
					cuts.Add(int64(len(p.found)))
					views.Add(int64(p.Counts.Views))
					commits.Add(int64(p.Counts.Commits))
				}
			})
		}
	})
	t.Logf("%d mixed seeds on real stores: %d power cuts and kills, %d views, %d commits", seeds.Load(), cuts.Load(), views.Load(), commits.Load())
	if cuts.Load() == 0 && *again == "" {
		t.Error("the power never failed: nothing is shown")
	}
}

func mixed(seed uint64) sim.Config {
	c := sim.Mixed(seed)
	c.Forgetful, c.DiskLosses = nil, sim.Rate{}
	c.Duration = min(c.Duration, qc.TicksPerSecond)
	c.Crashes = sim.Rate{Every: 500, For: 200}
	return c
}
