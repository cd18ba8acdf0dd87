package sim

import (
	"bytes"
	"errors"

	"github.com/hotstuffd/hotstuffd/app"
	"github.com/hotstuffd/hotstuffd/app/kv"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/node"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/store"
)

// executor runs a replica's application after the driver, one block at a time, each as slow as the run has it.
type executor struct {
	l       *life
	machine *node.Machine
	keeper  *node.Keeper
	app     app.Application
	height  qc.Height // of the last block taken
	queue   []mempool.Execution
	running bool
}

// begin makes a new application and brings it up to the committed blocks on disk.
func (x *executor) begin(l *life, a node.Assembled) error {
	w := l.r.w
	x.l = l
	config, err := node.MachineOf(w.genesis, w.committee)
	if err != nil {
		return err
	}
	x.app = w.newApplication(l.r)
	x.machine = node.NewMachine(x.app, w.root, config)
	x.machine.OnCheckpoint(func() { x.checkpoint(x.machine.Freeze()) })
	x.keeper = node.NewKeeper(kept{l}, l.r.keeping(), l.holds, func() qc.Ticks { return w.now })
	if err := x.keeper.Recover(l.stored(), w.limits, a.Core.Certified(), func(h qc.Height, err error) {
		w.fail("snapshot", "%v finds its snapshot of height %d damaged: %v", l.r.id, h, err)
	}); err != nil {
		return err
	}
	node.WatchNonce(x.machine, a.Core, l.r.id, func(e node.NonceSeen) { l.take(e) })
	if err := node.Begin(x.machine, l.stored(), w.limits, a.Base, a.ReplayTo, nil, func(qc.Height) {
		w.check.executed(l.r, x.machine)
	}); err != nil {
		return err
	}
	x.height = a.ReplayTo
	return nil
}

// checkpoint takes the state of a checkpoint: it is signed, and may become a snapshot.
func (x *executor) checkpoint(s *node.State) {
	e := node.Checkpointed{Checkpoint: s.Checkpoint()}
	x.l.r.w.check.checkpointed(x.l.r, e)
	x.l.take(e)
	x.tell(x.keeper.Executed(s))
}

// tell takes what the keeper has come to: only a disk that is full may keep it from its work.
func (x *executor) tell(_ *store.SnapshotMeta, err error) {
	if err != nil && !errors.Is(err, errDiskFull) {
		x.l.r.w.fail("disk", "%v cannot take a snapshot: %v", x.l.r.id, err)
	}
}

// restore takes over a snapshot, unless the application has come as far by itself.
func (x *executor) restore(s *snapshot) (taken bool, err error) {
	cp := s.meta.Certificate.Checkpoint
	if cp.Height <= x.machine.Height() && !x.machine.Broken() {
		return false, nil
	}
	if err := x.machine.Restore(bytes.NewReader(s.data), x.l.r.w.limits, cp); err != nil {
		return false, err
	}
	x.l.r.w.check.executed(x.l.r, x.machine)
	x.height = max(x.height, cp.Height)
	x.l.take(node.Executed{Height: cp.Height})
	if !x.running {
		x.next()
	}
	return true, nil
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
	x.running = len(x.queue) > 0 && !x.machine.Broken()
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
		if x.machine.Broken() {
			x.running = false
			return
		}
		e := x.queue[0]
		x.queue = x.queue[1:]
		if e.Block.Height <= x.machine.Height() {
			x.passed(e)
			x.next()
			return
		}
		x.machine.Apply(e)
		w.check.executed(x.l.r, x.machine)
		if o := w.cfg.Observer; o != nil {
			o.Executed(x.l.r.id, e.Block, commandsIn(e), w.now)
		}
		x.l.take(node.Executed{Height: e.Block.Height})
		x.next()
	})
}

// passed takes a block that a snapshot has passed: whoever waits for its results is told that they are not known.
func (x *executor) passed(e mempool.Execution) {
	for _, spans := range e.Spans {
		for _, s := range spans {
			r := s.Owner.(*app.Request)
			r.Complete(r, nil, app.ErrUnknownOutcome)
		}
	}
	x.l.take(node.Executed{Height: e.Block.Height})
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
