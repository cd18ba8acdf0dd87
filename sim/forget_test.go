package sim_test

import (
	"testing"
	"time"

	"github.com/hotstuffd/hotstuffd/sim"
)

// TestLostDisks: replicas that lose their disks, under every other fault, rejoin, and never contradict what they signed
// before (S13). Every run ends with the forgetful replica back and at the others' height.
func TestLostDisks(t *testing.T) {
	var total sim.Counts
	began := time.Now()
	played, count := 0, ofCampaign(240, 24)
	for seed := uint64(0); played < count; seed += 3 {
		c := sim.Mixed(seed)
		if c.Forgetful == nil {
			continue
		}
		played++
		r := sim.Run(c, nil)
		total.Add(r.Counts)
		if r.Failure != nil {
			t.Errorf("seed %d: %v\nreplay it with: go test ./sim -run TestMixedSeeds -sim.seed=%d", seed, r.Failure, seed)
		}
	}
	summary(t, "runs with lost disks", played, total, began)
	if total.Rejoins < uint64(played) || total.Losses < total.Rejoins {
		t.Errorf("%d disks were lost and %d replicas rejoined, in %d runs", total.Losses, total.Rejoins, played)
	}
	t.Logf("%d disks were lost, and replicas rejoined %d times", total.Losses, total.Rejoins)
}
