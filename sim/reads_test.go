package sim_test

import (
	"testing"

	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/sim"
)

// TestReadFailures: a replica whose disk cannot be read stops, and starts when it can be read again, whether the read was for
// a peer that lacks blocks, for the application, or for the start itself. The run fails if one goes on.
func TestReadFailures(t *testing.T) {
	var total sim.Counts
	for seed := range uint64(10) {
		c := sim.Calm(seed, 4)
		c.Partitions = sim.Rate{Every: 3000, For: 5000} // who comes back asks the others for what it lacks
		c.Clients.Think = qc.TicksPerSecond / 20
		c.ReadFailures = sim.Rate{Every: 3000, For: 3000}
		r := sim.Run(c, nil)
		if r.Failure != nil {
			t.Errorf("seed %d: %v", seed, r.Failure)
		}
		total.Add(r.Counts)
	}
	if total.Crashes < 10 || total.Commits < 100 {
		t.Errorf("%d replicas stopped, %d blocks were committed: too little happens here", total.Crashes, total.Commits)
	}
}
