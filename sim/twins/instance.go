package twins

import (
	"slices"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
)

// instance is one running replica, or one of the two that run under one identity. Its core is the production core and
// follows every rule: that two of them sign with one key is all that is Byzantine here.
type instance struct {
	index int
	id    qc.NodeID
	twin  *instance // the other one under the same identity; nil for an honest replica
	core  *hotstuff.Core
	now   qc.Ticks // its own clock
	told  qc.Ticks // what the core knows of it
	wall  int64

	state     hotstuff.SafetyState // as last persisted
	committed *blocktree.Block
	fired     qc.View // the highest view whose timer fired in this round
	silent    bool
	// heard holds, of a twin, the votes and timeouts that a restart would lose. See accept.
	heard []hotstuff.Verified
}

// Instances have different wall clocks, so that the blocks of two twins that lead a view differ even if all else is equal.
const (
	wallBase = 1_000_000_000
	wallStep = 1_000_000
)

// tick is what the clocks say.
func (x *instance) tick() hotstuff.Tick { return hotstuff.Tick{Now: x.now, Wall: x.wall} }

// newInstances starts the cores of a run.
func (w *world) newInstances() {
	s := w.scenario
	w.instances = w.instances[:0]
	for i := range s.instances() {
		x := &instance{index: i, id: s.identity(i), wall: wallBase + int64(i)*wallStep, committed: w.genesis}
		x.state = w.firstStart().Safety
		w.instances = append(w.instances, x)
	}
	for k, id := range s.Twins {
		a, b := w.instances[id], w.instances[s.Replicas+k]
		a.twin, b.twin = b, a
	}
	for _, x := range w.instances {
		w.start(x, w.firstStart())
	}
}

func (w *world) start(x *instance, rec hotstuff.Recovered) {
	core, err := hotstuff.New(w.config(x.id, w.scenario), rec, x.tick())
	if err != nil {
		w.fail(x, "does not start: %v", err)
	}
	x.core, x.told = core, x.now
	w.finish(x)
}

// accept makes a twin accept a certificate that holds its own signature by the hand of the other. The core would take it for
// the theft of its key and stop (S14), and a twin that stops attacks nobody. So the twin is restarted, before it sees the
// message, as if it had cast that vote itself; in a view that the certificate is about to end, it could cast no other.
// What a restart loses, the votes and timeouts collected, it is told again.
func (w *world) accept(x *instance, m hotstuff.Message) {
	if x.twin == nil {
		return
	}
	for _, q := range certificates(m) {
		last := x.core.Safety().LastVoted
		if !q.Signers.Has(x.id) || last != nil && (q.View < last.View || q.View == last.View && q.Block == last.Block) {
			continue
		}
		state := x.core.Safety()
		vote := w.votes[ballot{x.id, q.View, q.Block}]
		state.LastVoted = &vote
		w.restarts++
		w.note(x, "is restarted with its twin's vote of view %d", q.View)
		x.state = state
		w.start(x, recovered(x.core, state))
		heard := x.heard
		x.heard = nil
		for _, v := range heard {
			if viewOf(v.Message()) >= x.core.View() {
				w.hear(x, v)
			}
		}
	}
}

// recovered is what a restart would find on a disk that has all that the core holds.
func recovered(c *hotstuff.Core, state hotstuff.SafetyState) hotstuff.Recovered {
	committed := c.Tree().Committed()
	rec := hotstuff.Recovered{Safety: state, Committed: committed.Block, Lanes: committed.Lanes}
	for e := committed.Parent(); e != nil; e = e.Parent() {
		rec.Below = append(rec.Below, e.Block)
	}
	slices.Reverse(rec.Below)
	for _, e := range c.Tree().Above() {
		rec.Above = append(rec.Above, e.Block)
	}
	return rec
}

// hear steps a verified message, and keeps it if a restart of a twin would lose it.
func (w *world) hear(x *instance, v hotstuff.Verified) {
	if x.twin != nil {
		switch v.Message().(type) {
		case *hotstuff.VoteMessage, *hotstuff.TimeoutMessage:
			x.heard = append(x.heard, v)
		}
	}
	w.turn(x, v)
}

// turn is one turn of a driver: the time, an input, and all that follows from it.
func (w *world) turn(x *instance, in hotstuff.Input) {
	if x.told != x.now {
		w.tellTime(x)
	}
	w.step(x, in)
	w.finish(x)
}

// wake is a turn with no input but the time.
func (w *world) wake(x *instance) {
	w.tellTime(x)
	w.finish(x)
}

func (w *world) tellTime(x *instance) {
	x.told = x.now
	w.step(x, x.tick())
}

func (w *world) step(x *instance, in hotstuff.Input) {
	if err := x.core.Step(in); err != nil {
		w.fail(x, "stops: %v", err)
	}
}

// finish answers questions, then does what Ready says, in its order.
func (w *world) finish(x *instance) {
	for q := x.core.Questions(); q.Build != nil; q = x.core.Questions() {
		w.step(x, hotstuff.Payload{View: q.Build.View, Parent: q.Build.Parent})
	}
	ready := x.core.Ready()
	for _, e := range ready.First {
		w.send(x, e)
	}
	w.checkPersist(x, ready.Persist)
	for _, e := range ready.Send {
		w.send(x, e)
	}
	w.checkCommits(x, ready.Commit)
	x.core.Advance()
	for _, req := range ready.Verify {
		w.turn(x, w.verifiers[x.id].Sum(req, func(u hotstuff.Unchecked) { w.turn(x, u) }))
	}
}
