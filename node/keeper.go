package node

import (
	"errors"
	"io"
	"math"
	"slices"

	"github.com/hotstuffd/hotstuffd/api/wire"
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/store"
)

// Keeper decides which states become snapshots, and how much of the log is kept (PROTOCOL §9: prune below what is certified
// and durable here). It belongs to one goroutine, beside the loop and the executor: neither waits for it.
//
// A snapshot is due whenever the log has grown past a multiple of a period: KeeperConfig.Bytes, or 1.5, 2, 3, 4, 6, 8 ... times as
// much, the first that is no less than the last snapshot. So snapshots about double what is written, and a restart replays
// about as much as it restores.
// The rule reads the log from genesis on and the size of the last snapshot, so replicas with equal settings take snapshots of
// the same heights, and one that is fetched can come from all of them. One that has skipped a snapshot, as while its disk was
// full, takes others only until the sizes ask for the same period again.
type Keeper struct {
	store SnapshotStore
	cfg   KeeperConfig
	holds *Holds
	now   func() qc.Ticks

	candidate *State                      // due, and not certified yet
	certs     []*qc.CheckpointCertificate // the newest. Bound: certsMax
	taken     []snapshotTaken             // from the floor up, ascending; the last is the newest snapshot
	weight    uint64                      // of the log up to the newest, bytes
	size      int64                       // bytes of the newest
	unnoted   bool                        // the last Prune had to wait for the note of a commit
}

// KeeperConfig says how often snapshots are taken, and how much log is kept below them.
type KeeperConfig struct {
	Bytes  uint64    // of log between two snapshots, about, as long as one is no larger
	Retain qc.Height // blocks that are kept below the newest snapshot; the log begins where one was taken, so some more
}

// SnapshotStore is what a Keeper needs of a store.
type SnapshotStore interface {
	// WriteSnapshot makes what write writes a durable snapshot of the certified state.
	WriteSnapshot(cert *qc.CheckpointCertificate, write func(io.Writer) error) (store.SnapshotMeta, error)
	// HoldSnapshots has newer ones leave those from a height up, within the store's bound.
	HoldSnapshots(from qc.Height)
	// CommittedID tells whether the commit of a height is on disk.
	CommittedID(qc.Height) (id qc.BlockID, ok bool, err error)
	// Prune forgets the log below a height whose commit is on disk, after whose block the lanes stand as given.
	Prune(floor qc.Height, lanes blocktree.Lanes) error
}

// snapshotTaken is where the log may begin: a snapshot was taken there, be it removed since.
type snapshotTaken struct {
	height qc.Height
	lanes  blocktree.Lanes
}

const (
	// certsMax bounds the certificates that are remembered: one may come before its state does here.
	certsMax = 16
	// snapshotsHeld is the store's bound: as many are kept while peers fetch older ones, or the log above them.
	snapshotsHeld = 4
)

// NewKeeper returns a keeper for a replica whose snapshots on disk are known by their lanes.
func NewKeeper(s SnapshotStore, cfg KeeperConfig, holds *Holds, now func() qc.Ticks) *Keeper {
	return &Keeper{store: s, cfg: cfg, holds: holds, now: now}
}

// Recover takes note of what a start finds on disk. Of a snapshot that is damaged damaged is told: it goes when newer ones come.
// Expected errors: the store's.
func (k *Keeper) Recover(s Stored, l wire.Limits, certified *qc.CheckpointCertificate, damaged func(qc.Height, error)) error {
	for _, m := range slices.Backward(s.Snapshots()) {
		h, err := headOf(s, m, l)
		switch {
		case err == nil:
			k.stands(h, m.Bytes)
		case errors.Is(err, errSnapshot), errors.Is(err, store.ErrChunk):
			damaged(m.Height(), err)
		default:
			return err
		}
	}
	if certified != nil {
		k.certs = append(k.certs, certified)
	}
	return nil
}

// Took notes a snapshot that the machine's present state was taken over from.
func (k *Keeper) Took(m *Machine, size int64) {
	h := m.head()
	k.stands(&h, size)
}

// stands notes a snapshot that is on disk, in ascending order.
func (k *Keeper) stands(h *stateHead, size int64) {
	at := h.block().Height
	if n := len(k.taken); n > 0 && at <= k.taken[n-1].height {
		return
	}
	k.taken = append(k.taken, snapshotTaken{at, h.lanes})
	k.size, k.weight = size, h.weight
}

// Executed takes the state of a checkpoint, which is the keeper's to release.
// Expected errors: the store's. Nothing else depends on the snapshot that has failed: the next state that is due is tried.
func (k *Keeper) Executed(s *State) (*store.SnapshotMeta, error) {
	// One that waits for its certificate stays: where certificates are slower than checkpoints, none would ever become a snapshot.
	if !s.Writable() || k.candidate != nil || !k.due(s) {
		s.Release()
		return nil, nil
	}
	k.candidate = s
	return k.try()
}

// due tells whether a state should become a snapshot.
func (k *Keeper) due(s *State) bool {
	last := qc.Height(0)
	if n := len(k.taken); n > 0 {
		last = k.taken[n-1].height
	}
	period := max(k.cfg.Bytes, 1)
	for size := uint64(k.size); period < size; period *= 2 {
		if half := period / 2; period+half >= size {
			period += half
			break
		}
	}
	return s.height > last && s.head.weight/period > k.weight/period
}

// Certified takes a certificate of a state, ours or not.
func (k *Keeper) Certified(cert *qc.CheckpointCertificate) (*store.SnapshotMeta, error) {
	if k.certs = append(k.certs, cert); len(k.certs) > certsMax {
		k.certs = slices.Delete(k.certs, 0, 1)
	}
	if k.unnoted {
		if err := k.Prune(); err != nil {
			return nil, err
		}
	}
	return k.try()
}

// try takes the snapshot once its state is certified. One that a higher certificate has passed never is: it makes room for
// the next that is due.
func (k *Keeper) try() (*store.SnapshotMeta, error) {
	s := k.candidate
	if s == nil {
		return nil, nil
	}
	cp := s.Checkpoint()
	i := slices.IndexFunc(k.certs, func(c *qc.CheckpointCertificate) bool { return c.Checkpoint.Height == cp.Height })
	if i < 0 {
		if n := len(k.certs); n > 0 && k.certs[n-1].Checkpoint.Height > cp.Height {
			k.drop()
		}
		return nil, nil
	}
	defer k.drop()
	if k.certs[i].Checkpoint != cp {
		return nil, nil // the core halts over it
	}
	if held, ok := k.holds.least(k.now()); ok {
		k.store.HoldSnapshots(k.snapshotAtOrBelow(held))
	} else {
		k.store.HoldSnapshots(math.MaxUint64)
	}
	meta, err := k.store.WriteSnapshot(k.certs[i], func(w io.Writer) error { _, err := s.WriteTo(w); return err })
	if err != nil {
		return nil, err
	}
	k.stands(&s.head, meta.Bytes)
	k.drop() // Prune takes its time
	return &meta, k.Prune()
}

func (k *Keeper) drop() {
	if k.candidate != nil {
		k.candidate.Release()
		k.candidate = nil
	}
}

// Close releases what the keeper holds.
func (k *Keeper) Close() { k.drop() }

// Prune forgets the log that is not needed: below the newest snapshot less Retain blocks, and not below what a peer is
// fetching, as long as that is one of the newest snapshotsHeld.
func (k *Keeper) Prune() error {
	n := len(k.taken)
	if n == 0 {
		return nil
	}
	newest := k.taken[n-1].height
	below := newest - min(newest, k.cfg.Retain)
	if held, ok := k.holds.least(k.now()); ok {
		below = min(below, max(held, k.taken[max(0, n-snapshotsHeld)].height))
	}
	for _, t := range slices.Backward(k.taken) {
		_, whole, err := k.store.CommittedID(t.height - 1)
		if err != nil {
			return err
		}
		if !whole { // it was taken over from a peer: of the log below it there is nothing that anybody could use
			below = max(below, t.height)
			break
		}
	}
	at := k.snapshotAtOrBelow(below)
	i := slices.IndexFunc(k.taken, func(t snapshotTaken) bool { return t.height == at })
	if i < 0 {
		return nil
	}
	_, noted, err := k.store.CommittedID(at)
	if k.unnoted = !noted; k.unnoted || err != nil {
		return err // it is noted with the next vote, and the next certificate prunes
	}
	if err := k.store.Prune(at, k.taken[i].lanes); err != nil {
		return err
	}
	k.taken = slices.Delete(k.taken, 0, i)
	return nil
}

// snapshotAtOrBelow returns the greatest height up to h where a snapshot was taken; 0 if there is none.
func (k *Keeper) snapshotAtOrBelow(h qc.Height) (at qc.Height) {
	for _, t := range k.taken {
		if t.height <= h {
			at = t.height
		}
	}
	return at
}
