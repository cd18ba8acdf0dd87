package node

import (
	"io"
	"time"
)

// pace keeps work that nobody waits for, as writing a snapshot and pruning the log, from taking a processor for as long as it
// lasts: votes want it. After each piece of work it rests for some times as long as that took, so that on a busy machine, where
// all takes longer, it leaves more. It belongs to one goroutine.
type pace struct {
	began time.Time // of the piece under way
	stop  <-chan struct{}
}

const (
	// restsPerWork is how many times as long as a piece of work the rest after it is.
	restsPerWork = 3
	// workLeast is the work that is worth a rest.
	workLeast = time.Millisecond
	// restMax bounds one rest: a piece that waited for a slow disk was no work.
	restMax = 50 * time.Millisecond
)

// begin begins a piece of work.
func (p *pace) begin() { p.began = time.Now() }

// rest ends a piece of work and begins the next one, unless it was too little: then that goes on. It returns early if the node
// stops.
func (p *pace) rest() {
	worked := time.Since(p.began)
	if worked < workLeast {
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
