package load

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// Result is what a run has measured.
type Result struct {
	Clients  int     `json:"clients"`
	Pipeline int     `json:"pipeline,omitempty"` // closed loop
	Rate     int     `json:"rate,omitempty"`     // open loop: what was asked for
	Payload  int     `json:"payload_bytes"`
	Keys     int     `json:"keys"`
	Seed     uint64  `json:"seed"`
	Seconds  float64 `json:"seconds"` // from the end of the warm-up to the last reply, or to the end if that was later

	Commands   int64   `json:"commands"` // answered without an error
	PerSecond  float64 `json:"per_second"`
	Latency    Latency `json:"latency_ms"`
	Errors     int64   `json:"errors"`                // error replies
	FirstError string  `json:"first_error,omitempty"` // the first one's text
	Unanswered int64   `json:"unanswered"`            // commands without a reply
	LongestGap float64 `json:"longest_gap_ms"`        // the longest time without a good reply

	Stages []Stage `json:"stages,omitempty"`
}

// Latency is in milliseconds: closed loop from when a command was sent, open loop from when it was due.
type Latency struct {
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99_9"`
	Max  float64 `json:"max"`
}

// result returns what was measured until now, which is after the end.
func (r *recorder) result(o *Options, now int64) *Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.unanswered > 0 {
		r.gap = max(r.gap, now-r.last) // they were waited for
	}
	r.gap = max(r.gap, r.to-r.last)
	h := r.latencies
	ms := func(microseconds int64) float64 { return float64(microseconds) / 1000 }
	at := func(p float64) float64 { return ms(h.ValueAtPercentile(p)) }
	result := &Result{Clients: o.Clients, Rate: o.Rate, Payload: o.Payload, Keys: o.Keys, Seed: o.Seed,
		Seconds: time.Duration(max(r.to, r.last) - r.from).Seconds(), Commands: h.TotalCount(),
		Latency: Latency{Mean: h.Mean() / 1000, P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), Max: ms(h.Max())},
		Errors:  r.errors, FirstError: r.refusal, Unanswered: r.unanswered, LongestGap: float64(r.gap) / 1e6}
	if o.Rate == 0 {
		result.Pipeline = o.Pipeline
	}
	result.PerSecond = float64(result.Commands) / result.Seconds
	return result
}

// Load names what was asked for.
func (r *Result) Load() string {
	return (&Options{Rate: r.Rate, Clients: r.Clients, Pipeline: r.Pipeline}).Load()
}

// Load names what is asked for: commands a second, or clients and their pipeline.
func (o *Options) Load() string {
	if o.Rate > 0 {
		return fmt.Sprintf("%d/s", o.Rate)
	}
	return fmt.Sprintf("%d x %d", o.Clients, o.Pipeline)
}

// Text writes a table of results, a line each.
func Text(out io.Writer, results []*Result) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "LOAD\tCOMMANDS\tRATE\tP50 ms\tP90 ms\tP99 ms\tP99.9 ms\tMAX ms\tERRORS\tLONGEST GAP")
	for _, r := range results {
		l := r.Latency
		fmt.Fprintf(table, "%s\t%d\t%.0f/s\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%d\t%.0f ms\n", r.Load(), r.Commands, r.PerSecond,
			l.P50, l.P90, l.P99, l.P999, l.Max, r.Errors+r.Unanswered, r.LongestGap)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, r := range results {
		if r.Errors > 0 {
			fmt.Fprintf(out, "%s: %d error replies, the first: %s\n", r.Load(), r.Errors, r.FirstError)
		}
		if r.Unanswered > 0 {
			fmt.Fprintf(out, "%s: %d commands were not answered within %s after the end\n", r.Load(), r.Unanswered, drain)
		}
	}
	return nil
}
