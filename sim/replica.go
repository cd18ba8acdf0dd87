package sim

import (
	"errors"
	"slices"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/node"
	"github.com/hotstuffd/hotstuffd/qc"
)

// replica is one replica through all its lives: what survives a crash.
type replica struct {
	w       *World
	id      qc.NodeID
	disk    *disk
	life    *life // nil while it is down
	lives   int
	skew    int64 // of its wall clock, nanoseconds
	dead    bool  // never starts
	failing bool  // its disk refuses writes
	lost    bool  // its disk was lost, and it has not rejoined
	unsure  unsure

	unreadable bool  // its disk refuses reads
	mind       *mind // what makes it Byzantine; nil if it is correct
	// corruptFrom is the height from which its application's state is wrong; 0: never.
	corruptFrom qc.Height
}

func newReplica(w *World, id qc.NodeID) *replica {
	r := &replica{w: w, id: id, disk: newDisk(w.root, w.cfg.Nodes), dead: slices.Contains(w.cfg.Dead, id), corruptFrom: w.cfg.Corrupted[id]}
	if w.cfg.ClockSkew > 0 {
		r.skew = w.random.clock.Int64N(2*w.cfg.ClockSkew) - w.cfg.ClockSkew
	}
	if b, ok := w.cfg.Byzantine[id]; ok {
		r.mind = newMind(r, b)
	}
	return r
}

func (r *replica) byzantine() bool { return r.mind != nil }

// correct tells whether the promises of the protocol hold for it.
func (r *replica) correct() bool { return r.mind == nil && !r.dead && !r.lost }

// life is a replica between a start and a crash: the production driver, and the edges of package node in miniature.
type life struct {
	r        *replica
	number   int
	driver   *node.Driver
	verifier *hotstuff.Verifier
	server   node.Server
	window   hotstuff.Window // as published after the last turn
	began    qc.Ticks
	over     bool
	overAt   qc.Ticks
	zombie   bool // a Byzantine replica whose core has stopped

	device   Device       // nil: the simulated disk is all there is
	endWrite func() error // of the device's write of batches

	readFailed bool // a read of its disk has
	spoilt     int  // sums that it has trusted before they were checked, and that a bad vote was in

	inbox     []node.Event
	spare     []node.Event
	scheduled bool     // a turn is
	timer     qc.Ticks // when the timer goes off; 0: it is not set
	spins     int      // turns in a row that were due at once
	busy      qc.Ticks // the loop waits for the disk, or is paused, until then

	fuse    fuse
	payload []*mempool.Batch // to be written
	writing []*mempool.Batch // being written
	view    qc.View
	exec    executor
	holds   *node.Holds
	shots   shots
	cpu     *processor // nil: work costs nothing
}

// fuse is where in a turn the power will fail.
type fuse struct {
	at    fuseAt
	sends int
}

type fuseAt uint8

const (
	never fuseAt = iota
	beforeWrite
	afterWrite
	betweenSends
)

// errCrash is the end of a life, in the middle of a turn.
var errCrash = errors.New("the power fails")

// start begins a life from what is on disk.
func (r *replica) start() {
	if r.life != nil || r.dead {
		return
	}
	w := r.w
	r.lives++
	l := &life{r: r, number: r.lives, began: w.now, holds: node.NewHolds()}
	cache := make(certificates)
	certs := func() *qc.Verifier {
		return qc.NewVerifier(w.committee, w.keys.scheme(), cache, blocktree.GenesisQC(w.root, w.cfg.Nodes))
	}
	if err := l.open(); err != nil {
		l.refuseStart(err)
		return
	}
	l.verifier = hotstuff.NewVerifier(r.id, w.committee, certs(), w.keys.roster, node.CoreLimits(w.cfg.Limits))
	assembled, err := node.Assemble(node.Parts{Config: w.settings, Genesis: w.genesis, Committee: w.committee, Self: r.id,
		Identity: w.keys.identities[r.id], Signer: w.keys.signers[r.id], Certs: certs(), Store: l.stored()}, l.tick())
	if err != nil {
		l.refuseStart(err)
		return
	}
	if err := l.exec.begin(l, assembled); err != nil {
		l.refuseStart(err)
		return
	}
	l.shots = shots{l: l}
	l.driver = node.NewDriver(assembled.Core, assembled.Pool, node.Edges{Store: l, Transport: l, App: &l.exec, Verifier: l,
		Snapshots: &l.shots, Refused: w.refused})
	if w.meter != nil {
		l.cpu = newProcessor(w.meter, w.cfg.Nodes)
	}
	l.server = node.Server{Store: l.stored(), Reply: l.replyTo, Fail: l.cannotRead,
		Holds: l.holds, Now: func() qc.Ticks { return w.now }}
	r.life = l
	l.window = l.driver.Core().Window()
	l.view = l.driver.Core().View()
	w.check.started(l)
	w.trace.event(w.now, start, r.id, 0, uint64(l.view), uint64(len(r.disk.chain)))
	if w.trace.wanted() {
		w.trace.note(w.now, "%v starts, life %d, view %d, committed %d", r.id, l.number, l.view, len(r.disk.chain)-1)
	}
	w.net.changed(r.id)
	w.after(reachGrace, func() { l.reportSilent() })
	l.wake()
}

// refuseStart is a start that fails: whoever looks after the node tries again if it is the disk's fault, or the power's.
func (l *life) refuseStart(err error) {
	r := l.r
	if l.device != nil {
		l.device.Crash()
	}
	if diskFault(err) || errors.Is(err, ErrPowerCut) {
		r.w.trace.note(r.w.now, "%v cannot start: %v", r.id, err)
		r.w.after(around(r.w.random.crash, max(r.w.cfg.ReadFailures.For, r.w.cfg.Crashes.For)), r.start)
		return
	}
	if r.correct() || r.lost {
		r.w.fail("S13", "%v cannot start from what it synced: %v", r.id, err)
	}
}

// reachGrace is package node's: who was not reached by then is down.
const reachGrace = qc.TicksPerSecond / 2

func (l *life) reportSilent() {
	for id := range qc.NodeID(l.r.w.cfg.Nodes) {
		if !l.over && id != l.r.id && !l.driver.Reached(id) && !l.r.w.net.connected(l.r.id, id) {
			l.take(node.PeerChange{ID: id})
		}
	}
}

// crash ends a life. What was not synced is gone; of a write under way, all or nothing survives.
func (r *replica) crash() {
	l := r.life
	if l == nil {
		return
	}
	w := r.w
	l.leaves()
	l.over, l.overAt = true, w.now
	r.life = nil
	if r.correct() {
		w.counts.Crashes++
	}
	w.trace.event(w.now, crash, r.id, 0, uint64(l.number), 0)
	w.trace.note(w.now, "%v crashes", r.id)
	w.net.changed(r.id)
	for _, c := range w.clients {
		c.lost(r.id)
	}
	w.after(around(w.random.crash, max(w.cfg.Crashes.For, w.cfg.AllCrash.For, w.cfg.DiskFailures.For, w.cfg.ReadFailures.For)), r.start)
	if l.device != nil {
		for _, id := range l.device.Crash() {
			w.replicas[id].crash()
		}
	}
}

// tick is the time as the driver is told it: its own clocks.
func (l *life) tick() hotstuff.Tick {
	return hotstuff.Tick{Now: l.r.w.now - l.began, Wall: l.r.w.wall(l.r.skew)}
}

// take puts an event into the inbox.
func (l *life) take(e node.Event) {
	if l.over {
		return
	}
	l.inbox = append(l.inbox, e)
	l.wake()
}

// wake has the loop run as soon as it can.
func (l *life) wake() {
	if l.scheduled || l.over {
		return
	}
	l.scheduled = true
	l.r.w.at(l.busy, l.turn)
}

// turn is one round of node's loop.
func (l *life) turn() {
	w := l.r.w
	if l.over {
		return
	}
	if l.busy > w.now { // it was paused meanwhile
		w.at(l.busy, l.turn)
		return
	}
	l.scheduled = false
	if l.zombie {
		l.inbox = nil
		return
	}
	l.inbox, l.spare = l.spare[:0], l.inbox
	if l.cpu != nil {
		l.cpu.step(len(l.spare))
	}
	err := l.driver.Turn(l.tick(), l.spare)
	clear(l.spare)
	l.spend()
	switch {
	case l.over:
		return
	case errors.Is(err, errCrash) || errors.Is(err, ErrPowerCut):
		l.r.crash()
		return
	case err != nil:
		l.halt(err)
		return
	}
	core := l.driver.Core()
	l.window = core.Window()
	w.trace.event(w.now, turn, l.r.id, 0, uint64(l.window.View), uint64(l.window.HighQC))
	if l.window.View != l.view {
		w.check.entered(l, core)
		if o := w.cfg.Observer; o != nil {
			o.Entered(l.r.id, l.window.View, core.Safety().HighQC.View+1 != l.window.View, w.now)
		}
		l.view = l.window.View
	}
	w.check.turned(l)
	l.arm()
}

// arm sets the timer to the driver's deadline.
func (l *life) arm() {
	w := l.r.w
	due := l.driver.Deadline() + l.began
	if due > w.now {
		l.spins = 0
	} else if l.spins++; l.spins > spinsMax {
		w.fail("spin", "%v wants a turn at once for %d turns on end, in view %d", l.r.id, l.spins, l.view)
	}
	due = max(due, w.now+1, l.busy)
	if l.timer != 0 && l.timer <= due && l.timer > w.now {
		return // an early turn does no harm
	}
	l.timer = due
	w.at(due, func() {
		if l.timer == due {
			l.timer = 0
			l.wake()
		}
	})
}

// spinsMax is how many turns in a row may be due at once: a loop that never rests burns a processor.
const spinsMax = 200

// halt is a node that stops by itself. A correct one may only for a disk that fails.
func (l *life) halt(err error) {
	w, r := l.r.w, l.r
	w.trace.event(w.now, halt, r.id, 0, 0, 0)
	w.trace.note(w.now, "%v halts: %v", r.id, err)
	if !l.diverged(err) && (r.correct() || r.lost) && !diskFault(err) {
		w.fail("halt", "%v: %v", r.id, err)
	}
	if r.byzantine() {
		l.zombie = true // its core has had enough; what drives it goes on
		return
	}
	r.crash()
}

// certificates is a qc.Cache, emptied when it is large.
type certificates map[[32]byte]struct{}

// Has implements qc.Cache.
func (c certificates) Has(key [32]byte) bool { _, ok := c[key]; return ok }

// Add implements qc.Cache.
func (c certificates) Add(key [32]byte) {
	if len(c) >= 1024 {
		clear(c)
	}
	c[key] = struct{}{}
}
