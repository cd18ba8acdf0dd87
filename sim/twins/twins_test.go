package twins

import (
	"flag"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hotstuffd/hotstuffd/qc"
)

// all is for continuous integration, where the environment has CI: 100 s of processor time. Under the race detector it
// must be asked for.
var all = flag.Bool("twins.all", os.Getenv("CI") != "" && thinner == 1,
	"play all 393,812 canonical scenarios, not one in forty of them (9,963); the default where CI is set")

// No scenario of four replicas, one of them twinned, in three rounds breaks a rule, and each ends in commits.
func TestExhaustive(t *testing.T) {
	canonical := Canonical()
	run := canonical
	if !*all {
		run = nil
		for i, raw := range canonical {
			if mix(uint64(i))%(40*thinner) == 0 {
				run = append(run, raw)
			}
		}
	}
	start := time.Now()
	r := Run(len(run), func(i int) *Scenario { return Exhaustive(run[i]) })
	if r.Found != nil {
		t.Fatal(r.Found)
	}
	t.Logf("n=4 f=1, 3 rounds: %d raw scenarios, %d canonical, %v in %v", Raw, len(canonical), r, time.Since(start).Round(time.Millisecond))
	if r.Run != len(run) || r.Forks == 0 || r.Early == 0 || r.Restarts == 0 {
		t.Errorf("%v: want all %d played, and certified blocks that lose, commits before the tail and certificates that twins share among them", r, len(run))
	}
}

// Neither do drawn scenarios of more replicas and rounds.
func TestSamples(t *testing.T) {
	for _, of := range []struct{ n, fewest, most, seeds int }{{4, 4, 7, 400}, {7, 3, 7, 120}, {10, 3, 7, 50}} {
		rounds := of.most - of.fewest + 1
		start := time.Now()
		r := Run(rounds*of.seeds/thinner, func(i int) *Scenario { return Sample(of.n, of.fewest+i%rounds, uint64(i)) })
		if r.Found != nil {
			t.Fatal(r.Found)
		}
		t.Logf("n=%d f=%d, %d to %d rounds: %v in %v", of.n, (of.n-1)/3, of.fewest, of.most, r, time.Since(start).Round(time.Millisecond))
		if r.Forks == 0 || r.Early == 0 || r.Restarts == 0 {
			t.Errorf("%v: want certified blocks that lose, commits before the tail and certificates that twins share among them", r)
		}
	}
}

// The same scenarios give the same report, however many processors play them, and in whatever order.
func TestSameScenariosSameReport(t *testing.T) {
	scenario := func(i int) *Scenario { return Sample(4+3*(i%2), 5, uint64(i)) }
	many := Run(300, scenario)
	before := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(before)
	if one := Run(300, func(i int) *Scenario { return scenario(299 - i) }); one != many {
		t.Errorf("on one processor, backwards: %v\non %d: %v", one, before, many)
	}
}

// split has two of four replicas twinned, one more than may be: each side of the partition is a quorum and led by a twin.
func split(tail Tail) *Scenario {
	s := &Scenario{Number: 1, Replicas: 4, Twins: []qc.NodeID{0, 1}, Tail: tail}
	for range 4 {
		s.Rounds = append(s.Rounds, Round{Leader: 0, Sets: []uint8{0, 0, 0, 1, 1, 1}})
	}
	return s
}

// With more twins than f, agreement breaks, which the checks find, and the lowest such scenario is told.
func TestTooManyTwinsAreFound(t *testing.T) {
	r := Run(1000, func(i int) *Scenario {
		if i < 700 {
			return Sample(4, 4, uint64(i))
		}
		s := split(BothGoOn)
		s.Number = uint64(i)
		return s
	})
	if r.Found == nil || r.Found.Scenario.Number != 700 {
		t.Fatalf("found %v, want scenario 700", r.Found)
	}
	text := r.Found.Error()
	for _, want := range []string{"scenario 700 of 4 replicas", "{n0 n1 n2}{n3 n0' n1'}", "is certified", "round 1\n", "n0' in view 1 sends block", "n3 in view 1 sends vote"} {
		if !strings.Contains(text, want) {
			t.Errorf("the story lacks %q:\n%s", want, text)
		}
	}
}

// Without a quorum in the tail nothing commits, which the bounds find.
func TestStalledTailIsFound(t *testing.T) {
	s := split(BothSilent)
	s.Rounds = []Round{{Leader: 2, Sets: []uint8{0, 0, 1, 2, 0, 0}}}
	r := Run(1, func(int) *Scenario { return s })
	if r.Found == nil || !strings.Contains(r.Found.What, "has committed no block of the tail") {
		t.Errorf("found %v, want a tail that does not commit", r.Found)
	}
}
