package sim_test

import (
	"testing"

	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/sim"
)

// BenchmarkVirtualSecond tells how fast time passes for four replicas: idle, and with clients that ask for something
// two and a hundred times a second, each time waiting for the answer. The metric x is by how much it is faster than
// real time.
func BenchmarkVirtualSecond(b *testing.B) {
	for _, load := range []struct {
		name    string
		clients int
		pause   qc.Ticks // of each, on average
	}{{"idle", 0, 0}, {"light", 1, qc.TicksPerSecond / 2}, {"busy", 10, qc.TicksPerSecond / 10}} {
		b.Run(load.name, func(b *testing.B) {
			c := sim.Calm(1, 4)
			c.Clients.Count, c.Clients.Think = load.clients, load.pause
			c.Duration = qc.Ticks(b.N) * qc.TicksPerSecond
			b.ReportAllocs()
			r := sim.Run(c, nil)
			if r.Failure != nil {
				b.Fatal(r.Failure)
			}
			b.ReportMetric(float64(r.Counts.Ticks)/float64(qc.TicksPerSecond)/b.Elapsed().Seconds(), "x")
			b.ReportMetric(float64(r.Counts.Requests)/float64(b.N), "requests/op")
		})
	}
}
