package mempool

import (
	"slices"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/qc"
)

// requirementsMax bounds the blocks whose payload is pinned for the core; the one of the lowest view is let go first. Its batches stay on disk, so
// committing it later costs a load. In memory they are at most this many times Config.BlockBytesMax, and that only if as many proposals in a row,
// with different payload, stay uncommitted.
const requirementsMax = 32

// claim is one block's hold on its batches: from Require until the committed chain reaches its height, or from Committed until it is executed.
type claim struct {
	block     *blocktree.Block
	items     []*item            // parallel to block.Payload
	prevs     []blocktree.Digest // the predecessors that its batches must name; nil if it began as committed
	missing   int                // places whose item is not usable yet
	committed bool
}

// describes tells whether b is what the block says at a place of its payload.
func (c *claim) describes(at int, b *Batch) bool {
	return c.committed || b.Ref() == c.block.Payload[at] && b.Prev == c.prevs[at]
}

// Require asks for a block's payload, on behalf of a vote; before is next() of its parent. The answer comes in Ready.Available or Ready.Invalid; a block
// at or below the committed height gets none. What is missing is fetched after a grace. The batches are pinned in memory until the committed chain
// reaches the block's height. A block that is required again is answered again.
func (p *Pool) Require(b *blocktree.Block, before blocktree.Lanes) {
	if b.Height <= p.height {
		return
	}
	if i := p.findRequired(b.ID()); i >= 0 {
		if p.required[i].missing == 0 {
			p.ready.Available = append(p.ready.Available, b.ID())
		}
		return
	}
	c := &claim{block: b}
	if !p.valid(c, before) {
		p.ready.Invalid = append(p.ready.Invalid, b.ID())
		return
	}
	p.attach(c, func(it *item) {
		it.stage = fetched
		it.due = p.now + p.cfg.FetchGrace
		p.wanted = append(p.wanted, it)
	})
	at, _ := slices.BinarySearchFunc(p.required, b.View, func(c *claim, v qc.View) int {
		if c.block.View <= v {
			return -1
		}
		return +1
	})
	p.required = slices.Insert(p.required, at, c)
	if c.missing == 0 {
		p.complete(c)
	}
	if len(p.required) > requirementsMax {
		p.detach(p.required[0])
		p.required = slices.Delete(p.required, 0, 1)
	}
}

// Cancel lets go of a required block's batches: the core has no more use for it.
func (p *Pool) Cancel(block qc.BlockID) {
	if i := p.findRequired(block); i >= 0 {
		p.detach(p.required[i])
		p.required = slices.Delete(p.required, i, i+1)
	}
}

// valid checks all that can be told of a payload now: its limits, that it extends the lanes, and what it says of the batches held here.
func (p *Pool) valid(c *claim, before blocktree.Lanes) bool {
	refs := c.block.Payload
	if uint64(len(refs)) > uint64(p.cfg.BlockBatchesMax) {
		return false
	}
	var bytes uint64
	for i := range refs {
		if refs[i].Bytes > p.cfg.BatchBytesMax {
			return false
		}
		bytes += uint64(refs[i].Bytes)
	}
	if bytes > p.cfg.BlockBytesMax {
		return false
	}
	c.prevs = make([]blocktree.Digest, 0, len(refs))
	_, err := before.Extend(refs, c.block.Height, p.cfg.ExpiryDistanceMax, func(_ blocktree.BatchRef, prev blocktree.Digest) {
		c.prevs = append(c.prevs, prev)
	})
	if err != nil {
		return false
	}
	for i := range refs {
		if it := p.items[refs[i].Digest]; it != nil && it.batch != nil && !c.describes(i, it.batch) {
			return false
		}
	}
	return true
}

// attach names all batches of a claim's block. begin is called for each that nothing looked for before.
func (p *Pool) attach(c *claim, begin func(*item)) {
	refs := c.block.Payload
	c.items = make([]*item, len(refs))
	for i := range refs {
		it := p.items[refs[i].Digest]
		if it == nil {
			it = p.add(refs[i])
		}
		c.items[i] = it
		p.name(it)
		if it.usable() {
			continue
		}
		c.missing++
		it.waiters = append(it.waiters, waiter{c, i})
		if it.batch != nil {
			continue
		}
		// The newest proposer is the likeliest to answer.
		it.proposer = c.block.Proposer
		if it.stage == parked {
			begin(it)
		}
	}
}

// detach lets go of all batches of a claim.
func (p *Pool) detach(c *claim) {
	for _, it := range c.items {
		it.waiters = slices.DeleteFunc(it.waiters, func(w waiter) bool { return w.claim == c })
		p.release(it)
	}
}

// complete answers for a claim that misses nothing any more.
func (p *Pool) complete(c *claim) {
	if c.committed {
		p.execute()
		return
	}
	p.ready.Available = append(p.ready.Available, c.block.ID())
}

// refuse ends the claim of a block that describes a batch wrongly. It may be asked twice, for two places of one payload.
func (p *Pool) refuse(c *claim) {
	if i := p.findRequired(c.block.ID()); i >= 0 {
		p.Cancel(c.block.ID())
		p.ready.Invalid = append(p.ready.Invalid, c.block.ID())
	}
}

// passRequired forgets the blocks at or below the committed height: what was not committed there never will be.
func (p *Pool) passRequired() {
	p.required = slices.DeleteFunc(p.required, func(c *claim) bool {
		if c.block.Height > p.height {
			return false
		}
		p.detach(c)
		return true
	})
}

func (p *Pool) findRequired(block qc.BlockID) int {
	return slices.IndexFunc(p.required, func(c *claim) bool { return c.block.ID() == block })
}
