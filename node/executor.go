package node

import (
	"sync"

	"github.com/hotstuffd/hotstuffd/app"
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
)

// executor runs the application: one goroutine, blocks in commit order, commands in block, batch and index order
// (PROTOCOL §6). It is off the vote path: a slow application delays results, never votes (L13).
type executor struct {
	app    app.Application
	done   func(qc.Height) // tells the loop; never waits
	replay func(*executor) error

	mu      sync.Mutex
	ready   sync.Cond
	queue   []mempool.Execution
	digests []chan<- Applied
	closed  bool

	commands uint64    // applied since genesis
	height   qc.Height // of the last executed block
	block    qc.BlockID
	progress *watermark
	scratch  []byte
}

// Applied is what the application has come to.
type Applied struct {
	Height   qc.Height
	Block    qc.BlockID
	Commands uint64 // since genesis
	Digest   [32]byte
}

func newExecutor(a app.Application, genesis *blocktree.Block, done func(qc.Height), replay func(*executor) error) *executor {
	x := &executor{app: a, done: done, replay: replay, block: genesis.ID(), progress: newWatermark()}
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
			x.done(x.height)
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
	now := Applied{Height: x.height, Block: x.block, Commands: x.commands, Digest: x.app.Digest()}
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

// apply executes one block. Requests that this replica took in are answered as soon as their last command is applied.
func (x *executor) apply(e mempool.Execution) {
	at := app.Moment{Height: uint64(e.Block.Height), Time: e.Block.Time}
	for i, b := range e.Batches {
		if i < len(e.Spans) && e.Spans[i] != nil {
			x.applyOwn(at, b, e.Spans[i])
		} else {
			x.applyForeign(at, b)
		}
		x.commands += uint64(b.Count)
	}
	x.height, x.block = e.Block.Height, e.Block.ID()
	x.progress.advance(uint64(x.height))
}

// applyForeign executes commands whose results another replica's client gets.
func (x *executor) applyForeign(at app.Moment, b *mempool.Batch) {
	rest := b.Blob
	for {
		command, after, ok := mempool.NextCommand(rest)
		if !ok {
			return
		}
		x.scratch = x.app.Apply(at, command, x.scratch[:0])
		rest = after
	}
}

// applyOwn executes a batch of this replica, with the reads of its requests at their positions among the commands
// (PROTOCOL §6): that is what makes them linearizable.
func (x *executor) applyOwn(at app.Moment, b *mempool.Batch, spans []mempool.Span) {
	rest := b.Blob
	for _, s := range spans {
		r := s.Owner.(*app.Request)
		var reply []byte
		local := 0
		for i := uint32(0); ; i++ {
			for ; local < len(r.Locals) && r.Locals[local].After <= i; local++ {
				reply = x.evaluate(&r.Locals[local], reply)
			}
			if i == s.Count {
				break
			}
			var command []byte
			command, rest, _ = mempool.NextCommand(rest)
			reply = x.app.Apply(at, command, reply)
		}
		for ; local < len(r.Locals); local++ {
			reply = x.evaluate(&r.Locals[local], reply)
		}
		r.Complete(r, reply, nil)
	}
}

func (x *executor) evaluate(l *app.Local, reply []byte) []byte {
	if l.Literal {
		return append(reply, l.Query...)
	}
	return x.app.Query(l.Query, reply)
}
