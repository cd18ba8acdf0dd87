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
