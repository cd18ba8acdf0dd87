package hotstuff_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/pacemaker"
	"github.com/hotstuffd/hotstuffd/qc"
)

// TestExplore drives clusters through random orders of delivery, loss, duplication, partitions, crashes at every point of
// a turn, restarts, lost disks, connections that come and go, and in half of the runs one Byzantine replica. Then the network heals
// and a fresh batch must be committed by every correct replica within a stated number of views (L7).
// The invariants are checked after every turn.
func TestExplore(t *testing.T) {
	seeds := uint64(200)
	if testing.Short() {
		seeds = 40
	}
	for _, n := range []int{4, 7} {
		for seed := range seeds {
			t.Run(fmt.Sprintf("n%d/seed%d", n, seed), func(t *testing.T) { newExplorer(t, n, seed).explore() })
		}
	}
}

// viewsToCommit bounds the views from the heal to the commit of a fresh batch. A rotation holds three live leaders in a
// row; the first may be spent on catching up, and the Byzantine replica can make one replica time out early in the second.
func viewsToCommit(n int) qc.View { return qc.View(3*n + 4) }

type explorer struct {
	*cluster
	rng   *rand.Rand
	byz   int // -1: none
	lost  int // who may lose its disk, and rejoins; -1: none
	votes map[qc.BlockID][]qc.Vote
	count int // batches submitted
	loss  float64
}

func newExplorer(t *testing.T, n int, seed uint64) *explorer {
	rng := rand.New(rand.NewPCG(seed, uint64(n)))
	o := defaults(n)
	o.lateSum, o.chunk = true, 2+rng.IntN(4)
	o.rule = []pacemaker.Schedule{pacemaker.RoundRobin, pacemaker.Reputation}[rng.IntN(2)]
	e := &explorer{cluster: newCluster(t, o), rng: rng, byz: -1, lost: -1, votes: map[qc.BlockID][]qc.Vote{}, loss: 0.2 * rng.Float64()}
	e.opt.ahead = seed%4 < 2
	if seed%2 == 1 {
		e.byz = rng.IntN(n)
	}
	if e.byz < 0 || n >= 7 { // the others are enough
		e.lost = (e.byz + 1 + rng.IntN(n-1)) % n
	}
	for _, r := range e.nodes {
		if int(r.id) != e.byz {
			e.start(r)
		}
	}
	return e
}

func (e *explorer) explore() {
	e.cut = func(*replica) cutAt {
		if e.rng.Float64() < 0.004 {
			return cutAt(1 + e.rng.IntN(2))
		}
		return cutNever
	}
	for range 1200 {
		e.anything()
		e.failOnHalt()
	}
	e.heal()
}

func (e *explorer) failOnHalt() {
	for _, r := range e.nodes {
		if r.halted != nil {
			e.fatal("%v halts: %v", r.id, r.halted)
		}
	}
}

// anything is one step of the world.
func (e *explorer) anything() {
	switch x := e.rng.Float64(); {
	case x < 0.75:
		e.deliverAny()
	case x < 0.87:
		if at, ok := e.nextDeadline(); ok {
			e.now = max(e.now, at)
		}
		r := e.nodes[e.rng.IntN(e.opt.n)]
		e.turn(r, e.tick())
	case x < 0.90:
		e.submitAny()
	case x < 0.91:
		e.crash(e.nodes[e.rng.IntN(e.opt.n)])
	case x < 0.912:
		if e.lost >= 0 {
			e.lose(e.nodes[e.lost])
		}
	case x < 0.94:
		if r := e.nodes[e.rng.IntN(e.opt.n)]; r.core == nil && int(r.id) != e.byz {
			e.start(r)
		}
	case x < 0.95:
		e.turn(e.nodes[e.rng.IntN(e.opt.n)], hotstuff.Peer{ID: qc.NodeID(e.rng.IntN(e.opt.n)), Up: e.rng.IntN(2) == 0})
	case x < 0.96:
		e.partition()
	case x < 0.965:
		e.turn(e.nodes[e.rng.IntN(e.opt.n)], hotstuff.OpenLane{})
	case x < 0.97:
		e.turn(e.nodes[e.rng.IntN(e.opt.n)], hotstuff.Load{Heavy: e.rng.IntN(2) == 0})
	default:
		e.misbehave()
	}
}

func (e *explorer) submitAny() {
	e.count++
	e.submit(qc.NodeID(e.rng.IntN(e.opt.n)), fmt.Sprintf("c%d", e.count))
}

// deliverAny hands over any packet that is under way, perhaps twice, perhaps never.
func (e *explorer) deliverAny() {
	if len(e.queue) == 0 {
		return
	}
	i := e.rng.IntN(len(e.queue))
	p := e.queue[i]
	if p.sum != nil || e.rng.Float64() > 0.05 {
		e.queue[i] = e.queue[len(e.queue)-1]
		e.queue = e.queue[:len(e.queue)-1]
	}
	if p.sum == nil && e.rng.Float64() < e.loss {
		return
	}
	e.hand(p)
}

// hand delivers a packet; the Byzantine replica adds up the votes that reach it and tells nobody.
func (e *explorer) hand(p packet) {
	if m, ok := p.msg.(*hotstuff.VoteMessage); ok && int(p.to) == e.byz {
		id := m.Vote.Block
		if len(e.votes[id]) == 0 {
			e.votes[id] = []qc.Vote{e.forgeVote(p.to, m.Vote.View, id)}
		}
		e.votes[id] = append(e.votes[id], m.Vote)
		if cert, _ := e.certs().CollectVotes(m.Vote.View, id, e.votes[id]); cert != nil {
			e.learnCerts(cert, nil)
		}
		return
	}
	e.deliver(p)
}

// partition cuts a random set of replicas off, or mends all.
func (e *explorer) partition() {
	if e.drops != nil {
		e.drops = nil
		return
	}
	side := make([]bool, e.opt.n)
	for i := range side {
		side[i] = e.rng.IntN(2) == 0
	}
	oneWay := e.rng.IntN(3) == 0
	e.drops = append(e.drops, func(p packet) bool {
		return side[p.from] != side[p.to] && (!oneWay || side[p.from])
	})
}

// views returns the lowest and highest view of the replicas that run.
func (e *explorer) views() (low, high qc.View) {
	for _, r := range e.nodes {
		if r.core != nil {
			if v := r.core.View(); low == 0 || v < low {
				low = v
			}
			high = max(high, r.core.View())
		}
	}
	return low, high
}

// misbehave has the Byzantine replica do one of the things that it can do, towards some of the others.
func (e *explorer) misbehave() {
	low, high := e.views()
	if e.byz < 0 || low == 0 {
		return
	}
	self := qc.NodeID(e.byz)
	v := low + qc.View(e.rng.Uint64N(uint64(high-low)+2))
	var to []qc.NodeID
	for id := range qc.NodeID(e.opt.n) {
		if id != self && e.rng.IntN(2) == 0 {
			to = append(to, id)
		}
	}
	switch e.rng.IntN(5) {
	case 0:
		for _, b := range e.ofView[v] {
			vote := e.forgeVote(self, v, b.ID())
			if e.rng.IntN(4) == 0 {
				vote.Signature = e.forgeVote(self, v+1, b.ID()).Signature // well formed, and spoils a sum
			}
			e.inject(self, &hotstuff.VoteMessage{Vote: vote}, to...)
		}
	case 1:
		if t := e.forgeTimeout(self, v, e.anyCertified(v)); t != nil {
			e.inject(self, &hotstuff.TimeoutMessage{Timeout: t}, to...)
		}
	case 2:
		if b := e.forgeBlock(self, v, e.anyCertified(v)); b != nil {
			e.inject(self, &hotstuff.Proposal{Block: b}, to...)
		}
	case 3:
		for _, b := range e.ofView[v] {
			if b.Proposer == self {
				e.inject(self, &hotstuff.Proposal{Block: e.forgeTwin(b)}, to...)
				break
			}
		}
	case 4:
		if q, ok := e.qcs[e.anyCertified(v+1)]; ok && q.View > 0 {
			e.inject(self, &hotstuff.CertificateMessage{QC: &q}, to...)
		}
	}
}

// anyCertified returns a random view below v, most often one of the last.
func (e *explorer) anyCertified(v qc.View) qc.View {
	return v - min(v, 1+qc.View(e.rng.Uint64N(3)*e.rng.Uint64N(3)))
}

// heal mends everything, starts every correct replica, and waits for a fresh batch to commit everywhere. The Byzantine
// replica goes on.
func (e *explorer) heal() {
	e.drops, e.cut = nil, nil
	for _, r := range e.nodes {
		if r.core == nil && int(r.id) != e.byz {
			e.start(r)
		}
	}
	for id := range qc.NodeID(e.opt.n) {
		e.peer(id, true)
	}
	e.submitAny()
	_, from := e.views()
	for range 20_000 {
		if e.settled() {
			return
		}
		if _, high := e.views(); high > from+viewsToCommit(e.opt.n) {
			e.fatal("view %d, %d views after the heal, and the batch is not committed\n%s", high, high-from, e.show())
		}
		e.wave()
		e.failOnHalt()
	}
	e.fatal("stalled after the heal\n%s", e.show())
}

// wave delivers all that is under way, in random order, within half a millisecond; or waits for the next deadline.
func (e *explorer) wave() {
	if e.byz >= 0 && e.rng.IntN(4) == 0 {
		e.misbehave()
	}
	if at, ok := e.nextDeadline(); ok && len(e.queue) == 0 {
		e.now = max(e.now, at)
	} else {
		e.now += 5
	}
	wave := e.queue
	e.queue = nil
	e.rng.Shuffle(len(wave), func(i, j int) { wave[i], wave[j] = wave[j], wave[i] })
	for _, p := range wave {
		e.hand(p)
	}
	for _, r := range e.nodes {
		if r.core != nil && r.core.Deadline() <= e.now {
			e.turn(r, e.tick())
		}
	}
}

// settled tells whether every correct replica has committed every batch.
func (e *explorer) settled() bool {
	for _, r := range e.nodes {
		if int(r.id) == e.byz {
			continue
		}
		lanes := r.core.Tree().Committed().Lanes
		for origin, lane := range e.batches {
			if lanes[origin].Seq < uint64(len(lane)) {
				return false
			}
		}
	}
	return true
}
