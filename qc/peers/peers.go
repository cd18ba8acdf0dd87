package peers

import "github.com/hotstuffd/hotstuffd/qc"

// Peers is what one replica knows of the others. It belongs to one goroutine.
type Peers struct {
	self qc.NodeID
	all  []peer
	up   int // how many are connected
}

type peer struct {
	up      bool
	penalty int      // as of since
	since   qc.Ticks // when it was last halved or changed
	took    qc.Ticks // what an answer takes when nothing else is under way; 0: not known
}

// Fault is what is wrong with an answer, in points of penalty.
type Fault int

// The faults.
const (
	Empty Fault = 1 // it has nothing
	Late  Fault = 2
	Wrong Fault = 4 // it does not fit what others say
)

const (
	penaltyMax = 16
	// penaltyStep is what a penalty must grow by to count: one late answer in a while is no reason to spare a peer.
	penaltyStep = 4
	// halvedAfter is how long it takes to forget half of a penalty: 1 s.
	halvedAfter = qc.TicksPerSecond
	// patienceMax bounds Patience, in times of what the caller gives everybody.
	patienceMax = 16
)

// New returns what self knows of n replicas at first: nothing.
func New(self qc.NodeID, n int) *Peers { return &Peers{self: self, all: make([]peer, n)} }

// SetUp says whether a peer is connected. Nobody is at first.
func (p *Peers) SetUp(id qc.NodeID, up bool) {
	switch {
	case up == p.all[id].up || id == p.self:
	case up:
		p.up++
	default:
		p.up--
	}
	p.all[id].up = up && id != p.self
}

// Served says that a peer's answer did.
func (p *Peers) Served(id qc.NodeID, now qc.Ticks) {
	x := &p.all[id]
	x.halve(now)
	x.penalty = max(0, x.penalty-1)
}

// Measure takes the time of an answer, also of one that came too late to serve: the peer may be no worse than far away. It
// is alone if nothing else was under way.
func (p *Peers) Measure(id qc.NodeID, took qc.Ticks, alone bool) {
	// What waited behind other answers says nothing of the way, unless it was faster.
	if x := &p.all[id]; alone || x.took == 0 || took < x.took {
		x.took = max(1, took)
	}
}

// Failed says that a peer's answer did not serve.
func (p *Peers) Failed(id qc.NodeID, now qc.Ticks, f Fault) {
	x := &p.all[id]
	x.halve(now)
	x.penalty = min(penaltyMax, x.penalty+int(f))
}

// halve forgets half for each halvedAfter that is over.
func (x *peer) halve(now qc.Ticks) {
	if x.penalty == 0 {
		x.since = now
	}
	if times := (now - x.since) / halvedAfter; times > 0 {
		x.penalty >>= min(times, 8)
		x.since += times * halvedAfter
	}
}

// Patience returns how long to wait for a peer's answer, where everybody has as long as usual.
func (p *Peers) Patience(id qc.NodeID, usual qc.Ticks) qc.Ticks {
	return min(usual+2*p.all[id].took, patienceMax*usual)
}

// Usual tells whether an answer came as fast as a peer's answers do when it is not loaded, give or take some.
func (p *Peers) Usual(id qc.NodeID, took, some qc.Ticks) bool { return took <= p.all[id].took+some }

// Best returns whom to ask of those that may be asked: not self, and only the connected if any peer is. load tells how much
// is under way from a peer. Among equals it is the first from a peer on, in order of IDs.
func (p *Peers) Best(now qc.Ticks, from qc.NodeID, may func(qc.NodeID) bool, load func(qc.NodeID) int) (best qc.NodeID, ok bool) {
	n := len(p.all)
	for i := range n {
		id := qc.NodeID((int(from) + i) % n)
		if !p.Asks(id) || !may(id) {
			continue
		}
		if !ok || p.before(id, best, now, load) {
			best, ok = id, true
		}
	}
	return best, ok
}

// before tells whether one peer is to be asked before another.
func (p *Peers) before(a, b qc.NodeID, now qc.Ticks, load func(qc.NodeID) int) bool {
	x, y := &p.all[a], &p.all[b]
	x.halve(now)
	y.halve(now)
	if a, b := x.penalty/penaltyStep, y.penalty/penaltyStep; a != b {
		return a < b
	}
	return load(a) < load(b)
}

// Spared tells whether a peer's penalty puts it behind others.
func (p *Peers) Spared(id qc.NodeID, now qc.Ticks) bool {
	x := &p.all[id]
	x.halve(now)
	return x.penalty >= penaltyStep
}

// Asks tells whether a peer is one that Best may return.
func (p *Peers) Asks(id qc.NodeID) bool { return id != p.self && (p.all[id].up || p.up == 0) }
