package sim_test

import (
	"testing"

	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/sim"
)

// TestCorruptedReplicaHalts: a replica whose state goes wrong without a word halts at the next checkpoint, and the others
// go on past it (S15); as many as f of them at once.
func TestCorruptedReplicaHalts(t *testing.T) {
	for seed := uint64(1); seed <= 20; seed++ {
		for _, n := range []int{4, 7} {
			c := sim.Calm(seed, n)
			c.Limits.CheckpointInterval = 1 + qc.Height(seed%8)
			c.Clients.Think, c.Clients.KeyValue, c.Duration = qc.TicksPerSecond/20, seed%2 == 0, 3*qc.TicksPerSecond
			c.Corrupted = map[qc.NodeID]qc.Height{}
			for i := range (n - 1) / 3 {
				c.Corrupted[qc.NodeID((int(seed)+i)%n)] = 5 + qc.Height(7*i)
			}
			r := sim.Run(c, nil)
			if r.Failure != nil || r.Counts.Diverged != uint64(len(c.Corrupted)) || r.Counts.Checkpoints < 20 {
				t.Errorf("seed %d, n=%d: %d of %d corrupted replicas halted, the others certified height %d: %v", seed, n, r.Counts.Diverged,
					len(c.Corrupted), r.Counts.Checkpoints, r.Failure)
			}
		}
	}
}
