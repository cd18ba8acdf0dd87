package sim_test

import (
	"testing"

	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/sim"
)

// What the simulator has found, each as small as it gets. docs/found-by-simulation.md tells the stories.

// TestEndedLaneOpensAgain: a replica that is cut off until its batches have expired gets a new lane, and its clients go on.
// The driver once forgot the mempool's wish for a lane when it came in the same turn as batches to be sent.
func TestEndedLaneOpensAgain(t *testing.T) {
	for seed := uint64(1); seed <= 10; seed++ {
		c := sim.Calm(seed, 4)
		c.Limits.ExpiryDistanceMax, c.Duration = 8, 4*qc.TicksPerSecond
		c.Clients.Count, c.Clients.Pipeline, c.Clients.Think = 8, 4, 200
		c.Partitions = sim.Rate{Every: qc.TicksPerSecond / 2, For: qc.TicksPerSecond / 4}
		if r := sim.Run(c, nil); r.Failure != nil {
			t.Errorf("seed %d: %v", seed, r.Failure)
		}
	}
}

// TestTimeoutFollowsTheNetwork: where views last longer than the configured timeout, it grows until they end in time. The
// timeout used to follow views that had ended within half of it alone, so on a slow network replicas sent timeouts to each
// other in every view for ever, although each view came to its certificate.
func TestTimeoutFollowsTheNetwork(t *testing.T) {
	for _, n := range []int{7, 13} {
		for seed := uint64(1); seed <= 3; seed++ {
			c := sim.Calm(seed, n)
			c.Latency = sim.Latency{Min: 300, Max: 900, Jitter: 50}
			c.Clients.Think, c.Clients.Count, c.Duration = 100, 4, 20*qc.TicksPerSecond
			r := sim.Run(c, nil)
			// A view takes a proposal, a vote and a batch or two from each: about 3n messages.
			if perView := r.Counts.Messages / r.Counts.Views; r.Failure != nil || perView > uint64(6*n) {
				t.Errorf("n=%d, seed %d: %d messages a view, %v", n, seed, perView, r.Failure)
			}
		}
	}
}
