package load

import (
	"sync"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// recorder counts replies. All times are nanoseconds since the load began.
type recorder struct {
	from, to int64 // what is due in between is measured

	mu         sync.Mutex
	latencies  *hdr.Histogram // of good replies, microseconds
	errors     int64
	unanswered int64
	refusal    string // of the first error
	last       int64  // when the last good reply came
	gap        int64  // the longest time without one
	second     *hdr.Histogram
	secondBad  int64
}

// latencyMax is the longest latency that is told from longer ones.
const latencyMax = time.Hour

func newRecorder(from, to int64) *recorder {
	return &recorder{from: from, to: to, latencies: newHistogram(), second: newHistogram(), last: from}
}

func newHistogram() *hdr.Histogram { return hdr.New(1, latencyMax.Microseconds(), 3) }

func record(h *hdr.Histogram, nanoseconds int64) {
	// It fits: an error would mean that it does not.
	_ = h.RecordValue(min(nanoseconds/1000, latencyMax.Microseconds()))
}

// replies counts what has come at once: when the good ones were due, and when the refused ones were.
func (r *recorder) replies(now int64, good, refused []int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, due := range good {
		record(r.second, now-due)
		if due >= r.from {
			record(r.latencies, now-due)
		}
	}
	for _, due := range refused {
		r.secondBad++
		if due >= r.from {
			r.errors++
		}
	}
	if len(good) > 0 && now >= r.from {
		r.gap = max(r.gap, now-r.last)
		r.last = max(r.last, now)
	}
}

// refused keeps the text of the first error reply.
func (r *recorder) refused(text []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refusal == "" {
		r.refusal = string(text)
	}
}

// lost counts commands that were never answered.
func (r *recorder) lost(count int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unanswered += count
}

// Second is what happened in a second.
type Second struct {
	Elapsed   time.Duration // since the load began
	Warmup    bool
	PerSecond float64
	P50, P99  time.Duration
	Errors    int64
}

// take returns what has come since the last call.
func (r *recorder) take(elapsed, since time.Duration) Second {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := Second{Elapsed: elapsed, Warmup: int64(elapsed-since) < r.from, PerSecond: float64(r.second.TotalCount()) / since.Seconds(), Errors: r.secondBad,
		P50: microseconds(r.second.ValueAtPercentile(50)), P99: microseconds(r.second.ValueAtPercentile(99))}
	r.second.Reset()
	r.secondBad = 0
	return s
}

func microseconds(n int64) time.Duration { return time.Duration(n) * time.Microsecond }
