package sim_test

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/sim"
)

var (
	seeds = flag.Uint64("sim.seeds", 300, "how many mixed seeds TestMixedSeeds runs")
	first = flag.Uint64("sim.first", 1, "the first of them")
	stop  = flag.Int("sim.stop", 5, "stop after so many failing seeds")
	seed  = flag.Uint64("sim.seed", 0, "replay this one mixed seed, and print its trace")
)

// TestMixedSeeds runs faults of network, disk, replicas and clocks together, as each seed draws them.
func TestMixedSeeds(t *testing.T) {
	if *seed != 0 {
		replay(t, *seed)
		return
	}
	var total sim.Counts
	began := time.Now()
	failures := 0
	for s := *first; s < *first+*seeds && failures < *stop; s++ {
		r := sim.Run(sim.Mixed(s), nil)
		total.Add(r.Counts)
		if r.Failure != nil {
			failures++
			t.Errorf("seed %d: %v\nreplay it with: go test ./sim -run TestMixedSeeds -sim.seed=%d", s, r.Failure, s)
		}
	}
	t.Logf("%d seeds: %d views, %d view changes, %d commits, %d commands, %d crashes, %d messages, %d requests, %d virtual seconds, in %v",
		*seeds, total.Views, total.ViewChanges, total.Commits, total.Commands, total.Crashes, total.Messages, total.Requests, total.Ticks/10_000, time.Since(began).Round(time.Millisecond))
}

// replay prints the last lines of a seed's run.
func replay(t *testing.T, seed uint64) {
	const kept = 4000
	var lines []string
	r := sim.Run(sim.Mixed(seed), func(line string) {
		if lines = append(lines, line); len(lines) > 2*kept {
			lines = append(lines[:0], lines[kept:]...)
		}
	})
	fmt.Println(strings.Join(lines[max(0, len(lines)-kept):], "\n"))
	t.Logf("hash %x, %+v", r.Hash, r.Counts)
	if r.Failure != nil {
		t.Error(r.Failure)
	}
}

// TestSameSeedSameRun: a seed gives the same events in the same order, every time.
func TestSameSeedSameRun(t *testing.T) {
	hashes := make(map[[32]byte]uint64)
	for s := uint64(1); s <= 20; s++ {
		a, b := sim.Run(sim.Mixed(s), nil), sim.Run(sim.Mixed(s), nil)
		if a.Hash != b.Hash || a.Counts != b.Counts {
			t.Errorf("seed %d: %x then %x", s, a.Hash[:8], b.Hash[:8])
		}
		if other, ok := hashes[a.Hash]; ok {
			t.Errorf("seeds %d and %d give the same run", other, s)
		}
		hashes[a.Hash] = s
	}
}

// TestRealSignatures: the same runs go on BLS; the mock scheme only makes them fast.
func TestRealSignatures(t *testing.T) {
	c := sim.Calm(1, 4)
	c.BLS, c.Codec, c.Duration, c.Byzantine = true, true, 2000, map[qc.NodeID]sim.Behaviors{3: sim.VoteForAll | sim.ForgeTC | sim.ForgeCert}
	if r := sim.Run(c, nil); r.Failure != nil || r.Counts.Commits < 3 {
		t.Errorf("%d commits, %v", r.Counts.Commits, r.Failure)
	}
}
