package node

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/store"
)

// logAudit walks up the stored blocks in ascending order of height. What depends on a block's parent it checks itself; what a
// block says of itself, its certificates above all, goes to workers.
type logAudit struct {
	a         *Audit
	ctx       context.Context
	jobs      chan blockJob
	base      qc.Height                // of the newest whole snapshot: up to there a state transfer may have left holes
	committed qc.Height                // noted on disk
	heads     map[qc.Height]*stateHead // of the snapshots

	height qc.Height // of the blocks in below
	below  map[qc.BlockID]walked
}

// walked is a block with the lanes after it; nil lanes: unknown, above a hole.
type walked struct {
	block *blocktree.Block
	lanes blocktree.Lanes
}

// holes are heights that the log lacks something of.
type holes struct {
	highest          qc.Height // up to Audit.end: only from there on the log can be executed
	missing          int       // blocks
	batches          int       // of committed blocks
	from, to         qc.Height // those blocks
	unsigned, forged int       // blocks without their proposers' signature, and with another one
}

// walkBlocks is how many heights are read at once.
const walkBlocks = 512

// Log checks every stored block from where the log begins: its name, its place under its parent, both certificates in it, the
// lanes of its payload, the proposer's signature where there is one; and of the blocks on the committed chain each batch:
// its digest, its place in its lane, its origin's signature.
// Expected errors: ctx's; the disk's.
func (a *Audit) Log(ctx context.Context) error {
	w := &logAudit{a: a, ctx: ctx, jobs: make(chan blockJob, 64), committed: a.stored.Commit.Height, heads: make(map[qc.Height]*stateHead)}
	for _, m := range a.store.Snapshots() {
		if h, err := headOf(a.store, m, a.limits); err == nil { // else Snapshots has said so
			w.heads[m.Height()] = h
			w.base = max(w.base, m.Height())
		}
	}
	contents, err := a.store.Contents()
	if err != nil {
		return err
	}
	a.findings.LogBegins, a.findings.Highest = contents.Lowest, contents.Top
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		v, err := a.check.messages(a.self)
		if err != nil {
			close(w.jobs)
			return err
		}
		workers.Go(func() {
			for j := range w.jobs {
				a.checkBlock(v, j)
				a.passed(int64(contents.Blocks))
			}
		})
	}
	err = w.walk(contents.Top)
	close(w.jobs)
	workers.Wait()
	w.tell()
	return err
}

// passed counts a block.
func (a *Audit) passed(total int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.findings.Blocks++
	a.seen(AuditProgress{Part: "blocks", Done: int64(a.findings.Blocks), Total: total})
}

// walk goes through the heights. What lies at the floor is what the log begins with.
func (w *logAudit) walk(top qc.Height) error {
	s, g := w.a.store, w.a.check.first
	w.below = map[qc.BlockID]walked{g.ID(): {g, make(blocktree.Lanes, len(w.a.check.keys))}}
	if floor := s.Floor(); floor > 0 {
		w.height, w.below = floor-1, nil
	}
	for from := w.height + 1; from <= top; from += walkBlocks {
		ids, err := s.BlockIDs(from, from+walkBlocks)
		if err != nil {
			return err
		}
		for len(ids) > 0 {
			n := slices.IndexFunc(ids, func(at store.BlockAt) bool { return at.Height != ids[0].Height })
			if n < 0 {
				n = len(ids)
			}
			if err := w.level(ids[:n]); err != nil {
				return err
			}
			ids = ids[n:]
		}
	}
	if missing := int(w.base) - int(w.height); missing > 0 { // nothing above the snapshot has come yet
		w.lack(w.base, missing)
		w.height = w.base
	}
	if w.height < w.committed {
		w.a.problem("blocks %d to %d are missing: they are committed", w.height+1, w.committed)
	}
	return nil
}

// level checks the blocks of one height.
func (w *logAudit) level(ids []store.BlockAt) error {
	h := ids[0].Height
	if missing := int(h - w.height - 1); missing > 0 {
		w.skip(h, missing)
	}
	blocks := make(map[qc.BlockID]walked)
	committed, noted, err := w.committedAt(h)
	if err != nil {
		return err
	}
	for _, at := range ids {
		b, err := w.a.store.Block(at.ID)
		if err == nil && b.Height != h {
			err = fmt.Errorf("it is kept as one of height %d", h)
		}
		if err != nil {
			w.a.problem("block %s of height %d: %v", at.ID.Hex(), h, err)
			continue
		}
		job := blockJob{block: b, committed: noted && at.ID == committed, payload: h > w.a.store.Floor()}
		blocks[at.ID] = walked{b, w.place(b, &job)}
		select {
		case w.jobs <- job:
		case <-w.ctx.Done():
			return w.ctx.Err()
		}
	}
	if c, ok := blocks[committed]; noted {
		w.chain(h, c, ok)
	}
	w.height, w.below = h, blocks
	return nil
}

// skip passes over heights without blocks. Right above a snapshot its own block is the parent, be it stored or not.
func (w *logAudit) skip(to qc.Height, missing int) {
	w.below = nil
	if head := w.heads[to-1]; head != nil {
		w.below = map[qc.BlockID]walked{head.block().ID(): {head.block(), head.lanes}}
		w.lack(to-1, missing)
		return
	}
	w.hole(to, missing, "blocks %d to %d are missing", w.height+1, to-1)
}

// committedAt names the committed block of a height; noted is false above what the disk notes as committed.
func (w *logAudit) committedAt(h qc.Height) (id qc.BlockID, noted bool, err error) {
	id, noted, err = w.a.store.CommittedID(h)
	if err == nil && !noted && h <= w.committed && h > w.base {
		w.a.problem("height %d: which block is committed is not noted", h)
	}
	return id, noted, err
}

// place checks a block against its parent, and returns the lanes after it.
func (w *logAudit) place(b *blocktree.Block, job *blockJob) blocktree.Lanes {
	h := b.Height
	parent, ok := w.below[b.Parent]
	switch {
	case h == w.a.store.Floor():
		at, _ := w.a.store.FloorCommit()
		if b.ID() == at.Block {
			return at.Lanes
		}
		return nil
	case w.below == nil: // below a hole: level has said so
	case !ok:
		w.hole(h, 0, "block %s of height %d: its parent is missing", b.ID().Hex(), h)
	case b.Justify.View != parent.block.View:
		w.a.problem("block %s of height %d: its certificate is of view %d, its parent of view %d", b.ID().Hex(), h, b.Justify.View, parent.block.View)
	case b.Time <= parent.block.Time:
		w.a.problem("block %s of height %d: it is not younger than its parent", b.ID().Hex(), h)
	}
	head := w.heads[h]
	if head != nil && head.block().ID() != b.ID() {
		head = nil
	}
	if !ok || parent.lanes == nil {
		if head != nil {
			return head.lanes
		}
		return nil
	}
	job.links = make([]blocktree.Digest, 0, len(b.Payload))
	lanes, err := parent.lanes.Extend(b.Payload, h, CoreLimits(w.a.check.genesis.Limits).ExpiryDistanceMax,
		func(_ blocktree.BatchRef, prev blocktree.Digest) { job.links = append(job.links, prev) })
	if err != nil {
		w.a.problem("block %s of height %d: %v", b.ID().Hex(), h, err)
		job.links = nil
	}
	if head != nil && err == nil && !slices.Equal(lanes, head.lanes) {
		w.a.problem("snapshot %d: its lanes are not those after the blocks before it", h)
	}
	return lanes
}

// chain checks the committed block of a height against the one below it, and the newest one's lanes.
func (w *logAudit) chain(h qc.Height, c walked, here bool) {
	if !here {
		w.a.problem("height %d: the committed block is missing", h)
		return
	}
	if _, ok := w.below[c.block.Parent]; ok {
		id, noted, err := w.a.store.CommittedID(h - 1)
		if err == nil && noted && id != c.block.Parent {
			w.a.problem("height %d: the committed block does not follow the committed one before it", h)
		}
	}
	if at := &w.a.stored.Commit; h == at.Height && c.lanes != nil && !slices.Equal(c.lanes, at.Lanes) {
		w.a.problem("height %d: the lanes that are noted with the commit are not those after its block", h)
	}
}

// hole notes that the chain does not go on down from a height. A state transfer leaves such, up to its snapshot.
func (w *logAudit) hole(h qc.Height, missing int, format string, args ...any) {
	w.lack(h, missing)
	if h > w.base {
		w.a.problem(format, args...)
	}
}

// lack notes a hole.
func (w *logAudit) lack(h qc.Height, missing int) {
	w.a.mu.Lock()
	defer w.a.mu.Unlock()
	w.a.holeAt(h)
	w.a.holes.missing += missing
}

// holeAt notes that the block of a height cannot be executed after the one before it. a.mu is held.
func (a *Audit) holeAt(h qc.Height) {
	if h <= a.end {
		a.holes.highest = max(a.holes.highest, h)
	}
}

// tell words what is no fault.
func (w *logAudit) tell() {
	a := w.a
	if floor := a.store.Floor(); floor > 0 {
		a.note("the log below height %d was pruned", floor)
	}
	if x := a.holes; x.missing > 0 {
		a.note("%d blocks below snapshot %d are not here: its state was taken over from another replica", x.missing, w.base)
	}
	if x := a.holes; x.batches > 0 {
		a.note("%d batches of blocks %d to %d are not here: what the newest snapshot does not cover is fetched", x.batches, x.from, x.to)
	}
	if a.holes.unsigned > 0 {
		a.note("%d blocks came with a snapshot, without their proposers' signatures", a.holes.unsigned)
	}
	if a.holes.forged > 0 {
		a.note("%d blocks came from a replica that has spoilt their proposers' signatures: their certificates count", a.holes.forged)
	}
}
