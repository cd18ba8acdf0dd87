package sim

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"slices"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/node"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/store"
)

// snapshot is one on disk, or the part of one that has come.
type snapshot struct {
	meta store.SnapshotMeta
	data []byte
	have []bool // by chunk
}

func metaOf(cert *qc.CheckpointCertificate, data []byte) store.SnapshotMeta {
	m := store.SnapshotMeta{Certificate: cert, Bytes: int64(len(data))}
	for chunk := range slices.Chunk(data, store.SnapshotChunkBytes) {
		m.Chunks = append(m.Chunks, sha256.Sum256(chunk))
	}
	return m
}

// Floor implements node.Stored.
func (d *disk) Floor() qc.Height { return d.floor }

// Snapshots implements node.Stored.
func (d *disk) Snapshots() (metas []store.SnapshotMeta) {
	for _, s := range slices.Backward(d.snapshots) {
		metas = append(metas, s.meta)
	}
	return metas
}

func (d *disk) snapshot(h qc.Height) (*snapshot, error) {
	for _, s := range d.snapshots {
		if s.meta.Height() == h {
			return s, nil
		}
	}
	return nil, store.ErrNotFound
}

// OpenSnapshot implements node.Stored.
func (d *disk) OpenSnapshot(h qc.Height) (io.ReadCloser, error) {
	s, err := d.snapshot(h)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(s.data)), nil
}

// SnapshotChunk implements node.Stored.
func (d *disk) SnapshotChunk(_ []byte, h qc.Height, index int) ([]byte, error) {
	s, err := d.snapshot(h)
	if err != nil || index < 0 || index >= len(s.meta.Chunks) {
		return nil, store.ErrNotFound
	}
	from := index * store.SnapshotChunkBytes
	return s.data[from:min(len(s.data), from+store.SnapshotChunkBytes)], nil
}

// keep adds a snapshot, in order of height, and lets older ones go as package store does.
func (d *disk) keep(s *snapshot) {
	d.snapshots = append(d.snapshots, s)
	slices.SortFunc(d.snapshots, func(a, b *snapshot) int { return int(a.meta.Height()) - int(b.meta.Height()) })
	var kept []*snapshot
	for i, s := range d.snapshots {
		if newer := len(d.snapshots) - 1 - i; newer < 2 || newer < 4 && s.meta.Height() >= d.held {
			kept = append(kept, s)
		}
	}
	d.snapshots = kept
}

// kept is a replica's disk as its keeper writes it.
type kept struct{ l *life }

// WriteSnapshot implements node.SnapshotStore.
func (k kept) WriteSnapshot(cert *qc.CheckpointCertificate, write func(io.Writer) error) (store.SnapshotMeta, error) {
	r := k.l.r
	if r.failing {
		return store.SnapshotMeta{}, errDiskFull
	}
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return store.SnapshotMeta{}, err
	}
	s := &snapshot{meta: metaOf(cert, b.Bytes()), data: b.Bytes()}
	r.disk.keep(s)
	if r.correct() {
		r.w.check.snapshot(r, s)
	}
	return s.meta, nil
}

// HoldSnapshots implements node.SnapshotStore.
func (k kept) HoldSnapshots(from qc.Height) { k.l.r.disk.held = from }

// CommittedID implements node.SnapshotStore.
func (k kept) CommittedID(h qc.Height) (qc.BlockID, bool, error) { return k.l.r.disk.CommittedID(h) }

// Prune implements node.SnapshotStore.
func (k kept) Prune(floor qc.Height, lanes blocktree.Lanes) error {
	r := k.l.r
	if r.failing {
		return errDiskFull
	}
	if r.disk.prune(floor, lanes); r.correct() {
		r.w.counts.Pruned = max(r.w.counts.Pruned, uint64(floor))
	}
	return nil
}

// prune hides what lies below a floor from the replica and its peers. The checks still see it.
func (d *disk) prune(floor qc.Height, lanes blocktree.Lanes) {
	if floor > d.floor {
		d.floor, d.passed = floor, lanes
	}
}

// pruned tells whether a batch is hidden: its lane has passed it, or no block above the floor may name it.
func (d *disk) gone(origin qc.NodeID, i blocktree.Incarnation, seq uint64, expiry qc.Height) bool {
	if d.floor == 0 {
		return false
	}
	at := d.passed[origin]
	return i.Compare(at.Incarnation) < 0 || i == at.Incarnation && seq < at.Seq || expiry <= d.floor
}

// shots is package node's edge for snapshots, in miniature.
type shots struct {
	l    *life
	part *snapshot // that is being received; nil: there is none
}

func (s *shots) later(d qc.Ticks, do func()) {
	s.l.r.w.after(d, func() {
		if !s.l.over {
			do()
		}
	})
}

// Receive implements node.Snapshots. What came in an earlier life is still there.
func (s *shots) Receive(meta store.SnapshotMeta) {
	d := s.l.r.disk
	s.later(s.l.r.syncTime(), func() {
		if d.partial == nil || d.partial.meta.Root() != meta.Root() {
			d.partial = &snapshot{meta: meta, data: make([]byte, meta.Bytes), have: make([]bool, len(meta.Chunks))}
		}
		s.part = d.partial
		answer := node.SnapshotOpened{Root: meta.Root()}
		for i, have := range s.part.have {
			if !have {
				answer.Missing = append(answer.Missing, i)
			}
		}
		s.l.take(answer)
	})
}

// Put implements node.Snapshots.
func (s *shots) Put(c node.SnapshotChunk) {
	s.later(1, func() {
		if s.part == nil {
			return
		}
		answer := node.ChunkPut{Root: s.part.meta.Root(), Index: c.Index}
		from := c.Index * store.SnapshotChunkBytes
		want := min(len(s.part.data)-from, store.SnapshotChunkBytes)
		switch {
		case s.l.r.failing:
			answer.Outcome = node.PutFailed
		case len(c.Data) != want || sha256.Sum256(c.Data) != s.part.meta.Chunks[c.Index]:
			answer.Outcome = node.PutWrong
		default:
			copy(s.part.data[from:], c.Data)
			s.part.have[c.Index] = true
		}
		s.l.take(answer)
	})
}

// Abort implements node.Snapshots.
func (s *shots) Abort() {
	s.later(1, func() { s.part, s.l.r.disk.partial = nil, nil })
}

// keeping is when a replica takes snapshots.
func (r *replica) keeping() node.KeeperConfig {
	c := r.w.cfg.Snapshots
	switch {
	case r.w.cfg.Devices != nil:
		c.Bytes = 1 << 62 // devices do not know of snapshots
	case !r.w.cfg.SnapshotsApart:
	case r.mind != nil:
		c.Bytes = 1
	default:
		c.Bytes += c.Bytes / 3 * uint64(r.id)
	}
	return c
}

// Restore implements node.Snapshots. The power may fail when the snapshot is durable and nothing else is that follows.
func (s *shots) Restore() {
	s.later(s.l.r.syncTime(), func() {
		if s.part == nil {
			return
		}
		r, part := s.l.r, s.part
		cert := part.meta.Certificate
		answer := node.SnapshotRestored{Root: part.meta.Root()}
		taken, err := s.l.exec.restore(part)
		switch {
		case err != nil:
			answer.Err = err
			r.w.counts.Spoilt++
		case taken:
			r.disk.keep(&snapshot{meta: part.meta, data: part.data})
			answer.State = s.l.exec.machine.Restored(cert)
			s.l.exec.keeper.Took(s.l.exec.machine, part.meta.Bytes)
			if err := s.l.exec.keeper.Prune(); err != nil && !errors.Is(err, errDiskFull) {
				r.w.fail("disk", "%v cannot prune: %v", r.id, err)
			}
			if r.correct() || r.lost {
				r.w.counts.Restored++
			}
			r.w.trace.note(r.w.now, "%v takes over the snapshot of height %d", r.id, cert.Checkpoint.Height)
		}
		s.part, r.disk.partial = nil, nil
		if taken && !r.w.calm && r.w.random.crash.IntN(4) == 0 {
			r.crash()
			return
		}
		s.l.take(answer)
	})
}

// Certified implements node.Snapshots.
func (s *shots) Certified(cert *qc.CheckpointCertificate) {
	s.l.exec.tell(s.l.exec.keeper.Certified(cert))
}

// snapshot checks one that a correct replica takes: of a state that is certified, with the bytes that every other one of
// that state has.
func (c *checker) snapshot(r *replica, s *snapshot) {
	c.w.counts.Snapshots++
	at := s.meta.Height()
	if known, ok := c.states[at]; !ok || known != s.meta.Certificate.Checkpoint {
		c.w.fail("S15", "%v takes a snapshot at height %d of a state that no correct replica has come to", r.id, at)
	}
	root, ok := c.snapshots[at]
	if ok && root != s.meta.Root() {
		c.w.fail("snapshot", "%v has other bytes for the state of height %d than another replica", r.id, at)
	}
	c.snapshots[at] = s.meta.Root()
}
