package store

import (
	"path/filepath"
	"testing"

	"github.com/hotstuffd/hotstuffd/api/wire"
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
)

// Readers do not see what lies below the floor, deleted or not. That it is deleted shows in the databases alone; and that an
// index that is made again does not have it either.
func TestPruneLeavesNothingBehind(t *testing.T) {
	id := Identity{Epoch: 1, Limits: wire.Limits{Nodes: 4, BlockBatchesMax: 4, BatchBytesMax: 4096, ResponseBlocksMax: 1, RequestDigestsMax: 1}}
	dir := filepath.Join(t.TempDir(), "store")
	o := Options{SegmentBytes: 8 << 10}
	if err := Init(dir, id, o); err != nil {
		t.Fatal(err)
	}
	s, err := Open(dir, id, o)
	if err != nil {
		t.Fatal(err)
	}
	const top, floor = 1000, 990 // several batches of deletions
	var records []hotstuff.Record
	var batches []*mempool.Batch
	lanes := make(blocktree.Lanes, 4)
	for h := qc.Height(1); h <= top; h++ {
		b := &blocktree.Block{Epoch: 1, Height: h, View: qc.View(h), Justify: qc.QuorumCertificate{Signers: qc.NewBitmap(4)}}
		records = append(records, hotstuff.BlockRecord{Block: b}, hotstuff.CommitRecord{Height: h, Block: b.ID(), Lanes: lanes})
		named := &mempool.Batch{Origin: 2, Seq: uint64(h - 1), Expiry: top}
		expired := &mempool.Batch{Origin: 3, Seq: uint64(h), Expiry: floor}
		batches = append(batches, named, expired)
	}
	for i := 0; i < len(batches); i += 8 {
		if err := s.AppendBatches(batches[i : i+8]); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Append(records); err != nil {
		t.Fatal(err)
	}
	lanes[2].Seq = floor
	if err := s.Prune(floor, lanes); err != nil {
		t.Fatal(err)
	}
	count := func(db *level, prefix byte) (n int) {
		it := db.NewIterator(nil, nil)
		defer it.Release()
		for it.Next() {
			if it.Key()[0] == prefix {
				n++
			}
		}
		return n
	}
	const left = top - floor
	for _, prefix := range []byte("bhc") {
		if got := count(s.safety.db, prefix); got != left+1 {
			t.Errorf("%d records %c, want %d", got, prefix, left+1)
		}
	}
	// Of the expired ones those may be left that lie in the newest segment, some five frames, or behind what is not gone.
	check := func(what string, most int) {
		for _, prefix := range []byte("dl") {
			if got := count(s.payload.index.db, prefix); got < left || got > most {
				t.Errorf("%s: %d entries %c, want %d to %d", what, got, prefix, left, most)
			}
		}
	}
	check("pruned", left+6*4)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := OS.RemoveAll(join(join(dir, payloadDir), indexDir)); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(dir, id, o); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	check("made again", left)
}
