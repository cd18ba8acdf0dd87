package sim_test

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/sim"
)

// campaign is whether the full campaign is asked for, minutes of two processors, not a newcomer's run.
var campaign = os.Getenv("CI") != "" && !raceDetector

// ofCampaign returns one number for the full campaign and another one for everybody's run.
func ofCampaign[T any](full, short T) T {
	if campaign {
		return full
	}
	return short
}

// TestMain lets the heap grow: a run makes much that soon goes, and keeps little.
func TestMain(m *testing.M) {
	flag.Parse()
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}

// play runs configurations 0 to count−1 on all processors, each run on one goroutine, and shows the results in their
// order. It stops when each returns false, and returns how many were shown.
func play(count int, config func(i int) sim.Config, each func(i int, r sim.Result) bool) (shown int) {
	type played struct {
		i int
		r sim.Result
	}
	var next atomic.Int64
	var workers sync.WaitGroup
	results, done := make(chan played), make(chan struct{})
	for range min(count, runtime.GOMAXPROCS(0)) {
		workers.Go(func() {
			for i := int(next.Add(1) - 1); i < count; i = int(next.Add(1) - 1) {
				select {
				case results <- played{i, sim.Run(config(i), nil)}:
				case <-done:
					return
				}
			}
		})
	}
	go func() { workers.Wait(); close(results) }()
	early := make(map[int]sim.Result) // done before their turn
	for p := range results {
		early[p.i] = p.r
		for r, ok := early[shown]; ok; r, ok = early[shown] {
			delete(early, shown)
			if shown++; !each(shown-1, r) {
				close(done)
				workers.Wait()
				return shown
			}
		}
	}
	return shown
}

// summary is the one line of a campaign.
func summary(t *testing.T, what string, runs int, c sim.Counts, began time.Time) {
	t.Helper()
	t.Logf("%d %s: %d views, %d view changes, %d commits, %d commands, %d crashes, %d messages, %d requests, "+
		"%d virtual seconds, in %v", runs, what, c.Views, c.ViewChanges, c.Commits, c.Commands, c.Crashes, c.Messages, c.Requests,
		c.Ticks/qc.TicksPerSecond, time.Since(began).Round(time.Millisecond))
}

// TestPlayKeepsOrder: results are shown in order, each once, up to the one that ends it.
func TestPlayKeepsOrder(t *testing.T) {
	short := func(i int) sim.Config {
		c := sim.Calm(uint64(i), 4)
		c.Clients.Count, c.Duration = 0, qc.TicksPerSecond*qc.Ticks(1+(7-i%8)) // the first of each eight take longest
		return c
	}
	var order []int
	shown := play(40, short, func(i int, r sim.Result) bool {
		if want := sim.Run(short(i), nil); r.Hash != want.Hash {
			t.Errorf("run %d: another run's result", i)
		}
		order = append(order, i)
		return i < 25
	})
	if shown != 26 || fmt.Sprint(order[:3], order[25:]) != "[0 1 2] [25]" {
		t.Errorf("%d shown: %v", shown, order)
	}
}
