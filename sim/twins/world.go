package twins

import (
	"fmt"
	"io"
	"runtime/debug"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
)

// world is one run of one scenario. It belongs to one goroutine.
type world struct {
	*fixture
	scenario  *Scenario
	instances []*instance
	round     qc.View // the round that is played; 0: the tail
	queue     []packet
	spare     []packet // room for the next wave
	held      []packet // of views whose rounds are still to come

	// What the checks know: everything, unlike any instance.
	blocks    map[qc.BlockID]*blocktree.Block
	certified map[qc.View]qc.BlockID
	votes     map[ballot]qc.Vote
	chain     []qc.BlockID // the one committed chain, by height

	early     int // heights committed before the tail
	restarts  int
	delivered int
	tailViews qc.View   // until an honest replica had committed a block of the tail
	tailTime  qc.Ticks  // until all had
	story     io.Writer // nil: nobody reads
}

// ballot names a vote that was cast.
type ballot struct {
	signer qc.NodeID
	view   qc.View
	block  qc.BlockID
}

// Violation is a scenario that broke a rule.
type Violation struct {
	Scenario *Scenario
	What     string
	Story    string // of the run, to be read from the top
}

func (v *Violation) Error() string { return fmt.Sprintf("%v\n%s\n%s", v.Scenario, v.What, v.Story) }

// play runs a scenario from genesis to the commits of its tail. What is wrong ends it at once, a panic in the core included.
func (w *world) play(s *Scenario) (found *Violation) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case *Violation:
			found = r
		default:
			found = &Violation{Scenario: s, What: fmt.Sprintf("panic: %v\n%s", r, debug.Stack())}
		}
	}()
	w.reset(s)
	w.newInstances()
	for r := range s.Rounds {
		w.playRound(qc.View(r + 1))
	}
	w.early = len(w.chain) - 1
	w.playTail()
	return nil
}

func (w *world) reset(s *Scenario) {
	w.scenario, w.round = s, 1
	w.queue, w.held = w.queue[:0], w.held[:0]
	w.blocks = map[qc.BlockID]*blocktree.Block{w.genesis.ID(): w.genesis}
	w.certified = map[qc.View]qc.BlockID{0: w.genesis.ID()}
	w.votes = map[ballot]qc.Vote{}
	w.chain = append(w.chain[:0], w.genesis.ID())
	w.restarts, w.delivered, w.tailViews, w.tailTime = 0, 0, 0, 0
}

// fail ends the run.
func (w *world) fail(x *instance, format string, args ...any) {
	panic(&Violation{Scenario: w.scenario, What: w.name(x) + " " + fmt.Sprintf(format, args...)})
}

func (w *world) name(x *instance) string { return w.scenario.instanceName(x.index) }

// playRound plays one round: what was held for it arrives, and all that follows from that; then the timers fire of those whose
// view is earlier than the round's, for they have not moved on; once a view, until nobody moves any more.
func (w *world) playRound(r qc.View) {
	w.round = r
	w.noteRound()
	for _, x := range w.instances {
		x.fired = 0
	}
	w.release()
	w.settle()
	for w.fireTimers() {
		w.settle()
	}
}

func (w *world) fireTimers() (any bool) {
	over := w.round - 1
	if w.scenario.Hasty {
		over = w.round
	}
	for _, x := range w.instances {
		if v := x.core.View(); v <= over && v > x.fired {
			x.fired, any = v, true
			w.elapse(x, base)
		}
	}
	return any
}

// graceful is a wait, in ticks, that is much shorter than a view, and longer than the grace after which a missing block
// is asked for.
const graceful = base / 20

// settle delivers all that is under way, and lets missing blocks be asked for.
func (w *world) settle() {
	w.deliver()
	for _, x := range w.instances {
		if at := x.core.Deadline(); at <= x.now+graceful {
			w.elapse(x, graceful)
		}
	}
	w.deliver()
}

// elapse lets time pass on one instance's clock.
func (w *world) elapse(x *instance, d qc.Ticks) {
	x.now += d
	w.wake(x)
}

var _ hotstuff.Leaders = (*Scenario)(nil)
