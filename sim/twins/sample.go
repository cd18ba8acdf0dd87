package twins

import (
	"math/rand/v2"
	"slices"

	"github.com/hotstuffd/hotstuffd/qc"
)

// Sample returns the scenario of a seed: n replicas, f of them twinned, and the given number of rounds. Which have twins, who
// leads, who hears whom and when timers fire is drawn. Most partitions of many instances leave nobody with a quorum; so in three
// rounds of four most instances are drawn into one set, which then may have one, and certificates form on its side alone.
func Sample(n, rounds int, seed uint64) *Scenario {
	rng := rand.New(rand.NewPCG(seed, uint64(n)<<8|uint64(rounds)))
	s := &Scenario{Number: seed, Replicas: n, TailLead: qc.NodeID(rng.IntN(n)), Hasty: rng.IntN(2) == 0, Tail: Tail(rng.IntN(tails))}
	for _, id := range rng.Perm(n)[:(n-1)/3] {
		s.Twins = append(s.Twins, qc.NodeID(id))
	}
	slices.Sort(s.Twins)
	for range rounds {
		s.Rounds = append(s.Rounds, s.sampleRound(rng))
	}
	return s
}

func (s *Scenario) sampleRound(rng *rand.Rand) Round {
	r := Round{Leader: qc.NodeID(rng.IntN(s.Replicas)), Sets: make([]uint8, s.instances())}
	if rng.IntN(2) == 0 { // every other round is led by both instances of a twinned replica
		r.Leader = s.Twins[rng.IntN(len(s.Twins))]
	}
	most := rng.IntN(4) != 0
	for x := range r.Sets {
		if !most || rng.IntN(4) == 0 {
			r.Sets[x] = uint8(rng.IntN(setsMax))
		}
	}
	renumber(r.Sets)
	return r
}
