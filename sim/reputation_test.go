package sim_test

import (
	"testing"

	"github.com/hotstuffd/hotstuffd/config"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/sim"
)

// TestReputationAvoidsTheDead: with f replicas dead, the schedule reputation soon leads past them, where round-robin waits
// for each of them in every rotation. That is why reputation is the default (PROTOCOL §4).
func TestReputationAvoidsTheDead(t *testing.T) {
	for _, n := range ofCampaign([]int{4, 7, 13, 31}, []int{4, 13}) {
		run := func(leaders string) sim.Counts {
			c := sim.Calm(1, n)
			c.Leaders = leaders
			for i := range (n - 1) / 3 {
				c.Dead = append(c.Dead, qc.NodeID(3*i+1))
			}
			c.Clients.Think, c.Clients.Count, c.Duration = 100, 4, 10*qc.TicksPerSecond
			r := sim.Run(c, nil)
			if r.Failure != nil {
				t.Errorf("n=%d, %s: %v", n, leaders, r.Failure)
			}
			return r.Counts
		}
		turns, reputed := run(config.LeadersRoundRobin), run(config.LeadersReputation)
		if 10*reputed.ViewChanges > turns.ViewChanges || reputed.Requests <= turns.Requests {
			t.Errorf("n=%d: reputation changes views %d times and answers %d requests, round-robin %d and %d", n, reputed.ViewChanges, reputed.Requests,
				turns.ViewChanges, turns.Requests)
		}
		t.Logf("n=%d, f dead: view changes %d by reputation, %d by round-robin; requests %d and %d", n, reputed.ViewChanges, turns.ViewChanges,
			reputed.Requests, turns.Requests)
	}
}
