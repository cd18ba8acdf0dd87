package node

import (
	"io"
	"sync"
	"sync/atomic"

	"github.com/hotstuffd/hotstuffd/api/wire"
	"github.com/hotstuffd/hotstuffd/app"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
)

// executor runs a Machine: one goroutine, blocks in commit order. It is off the vote path: a slow application delays
// results, never votes (L13).
type executor struct {
	machine *Machine
	done    func(qc.Height) // tells the loop; never waits
	replay  func(*executor) error
	// digest takes a frozen state, and answers with where it stands. It may make the executor wait, never for the loop.
	digest func(*State, chan<- Applied)

	mu      sync.Mutex
	ready   sync.Cond
	queue   []mempool.Execution
	asked   []chan<- Applied
	restore *restoration
	closed  bool
	// suspended: blocks, and those who ask for the state, wait until a snapshot was taken over and adopted.
	suspended bool

	newest [recentBlocks]recentBlock // by height modulo its length

	progress *watermark    // the height of the last executed block
	restored atomic.Uint64 // the height of the newest state that was restored: up to there the log on disk may have gaps
}

// recentBlocks is how many executed blocks the executor can name. The note on disk that they are committed comes with the
// next vote, a few blocks later.
const recentBlocks = 1024

type recentBlock struct {
	height qc.Height
	id     qc.BlockID
}

// restoration is a snapshot to be taken over.
type restoration struct {
	from   io.Reader
	limits wire.Limits
	cp     qc.Checkpoint
	result chan restored // one slot
}

type restored struct {
	head *stateHead // nil: the executor had come further by itself, or failed
	err  error
}

func newExecutor(m *Machine, done func(qc.Height), digest func(*State, chan<- Applied), replay func(*executor) error) *executor {
	x := &executor{machine: m, done: done, digest: digest, replay: replay, progress: newWatermark()}
	x.ready.L = &x.mu
	return x
}

// Execute hands over a committed block. It never waits; the mempool bounds the backlog by naming no more payload.
func (x *executor) Execute(e mempool.Execution) {
	x.mu.Lock()
	x.queue = append(x.queue, e)
	x.mu.Unlock()
	x.ready.Signal()
}

// run executes until close. Its error is the replay's.
func (x *executor) run() error {
	if err := x.replay(x); err != nil {
		return err
	}
	for {
		w, ok := x.wait()
		if !ok {
			return nil
		}
		if w.restore != nil {
			x.takeOver(w.restore)
		}
		for i := range w.queue {
			if x.leaves(w.queue[i:]) {
				return nil
			}
			x.execute(w.queue[i])
			w.queue[i] = mempool.Execution{} // its batches may go
			x.answer(append(w.asked, x.takeAsked()...))
			w.asked = w.asked[:0]
		}
		x.answer(w.asked)
	}
}

// work is what the executor has to do next, in the order of the fields.
type work struct {
	restore *restoration
	queue   []mempool.Execution
	asked   []chan<- Applied
}

func (x *executor) wait() (w work, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for !x.closed && x.restore == nil && (x.suspended || len(x.queue) == 0 && len(x.asked) == 0) {
		x.ready.Wait()
	}
	if w.restore, x.restore = x.restore, nil; w.restore == nil && !x.suspended {
		w.queue, x.queue = x.queue, nil
		w.asked, x.asked = x.asked, nil
	}
	return w, !x.closed
}

// leaves puts blocks back if the executor is closed: they are not executed any more.
func (x *executor) leaves(blocks []mempool.Execution) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		x.queue = append(blocks, x.queue...)
	}
	return x.closed
}

// execute applies a block. One that a snapshot has passed is in it: whoever waits for its results is told that they are not known.
func (x *executor) execute(e mempool.Execution) {
	h := e.Block.Height
	if h > x.machine.Height() {
		x.apply(e)
	} else {
		for _, spans := range e.Spans {
			for _, s := range spans {
				r := s.Owner.(*app.Request)
				r.Complete(r, nil, app.ErrUnknownOutcome)
			}
		}
	}
	x.done(h)
}

// takeOver restores a snapshot, unless the application has come as far by itself. Nothing else is done before adopt, or
// another restoration: a restart would not stand where the application does.
func (x *executor) takeOver(r *restoration) {
	x.mu.Lock()
	needed := x.suspended || r.cp.Height > x.machine.Height()
	x.suspended = needed
	x.mu.Unlock()
	if !needed {
		r.result <- restored{}
		return
	}
	if err := x.machine.Restore(r.from, r.limits, r.cp); err != nil {
		r.result <- restored{err: err}
		return
	}
	head := x.machine.head()
	r.result <- restored{head: &head}
}

// adopt goes on from the snapshot that was taken over, when it is durable.
func (x *executor) adopt(head *stateHead) {
	b := head.block()
	x.restored.Store(uint64(b.Height)) // before anybody can see the height as executed, and look for its log
	x.cameTo(b.Height, b.ID())
	x.done(b.Height)
	x.mu.Lock()
	x.suspended = false
	x.mu.Unlock()
	x.ready.Signal()
}

// takeSnapshot asks for a restoration and waits for its end; stop ends the wait.
func (x *executor) takeSnapshot(r *restoration, stop <-chan struct{}) restored {
	r.result = make(chan restored, 1)
	x.mu.Lock()
	x.restore = r
	x.mu.Unlock()
	x.ready.Signal()
	select {
	case out := <-r.result:
		return out
	case <-stop:
		return restored{err: errStopped}
	}
}

func (x *executor) takeAsked() []chan<- Applied {
	x.mu.Lock()
	defer x.mu.Unlock()
	asked := x.asked
	x.asked = nil
	return asked
}

// answer has the state that those have asked for digested, off this goroutine.
func (x *executor) answer(to []chan<- Applied) {
	for _, ch := range to {
		x.digest(x.machine.Freeze(), ch)
	}
}

// ask requests the state between two blocks. The answer comes on a channel that is buffered; none comes after close.
func (x *executor) ask() <-chan Applied {
	ch := make(chan Applied, 1)
	x.mu.Lock()
	x.asked = append(x.asked, ch)
	x.mu.Unlock()
	x.ready.Signal()
	return ch
}

// close ends run after the block under way.
func (x *executor) close() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.closed = true
	x.ready.Broadcast()
}

// unexecuted returns what was not executed, once run has ended.
func (x *executor) unexecuted() []mempool.Execution {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.queue
}

// recent returns the ID of the executed block of a height, if it is one of the newest.
func (x *executor) recent(h qc.Height) (id qc.BlockID, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	b := x.newest[h%recentBlocks]
	return b.id, b.height == h && h > 0
}

func (x *executor) apply(e mempool.Execution) {
	x.machine.Apply(e)
	x.cameTo(e.Block.Height, x.machine.block)
}

// cameTo notes that the machine has come to a block.
func (x *executor) cameTo(h qc.Height, id qc.BlockID) {
	x.mu.Lock()
	x.newest[h%recentBlocks] = recentBlock{h, id}
	x.mu.Unlock()
	x.progress.advance(uint64(h))
}
