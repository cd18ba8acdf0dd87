package sim

import (
	"encoding/binary"

	"github.com/hotstuffd/hotstuffd/app"
	"github.com/hotstuffd/hotstuffd/app/kv"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/node"
	"github.com/hotstuffd/hotstuffd/qc"
)

// executor runs a replica's application after the driver, one block at a time, each as slow as the run has it.
type executor struct {
	l       *life
	machine *node.Machine
	app     app.Application
	height  qc.Height // of the last block taken
	queue   []mempool.Execution
	running bool
}

// begin makes a new application and brings it up to the committed blocks on disk.
func (x *executor) begin(l *life, a node.Assembled) error {
	w := l.r.w
	x.l = l
	x.app = w.newApplication(l.r)
	x.machine = node.NewMachine(x.app, w.root, node.SessionLimits(w.cfg.Limits))
	x.machine.Checkpoint(w.cfg.Limits.CheckpointInterval, func(e node.Checkpointed) {
		w.check.checkpointed(l.r, e)
		l.take(e)
	})
	node.WatchNonce(x.machine, a.Core, l.r.id, func(e node.NonceSeen) { l.take(e) })
	for h := qc.Height(1); h <= a.ReplayTo; h++ {
		if err := x.machine.ApplyStored(l.stored(), h); err != nil {
			return err
		}
		w.check.executed(l.r, x.machine)
	}
	x.height = a.ReplayTo
	return nil
}

// Execute implements node.App.
func (x *executor) Execute(e mempool.Execution) {
	w := x.l.r.w
	if x.l.over {
		return
	}
	if e.Block.Height != x.height+1 {
		w.fail("S12", "%v is given block %d after %d", x.l.r.id, e.Block.Height, x.height)
	}
	x.height = e.Block.Height
	x.queue = append(x.queue, e)
	if !x.running {
		x.next()
	}
}

func (x *executor) next() {
	x.running = len(x.queue) > 0
	if !x.running {
		return
	}
	w := x.l.r.w
	d := w.cfg.ApplyTime
	if !w.calm && chance(w.random.app, w.cfg.SlowApplies) {
		d = between(w.random.app, 1, w.cfg.SlowApply)
	}
	w.after(d, func() {
		if x.l.over {
			return
		}
		e := x.queue[0]
		x.queue = x.queue[1:]
		x.machine.Apply(e)
		w.check.executed(x.l.r, x.machine)
		if o := w.cfg.Observer; o != nil {
			o.Executed(x.l.r.id, e.Block, commandsIn(e), w.now)
		}
		x.l.take(node.Executed{Height: e.Block.Height})
		x.next()
	})
}

// hurries has the application done with all that it was given, faster than the write that the power failed in.
func (x *executor) hurries() {
	for _, e := range x.queue {
		x.machine.Apply(e)
		x.l.r.w.check.executed(x.l.r, x.machine)
	}
	x.queue = nil
}

// newApplication returns a replica's application at genesis.
func (w *World) newApplication(r *replica) app.Application {
	a := w.soundApplication(r)
	if r.corruptFrom > 0 {
		return &corrupted{Application: a, from: uint64(r.corruptFrom)}
	}
	return a
}

func (w *World) soundApplication(r *replica) app.Application {
	if w.cfg.Clients.KeyValue {
		s, err := kv.New(kv.DefaultLimits())
		if err != nil {
			panic(err) // its own default limits
		}
		return s
	}
	return &ledger{w: w, correct: r.correct(), last: make(map[uint32]uint32), applied: make(map[command]struct{})}
}

// ledger is an application that knows each command's connection and number, and checks that a connection's commands come
// in its order, each once. A command is both numbers and padding; its result is its number.
type ledger struct {
	w       *World
	correct bool
	last    map[uint32]uint32 // by connection
	applied map[command]struct{}
	count   uint64
	sum     uint64
}

const ledgerCommandBytes = 8

func ledgerCommand(connection, number uint32, bytes int) []byte {
	c := make([]byte, max(bytes, ledgerCommandBytes))
	binary.BigEndian.PutUint32(c, connection)
	binary.BigEndian.PutUint32(c[4:], number)
	return c
}

// Apply implements app.Application.
func (a *ledger) Apply(_ app.Moment, words, reply []byte) []byte {
	a.count++
	for _, b := range words {
		a.sum = (a.sum ^ uint64(b)) * 1099511628211
	}
	if len(words) < ledgerCommandBytes {
		return binary.BigEndian.AppendUint32(reply, 0) // a Byzantine origin's
	}
	connection, number := binary.BigEndian.Uint32(words), binary.BigEndian.Uint32(words[4:])
	if a.correct {
		if number <= a.last[connection] && connection != 0 {
			a.w.fail("L10", "command %d of connection %d is applied after %d", number, connection, a.last[connection])
		}
		a.w.check.applied(connection, number)
	}
	a.last[connection] = number
	a.applied[command{connection, number}] = struct{}{}
	return binary.BigEndian.AppendUint32(reply, number)
}

// Query implements app.Application: the number of a connection's last command.
func (a *ledger) Query(query, reply []byte) []byte {
	return binary.BigEndian.AppendUint32(reply, a.last[binary.BigEndian.Uint32(query)])
}

// Digest implements app.Application.
func (a *ledger) Digest() (d [32]byte) {
	binary.BigEndian.PutUint64(d[:], a.count)
	binary.BigEndian.PutUint64(d[8:], a.sum)
	return d
}
