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
	seeds = flag.Int("sim.seeds", ofCampaign(10_000, 300), "how many mixed seeds TestMixedSeeds runs")
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
	played := play(*seeds, func(i int) sim.Config { return sim.Mixed(*first + uint64(i)) }, func(i int, r sim.Result) bool {
		total.Add(r.Counts)
		if r.Failure != nil {
			failures++
			s := *first + uint64(i)
			t.Errorf("seed %d: %v\nreplay it with: go test ./sim -run TestMixedSeeds -sim.seed=%d", s, r.Failure, s)
		}
		return failures < *stop
	})
	summary(t, "mixed seeds", played, total, began)
	if total.ViewChanges < viewChangesEach*uint64(played) && played >= 5000 {
		t.Errorf("%d view changes in %d seeds: want %d a seed, a million in 10,000", total.ViewChanges, played, viewChangesEach)
	}
}

// viewChangesEach is how many views a seed has to enter by timeout certificates, over all its correct replicas, on
// average over thousands.
const viewChangesEach = 100

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

// TestSameSeedSameRun: a seed gives the same events in the same order every time, whatever else runs beside it.
func TestSameSeedSameRun(t *testing.T) {
	count := ofCampaign(1000, 20)
	hashes := make(map[[32]byte]int)
	var once sim.Result
	var total sim.Counts
	began := time.Now()
	play(2*count, func(i int) sim.Config { return sim.Mixed(uint64(1 + i/2)) }, func(i int, r sim.Result) bool {
		total.Add(r.Counts)
		if i%2 == 0 {
			once = r
			return true
		}
		if r.Hash != once.Hash || r.Counts != once.Counts {
			t.Errorf("seed %d: %x then %x", 1+i/2, once.Hash[:8], r.Hash[:8])
		}
		if other, ok := hashes[r.Hash]; ok {
			t.Errorf("seeds %d and %d give the same run", other, 1+i/2)
		}
		hashes[r.Hash] = 1 + i/2
		return true
	})
	summary(t, fmt.Sprintf("runs of %d seeds, each twice", count), 2*count, total, began)
}

// TestRealSignatures: the same runs go on BLS; the mock scheme only makes them fast.
func TestRealSignatures(t *testing.T) {
	c := sim.Calm(1, 4)
	c.BLS, c.Codec, c.Duration, c.Byzantine = true, true, 2000, map[qc.NodeID]sim.Behaviors{3: sim.VoteForAll | sim.ForgeTC | sim.ForgeCert}
	if r := sim.Run(c, nil); r.Failure != nil || r.Counts.Commits < 3 {
		t.Errorf("%d commits, %v", r.Counts.Commits, r.Failure)
	}
}
