package store

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hotstuffd/hotstuffd/api/wire"
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/opt"
	"github.com/syndtr/goleveldb/leveldb/util"
)

// floor is the block that Prune was last told, with the lanes after it; nil if nothing was pruned. What lies below it is
// not there for any reader from the moment it is set, so that what they see does not depend on how far Prune has come.
type floor struct {
	atomic.Pointer[hotstuff.CommitRecord]
}

func (f *floor) height() qc.Height {
	if at := f.Load(); at != nil {
		return at.Height
	}
	return 0
}

// passed tells whether the lanes have come past a batch.
func (f *floor) passed(b *mempool.Batch) bool {
	at := f.Load()
	if at == nil || int(b.Origin) >= len(at.Lanes) {
		return false
	}
	c := at.Lanes[b.Origin]
	order := b.Incarnation.Compare(c.Incarnation)
	return order < 0 || order == 0 && b.Seq < c.Seq
}

// gone tells whether no block above the floor can name a batch: the lanes have come past it, or it has expired.
func (f *floor) gone(b *mempool.Batch) bool {
	return f.Load() != nil && (b.Expiry <= f.height() || f.passed(b))
}

// pruning is how far Prune has come in this process. Nothing of it need be remembered: the next one goes once more through
// what is left.
type pruning struct {
	mu     sync.Mutex
	batch  leveldb.Batch
	blocks qc.Height       // no block or commit below it is left
	lanes  blocktree.Lanes // no index entry before them is left; nil: nobody has looked
	scan   mark            // all batches before it are gone; its segment is 0 before the first look
}

const (
	// pruneBatch bounds the deletions of one write: a synced write waits for one of them at most.
	pruneBatch = 256
	// scanBytes is about how much payload is read in one step.
	scanBytes = 1 << 20
)

// Floor returns the least height whose committed block is kept; 0: nothing was pruned.
func (s *Store) Floor() qc.Height { return s.floor.height() }

// Prune forgets what lies below the committed block of a height: blocks and commits of lower heights, and the batches that
// no block above it can name, where lanes is next(that block). The block itself stays. First the floor is made durable; it
// is in force for all readers when that is done. Then all else goes, in small steps, beside which records and batches can
// be appended. Closing the store ends it early, as a crash does: a later Prune then finishes it, and one to the same floor
// will do. A floor below the present one does nothing.
func (s *Store) Prune(height qc.Height, lanes blocktree.Lanes) error {
	p := &s.pruning
	p.mu.Lock()
	defer p.mu.Unlock()
	if height == 0 || height < s.Floor() {
		return nil
	}
	if err := s.raiseFloor(height, lanes); err != nil {
		return err
	}
	at := s.floor.Load()
	parts := []func() (done bool, err error){
		s.forgetting(util.Range{Start: keyHeight(p.blocks), Limit: keyHeight(at.Height)}, blockOf),
		s.forgetting(util.Range{Start: keyCommitted(p.blocks), Limit: keyCommitted(at.Height)}, nil),
	}
	for origin, c := range at.Lanes {
		var from blocktree.Cursor
		if p.lanes != nil {
			from = p.lanes[origin]
		}
		id := qc.NodeID(origin)
		parts = append(parts, s.unindexing(util.Range{Start: keyLane(id, from.Incarnation, from.Seq), Limit: keyLane(id, c.Incarnation, c.Seq)}))
	}
	for _, part := range append(parts, s.scan, s.giveUp) {
		if err := s.complete(part); err != nil {
			return err
		}
	}
	p.blocks, p.lanes = at.Height, at.Lanes
	return nil
}

// complete does a part step by step. Each step is a call by itself, so that Close need not wait for all of them.
func (s *Store) complete(part func() (done bool, err error)) error {
	for done := false; !done; {
		err := s.beginWrite()
		if err != nil {
			return err
		}
		done, err = part()
		if s.end(); err != nil {
			return err
		}
		if s.options.Rest != nil && !done {
			s.options.Rest()
		}
	}
	return nil
}

// raiseFloor makes a higher floor durable before anything below it goes: a floor can be noted with all still there, never
// the other way round.
func (s *Store) raiseFloor(height qc.Height, lanes blocktree.Lanes) error {
	if err := s.beginWrite(); err != nil {
		return err
	}
	defer s.end()
	if height == s.Floor() {
		return nil
	}
	id, ok, err := s.committedID(height)
	if err == nil && ok {
		_, err = s.block(id)
	}
	if err != nil {
		return err
	}
	if !ok || len(lanes) != s.id.Limits.Nodes {
		return fmt.Errorf("store: prune below %d: want the height of a committed block, and its lanes", height)
	}
	at := &hotstuff.CommitRecord{Height: height, Block: id, Lanes: lanes}
	data, err := wire.AppendCommitRecord(nil, at)
	if err != nil {
		return err
	}
	if err := s.safety.db.Put(keyFloor, data); err != nil {
		return s.fail(keepFull(err))
	}
	s.floor.Store(at)
	return nil
}

// forgetting returns a part of Prune that deletes a range of the safety database, and the keys that other finds in those.
func (s *Store) forgetting(r util.Range, other func(key []byte) []byte) func() (bool, error) {
	return func() (done bool, err error) {
		p := &s.pruning
		if done, err = p.collect(s.safety.db, &r, other); err != nil {
			return false, fmt.Errorf("store: prune: %w", err)
		}
		if err := s.safety.db.Write(&p.batch, nil); err != nil {
			return false, s.fail(keepFull(err))
		}
		return done, nil
	}
}

// blockOf returns the key of the block that an entry of its height names.
func blockOf(key []byte) []byte { return keyBlock(qc.BlockID(key[len(keyHeight(0)):])) }

// unindexing returns a part of Prune that deletes a range of a lane from the index.
func (s *Store) unindexing(r util.Range) func() (bool, error) {
	return func() (done bool, err error) {
		p, x := &s.pruning, s.payload
		done, err = p.collect(x.index.db, &r, func(key []byte) []byte { return keyDigest(blocktree.Digest(key[laneKeyBytes:])) })
		if err != nil {
			return false, x.indexError(err)
		}
		return done, s.writeIndex()
	}
}

// writeIndex writes the batch to the index.
func (s *Store) writeIndex() error {
	if err := s.payload.index.db.Write(&s.pruning.batch, nil); err != nil {
		return s.fail(keepFull(err))
	}
	return nil
}

// collect fills the batch with deletions from the start of a range, and moves the start behind them.
func (p *pruning) collect(db *level, r *util.Range, other func(key []byte) []byte) (done bool, err error) {
	p.batch.Reset()
	it := db.NewIterator(r, &opt.ReadOptions{DontFillCache: true})
	defer it.Release()
	for p.batch.Len() < pruneBatch {
		if !it.Next() {
			return true, it.Error()
		}
		p.batch.Delete(it.Key())
		if other != nil {
			p.batch.Delete(other(it.Key()))
		}
	}
	r.Start = append(slices.Clone(it.Key()), 0)
	return false, nil
}

// scan is the part of Prune that goes through the oldest segments, up to the newest one, as long as all batches are gone. It
// stops at the first frame with one that is not, and begins there the next time.
func (s *Store) scan() (done bool, err error) {
	x, at := s.payload, &s.pruning.scan
	if first := x.first.Load(); at.segment < first {
		*at = mark{segment: first}
	}
	if at.segment == x.newest.Load() {
		return true, nil
	}
	f, err := x.fs.Open(join(x.dir, segmentName(at.segment)))
	if err != nil {
		return false, fmt.Errorf("store: prune: %w", err)
	}
	defer f.Close()
	s.pruning.batch.Reset()
	ended, done, err := s.scanFile(f)
	if err == nil {
		err = s.writeIndex()
	}
	if err == nil && ended {
		err = s.scanOn()
	}
	return done, err
}

// scanFile goes on through a segment for some time. ended: all of it is gone. done: a batch is not.
func (s *Store) scanFile(f File) (ended, done bool, err error) {
	x, at := s.payload, &s.pruning.scan
	size, err := f.Size()
	if err == nil && at.offset == 0 {
		at.offset = segmentOffset
		at.frame, err = x.firstFrame(f, at.segment)
	}
	for stop := at.offset + scanBytes; err == nil && at.offset < stop; {
		frame, batches, err := x.frameAt(f, size, *at)
		if frame == nil || err != nil {
			return err == nil, false, err
		}
		if !s.forgetBatches(batches) {
			return false, true, nil
		}
		at.offset += aligned(int64(len(frame)))
		at.frame++
	}
	return false, false, err
}

// forgetBatches tells whether all batches of a frame are gone. If so, those go from the index that have expired before their
// turn came: the others were in the lanes' way.
func (s *Store) forgetBatches(batches []*mempool.Batch) bool {
	if slices.ContainsFunc(batches, func(b *mempool.Batch) bool { return !s.floor.gone(b) }) {
		return false
	}
	for _, b := range batches {
		if !s.floor.passed(b) {
			d := b.Digest()
			s.pruning.batch.Delete(keyDigest(d))
			s.pruning.batch.Delete(append(keyLane(b.Origin, b.Incarnation, b.Seq), d[:]...))
		}
	}
	return true
}

// scanOn goes to the next segment, if it begins where this one has ended: else there are frames that nobody has seen.
func (s *Store) scanOn() error {
	x, at := s.payload, &s.pruning.scan
	f, err := x.fs.Open(join(x.dir, segmentName(at.segment+1)))
	if err != nil {
		return fmt.Errorf("store: prune: %w", err)
	}
	defer f.Close()
	first, err := x.firstFrame(f, at.segment+1)
	if err == nil && first != at.frame {
		err = refuse(x.dir, ErrPayloadLost, "frames %d to %d before %s are damaged", at.frame, first-1, segmentName(at.segment+1))
	}
	if err == nil {
		*at = mark{at.segment + 1, segmentOffset, first}
	}
	return err
}

// giveUp is the part of Prune that removes the segments before the scan. It makes durable that they are given up first: Open
// takes a missing segment for a loss, and removes one that is given up and comes back.
func (s *Store) giveUp() (done bool, err error) {
	x, end := s.payload, s.pruning.scan.segment
	first := x.first.Load()
	if first >= end {
		return true, nil
	}
	// One at a time: the removal of a large file takes a while.
	if err := s.safety.db.Put(keyFirst, binary.BigEndian.AppendUint64(nil, first+1)); err != nil {
		return false, s.fail(keepFull(err))
	}
	x.first.Store(first + 1)
	if err := x.fs.RemoveAll(join(x.dir, segmentName(first))); err != nil {
		return false, s.fail(keepFull(err))
	}
	return false, nil
}
