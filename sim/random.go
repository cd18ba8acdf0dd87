package sim

import (
	"math/rand/v2"

	"github.com/hotstuffd/hotstuffd/qc"
)

// random is one source for each concern, so that one fault's draws never shift another's.
type random struct {
	config, start, latency, loss, partition, disk, crash, pause, clock, client, byzantine, app, check *rand.Rand
}

func newRandom(seed uint64) random {
	concern := uint64(0)
	source := func() *rand.Rand {
		concern++
		return rand.New(rand.NewPCG(seed, concern))
	}
	return random{config: source(), start: source(), latency: source(), loss: source(), partition: source(), disk: source(),
		crash: source(), pause: source(), clock: source(), client: source(), byzantine: source(), app: source(), check: source()}
}

// chance is true with probability p. Nothing is drawn when it is impossible.
func chance(r *rand.Rand, p float64) bool { return p > 0 && r.Float64() < p }

// between draws from lo to hi, both included.
func between(r *rand.Rand, lo, hi qc.Ticks) qc.Ticks {
	if hi <= lo {
		return lo
	}
	return lo + qc.Ticks(r.Uint64N(uint64(hi-lo)+1))
}

// around draws a time with the given mean between events that come at a constant rate.
func around(r *rand.Rand, mean qc.Ticks) qc.Ticks { return 1 + qc.Ticks(r.ExpFloat64()*float64(mean)) }
