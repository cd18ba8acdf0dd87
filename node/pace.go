package node

import (
	"io"
	"sync/atomic"
	"time"
)

// pace keeps work that nobody waits for, as writing a snapshot and pruning the log, from taking a processor for as long as it
// lasts: votes want it. After each piece of work it rests for some times as long as that took, so that on a busy machine, where
// all takes longer, it leaves more. While no commands are committed, executed or replayed it does not rest:
// there is nothing to leave room for, and a replica that comes back may soon want the snapshot. It belongs to one goroutine;
// only busy is for any.
type pace struct {
	began    time.Time // of the piece under way
	stop     <-chan struct{}
	start    time.Time
	lastBusy atomic.Int64 // the time of the last call of busy, in nanoseconds after start; 0: none yet
}

const (
	// restsPerWork is how many times as long as a piece of work the rest after it is.
	restsPerWork = 3
	// workLeast is the work that is worth a rest.
	workLeast = time.Millisecond
	// restMax bounds one rest: a piece that waited for a slow disk was no work.
	restMax = 50 * time.Millisecond
	// idleAfter is how long busy is not called before there are no rests: some views of a busy replica.
	idleAfter = 500 * time.Millisecond
)

func newPace(stop <-chan struct{}) *pace { return &pace{stop: stop, start: time.Now()} }

// busy tells that commands are committed, executed or replayed now.
func (p *pace) busy() { p.lastBusy.Store(max(1, int64(time.Since(p.start)))) }

// idle tells whether none were of late.
func (p *pace) idle() bool {
	last := p.lastBusy.Load()
	return last == 0 || time.Since(p.start)-time.Duration(last) > idleAfter
}

// begin begins a piece of work.
func (p *pace) begin() { p.began = time.Now() }

// rest ends a piece of work and begins the next one, unless it was too little: then that goes on. It returns early if the node
// stops.
func (p *pace) rest() {
	worked := time.Since(p.began)
	if worked < workLeast {
		return
	}
	if p.idle() {
		p.begin()
		return
	}
	timer := time.NewTimer(min(restsPerWork*worked, restMax))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.stop:
	}
	p.begin()
}

// pacedWriter rests after every piece that it writes.
type pacedWriter struct {
	w    io.Writer
	pace *pace
}

// pieceBytes is the most that is written between two rests: some hundred microseconds of hashing.
const pieceBytes = 512 << 10

// Write implements io.Writer.
func (w pacedWriter) Write(b []byte) (n int, err error) {
	for first := true; err == nil && (first || len(b) > 0); first = false {
		var written int
		written, err = w.w.Write(b[:min(len(b), pieceBytes)])
		n, b = n+written, b[written:]
		w.pace.rest()
	}
	return n, err
}
