package sim_test

import (
	"testing"

	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/sim"
)

// BenchmarkVirtualSecond tells how fast time passes for four replicas, idle and with a client that asks twice a second.
func BenchmarkVirtualSecond(b *testing.B) {
	for name, clients := range map[string]int{"idle": 0, "light": 1} {
		b.Run(name, func(b *testing.B) {
			c := sim.Calm(1, 4)
			c.Clients.Count, c.Clients.Think = clients, qc.TicksPerSecond/2
			c.Duration = qc.Ticks(b.N) * qc.TicksPerSecond
			if r := sim.Run(c, nil); r.Failure != nil {
				b.Fatal(r.Failure)
			}
		})
	}
}
