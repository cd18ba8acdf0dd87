package mempool

import (
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/qc"
)

// item is one batch, held or named. It stays in the index while it is shelved or named.
type item struct {
	ref    blocktree.BatchRef // the batch's own once it is held; until then as a block named it
	batch  *Batch             // nil while missing
	synced bool

	named   int  // claims and own flight that hold on to it: no quota and no expiry touch it
	shelved bool // on its origin's shelf

	waiters []waiter // claims that miss it: not held or not synced

	// While it is missing.
	stage    stage
	proposer qc.NodeID // of the newest block that names it
	due      qc.Ticks  // when to ask for it, or when it is late
	waits    bool      // it is due, and no peer has room
	asked    bool      // it is under way from peer, since askedAt
	peer     qc.NodeID
	askedAt  qc.Ticks
	alone    bool      // nothing else was under way from that peer then
	tried    qc.Bitmap // peers asked in this round, which began at began
	began    qc.Ticks
}

// waiter is one place in a claim where an item is missed.
type waiter struct {
	claim *claim
	at    int // index in the block's payload
}

// stage says what is being done about a missing batch.
type stage uint8

const (
	parked  stage = iota // named by a committed block far from execution: nothing yet
	loading              // looked for on disk
	fetched              // asked from peers
)

// itemOverhead is what a batch costs beside its blob, bytes. It is far more than the memory it takes, so that no origin can fill its quota with very many
// empty batches: some loops pass over all that an origin has on its shelf.
const itemOverhead = 4096

func (it *item) cost() int      { return len(it.batch.Blob) + itemOverhead }
func (it *item) usable() bool   { return it.batch != nil && it.synced }
func (it *item) fetching() bool { return it.batch == nil && it.named > 0 && it.stage == fetched }

// add puts a new item into the index.
func (p *Pool) add(ref blocktree.BatchRef) *item {
	it := &item{ref: ref}
	p.items[ref.Digest] = it
	return it
}

// hold gives an item its batch, and shelves it if a block may still name it by position.
func (p *Pool) hold(it *item, b *Batch) {
	it.batch, it.ref = b, b.Ref()
	if !p.nameable(b) {
		return
	}
	it.shelved = true
	s := &p.shelves[b.Origin]
	s.insert(it)
	if it.named == 0 {
		s.loosen(it)
	}
}

// nameable tells whether a block above the committed one may name b: its position is not passed, and it is not expired.
func (p *Pool) nameable(b *Batch) bool {
	c := p.lanes[b.Origin]
	return comparePosition(b.Incarnation, b.Seq, c.Incarnation, c.Seq) >= 0 && b.Expiry > p.height
}

// name takes hold of an item.
func (p *Pool) name(it *item) {
	if it.named == 0 && it.shelved {
		p.shelves[it.ref.Origin].loose -= it.cost()
	}
	it.named++
}

// release lets go of an item. What nothing holds on to leaves memory.
func (p *Pool) release(it *item) {
	it.named--
	if it.named > 0 {
		return
	}
	if it.shelved {
		s := &p.shelves[it.ref.Origin]
		s.loosen(it)
		if it.ref.Expiry <= p.height {
			s.remove(it)
		} else {
			p.evict(s)
		}
	}
	p.dropUnused(it)
}

func (p *Pool) dropUnused(it *item) {
	if it.named == 0 && !it.shelved && p.items[it.ref.Digest] == it {
		delete(p.items, it.ref.Digest)
	}
}
