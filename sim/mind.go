package sim

import (
	"math/rand/v2"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
)

// Behaviors is a set of ways in which a replica is Byzantine. They are put around a correct core, and compose.
type Behaviors uint32

// The behaviors. Each is aimed at one rule that a simpler protocol would lack.
const (
	Equivocate       Behaviors = 1 << iota // two blocks in one view, each to some
	VoteForAll                             // votes for every proposal at once, held or not, and tells everybody
	Swallow                                // a leader that takes votes and gives nothing: no proposal, no certificate
	WithholdProposal                       // from some
	WithholdCert                           // certificates, from some
	WithholdVote                           // plain votes
	WithholdBatch                          // from some
	StaleCert                              // old certificates come again
	EarlyTimeout                           // an empty timeout as soon as a view begins
	ForgeTimeout                           // views and certificates in it that are not so
	ForgeTC                                // a sum of others' timeouts and one of its own that says too much
	ForgeCert                              // padded and short bitmaps, wrong views, more signers
	ForgeProposal                          // blocks on whatever justify is at hand, in views of others too
	Replay                                 // anything that was ever heard, a replica's own old votes included
	FutureFlood                            // messages for views far ahead
	LieInSync                              // no blocks, wrong blocks, other batches, spoilt snapshots
	Dawdle                                 // proposals to the edge of the timeout
	ForkLane                               // two batches at one position, each to some
	SwapSigners                            // proposals on a certificate that others are said to have signed
	StaleJustify                           // proposals on an older certificate than the timeout certificate allows
	BendLanes                              // proposals that name own batches out of their lane's order
	BendTime                               // proposals from the future, or not after their parents
	ReplayForeign                          // what was signed with the same keys on another chain, or in another epoch
	behaviorsEnd
)

// Cabal is the behavior of all Byzantine replicas of a run beyond f, and of no others (see Beyond).
const Cabal Behaviors = 1 << 31

var behaviorNames = [...]string{"equivocate", "vote-for-all", "swallow", "withhold-proposal", "withhold-cert", "withhold-vote", "withhold-batch", "stale-cert",
	"early-timeout", "forge-timeout", "forge-tc", "forge-cert", "forge-proposal", "replay", "future-flood", "lie-in-sync", "dawdle", "fork-lane",
	"swap-signers", "stale-justify", "bend-lanes", "bend-time", "replay-foreign"}

// String lists the behaviors of a set.
func (b Behaviors) String() string {
	s := ""
	for i, name := range behaviorNames {
		if b&(1<<i) != 0 {
			s += " " + name
		}
	}
	return s
}

// drawBehaviors composes up to four of them.
func drawBehaviors(r *rand.Rand) (b Behaviors) {
	for range 1 + r.IntN(4) {
		b |= 1 << r.IntN(len(behaviorNames))
	}
	return b
}

// mind is what makes a replica Byzantine. It sees all that the replica receives and sends, holds the replica's own keys and
// nobody else's, and goes on when the replica's core has stopped in dismay.
type mind struct {
	r         *replica
	does      Behaviors
	random    *rand.Rand
	qc        *qc.QuorumCertificate  // the highest seen
	tc        *qc.TimeoutCertificate // the highest seen
	view      qc.View                // the highest that a certificate opens
	blocks    []*blocktree.Block     // seen, the newest blocksKept
	heard     []hotstuff.Message     // the newest heardKept, in a ring
	next      int
	timeouts  []*qc.Timeout // of others, of the newest view
	forks     map[qc.BlockID]*blocktree.Block
	laneForks map[blocktree.Digest]*mempool.Batch
	reshaped  map[qc.BlockID]*blocktree.Block
	lanesBent uint64
	ticking   bool
	cabal     *cabal // of the replica that thinks for it
}

const (
	blocksKept = 64
	heardKept  = 256
)

func newMind(r *replica, b Behaviors) *mind {
	return &mind{r: r, does: b, random: rand.New(rand.NewPCG(r.w.cfg.Seed, 1000+uint64(r.id))),
		forks: make(map[qc.BlockID]*blocktree.Block), laneForks: make(map[blocktree.Digest]*mempool.Batch),
		reshaped: make(map[qc.BlockID]*blocktree.Block)}
}

func (m *mind) is(b Behaviors) bool { return m.does&b != 0 }

// coin draws whether one of a set of receivers is meant.
func (m *mind) coin() bool { return m.random.IntN(2) == 0 }

// emit sends as the replica, if it runs.
func (m *mind) emit(to qc.NodeID, message any) {
	if l := m.r.life; l != nil && to != m.r.id {
		l.emit(to, message)
	}
}

func (m *mind) emitAll(message any) {
	for to := range qc.NodeID(m.r.w.cfg.Nodes) {
		m.emit(to, message)
	}
}

func (m *mind) emitSome(message any) {
	for to := range qc.NodeID(m.r.w.cfg.Nodes) {
		if m.coin() {
			m.emit(to, message)
		}
	}
}

// forged emits something made up, and notes it.
func (m *mind) forged(what string, message any) {
	w := m.r.w
	w.trace.event(w.now, forge, m.r.id, 0, uint64(typeOf(message)), 0)
	if w.trace.wanted() {
		w.trace.note(w.now, "%v forges by %s: %s", m.r.id, what, describe(message))
	}
	m.emitSome(message)
}

// sends decides what becomes of a message of the core.
func (m *mind) sends(to qc.NodeID, message any) {
	if m.is(Cabal) {
		return
	}
	switch x := message.(type) {
	case *hotstuff.Proposal:
		if !m.is(Swallow) {
			m.sendsProposal(to, x)
		}
		return
	case *hotstuff.VoteMessage:
		if m.is(WithholdVote) && m.random.IntN(4) > 0 {
			return
		}
	case *hotstuff.CertificateMessage:
		if m.is(Swallow) || m.is(WithholdCert) && m.coin() {
			return
		}
	case *mempool.Batch:
		if x.Origin == m.r.id {
			m.sendsBatch(to, x)
			return
		}
	}
	m.emit(to, message)
}

func (m *mind) sendsProposal(to qc.NodeID, p *hotstuff.Proposal) {
	if m.is(WithholdProposal) && m.coin() {
		return
	}
	if b := m.reshape(p.Block); b != p.Block {
		p = &hotstuff.Proposal{Block: b}
	}
	send := m.emit
	if m.is(Dawdle) {
		delay := qc.Ticks(m.r.w.cfg.Pacemaker.BaseTimeout/(1e9/100_000)) * qc.Ticks(5+m.random.IntN(8)) / 100
		send = func(to qc.NodeID, message any) { m.r.w.after(delay, func() { m.emit(to, message) }) }
	}
	if m.is(Equivocate) {
		switch m.random.IntN(3) {
		case 0:
			send(to, &hotstuff.Proposal{Block: m.fork(p.Block)})
			return
		case 1:
			send(to, &hotstuff.Proposal{Block: m.fork(p.Block)})
		}
	}
	send(to, p)
}

// fork returns another block in the place of one of ours.
func (m *mind) fork(b *blocktree.Block) *blocktree.Block {
	if f := m.forks[b.ID()]; f != nil {
		return f
	}
	f := m.sign(blocktree.Block{Epoch: b.Epoch, View: b.View, Height: b.Height, Parent: b.Parent, Justify: b.Justify, TC: b.TC, Proposer: b.Proposer,
		Time: b.Time + 1, Payload: b.Payload})
	if m.coin() {
		f = m.sign(blocktree.Block{Epoch: b.Epoch, View: b.View, Height: b.Height, Parent: b.Parent, Justify: b.Justify, TC: b.TC, Proposer: b.Proposer,
			Time: b.Time + 2})
	}
	m.forks[b.ID()] = f
	return f
}

func (m *mind) sendsBatch(to qc.NodeID, b *mempool.Batch) {
	if m.is(WithholdBatch) && m.random.IntN(3) > 0 {
		return
	}
	if m.is(ForkLane) && m.coin() {
		f := m.laneForks[b.Digest()]
		if f == nil {
			f = m.forkBatch(b)
			m.laneForks[b.Digest()] = f
		}
		m.emit(to, f)
		return
	}
	m.emit(to, b)
}

// replies decides what becomes of an answer to a request for blocks or batches.
func (m *mind) replies(to qc.NodeID, message any) bool {
	if m.is(LieInSync) {
		message = m.lie(message)
	}
	if l := m.r.life; l != nil && message != nil {
		return l.emit(to, message)
	}
	return true
}

// receives sees what comes in, and tells whether the core may see it too.
func (m *mind) receives(from qc.NodeID, message any) (toCore bool) {
	msg, ok := message.(hotstuff.Message)
	if !ok {
		return true
	}
	if len(m.heard) < heardKept {
		m.heard = append(m.heard, msg)
	} else {
		m.heard[m.next%heardKept] = msg
	}
	m.next++
	if m.is(Cabal) {
		m.conspires(msg)
		return false
	}
	if !m.ticking {
		m.ticking = true
		m.tick()
	}
	switch x := msg.(type) {
	case *hotstuff.Proposal:
		m.learn(&x.Block.Justify, x.Block.TC)
		m.sees(x.Block)
	case *hotstuff.TimeoutMessage:
		m.learn(&x.Timeout.HighQC, x.Timeout.TC)
		if m.is(ForgeTC) {
			m.collect(x.Timeout)
		}
	case *hotstuff.CertificateMessage:
		m.learn(x.QC, x.TC)
	}
	return true
}

// learn keeps the highest certificates, and acts when they open a view. Only what verifies counts.
func (m *mind) learn(q *qc.QuorumCertificate, tc *qc.TimeoutCertificate) {
	certs := m.r.w.certs
	if tc != nil && (m.tc == nil || tc.View > m.tc.View) && certs.TC(tc) == nil {
		m.tc = tc
		if q == nil {
			q = &tc.HighQC
		}
	}
	if q != nil && (m.qc == nil || q.View > m.qc.View) && certs.QC(q) == nil {
		m.qc = q
		if m.is(ForgeTC) {
			m.overtakes()
		}
	}
	opens := qc.View(0)
	if m.qc != nil {
		opens = m.qc.View + 1
	}
	if m.tc != nil {
		opens = max(opens, m.tc.View+1)
	}
	if opens > m.view {
		m.view = opens
		m.entersView()
	}
}
