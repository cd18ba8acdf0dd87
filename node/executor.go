package node

import (
	"sync"

	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
)

// executor runs a Machine: one goroutine, blocks in commit order. It is off the vote path: a slow application delays
// results, never votes (L13).
type executor struct {
	machine *Machine
	done    func(qc.Height) // tells the loop; never waits
	replay  func(*executor) error

	mu      sync.Mutex
	ready   sync.Cond
	queue   []mempool.Execution
	digests []chan<- Applied
	closed  bool

	newest [recentBlocks]recentBlock // by height modulo its length

	progress *watermark // the height of the last executed block
}

// recentBlocks is how many executed blocks the executor can name. The note on disk that they are committed comes with the
// next vote, a few blocks later.
const recentBlocks = 1024

type recentBlock struct {
	height qc.Height
	id     qc.BlockID
}

func newExecutor(m *Machine, done func(qc.Height), replay func(*executor) error) *executor {
	x := &executor{machine: m, done: done, replay: replay, progress: newWatermark()}
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
		queue, digests, ok := x.wait()
		if !ok {
			return nil
		}
		for i := range queue {
			x.apply(queue[i])
			x.done(queue[i].Block.Height)
			queue[i] = mempool.Execution{} // its batches may go
			digests = append(digests, x.takeDigests()...)
			x.answer(digests)
			digests = digests[:0]
		}
		x.answer(digests)
	}
}

func (x *executor) wait() (queue []mempool.Execution, digests []chan<- Applied, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for !x.closed && len(x.queue) == 0 && len(x.digests) == 0 {
		x.ready.Wait()
	}
	queue, x.queue = x.queue, nil
	digests, x.digests = x.digests, nil
	return queue, digests, !x.closed
}

func (x *executor) takeDigests() []chan<- Applied {
	x.mu.Lock()
	defer x.mu.Unlock()
	d := x.digests
	x.digests = nil
	return d
}

func (x *executor) answer(to []chan<- Applied) {
	if len(to) == 0 {
		return
	}
	now := x.machine.Applied()
	for _, ch := range to {
		ch <- now // buffered by its maker
	}
}

// ask requests the state between two blocks. The answer comes on a channel that is buffered; none comes after close.
func (x *executor) ask() <-chan Applied {
	ch := make(chan Applied, 1)
	x.mu.Lock()
	x.digests = append(x.digests, ch)
	x.mu.Unlock()
	x.ready.Signal()
	return ch
}

// close ends run after the block under way and returns what was not executed.
func (x *executor) close() []mempool.Execution {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.closed = true
	x.ready.Broadcast()
	left := x.queue
	x.queue = nil
	return left
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
	x.mu.Lock()
	x.newest[e.Block.Height%recentBlocks] = recentBlock{e.Block.Height, e.Block.ID()}
	x.mu.Unlock()
	x.progress.advance(uint64(e.Block.Height))
}
