package pacemaker

import (
	"slices"

	"github.com/hotstuffd/hotstuffd/qc"
)

// Config is one replica's timing. Replicas need not agree on it.
type Config struct {
	Base      qc.Ticks // how long a view with work may last before the backoff; a lower bound, see Pacemaker.Base
	Max       qc.Ticks // the cap of base and backoff together; must exceed the real delays
	Heartbeat qc.Ticks // how long an idle leader holds its proposal
	MinView   qc.Ticks // under load a leader does not propose sooner than this after its last vote; 0: at once
}

// exponentMax bounds the backoff's exponent, so that the shift cannot overflow; Config.Max bounds its effect long before.
const exponentMax = 20

const (
	// measuredFactor is how many measured times make a base timeout.
	measuredFactor = 8
	// measuresKept is how many of them are looked at: the newest.
	measuresKept = 31
)

// Pacemaker is the present view and its timers. It belongs to one goroutine.
type Pacemaker struct {
	cfg      Config
	view     qc.View
	entered  qc.Ticks
	working  bool                   // there is an includable batch or uncommitted payload
	workFrom qc.Ticks               // t: the later of entered and the first moment of work in this view
	exponent uint                   // of the backoff
	measures [measuresKept]qc.Ticks // ring
	taken    int                    // measures since New
	measured qc.Ticks               // their median; 0 before the first
	down     bool                   // the leader's connection is known to be down
}

// New returns a pacemaker in the given view, entered now.
func New(cfg Config, view qc.View, now qc.Ticks) *Pacemaker {
	return &Pacemaker{cfg: cfg, view: view, entered: now, workFrom: now}
}

// View returns the present view.
func (p *Pacemaker) View() qc.View { return p.view }

// Entered returns when the present view was entered.
func (p *Pacemaker) Entered() qc.Ticks { return p.entered }

// Enter moves to a later view, any number of views ahead (L4); an earlier or equal one changes nothing and returns false.
// progress tells whether a quorum certificate, not a timeout certificate, opened the view.
func (p *Pacemaker) Enter(v qc.View, now qc.Ticks, progress bool) bool {
	if v <= p.view {
		return false
	}
	if !progress {
		p.exponent = min(p.exponent+1, exponentMax)
	}
	p.view, p.entered, p.workFrom, p.down = v, now, now, false
	return true
}

// Measure takes how long a vote of ours was under way, until the leader that it went to showed the certificate with it:
// about what a view lasts, whether or not our own timer was shorter. Times in which somebody waits are not part of it: an
// idle leader shows its certificate at once, and one that a timeout had to rebuild does not come from its leader. A base
// that followed those would lengthen the next wait too, up to the cap. The median keeps faulty leaders, of whom there are
// fewer than half, from choosing the base.
func (p *Pacemaker) Measure(d qc.Ticks) {
	p.measures[p.taken%measuresKept] = d
	p.taken++
	sorted := p.measures
	n := min(p.taken, measuresKept)
	slices.Sort(sorted[:n])
	p.measured = sorted[n/2]
}

// Committed makes the backoff decay. Nothing else does: where a dead leader costs every rotation a timeout, certificates
// come in between them, and a backoff that they undid would stay below the real delay for ever, without three views in a
// row that end in time (L7). It is more than halved, so that the two timeouts that a dead leader may cost in each rotation
// of four do not keep it up.
func (p *Pacemaker) Committed() { p.exponent = (p.exponent - min(p.exponent, 1)) / 2 }

// SetWork tells whether there is work: an includable batch is held, or the branch has uncommitted payload.
// The first moment of work in a view starts its short deadline.
func (p *Pacemaker) SetWork(now qc.Ticks, working bool) {
	if working && !p.working {
		p.workFrom = max(p.entered, now)
	}
	p.working = working
}

// Working tells what SetWork was told last.
func (p *Pacemaker) Working() bool { return p.working }

// LeaderDown tells that the leader's connection is down: waiting for it has no use.
func (p *Pacemaker) LeaderDown(down bool) { p.down = down }

// Base is the present base timeout, that of a view with work before the backoff: it follows the measured times, from the
// configured base up to half of the cap.
func (p *Pacemaker) Base() qc.Ticks {
	return min(max(p.cfg.Base, measuredFactor*p.measured), max(p.cfg.Base, p.cfg.Max/2))
}

// Timeout is the present timeout of a view with work: base with the backoff, capped (L7).
// The first timeout in a row costs no backoff: one dead leader is no reason to wait longer for the next.
func (p *Pacemaker) Timeout() qc.Ticks {
	exponent := p.exponent - min(p.exponent, 1)
	return min(p.Base()<<exponent, p.cfg.Max)
}

// Deadline is when the view times out: min(entry + heartbeat + base, t + base). It is never off.
// A leader known to be down has no time at all.
func (p *Pacemaker) Deadline() qc.Ticks {
	if p.down {
		return p.entered
	}
	d := p.entered + p.cfg.Heartbeat + p.Timeout()
	if p.working {
		d = min(d, p.workFrom+p.Timeout())
	}
	return d
}

// HalfTime is t + base/2: when a waiting batch is sent to the leader once more, and when a leader whose work may not be
// named yet proposes an empty block. ok is false without work.
func (p *Pacemaker) HalfTime() (at qc.Ticks, ok bool) {
	return p.workFrom + p.Timeout()/2, p.working
}

// HeartbeatAt is when an idle leader proposes an empty block.
func (p *Pacemaker) HeartbeatAt() qc.Ticks { return p.entered + p.cfg.Heartbeat }

// PacedAt is the earliest moment of the next proposal under load, given the time of our last vote, which as a rule was in the
// view before. That is the nearest to that view's beginning that all replicas have: what has passed since is part of the
// pace, and a view that takes longer by itself is not made longer still.
func (p *Pacemaker) PacedAt(voted qc.Ticks) qc.Ticks { return max(p.entered, voted+p.cfg.MinView) }

// RebroadcastEvery is the interval at which a timeout is sent again until the view changes: capped, so that one lost
// message never costs more than a moment, whatever the backoff (L3); and a quarter of the timeout, so that who was kept
// from a view learns of it while it lasts. With a repeat as slow as the view's own timer a Byzantine leader that shows a
// timeout certificate to some keeps the rest one view behind in every rotation (docs/model.md, "slow repeat").
func (p *Pacemaker) RebroadcastEvery() qc.Ticks { return max(1, min(p.Timeout()/4, p.RetryEvery())) }

// RetryEvery is how long a peer has to answer before the next one is asked.
func (p *Pacemaker) RetryEvery() qc.Ticks { return min(p.Timeout(), 10*p.cfg.Base) }
