package store_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/hotstuffd/hotstuffd/store"
)

// exported returns a snapshot of two chunks as a file.
func exported(t *testing.T) (file, data []byte, m store.SnapshotMeta) {
	t.Helper()
	data = bytes.Repeat([]byte("state"), store.SnapshotChunkBytes/4)
	m = store.SnapshotMeta{Certificate: certified(7).Certificate, Bytes: int64(len(data))}
	for chunk := range slices.Chunk(data, store.SnapshotChunkBytes) {
		m.Chunks = append(m.Chunks, sha256.Sum256(chunk))
	}
	file, err := store.AppendSnapshotHeader(nil, identity.Chain, &m)
	must(t, err)
	return append(file, data...), data, m
}

func parse(file []byte) (*store.SnapshotFile, error) {
	return store.ParseSnapshotFile(bytes.NewReader(file), int64(len(file)), identity.Chain, identity.Limits)
}

// A snapshot goes through a file into another replica's store.
func TestSnapshotGoesThroughAFile(t *testing.T) {
	file, data, m := exported(t)
	f, err := parse(file)
	must(t, err)
	if f.Meta.Root() != m.Root() {
		t.Errorf("it is another one: %+v", f.Meta)
	}
	if got, err := io.ReadAll(f.Reader()); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	s, _ := newStore(t, options)
	var seen []int64
	must(t, s.Take(f, func(n int64) error { seen = append(seen, n); return nil }))
	if want := []int64{store.SnapshotChunkBytes, int64(len(data))}; !slices.Equal(seen, want) {
		t.Errorf("seen %v, want %v", seen, want)
	}
	r, err := s.OpenSnapshot(7)
	must(t, err)
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// Every byte of the header counts, and so does the size; what is behind it, chunk by chunk. Nothing is left of a file that turns
// out to be wrong halfway, or that is given up.
func TestSpoiltSnapshotFiles(t *testing.T) {
	file, data, _ := exported(t)
	for i := range len(file) - len(data) {
		spoilt := slices.Clone(file)
		spoilt[i] ^= 0x10
		if _, err := parse(spoilt); !errors.Is(err, store.ErrSnapshotFile) && !errors.Is(err, store.ErrNewerFormat) {
			t.Errorf("byte %d: %v", i, err)
		}
	}
	for _, spoilt := range [][]byte{nil, file[:40], file[:60], file[:len(file)-1], append(slices.Clone(file), 0)} {
		if _, err := parse(spoilt); !errors.Is(err, store.ErrSnapshotFile) {
			t.Errorf("%d bytes: %v", len(spoilt), err)
		}
	}
	other := identity.Chain
	other[0]++
	if _, err := store.ParseSnapshotFile(bytes.NewReader(file), int64(len(file)), other, identity.Limits); !errors.Is(err, store.ErrOtherChain) {
		t.Errorf("of another chain: %v", err)
	}

	file[len(file)-1]++
	f, err := parse(file)
	must(t, err)
	s, dir := newStore(t, options)
	if err := s.Take(f, nil); !errors.Is(err, store.ErrChunk) {
		t.Errorf("taken: %v", err)
	}
	if _, err := io.Copy(io.Discard, f.Reader()); !errors.Is(err, store.ErrChunk) {
		t.Errorf("read: %v", err)
	}
	file[len(file)-1]--
	enough := errors.New("enough")
	if err := s.Take(f, func(int64) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("given up: %v", err)
	}
	if names := snapshotFiles(t, dir); len(names) > 0 {
		t.Errorf("left behind: %v", names)
	}
}
