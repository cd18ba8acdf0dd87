package store_test

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"github.com/hotstuffd/hotstuffd/store"
)

// Chunks come in any order, once or twice; a wrong one is refused. What was received is kept by Close and by a crash.
func TestReceivingIsResumed(t *testing.T) {
	s, dir := newStore(t, withSnapshots)
	r, err := s.ReceiveSnapshot(metaOf(3))
	must(t, err)
	if _, err := s.ReceiveSnapshot(metaOf(4)); err == nil {
		t.Error("a second receiver began")
	}
	for name, err := range map[string]error{
		"another chunk":    r.Put(2, chunkOf(3, 1)),
		"a chunk cut off":  r.Put(2, chunkOf(3, 2)[1:]),
		"no such chunk":    r.Put(4, nil),
		"a negative chunk": r.Put(-1, nil),
	} {
		if !errors.Is(err, store.ErrChunk) {
			t.Errorf("%s: %v, want ErrChunk", name, err)
		}
	}
	must(t, errors.Join(r.Put(3, chunkOf(3, 3)), r.Put(1, chunkOf(3, 1)), r.Put(1, chunkOf(3, 1))))
	if got := r.Missing(); !slices.Equal(got, []int{0, 2}) {
		t.Errorf("missing %v", got)
	}
	if _, err := r.Open(); err == nil {
		t.Error("opened with chunks missing")
	}
	if _, err := r.Commit(); err == nil {
		t.Error("committed with chunks missing")
	}
	killed := open(t, crash(t, dir), withSnapshots)
	must(t, r.Close())
	if err := r.Put(0, chunkOf(3, 0)); !errors.Is(err, store.ErrClosed) {
		t.Errorf("put after Close: %v, want ErrClosed", err)
	}
	for name, s := range map[string]*store.Store{"closed": s, "killed": killed} {
		other := metaOf(3) // the certificate that somebody else has
		other.Certificate.Signature[9] = 7
		r, err := s.ReceiveSnapshot(other)
		must(t, err)
		if got := r.Missing(); !slices.Equal(got, []int{0, 2}) {
			t.Errorf("%s: missing %v", name, got)
		}
		must(t, r.Close())
		must(t, receive(s, 3, 2))
		listed(t, s, 3)
	}
	if got := snapshotFiles(t, dir); !slices.Equal(got, []string{"00000003.meta", "00000003.snap"}) {
		t.Errorf("files %v", got)
	}
}

// What is there of another snapshot is of no use, be it of another height or the same one; nor is a chunk that has rotted.
func TestReceivingBeginsAnew(t *testing.T) {
	s, dir := newStore(t, withSnapshots)
	must(t, receive(s, 3, 2))
	other := metaOf(3)
	other.Certificate.Checkpoint.Digest[7]++
	for _, m := range []store.SnapshotMeta{other, metaOf(4), metaOf(3)} {
		r, err := s.ReceiveSnapshot(m)
		must(t, err)
		if got := len(r.Missing()); got != len(m.Chunks) {
			t.Errorf("%d chunks are missing, want all %d", got, len(m.Chunks))
		}
		if got := snapshotFiles(t, dir); len(got) != 2 {
			t.Errorf("files %v, want those of one", got)
		}
		must(t, r.Close())
	}
	must(t, receive(s, 3, 3))
	name := filepath.Join(dir, "snapshots", "00000003.part")
	write(t, name, append(flip(read(t, name), 1*chunkBytes+5), "more"...))
	r, err := s.ReceiveSnapshot(metaOf(3))
	must(t, err)
	if got := r.Missing(); !slices.Equal(got, []int{0, 1}) {
		t.Errorf("missing %v", got)
	}
	must(t, r.Abort())
	if got := snapshotFiles(t, dir); len(got) != 0 {
		t.Errorf("files %v after Abort", got)
	}
}

// A description from a stranger that contradicts itself is refused before anything is made.
func TestReceivingRefusesAContradiction(t *testing.T) {
	s, dir := newStore(t, withSnapshots)
	for name, change := range map[string]func(*store.SnapshotMeta){
		"no certificate":  func(m *store.SnapshotMeta) { m.Certificate = nil },
		"a chunk less":    func(m *store.SnapshotMeta) { m.Chunks = m.Chunks[1:] },
		"a chunk more":    func(m *store.SnapshotMeta) { m.Chunks = append(m.Chunks, [32]byte{}) },
		"negative size":   func(m *store.SnapshotMeta) { m.Bytes = -1 },
		"too many chunks": func(m *store.SnapshotMeta) { m.Chunks, m.Bytes = make([][32]byte, 65537), 65537*chunkBytes },
	} {
		m := metaOf(3)
		change(&m)
		if _, err := s.ReceiveSnapshot(m); !errors.Is(err, store.ErrSnapshotMeta) {
			t.Errorf("%s: %v, want ErrSnapshotMeta", name, err)
		}
	}
	if got := snapshotFiles(t, dir); len(got) != 0 {
		t.Errorf("files %v", got)
	}
}
