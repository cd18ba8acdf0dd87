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
		s := *first + uint64(i)
		if s <= twice {
			traces[s] = trace{r.Hash, r.Counts}
		}
		if r.Failure != nil {
			failures++
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

// trace is what tells runs apart.
type trace struct {
	hash   [32]byte
	counts sim.Counts
}

var (
	twice  = ofCampaign[uint64](1000, 20) // TestSameSeedSameRun plays seeds up to this one
	traces = make(map[uint64]trace)       // of those that TestMixedSeeds has played, by seed
)

// TestSameSeedSameRun: a seed gives the same events in the same order every time, whatever else runs beside it. A seed's first
// run is TestMixedSeeds's, if that has played it.
func TestSameSeedSameRun(t *testing.T) {
	seeds := make([]uint64, 0, 2*twice)
	for s := range twice {
		if seeds = append(seeds, 1+s); traces[1+s].hash == [32]byte{} {
			seeds = append(seeds, 1+s)
		}
	}
	hashes := make(map[[32]byte]uint64)
	var total sim.Counts
	began := time.Now()
	play(len(seeds), func(i int) sim.Config { return sim.Mixed(seeds[i]) }, func(i int, r sim.Result) bool {
		total.Add(r.Counts)
		s, now := seeds[i], trace{r.Hash, r.Counts}
		once, again := traces[s]
		if traces[s] = now; !again {
			return true
		}
		if now != once {
			t.Errorf("seed %d: %x then %x", s, once.hash[:8], now.hash[:8])
		}
		if other, ok := hashes[r.Hash]; ok {
			t.Errorf("seeds %d and %d give the same run", other, s)
		}
		hashes[r.Hash] = s
		return true
	})
	if uint64(len(hashes)) != twice {
		t.Errorf("%d seeds were compared, want %d", len(hashes), twice)
	}
	summary(t, fmt.Sprintf("runs, so that %d seeds have two", twice), len(seeds), total, began)
}

// TestRealSignatures: the same runs go on BLS; the mock scheme only makes them fast.
func TestRealSignatures(t *testing.T) {
	c := sim.Calm(1, 4)
	c.BLS, c.Codec, c.Duration, c.Byzantine = true, true, 2000, map[qc.NodeID]sim.Behaviors{3: sim.VoteForAll | sim.ForgeTC | sim.ForgeCert}
	if r := sim.Run(c, nil); r.Failure != nil || r.Counts.Commits < 3 {
		t.Errorf("%d commits, %v", r.Counts.Commits, r.Failure)
	}
}
