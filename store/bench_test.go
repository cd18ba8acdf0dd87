package store_test

import (
	"path/filepath"
	"testing"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/store"
)

// What a vote waits for: a block of 30 batches, about 4 kB with its safety state, and two syncs.
func BenchmarkAppendVote(b *testing.B) {
	s, _ := newStore(b, store.Options{})
	b.ReportAllocs()
	for k := uint64(2); b.Loop(); k++ {
		st := state(k)
		st.LastProposal = block(qc.Height(k))
		if err := s.Append([]hotstuff.Record{hotstuff.BlockRecord{Block: block(qc.Height(k), make([]blocktree.BatchRef, 30)...)}, st}); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkBatches(b *testing.B, size int) {
	s, _ := newStore(b, store.Options{})
	batches := make([]*mempool.Batch, 4)
	for i := range batches {
		batches[i] = batch(0, uint64(i), size)
	}
	b.SetBytes(int64(len(batches) * size))
	b.ReportAllocs()
	for b.Loop() {
		if err := s.AppendBatches(batches); err != nil {
			b.Fatal(err)
		}
	}
}

// Four batches under one sync.
func BenchmarkAppendBatches1k(b *testing.B)   { benchmarkBatches(b, 1<<10) }
func BenchmarkAppendBatches32k(b *testing.B)  { benchmarkBatches(b, 32<<10) }
func BenchmarkAppendBatches256k(b *testing.B) { benchmarkBatches(b, 256<<10) }

// The sync alone, of what a slot writes, on a preallocated file: what the two above cannot beat.
func BenchmarkSync4k(b *testing.B) {
	f, err := store.OS.Create(filepath.Join(b.TempDir(), "file"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	if err := f.Allocate(1 << 20); err != nil {
		b.Fatal(err)
	}
	data := make([]byte, 4<<10)
	for b.Loop() {
		if _, err := f.WriteAt(data, 0); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadBatch32k(b *testing.B) {
	s, _ := newStore(b, store.Options{})
	want := batch(0, 0, 32<<10)
	appendBatches(b, s, want)
	b.SetBytes(32 << 10)
	for b.Loop() {
		if _, err := s.Batch(want.Digest()); err != nil {
			b.Fatal(err)
		}
	}
}
