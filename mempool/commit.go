package mempool

import (
	"slices"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/qc"
)

// commit is a committed block that is not executed yet.
type commit struct {
	claim
	bytes   uint64
	spans   [][]Span // parallel to the payload; nil where the batch is not ours
	own     int      // own batches in it
	ownCost int      // of their requests, bytes
}

// commitQueue holds the committed blocks that are not executed, in order. It is as long as execution is behind: a block is a few hundred bytes of names,
// and the batches of those beyond the resolved part are neither known nor loaded nor fetched.
type commitQueue struct {
	queue         []*commit
	bytes         uint64 // payload of all of them
	resolved      int    // blocks from the front whose missing batches are being looked for
	resolvedBytes uint64 // cost of those
	emitted       int    // blocks from the front that were given out in Ready.Execute
}

// behind tells whether execution is so far behind that payloads are empty and admission is paused; votes go on (L13).
func (p *Pool) behind() bool { return p.commits.bytes >= p.cfg.BacklogBytes }

// Committed takes in the next committed block, each once and in order, with the lanes after it. It comes out in Ready.Execute, after all earlier ones,
// once its batches are here.
func (p *Pool) Committed(b *blocktree.Block, after blocktree.Lanes) {
	c := &commit{claim: claim{block: b, committed: true}, spans: make([][]Span, len(b.Payload))}
	var own []*item
	for i, ref := range b.Payload {
		c.bytes += uint64(ref.Bytes)
		if s, ok := p.claimOwn(ref); ok {
			c.spans[i] = s.spans
			c.own++
			c.ownCost += s.cost
			own = append(own, s.item)
		}
	}
	p.commits.queue = append(p.commits.queue, c)
	p.commits.bytes += c.bytes
	p.resolve()
	if c.own > 0 {
		p.attachCommit(c) // however far ahead it is: batches of our own are bounded by themselves
	}
	for _, it := range own {
		p.release(it) // the commit holds on to it now
	}
	p.advance(b.Height, after)
	p.execute()
}

// attachCommit names a committed block's batches. Those not held stay parked.
func (p *Pool) attachCommit(c *commit) {
	if c.items == nil {
		p.attach(&c.claim, func(*item) {})
	}
}

// cost is what the batches of a commit take in memory, about.
func (c *commit) cost() uint64 { return c.bytes + uint64(len(c.block.Payload))*itemOverhead }

// advance moves to a new committed block, and lets go of all that it decides.
func (p *Pool) advance(height qc.Height, lanes blocktree.Lanes) {
	p.height, p.lanes = height, lanes
	if p.frontier.height < height {
		p.frontier.height, p.frontier.lanes = height, lanes
	}
	p.passRequired()
	p.sweep()
	p.checkOwnLane()
}

// resolve has the missing batches of the first blocks looked for on disk: about ResolveBytes, at least one block.
func (p *Pool) resolve() {
	q := &p.commits
	for q.resolved < len(q.queue) && (q.resolved == 0 || q.resolvedBytes < p.cfg.ResolveBytes) {
		c := q.queue[q.resolved]
		p.attachCommit(c)
		for _, it := range c.items {
			if it.batch == nil && it.stage == parked {
				it.stage = loading
				p.ready.Load = append(p.ready.Load, it.ref.Digest)
			}
		}
		q.resolved++
		q.resolvedBytes += c.cost()
	}
}

// Loaded answers Ready.Load: the digests asked for, and the batches that were found, which are synced. The others are fetched at once: their block is
// certified, so that a quorum holds them.
func (p *Pool) Loaded(asked []blocktree.Digest, found []*Batch) {
	for _, b := range found {
		if it := p.items[b.Digest()]; it != nil && it.batch == nil {
			p.fill(it, b)
			p.settle(it)
		}
	}
	for _, d := range asked {
		if it := p.items[d]; it != nil && it.batch == nil && it.stage == loading {
			it.stage = fetched
			it.due = p.now
			p.wanted = append(p.wanted, it)
		}
	}
}

// execute gives out the committed blocks that are complete, in order.
func (p *Pool) execute() {
	q := &p.commits
	for ; q.emitted < q.resolved && q.queue[q.emitted].missing == 0; q.emitted++ {
		c := q.queue[q.emitted]
		e := Execution{Block: c.block, Batches: make([]*Batch, len(c.items)), Spans: c.spans}
		for i, it := range c.items {
			e.Batches[i] = it.batch
		}
		c.spans = nil
		p.ready.Execute = append(p.ready.Execute, e)
	}
}

// Executed says that the executor is done with all blocks up to a height. Their batches leave memory: whoever asks for one is served from the disk.
func (p *Pool) Executed(height qc.Height) {
	p.applied = max(p.applied, height)
	q := &p.commits
	n := 0
	for n < q.emitted && q.queue[n].block.Height <= height {
		p.retire(q.queue[n])
		n++
	}
	q.pop(n)
	p.resolve()
	p.execute()
}

// retire ends a commit's hold on its batches and the accounts of its own ones.
func (p *Pool) retire(c *commit) {
	p.own.underway -= c.own
	p.own.pending -= c.ownCost
	p.detach(&c.claim)
}

// pop removes the first n blocks.
func (q *commitQueue) pop(n int) {
	for _, c := range q.queue[:n] {
		q.bytes -= c.bytes
	}
	for _, c := range q.queue[:min(n, q.resolved)] {
		q.resolvedBytes -= c.cost()
	}
	q.resolved = max(0, q.resolved-n)
	q.emitted = max(0, q.emitted-n)
	q.queue = slices.Delete(q.queue, 0, n)
}

// Restored says that a snapshot took the place of executing the blocks up to a height, after which the lanes stand as given. Committed blocks up to there
// that were not given out for execution are dropped; later ones stay. The owners of own batches that the snapshot passed are in Ready.Unknown; those that
// were given out in Ready.Execute are the caller's to answer. Call it when the snapshot is durable.
func (p *Pool) Restored(height qc.Height, lanes blocktree.Lanes) {
	p.applied = max(p.applied, height)
	q := &p.commits
	n := 0
	for ; n < len(q.queue) && q.queue[n].block.Height <= height; n++ {
		for _, spans := range q.queue[n].spans {
			p.ready.Unknown = appendOwners(p.ready.Unknown, spans)
		}
		p.retire(q.queue[n])
	}
	q.pop(n)
	if height > p.height {
		p.skipOwn(lanes[p.cfg.Self])
		p.advance(height, lanes)
	}
	p.resolve()
	p.execute()
}

// Applied returns the height of the last block that was executed, or restored.
func (p *Pool) Applied() qc.Height { return p.applied }

// Starved returns the height of the committed block that execution waits for because batches of it are on no disk here.
func (p *Pool) Starved() (at qc.Height, ok bool) {
	q := &p.commits
	if q.emitted >= q.resolved {
		return 0, false
	}
	c := q.queue[q.emitted]
	return c.block.Height, slices.ContainsFunc(c.items, (*item).fetching)
}
