package node

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/hotstuffd/hotstuffd/api/wire"
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/store"
)

// Stored is what a replica's disk says, to a start and to peers that lack something: a *store.Store. Errors other than
// store.ErrNotFound mean that the disk cannot be read, and stop the node.
type Stored interface {
	Recover() (store.Recovered, error)
	CommittedID(qc.Height) (id qc.BlockID, ok bool, err error)
	Block(qc.BlockID) (*blocktree.Block, error)
	BlocksAbove(qc.Height) ([]*blocktree.Block, error)
	HasBatch(blocktree.Digest) (bool, error)
	Batch(blocktree.Digest) (*mempool.Batch, error)
	BatchesFrom(qc.NodeID, blocktree.Cursor) iter.Seq2[*mempool.Batch, error]

	// Floor is where the log begins; 0: at genesis.
	Floor() qc.Height
	// Snapshots lists those that are kept, the newest first.
	Snapshots() []store.SnapshotMeta
	OpenSnapshot(qc.Height) (io.ReadCloser, error)
	// SnapshotChunk returns a chunk, in buf if there is room in it.
	SnapshotChunk(buf []byte, height qc.Height, index int) ([]byte, error)
}

// recovered is what the store says about where this replica stands.
type recovered struct {
	core hotstuff.Recovered
	// The state is that of the snapshot at base, 0: of genesis; from there the application is replayed up to block replayTo,
	// all of whose batches are on disk; lanes is next(replayTo).
	base     qc.Height
	replayTo qc.Height
	lanes    blocktree.Lanes
	// unplayed are committed blocks above replayTo: a batch of the first of them still has to be fetched.
	unplayed []hotstuff.Committed
	held     []*mempool.Batch // not executed yet
}

// errNoSnapshot: the log was pruned, and no snapshot below its beginning is whole.
var errNoSnapshot = errors.New("store: no whole snapshot is left, and the log before it was pruned: run hotstuffd rejoin, and the others bring this replica up")

// recoverState reads the store. The safety state is the store's to judge; here its facts are put together.
func recoverState(s Stored, genesis *blocktree.Block, l wire.Limits, depth, distanceMax qc.Height) (*recovered, error) {
	stored, err := s.Recover()
	if err != nil {
		return nil, err
	}
	base, err := newestHead(s, l)
	if err != nil {
		return nil, err
	}
	if base == nil {
		base = &stateHead{blocks: []*blocktree.Block{genesis}, lanes: make(blocktree.Lanes, l.Nodes)}
	}
	r := &recovered{core: hotstuff.Recovered{Safety: stored.Safety, Certified: stored.Certified}, base: base.block().Height}
	top := max(stored.Commit.Height, r.base)
	if err := r.walk(s, base, top, depth, distanceMax); err != nil {
		return nil, err
	}
	if r.core.Above, err = s.BlocksAbove(top); err != nil {
		return nil, err
	}
	if r.core.Unnoted, err = unnoted(s, base.block(), stored.Commit.Height); err != nil {
		return nil, err
	}
	if r.core.Unstored, err = unstored(s, base); err != nil {
		return nil, err
	}
	for origin := range qc.NodeID(l.Nodes) {
		for b, err := range s.BatchesFrom(origin, r.lanes[origin]) {
			if err != nil {
				return nil, err
			}
			r.held = append(r.held, b)
		}
	}
	return r, nil
}

// unnoted returns the commits up to a snapshot's block that are not noted on disk. The note of a commit rides along with a later
// write, and the snapshot may have been durable before that; its blocks are here then, back to the last one noted. A
// snapshot from a peer stands alone.
func unnoted(s Stored, b *blocktree.Block, noted qc.Height) ([]hotstuff.CommitRecord, error) {
	if b.Height <= noted {
		return nil, nil
	}
	commits := []hotstuff.CommitRecord{{Height: b.Height, Block: b.ID()}}
	for h := b.Height - 1; h > noted; h-- {
		below, err := s.Block(b.Parent)
		if errors.Is(err, store.ErrNotFound) {
			return commits[:1], nil
		}
		if err != nil {
			return nil, err
		}
		b = below
		commits = append(commits, hotstuff.CommitRecord{Height: h, Block: b.ID()})
	}
	slices.Reverse(commits)
	return commits, nil
}

// unstored returns the blocks of a snapshot whose own block is not on disk: it came from a file, or the process was killed when it
// had been received.
func unstored(s Stored, head *stateHead) (blocks []*blocktree.Block, err error) {
	switch _, err := s.Block(head.block().ID()); {
	case err == nil:
		return nil, nil
	case !errors.Is(err, store.ErrNotFound):
		return nil, err
	}
	for _, b := range head.blocks {
		if b.Height > 0 {
			blocks = append(blocks, b)
		}
	}
	return blocks, nil
}

// newestHead returns the head of the newest snapshot that is whole as far as that, from which the log goes on; nil if the
// log begins at genesis and there is none.
func newestHead(s Stored, l wire.Limits) (*stateHead, error) {
	for _, m := range s.Snapshots() {
		if m.Height() < s.Floor() {
			break
		}
		h, err := headOf(s, m, l)
		if err == nil {
			return h, nil
		}
		if !errors.Is(err, errSnapshot) && !errors.Is(err, store.ErrChunk) {
			return nil, err
		}
	}
	if s.Floor() > 0 {
		return nil, errNoSnapshot
	}
	return nil, nil
}

// headOf reads the head of a snapshot on disk.
func headOf(s Stored, m store.SnapshotMeta, l wire.Limits) (*stateHead, error) {
	f, err := s.OpenSnapshot(m.Height())
	if err != nil {
		return nil, err
	}
	h, err := readHead(f, l, m.Certificate.Checkpoint)
	return h, errors.Join(err, f.Close())
}

// walk goes up the committed chain from a base: it folds the lanes, finds the first block whose payload is not complete on
// disk, and keeps the newest blocks for the leader function.
func (r *recovered) walk(s Stored, base *stateHead, top, depth, distanceMax qc.Height) error {
	lanes := base.lanes
	chain := append([]*blocktree.Block(nil), base.blocks...)
	r.lanes, r.replayTo = lanes, r.base
	complete := true
	for h := r.base + 1; h <= top; h++ {
		b, err := committedBlock(s, h)
		if err != nil {
			return err
		}
		if b.Parent != chain[len(chain)-1].ID() {
			return fmt.Errorf("store: committed block %d does not follow the one before it", h)
		}
		if lanes, err = lanes.Extend(b.Payload, h, distanceMax, nil); err != nil {
			return fmt.Errorf("store: committed block %d: %w", h, err)
		}
		if complete {
			if complete, err = payloadHeld(s, b); err != nil {
				return err
			}
		}
		if complete {
			r.replayTo, r.lanes = h, lanes
		} else {
			r.unplayed = append(r.unplayed, hotstuff.Committed{Block: b, Lanes: lanes})
		}
		if chain = append(chain, b); qc.Height(len(chain)) > 2*depth+2 {
			chain = append([]*blocktree.Block(nil), chain[len(chain)-int(depth)-1:]...)
		}
	}
	last := len(chain) - 1
	r.core.Committed, r.core.Lanes, r.core.Below = chain[last], lanes, chain[:last]
	return nil
}

func committedBlock(s Stored, h qc.Height) (*blocktree.Block, error) {
	id, ok, err := s.CommittedID(h)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("store: committed block %d is missing: %w", h, store.ErrNotFound)
	}
	return s.Block(id)
}

func payloadHeld(s Stored, b *blocktree.Block) (bool, error) {
	for i := range b.Payload {
		ok, err := s.HasBatch(b.Payload[i].Digest)
		if err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}

// Begin brings a new machine to where a start found the disk: by the snapshot at base, or an older one if that is damaged,
// and the log from there up to block to. stop, which may be nil, ends it early, and seen, which may be nil, is told of
// each block.
// Expected errors: the store's; errNoSnapshot; errStopped, and then the state is an old one that nothing may be applied to.
func Begin(m *Machine, s Stored, l wire.Limits, base, to qc.Height, stop <-chan struct{}, seen func(qc.Height)) error {
	if base > 0 {
		if err := restoreStored(m, s, l, base); err != nil {
			return err
		}
	}
	for h := m.Height() + 1; h <= to; h++ {
		select {
		case <-stop:
			return errStopped // the state is an old one
		default:
		}
		e, err := storedExecution(s, h)
		if err != nil {
			return err
		}
		if !m.follows(e.Block) { // below base nobody has looked
			return fmt.Errorf("store: committed block %d does not follow the one before it", h)
		}
		m.Apply(e)
		if seen != nil {
			seen(h)
		}
	}
	return nil
}

// restoreStored restores the newest snapshot up to a height that is whole, and from which the log goes on.
func restoreStored(m *Machine, s Stored, l wire.Limits, upTo qc.Height) error {
	for _, meta := range s.Snapshots() {
		at := meta.Height()
		if at > upTo {
			continue
		}
		if at < s.Floor() {
			break
		}
		if err := readThrough(s, at); errors.Is(err, store.ErrChunk) {
			continue // found out before the application has seen any of it
		} else if err != nil {
			return err
		}
		f, err := s.OpenSnapshot(at)
		if err != nil {
			return err
		}
		err = errors.Join(m.Restore(f, l, meta.Certificate.Checkpoint), f.Close())
		if err == nil {
			return nil
		}
		if !errors.Is(err, errSnapshot) && !errors.Is(err, store.ErrChunk) {
			return err
		}
	}
	if s.Floor() == 0 && !m.Broken() {
		return nil // the whole log is here
	}
	return errNoSnapshot
}

// readThrough reads all chunks of a snapshot, which checks them.
func readThrough(s Stored, at qc.Height) error {
	f, err := s.OpenSnapshot(at)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, f)
	return errors.Join(err, f.Close())
}
