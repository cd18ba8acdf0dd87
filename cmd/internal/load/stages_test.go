package load

import (
	"strings"
	"testing"
)

const metricsBefore = `# TYPE hotstuffd_view gauge
hotstuffd_view 7
# TYPE hotstuffd_stage_seconds histogram
hotstuffd_stage_seconds_bucket{stage="commit",le="0.001"} 5
hotstuffd_stage_seconds_bucket{stage="commit",le="0.002"} 5
hotstuffd_stage_seconds_bucket{stage="commit",le="+Inf"} 6
hotstuffd_stage_seconds_sum{stage="commit"} 1
hotstuffd_stage_seconds_count{stage="commit"} 6
`

const metricsAfter = `# TYPE hotstuffd_stage_seconds histogram
hotstuffd_stage_seconds_bucket{stage="commit",le="0.001"} 55
hotstuffd_stage_seconds_bucket{stage="commit",le="0.002"} 105
hotstuffd_stage_seconds_bucket{stage="commit",le="+Inf"} 106
hotstuffd_stage_seconds_sum{stage="commit"} 1.1
hotstuffd_stage_seconds_count{stage="commit"} 106
hotstuffd_stage_seconds_bucket{stage="push",le="0.001"} 0
hotstuffd_stage_seconds_bucket{stage="push",le="+Inf"} 1
hotstuffd_stage_seconds_sum{stage="push"} 3
hotstuffd_stage_seconds_count{stage="push"} 1
hotstuffd_stage_seconds_bucket{stage="idle",le="+Inf"} 0
hotstuffd_stage_seconds_sum{stage="idle"} 0
hotstuffd_stage_seconds_count{stage="idle"} 0
`

// What two replicas did between two looks, in the order of a command's way, whatever else they show.
func TestStages(t *testing.T) {
	var before, after Stages
	for range 2 {
		if err := before.Add(strings.NewReader(metricsBefore)); err != nil {
			t.Fatal(err)
		}
		if err := after.Add(strings.NewReader(metricsAfter)); err != nil {
			t.Fatal(err)
		}
	}
	stages := after.Since(&before)
	if len(stages) != 2 || stages[0].Name != "push" || stages[1].Name != "commit" {
		t.Fatalf("%+v", stages)
	}
	if s := stages[1]; s.Count != 200 || !near(s.Mean, 1) || !near(s.P50, 1) || !near(s.P99, 1.98) {
		t.Errorf("%+v", s)
	}
	if s := stages[0]; s.Count != 2 || s.Mean != 3000 || s.P99 != 1 {
		t.Errorf("beyond the last bound: %+v", s)
	}
	var text strings.Builder
	if err := StagesText(&text, stages); err != nil || !strings.Contains(text.String(), "push    2      3000.000  1.000   1.000") {
		t.Errorf("%v\n%s", err, text.String())
	}
}

func TestNoStages(t *testing.T) {
	var none, s Stages
	if err := s.Add(strings.NewReader("x 1\n")); err != nil || len(s.Since(&none)) != 0 {
		t.Errorf("%v, %+v", err, s)
	}
	if err := s.Add(strings.NewReader("{")); err == nil {
		t.Error("taken for metrics")
	}
}

func TestPicture(t *testing.T) {
	results := []*Result{
		{Rate: 1000, Commands: 1, PerSecond: 1000, Latency: Latency{P50: 4, P99: 9}},
		{Rate: 4000, Commands: 1, PerSecond: 3000, Latency: Latency{P50: 60, P99: 900}},
		{Rate: 8000}, // nothing was answered
	}
	var svg strings.Builder
	if err := Picture(&svg, "4 <nodes>", "a note", results); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{">4 &lt;nodes&gt;</text>", ">1000/s</text>", ">4000/s</text>", ">median</text>", ">1 ms</text>", ">1000 ms</text>", "</svg>\n"} {
		if !strings.Contains(svg.String(), want) {
			t.Errorf("no %s in the picture", want)
		}
	}
	if err := Picture(&svg, "", "", nil); err != nil {
		t.Error(err)
	}
}

func TestText(t *testing.T) {
	var text strings.Builder
	r := &Result{Clients: 2, Pipeline: 8, Commands: 90, PerSecond: 9, Latency: Latency{P50: 1, P90: 2, P99: 3, P999: 4, Max: 5}, Errors: 3, FirstError: "BUSY", Unanswered: 7, LongestGap: 12}
	if err := Text(&text, []*Result{r}); err != nil {
		t.Fatal(err)
	}
	want := `LOAD   COMMANDS  RATE  P50 ms  P90 ms  P99 ms  P99.9 ms  MAX ms  ERRORS  LONGEST GAP
2 x 8  90        9/s   1.00    2.00    3.00    4.00      5.00    10      12 ms
2 x 8: 3 error replies, the first: BUSY
2 x 8: 7 commands were not answered within 15s after the end
`
	if text.String() != want {
		t.Errorf("got\n%swant\n%s", text.String(), want)
	}
}
