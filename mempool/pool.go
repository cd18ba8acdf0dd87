package mempool

import (
	"fmt"
	"math"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/qc/peers"
)

// Pool is one replica's view of all lanes. It belongs to one goroutine.
type Pool struct {
	cfg   Config
	now   qc.Ticks
	ready Ready
	drops Drops

	own ownLane

	// Batches: all known by digest; those that a block may still name by position; those executed of late.
	items   map[blocktree.Digest]*item // never ranged over
	shelves []shelf                    // by origin

	applied qc.Height // of the last block that was executed, or restored

	// The last committed block, and the block of the highest certificate.
	height   qc.Height
	lanes    blocktree.Lanes
	frontier frontier

	required []*claim // in ascending order of view, at most requirementsMax
	commits  commitQueue
	wanted   []*item // being fetched; may hold some that no longer are

	peers   *peers.Peers
	sources []source // by peer

	marks [][marksKept]blocktree.Lanes // by peer, newest first; nil where none came
}

// frontier is the branch that the next proposal extends.
type frontier struct {
	lanes  blocktree.Lanes // next(highQC.block)
	height qc.Height       // of that block
	view   qc.View         // the current view
	leader qc.NodeID       // of the current view
}

// New returns a pool that starts where r says.
// Expected errors: a configuration that cannot work, or lanes of another committee.
func New(cfg Config, r Recovered) (*Pool, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	n := cfg.Committee.Size()
	if len(r.Lanes) != n {
		return nil, fmt.Errorf("mempool: recovered lanes of %d origins, the committee has %d", len(r.Lanes), n)
	}
	p := &Pool{
		cfg:      cfg,
		items:    make(map[blocktree.Digest]*item),
		shelves:  make([]shelf, n),
		applied:  r.Height,
		height:   r.Height,
		lanes:    r.Lanes,
		frontier: frontier{lanes: r.Lanes, height: r.Height, leader: cfg.Self},
		marks:    make([][marksKept]blocktree.Lanes, n),
		peers:    peers.New(cfg.Self, n),
		sources:  make([]source, n),
	}
	for id := range qc.NodeID(n) {
		p.resetSource(id)
	}
	for i := range p.shelves {
		p.shelves[i].expiry = math.MaxUint64
	}
	p.own.incarnation = r.Incarnation
	p.own.isOpen = r.Incarnation != (blocktree.Incarnation{})
	for _, b := range r.Held {
		if p.items[b.Digest()] == nil && p.nameable(b) {
			it := p.add(b.Ref())
			p.hold(it, b)
			it.synced = true
		}
	}
	p.checkOwnLane()
	return p, nil
}

// Tick tells the time. Call it first in every turn.
func (p *Pool) Tick(now qc.Ticks) { p.now = max(p.now, now) }

// Flush ends a turn: it closes the open batch if that is due, and asks for missing batches.
func (p *Pool) Flush() {
	p.closeDue()
	p.fetchDue()
}

// Deadline returns when Flush next has something to do, if no other input comes first.
func (p *Pool) Deadline() (at qc.Ticks, ok bool) {
	at, ok = p.closeDeadline()
	if due, fetches := p.fetchDeadline(); fetches && (!ok || due < at) {
		at, ok = due, true
	}
	return at, ok
}

// SetFrontier says which block the next proposal extends, by the lanes after it and its height, and which view it is, under which leader.
func (p *Pool) SetFrontier(lanes blocktree.Lanes, height qc.Height, view qc.View, leader qc.NodeID) {
	p.frontier = frontier{lanes, height, view, leader}
}

// Lookup returns a batch that is in memory, or nil. Others that were synced and are not garbage are on disk.
func (p *Pool) Lookup(d blocktree.Digest) *Batch {
	if it := p.items[d]; it != nil {
		return it.batch
	}
	return nil
}

// Drops counts batches that were received and not kept, by reason.
type Drops struct {
	Oversized uint64 // larger than a batch may be
	Stale     uint64 // no block can name it any more
	Quota     uint64 // its origin has too much that no block names
	Sibling   uint64 // its origin signed several for one position
}

// Stats is a Pool's state in numbers, for metrics.
type Stats struct {
	PendingBytes int    // own requests under way
	Underway     int    // own batches signed and not executed
	Batches      int    // known by digest, missing ones included
	Missing      int    // being fetched
	Required     int    // blocks whose payload is pinned for the core
	BacklogBytes uint64 // committed and not executed
	Drops        Drops
}

// Stats returns p's state in numbers.
func (p *Pool) Stats() Stats {
	s := Stats{PendingBytes: p.own.pending, Underway: p.own.underway, Batches: len(p.items), Required: len(p.required),
		BacklogBytes: p.commits.bytes, Drops: p.drops}
	for _, it := range p.wanted {
		if it.fetching() {
			s.Missing++
		}
	}
	return s
}
