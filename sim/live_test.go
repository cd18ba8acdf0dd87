package sim_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/hotstuffd/hotstuffd/config"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/sim"
)

// placement is where f of n replicas are faulty.
type placement struct {
	name string
	ids  []qc.NodeID
}

// placements are all in a row, and as far from each other as can be.
func placements(n int) []placement {
	f := (n - 1) / 3
	row, spread := placement{name: "in a row"}, placement{name: "spread"}
	for i := range f {
		row.ids = append(row.ids, qc.NodeID(n-1-i))
		spread.ids = append(spread.ids, qc.NodeID(i*n/f))
	}
	return []placement{row, spread}
}

// TestDeadLeaders: with any f replicas dead, blocks commit in every rotation (L1, L15).
func TestDeadLeaders(t *testing.T) {
	for n := 4; n <= 13; n++ {
		for _, p := range placements(n) {
			for _, leaders := range []string{config.LeadersRoundRobin, config.LeadersReputation} {
				c := sim.Calm(uint64(n), n)
				c.Dead, c.Leaders = p.ids, leaders
				rotates(t, fmt.Sprintf("n=%d, %d dead %s, %s", n, len(p.ids), p.name, leaders), c)
			}
		}
	}
}

// TestEarlyTimeouts: f replicas that vote to nobody and time out at once, with empty timeouts, do not keep blocks from
// committing in every rotation (L14).
func TestEarlyTimeouts(t *testing.T) {
	for n := 4; n <= 13; n++ {
		for _, p := range placements(n) {
			for _, leaders := range []string{config.LeadersRoundRobin, config.LeadersReputation} {
				c := sim.Calm(uint64(n), n)
				c.Latency = sim.Latency{Min: 5, Max: 100, Jitter: 20} // replicas enter and leave views apart
				c.Leaders, c.Byzantine = leaders, map[qc.NodeID]sim.Behaviors{}
				for _, id := range p.ids {
					c.Byzantine[id] = sim.EarlyTimeout | sim.WithholdVote | sim.Swallow
				}
				rotates(t, fmt.Sprintf("n=%d, %d Byzantine %s, %s", n, len(p.ids), p.name, leaders), c)
			}
		}
	}
}

// rotates runs a configuration in which nothing else goes wrong.
func rotates(t *testing.T, name string, c sim.Config) {
	t.Helper()
	c.Duration = 3 * qc.TicksPerSecond
	c.Clients.Think = qc.TicksPerSecond / 10
	r := sim.Run(c, nil)
	if r.Failure != nil {
		t.Errorf("%s: %v", name, r.Failure)
	}
	// Three live leaders in a row come within n+2 views of any view; the certificate of the third is known one view later,
	// the first of a window may be half over, and commits are counted where they are noted on disk, with the next vote.
	if limit := uint64(c.Nodes + 5); r.Counts.LongestGap > limit {
		t.Errorf("%s: %d views without a commit, want at most %d", name, r.Counts.LongestGap, limit)
	}
	t.Logf("%s: %d views, %d commits, at most %d views between two", name, r.Counts.Views, r.Counts.Commits, r.Counts.LongestGap)
}

// TestIdleIsQuiet: with nothing to do, views pass by heartbeats alone: no view times out (PROTOCOL §5).
func TestIdleIsQuiet(t *testing.T) {
	for n := 4; n <= 13; n++ {
		c := sim.Calm(uint64(n), n)
		c.Clients.Count, c.Duration = 0, 30*qc.TicksPerSecond
		r := sim.Run(c, nil)
		// While connections come up, each replica may leave a view or two by a timeout.
		if r.Failure != nil || r.Counts.ViewChanges > uint64(2*n) || r.Counts.Commits < 20 {
			t.Errorf("n=%d: %d view changes, %d commits, %v", n, r.Counts.ViewChanges, r.Counts.Commits, r.Failure)
		}
	}
}

// TestLoneCommands: a command that comes alone is answered after some message delays, long before a heartbeat or a timeout
// (L8, L9).
func TestLoneCommands(t *testing.T) {
	for n := 4; n <= 13; n++ {
		c := sim.Calm(uint64(n), n)
		c.Clients.Count, c.Clients.Pipeline, c.Clients.Think, c.Duration = 1, 1, qc.TicksPerSecond, 30*qc.TicksPerSecond
		c.Clients.After = qc.TicksPerSecond / 2 // when all connections are up
		r := sim.Run(c, nil)
		if r.Failure != nil || r.Counts.Requests < 15 || r.Counts.SlowestAnswer > qc.TicksPerSecond/20 {
			t.Errorf("n=%d: the slowest of %d answers took %d ticks, %v", n, r.Counts.Requests, r.Counts.SlowestAnswer, r.Failure)
		}
	}
}

// TestSlowNetworkAndDeadLeader: where messages take longer than the base timeout and one leader is dead, the backoff grows
// until views last long enough, although certificates come between the timeouts (L7). It used to shrink with each of them,
// and nothing committed for minutes.
func TestSlowNetworkAndDeadLeader(t *testing.T) {
	for seed := uint64(1); seed <= 12; seed++ {
		c := sim.Calm(seed, 4)
		c.Latency = sim.Latency{Min: 200, Max: 1500, Jitter: 300}
		c.Pacemaker.BaseTimeout, c.Pacemaker.Heartbeat = 60*time.Millisecond, 60*time.Millisecond
		c.Dead, c.Duration = []qc.NodeID{qc.NodeID(seed % 4)}, 20*qc.TicksPerSecond
		if r := sim.Run(c, nil); r.Failure != nil || r.Counts.LongestGap > 40 {
			t.Errorf("seed %d: at most %d views between two commits, %v", seed, r.Counts.LongestGap, r.Failure)
		}
	}
}
