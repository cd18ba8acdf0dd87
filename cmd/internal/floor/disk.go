package floor

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/hotstuffd/hotstuffd/api/wire"
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/store"
)

// page is what is synced at once: about what a vote writes.
const page = 4 << 10

func fsync(dir string) (func() error, int, func() error, error) {
	f, err := os.Create(filepath.Join(dir, "grows"))
	if err != nil {
		return nil, 0, nil, err
	}
	data := make([]byte, page)
	return func() error {
		if _, err := f.Write(data); err != nil {
			return err
		}
		return f.Sync()
	}, 1, f.Close, nil
}

// fdatasync goes by the store's own file system: as the slots of the safety state and the segments of batches are written.
func fdatasync(dir string) (func() error, int, func() error, error) {
	f, err := store.OS.Create(filepath.Join(dir, "preallocated"))
	if err != nil {
		return nil, 0, nil, err
	}
	if err := f.Allocate(megabyte); err != nil {
		return nil, 0, nil, errors.Join(err, f.Close())
	}
	data := make([]byte, page)
	at := int64(0)
	return func() error {
		if _, err := f.WriteAt(data, at); err != nil {
			return err
		}
		at = (at + page) % megabyte
		return f.Sync()
	}, 1, f.Close, nil
}

// batchesNamed by the blocks that are stored, which makes about 4 KiB a write.
const batchesNamed = 30

// storeAppend writes what a replica does before it votes: a block, and the vote in a safety state.
func storeAppend(dir string) (func() error, int, func() error, error) {
	id := store.Identity{Chain: chain, Epoch: epoch, Limits: wire.Limits{Nodes: members, BlockBatchesMax: 64,
		BatchBytesMax: megabyte, ResponseBlocksMax: 8, RequestDigestsMax: 8}}
	options := store.Options{SegmentBytes: megabyte, ReserveBytes: megabyte}
	home := filepath.Join(dir, "data")
	if err := store.Init(home, id, options); err != nil {
		return nil, 0, nil, err
	}
	s, err := store.Open(home, id, options)
	if err != nil {
		return nil, 0, nil, err
	}
	next := uint64(1)
	return func() error {
		next++
		view := qc.View(next)
		certificate := qc.QuorumCertificate{Epoch: epoch, View: view - 1, Signers: qc.NewBitmap(members)}
		b := &blocktree.Block{Epoch: epoch, View: view, Height: qc.Height(next), Parent: qc.BlockID{byte(next)}, Justify: certificate,
			Time: int64(next), Payload: make([]blocktree.BatchRef, batchesNamed)}
		state := hotstuff.SafetyState{Sequence: next, Epoch: epoch, LastVoted: &qc.Vote{View: view, Block: b.ID()}, HighQC: certificate}
		return s.Append([]hotstuff.Record{hotstuff.BlockRecord{Block: b}, state})
	}, 1, s.Close, nil
}
