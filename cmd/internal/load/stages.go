package load

import (
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// stageMetric is the histogram in which a replica shows how long each stage of its work took, by the label stage.
const stageMetric = "hotstuffd_stage_seconds"

// way is the order in which stages are shown; those that it does not name come last.
var way = []string{"batching", "push", "payload_sync", "proposal", "qc_check", "sync", "vote", "sum", "commit", "apply", "reply"}

// Stages are the histograms of stages, summed over replicas. The zero value is ready to use.
type Stages struct {
	names  []string // in the order in which they were met
	byName map[string]*stage
}

// stage is one histogram: how many values were at most each bound.
type stage struct {
	count  float64
	sum    float64 // seconds
	bounds []float64
	upTo   []float64 // cumulative, by bound
}

// Stage is how long one stage took.
type Stage struct {
	Name  string  `json:"stage"`
	Count int64   `json:"count"`
	Mean  float64 `json:"mean_ms"`
	P50   float64 `json:"p50_ms"`
	P99   float64 `json:"p99_ms"`
}

// Add adds what a replica shows at /metrics.
// Expected errors: it is no text of metrics, or replicas have different buckets.
func (s *Stages) Add(metrics io.Reader) error {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(metrics)
	if err != nil {
		return fmt.Errorf("not metrics: %w", err)
	}
	for _, m := range families[stageMetric].GetMetric() {
		if h := m.GetHistogram(); h != nil {
			if err := s.add(label(m, "stage"), h); err != nil {
				return err
			}
		}
	}
	return nil
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

func (s *Stages) add(name string, h *dto.Histogram) error {
	if s.byName == nil {
		s.byName = make(map[string]*stage)
	}
	t := s.byName[name]
	if t == nil {
		t = &stage{}
		for _, b := range h.GetBucket() {
			t.bounds = append(t.bounds, b.GetUpperBound())
		}
		t.upTo = make([]float64, len(t.bounds))
		s.byName[name] = t
		s.names = append(s.names, name)
	}
	if len(h.GetBucket()) != len(t.bounds) {
		return fmt.Errorf("stage %s has %d buckets at one replica and %d at another: run one build on all", name, len(h.GetBucket()), len(t.bounds))
	}
	t.count += float64(h.GetSampleCount())
	t.sum += h.GetSampleSum()
	for i, b := range h.GetBucket() {
		t.upTo[i] += float64(b.GetCumulativeCount())
	}
	return nil
}

// Since returns what came after an earlier look at the same replicas: stages in which anything happened.
func (s *Stages) Since(before *Stages) (stages []Stage) {
	for _, name := range s.names {
		now := *s.byName[name]
		if then := before.byName[name]; then != nil && len(then.upTo) == len(now.upTo) {
			now.count -= then.count
			now.sum -= then.sum
			upTo := make([]float64, len(now.upTo))
			for i := range upTo {
				upTo[i] = now.upTo[i] - then.upTo[i]
			}
			now.upTo = upTo
		}
		if now.count > 0 {
			stages = append(stages, Stage{Name: name, Count: int64(now.count), Mean: 1000 * now.sum / now.count,
				P50: 1000 * now.quantile(0.50), P99: 1000 * now.quantile(0.99)})
		}
	}
	place := func(s Stage) int {
		if i := slices.Index(way, s.Name); i >= 0 {
			return i
		}
		return len(way)
	}
	slices.SortStableFunc(stages, func(a, b Stage) int { return place(a) - place(b) })
	return stages
}

// quantile estimates a quantile as Prometheus does: values lie evenly in their bucket, those above the last bound at it.
func (t *stage) quantile(q float64) float64 {
	rank, below, from := q*t.count, 0.0, 0.0
	for i, bound := range t.bounds {
		if t.upTo[i] >= rank {
			if math.IsInf(bound, 1) {
				return from
			}
			return from + (bound-from)*(rank-below)/max(1, t.upTo[i]-below)
		}
		below, from = t.upTo[i], bound
	}
	return from
}

// StagesText writes a table of stages.
func StagesText(out io.Writer, stages []Stage) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "STAGE\tCOUNT\tMEAN ms\tP50 ms\tP99 ms")
	for _, s := range stages {
		fmt.Fprintf(table, "%s\t%d\t%.3f\t%.3f\t%.3f\n", s.Name, s.Count, s.Mean, s.P50, s.P99)
	}
	return table.Flush()
}
