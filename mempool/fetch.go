package mempool

import (
	"math"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/qc/peers"
)

// Missing batches are asked of several peers at once, each of one peer at a time. Who is asked first is package peers' rule; here is how much.
//
// What a vote waits for is asked at once: of the proposer, then of peers that said they hold it, then of the others. What only execution waits for may be
// far more than a peer can send before it would be called late. So each peer has an allowance of bytes under way. It grows while answers come about as
// fast as when nothing else is under way, shrinks while they do not, and halves when one is late: what is asked of a slow peer is little, and the
// others, asked when they have room, are not held up by it. A batch that is late is asked of another peer, and of each connected one before any is asked
// again.

const (
	// fetchBatchesMax bounds the batches under way from one peer: they must fit its queue of answers.
	fetchBatchesMax = 512
	// allowanceSteps is how often the greatest allowance may halve, and has at first.
	allowanceSteps = 5
)

// source is what is under way from one peer.
type source struct {
	bytes, batches int
	allowance      int      // bytes; one batch may go beyond it
	blamedAt       qc.Ticks // what was asked up to then counts as late no more
}

// resetSource forgets how much a peer could send.
func (p *Pool) resetSource(id qc.NodeID) {
	p.sources[id].allowance = p.cfg.FetchBytes >> allowanceSteps
}

// SetPeer says whether a peer is connected. What it was asked for is asked of others if the connection is lost.
func (p *Pool) SetPeer(id qc.NodeID, up bool) {
	p.peers.SetUp(id, up)
	if up {
		p.resetSource(id)
		p.pushFlight(id)
		return
	}
	for _, it := range p.wanted {
		if it.asked && it.peer == id {
			it.due = p.now
		}
	}
}

// fetchDue asks for the missing batches whose time has come. Digests for one peer travel together.
func (p *Pool) fetchDue() {
	if len(p.wanted) == 0 || p.cfg.Committee.Size() == 1 {
		return // in a committee of one the operator has to bring the batch back to the disk
	}
	p.giveUpLate()
	asks := make([][]blocktree.Digest, p.cfg.Committee.Size())
	for _, it := range p.wanted {
		if !it.asked && it.due <= p.now && it.requiredOnly() {
			p.askFor(it, asks, true)
			p.limit(it.ref.Origin)
		}
	}
	for _, it := range p.wanted {
		if !it.asked && it.due <= p.now {
			// When all are busy, so they are for whatever follows.
			if it.waits = !p.anyOf(p.hasRoom); !it.waits {
				p.askFor(it, asks, false)
			}
		}
	}
	for to := range asks {
		p.ask(qc.NodeID(to), asks[to])
	}
}

// giveUpLate forgets the batches that are no longer missing, and waits no longer for those that are late.
func (p *Pool) giveUpLate() {
	late := qc.NewBitmap(p.cfg.Committee.Size())
	live := p.wanted[:0]
	for _, it := range p.wanted {
		if !it.fetching() {
			p.takeBack(it)
			continue
		}
		live = append(live, it)
		if it.asked && it.due <= p.now {
			// Once for all that was under way: a peer that has died is no worse than one that was slow for a while.
			if s := &p.sources[it.peer]; it.askedAt >= s.blamedAt {
				late.Set(it.peer)
			}
			p.takeBack(it)
		}
	}
	clear(p.wanted[len(live):])
	p.wanted = live
	for id := range late.All() {
		p.peers.Failed(id, p.now, peers.Late)
		s := &p.sources[id]
		s.blamedAt = p.now
		s.allowance = max(s.allowance/2, p.cfg.FetchBytes>>allowanceSteps)
	}
}

// askFor asks the best peer for a batch; or, if the batch can wait, none while all are busy.
func (p *Pool) askFor(it *item, asks [][]blocktree.Digest, urgent bool) {
	size := int(it.ref.Bytes)
	to, ok := p.nextPeer(it, urgent)
	if it.waits = !ok; it.waits {
		return
	}
	s := &p.sources[to]
	it.tried.Set(to)
	it.asked, it.peer, it.askedAt, it.alone = true, to, p.now, s.batches == 0
	it.due = p.now + p.peers.Patience(to, p.cfg.FetchRetry)
	s.batches++
	s.bytes += size
	asks[to] = append(asks[to], it.ref.Digest)
}

// nextPeer chooses whom to ask for a missing batch: one that was not asked in this round, with room if the batch can wait.
func (p *Pool) nextPeer(it *item, urgent bool) (qc.NodeID, bool) {
	n := p.cfg.Committee.Size()
	untried := func(id qc.NodeID) bool { return !it.tried.Has(id) }
	if it.tried == nil || !p.anyOf(untried) {
		it.tried, it.began = qc.NewBitmap(n), p.now
	}
	load := func(id qc.NodeID) int { return p.sources[id].bytes }
	next := qc.NodeID((int(p.cfg.Self) + 1) % n)
	if !urgent {
		// The proposer had it, and is the first among equals.
		return p.peers.Best(p.now, it.proposer, func(id qc.NodeID) bool { return untried(id) && p.hasRoom(id) }, load)
	}
	if p.peers.Asks(it.proposer) && untried(it.proposer) {
		return it.proposer, true
	}
	claims := func(id qc.NodeID) bool { return untried(id) && p.claimsToHold(id, it.ref) }
	if to, ok := p.peers.Best(p.now, next, claims, load); ok {
		return to, true
	}
	return p.peers.Best(p.now, next, untried, load)
}

func (p *Pool) hasRoom(id qc.NodeID) bool {
	s := &p.sources[id]
	return s.batches < fetchBatchesMax && s.bytes < s.allowance
}

// anyOf tells whether there is a peer to ask of which something holds.
func (p *Pool) anyOf(holds func(qc.NodeID) bool) bool {
	for id := range qc.NodeID(p.cfg.Committee.Size()) {
		if p.peers.Asks(id) && holds(id) {
			return true
		}
	}
	return false
}

// takeBack ends the account of a batch that is under way.
func (p *Pool) takeBack(it *item) {
	if !it.asked {
		return
	}
	it.asked = false
	s := &p.sources[it.peer]
	s.batches--
	s.bytes -= int(it.ref.Bytes)
}

// credit notes that a peer has sent a batch that was missing. One that was not asked for it has pushed it.
func (p *Pool) credit(from qc.NodeID, it *item) {
	switch {
	case it.asked && it.peer == from:
		p.delivered(from, it)
	case it.tried != nil && it.tried.Has(from):
		p.peers.Measure(from, p.now-it.began, false)
	}
}

// delivered takes the measure of a peer by an answer that came in time.
func (p *Pool) delivered(from qc.NodeID, it *item) {
	p.peers.Served(from, p.now)
	if from == it.ref.Origin {
		return // it may have pushed it before it was asked: the time says nothing
	}
	s, size, took, least := &p.sources[from], int(it.ref.Bytes), p.now-it.askedAt, p.cfg.FetchBytes>>allowanceSteps
	// What takes long though as little as can be is under way is far away.
	p.peers.Measure(from, took, it.alone || s.allowance == least)
	switch {
	case !p.peers.Usual(from, took, p.cfg.FetchRetry/2):
		s.allowance = max(s.allowance-size/4, least) // a quarter a round trip
	case 2*s.bytes >= s.allowance: // it is made use of
		s.allowance = min(s.allowance+size, p.cfg.FetchBytes)
	}
}

func (p *Pool) ask(to qc.NodeID, digests []blocktree.Digest) {
	for len(digests) > 0 {
		n := min(len(digests), RequestDigestsMax)
		p.ready.Fetch = append(p.ready.Fetch, Fetch{to, &BatchRequest{Digests: digests[:n:n]}})
		digests = digests[n:]
	}
}

// fetchDeadline returns when the next batch is late or is to be asked for. What waits for a peer with room is not due: one has room when an answer comes,
// or is late.
func (p *Pool) fetchDeadline() (at qc.Ticks, ok bool) {
	if p.cfg.Committee.Size() == 1 {
		return 0, false
	}
	at = math.MaxUint64
	for _, it := range p.wanted {
		if it.asked || it.fetching() && !it.waits {
			at, ok = min(at, it.due), true
		}
	}
	return at, ok
}

// requiredOnly tells whether only uncommitted blocks miss the item.
func (it *item) requiredOnly() bool {
	for _, w := range it.waiters {
		if w.claim.committed {
			return false
		}
	}
	return true
}
