package main

import (
	"sync"
	"time"
)

// outage measures how long no client was served: between two answers of any of them, while they ask. Any goroutine may use
// it.
type outage struct {
	mu      sync.Mutex
	asking  bool
	last    time.Time // of an answer, or since when they ask
	since   time.Time // since when a quorum runs; zero: none does
	longest time.Duration
	// blameless is the longest time of which no kill or pause is the cause: a quorum ran all the while.
	blameless time.Duration
}

// begin says that clients ask from now on.
func (o *outage) begin(now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asking, o.last = true, now
}

// end says that they do not any more.
func (o *outage) end(now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.measure(now)
	o.asking = false
}

// answered says that a client was.
func (o *outage) answered(now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.measure(now)
	o.last = now
}

// quorum says whether a quorum of nodes runs from now on.
func (o *outage) quorum(runs bool, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if runs == !o.since.IsZero() {
		return
	}
	o.measure(now)
	o.since = time.Time{}
	if runs {
		o.since = now
	}
}

func (o *outage) measure(now time.Time) {
	if !o.asking {
		return
	}
	o.longest = max(o.longest, now.Sub(o.last))
	if !o.since.IsZero() {
		from := o.last
		if o.since.After(from) {
			from = o.since
		}
		o.blameless = max(o.blameless, now.Sub(from))
	}
}

func (o *outage) worst() (longest, blameless time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.longest, o.blameless
}
