package plan_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hotstuffd/hotstuffd/config"
	"github.com/hotstuffd/hotstuffd/sim"
	"github.com/hotstuffd/hotstuffd/sim/plan"
)

var update = flag.Bool("update", false, "rewrite the reports in testdata")

// small is n replicas in a rack for two seconds.
func small(n int) plan.Options {
	o := plan.DefaultOptions()
	o.Nodes, o.Sites, o.Duration = n, plan.LAN(), 2*time.Second
	return o
}

func run(t *testing.T, o plan.Options) *plan.Report {
	t.Helper()
	r, err := plan.Run(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func text(t *testing.T, r *plan.Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.Text(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func picture(t *testing.T, r *plan.Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.SVG(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The reports of small runs, as people read them. A change of the engine changes them: rewrite them with -update,
// and look at the difference.
func TestReports(t *testing.T) {
	dead := small(7)
	dead.Faults, dead.Leaders, dead.Seed = 2, config.LeadersReputation, 3
	spread := small(4)
	spread.Sites, spread.Duration = plan.AWS(), 4*time.Second
	for name, o := range map[string]plan.Options{"lan4": small(4), "lan7_dead": dead, "aws4": spread} {
		got := text(t, run(t, o))
		file := filepath.Join("testdata", name+".txt")
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s is no longer what it was:\n%s\nit was\n%s\nif that is right: go test ./sim/plan -update", file, got, want)
		}
	}
}

// The same options give the same report and picture, to the byte; another seed gives another.
func TestSameSeedSameBytes(t *testing.T) {
	o := small(7)
	o.Sites, o.Faults = plan.AWS(), 1
	a, b := run(t, o), run(t, o)
	if text(t, a) != text(t, b) || picture(t, a) != picture(t, b) {
		t.Error("two runs of one seed differ")
	}
	o.Seed++
	if text(t, a) == text(t, run(t, o)) {
		t.Error("two seeds do not differ")
	}
}

// A hundred replicas around the world: what a run of a minute shows, in a few seconds of it.
func TestHundredReplicas(t *testing.T) {
	o := plan.DefaultOptions()
	o.Duration = 3 * time.Second
	r := run(t, o)
	if r.Nodes != 100 || r.Sites != 21 || r.Quorum != 67 {
		t.Errorf("%d replicas at %d sites, quorum %d", r.Nodes, r.Sites, r.Quorum)
	}
	if r.Blocks.Committed < 5 || r.Commands.Answered < 100 || r.Commands.Refused > 0 {
		t.Errorf("%d blocks, %d answers, %d refused", r.Blocks.Committed, r.Commands.Answered, r.Commands.Refused)
	}
	// Seven messages in a row, some of them across an ocean, and not seconds.
	if p := r.Commands.Latency.P50; p < 300 || p > 1500 {
		t.Errorf("the median command takes %.0f ms", p)
	}
	svg := picture(t, r)
	for _, want := range []string{
		">100 replicas at 21 sites, none of them dead (they bear 33)<", ">Commands answered<", ">Latency of commands<",
		">99th percentile<", ">Leaders<", ">af-south-1<", ">timed out<", ">Close-up", ">proposal<",
	} {
		if !strings.Contains(svg, want) {
			t.Errorf("the picture does not show %q", want)
		}
	}
}

// What costs more takes longer: each part of the model reaches the clients.
func TestCostsReachClients(t *testing.T) {
	p50 := func(change func(*plan.Options)) float64 {
		o := small(4)
		change(&o)
		return run(t, o).Commands.Latency.P50
	}
	base := p50(func(*plan.Options) {})
	for name, change := range map[string]func(*plan.Options){
		"signatures": func(o *plan.Options) { o.Costs.Sign = 10 * time.Millisecond },
		"pairings":   func(o *plan.Options) { o.Costs.Verify = 10 * time.Millisecond },
		"sums":       func(o *plan.Options) { o.Costs.Sum = 4 * time.Millisecond },
		"messages":   func(o *plan.Options) { o.Costs.Message = 5 * time.Millisecond },
		"syncs":      func(o *plan.Options) { o.Costs.Sync = 10 * time.Millisecond },
		"steps":      func(o *plan.Options) { o.Costs.Step = 5 * time.Millisecond },
		"ed25519":    func(o *plan.Options) { o.Costs.EdSign, o.Costs.EdVerify = 5*time.Millisecond, 5*time.Millisecond },
		"bandwidth":  func(o *plan.Options) { o.Bandwidth, o.Bytes, o.Rate = 10, 10_000, 10 },
		"distance":   func(o *plan.Options) { o.Sites.OneWay = [][]time.Duration{{5 * time.Millisecond}} },
	} {
		if p := p50(change); p < 1.3*base {
			t.Errorf("with dearer %s the median command takes %.1f ms, and %.1f ms without", name, p, base)
		}
	}
}

// Replicas that are dead do nothing, and the others commit all the same.
func TestDeadReplicas(t *testing.T) {
	o := small(10)
	o.Faults = 3
	r := run(t, o)
	if len(r.Dead) != 3 || r.Blocks.Committed < 10 || r.Commands.Answered < 100 {
		t.Errorf("dead %v: %d blocks, %d answers", r.Dead, r.Blocks.Committed, r.Commands.Answered)
	}
	for _, id := range r.Dead {
		if n := r.ByNode[id]; !n.Dead || n.Led > 0 || n.Sent > 0 || n.Loop > 0 {
			t.Errorf("a dead replica did something: %+v", n)
		}
	}
	if svg := picture(t, r); strings.Count(svg, ">dead<") != 3 {
		t.Error("the picture does not show the three dead replicas")
	}
}

// A load that the replicas cannot work off is no fault of the engine, and the report says so.
func TestOverload(t *testing.T) {
	o := small(4)
	o.Bandwidth, o.Bytes, o.Rate = 1, 60_000, 400
	r := run(t, o)
	if !r.Overloaded || !strings.Contains(text(t, r), "OVERLOAD") {
		t.Errorf("%d answered, %d refused, overloaded: %v", r.Commands.Answered, r.Commands.Refused, r.Overloaded)
	}
	if r := run(t, small(4)); r.Overloaded {
		t.Error("a light load is called an overload")
	}
}

func TestPictureIsXML(t *testing.T) {
	o := small(4)
	const tick = 100 * time.Microsecond
	o.Sites.Names, o.Sites.OneWay = []string{`a<&"b`, "c"}, [][]time.Duration{{tick, tick}, {tick, tick}}
	quiet := o
	quiet.Rate = 0
	for _, o := range []plan.Options{o, quiet} {
		d := xml.NewDecoder(strings.NewReader(picture(t, run(t, o))))
		d.Strict = true
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestReportIsJSON(t *testing.T) {
	raw, err := json.Marshal(run(t, small(4)))
	if err != nil {
		t.Fatal(err)
	}
	var back plan.Report
	if err := json.Unmarshal(raw, &back); err != nil || back.Commands.Answered == 0 || len(back.ByNode) != 4 || back.Costs["bls.verify"] == "" {
		t.Errorf("%v: %s", err, raw)
	}
}

// Watching a run changes nothing of it.
func TestWatchChangesNothing(t *testing.T) {
	for seed := uint64(1); seed <= 5; seed++ {
		c := sim.Mixed(seed)
		r, report := plan.Watch(c, nil)
		if bare := sim.Run(c, nil); bare.Hash != r.Hash || bare.Counts != r.Counts {
			t.Errorf("seed %d: watched %x, by itself %x", seed, r.Hash[:8], bare.Hash[:8])
		}
		if !strings.HasSuffix(picture(t, report), "</svg>\n") {
			t.Errorf("seed %d has no picture", seed)
		}
	}
}
