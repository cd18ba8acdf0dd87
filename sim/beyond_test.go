package sim_test

import (
	"testing"
	"time"

	"github.com/hotstuffd/hotstuffd/sim"
)

// TestBeyond: a correct replica among Byzantine ones only, whose keys make every quorum, still keeps each rule for what
// it signs, locks and commits. Many of these rules back each other up, so that with at most f faulty no run could show
// that one of them is broken.
func TestBeyond(t *testing.T) {
	var total sim.Counts
	began := time.Now()
	runs := int(ofCampaign[uint64](400, 60))
	shown := play(runs, func(i int) sim.Config { return sim.Beyond(uint64(i) + 1) }, func(i int, r sim.Result) bool {
		total.Add(r.Counts)
		if r.Failure != nil {
			t.Errorf("seed %d: %v", i+1, r.Failure)
		}
		return r.Failure == nil
	})
	summary(t, "runs beyond f", shown, total, began)
	views, commits := total.Views/uint64(shown), total.Commits/uint64(shown)
	if !t.Failed() && (views < 100 || commits < 10) {
		t.Errorf("%d views and %d commits a run: the replica is not led to its rules", views, commits)
	}
}
