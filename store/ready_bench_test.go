package store_test

import (
	"testing"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/store"
)

// BenchmarkAppendReady writes what a view of a chain under load persists at a replica that does not lead it: the block, the
// vote for it, and the commit that rides along. On what the disk takes for it see BenchmarkSync4k.
func BenchmarkAppendReady(b *testing.B) {
	s, _ := newStore(b, store.Options{})
	payload := make([]blocktree.BatchRef, 4)
	b.ReportAllocs()
	for k := uint64(2); b.Loop(); k++ {
		h := qc.Height(k)
		if err := s.Append([]hotstuff.Record{hotstuff.BlockRecord{Block: block(h, payload...)}, state(k), commit(h - 1)}); err != nil {
			b.Fatal(err)
		}
	}
}
