package sim_test

import (
	"testing"

	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/sim"
)

// TestCommandsOfSessionsOnce: clients whose replicas crash and whose messages are lost send again, and each command is
// applied once, in order (L12).
func TestCommandsOfSessionsOnce(t *testing.T) {
	var total sim.Counts
	for seed := uint64(1); seed <= 40; seed++ {
		c := sim.Calm(seed, 4)
		c.Clients.Sessions, c.Clients.Think, c.Duration = 4, qc.TicksPerSecond/20, 4*qc.TicksPerSecond
		c.Crashes = sim.Rate{Every: qc.TicksPerSecond / 2, For: qc.TicksPerSecond / 4}
		c.Loss, c.DetectWithin = 0.05, qc.TicksPerSecond
		if seed%2 == 0 {
			c.Limits.SessionsMax = 4
		}
		r := sim.Run(c, nil)
		if r.Failure != nil {
			t.Errorf("seed %d: %v", seed, r.Failure)
		}
		total.Add(r.Counts)
	}
	if total.Once < 2000 || total.Resent < 100 {
		t.Errorf("only %d commands, %d sent again", total.Once, total.Resent)
	}
	t.Logf("%d commands of sessions, %d sent again, each applied once; %d crashes", total.Once, total.Resent, total.Crashes)
}
