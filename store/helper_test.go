package store_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hotstuffd/hotstuffd/api/wire"
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/store"
)

const nodes = 4

var (
	identity = store.Identity{Chain: qc.ChainID{7}, Epoch: 1, Node: 2, Limits: wire.Limits{Nodes: nodes, BlockBatchesMax: 64,
		BatchBytesMax: 1 << 20, ResponseBlocksMax: 8, RequestDigestsMax: 8}}
	// options make segments small: a test can fill one, and reading back is fast.
	options = store.Options{SegmentBytes: 8 << 10, ReserveBytes: 64 << 10}
	genesis = blocktree.Genesis(identity.Chain, identity.Epoch, nodes)
)

// newStore makes and opens a store in a new directory.
func newStore(t testing.TB, o store.Options) (*store.Store, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	if err := store.Init(dir, identity, o); err != nil {
		t.Fatal(err)
	}
	return open(t, dir, o), dir
}

func open(t testing.TB, dir string, o store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(dir, identity, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// refused opens a store that must not open.
func refused(t *testing.T, dir string, want error) {
	t.Helper()
	s, err := store.Open(dir, identity, options)
	if err == nil {
		s.Close()
	}
	if !errors.Is(err, want) {
		t.Fatalf("opened: %v\nwant %v", err, want)
	}
}

// failsLevelDB marks a test in which LevelDB cannot write out its memory. It then answers a waiter that has gone, on a channel
// that is closed, and recovers (cAuto.ack, compTriggerWait): it means to, and the race detector reports it now and then.
func failsLevelDB(t *testing.T) {
	t.Helper()
	if raceDetector {
		t.Skip("LevelDB sends on a closed channel, and recovers")
	}
}

// crash returns a copy of the store's directory as it is now: what a kill -9 leaves.
func crash(t testing.TB, dir string) string {
	t.Helper()
	for {
		image := filepath.Join(t.TempDir(), "image")
		before := listing(t, dir)
		err := copyDir(image, dir)
		if listing(t, dir) != before {
			continue // LevelDB merged tables meanwhile, so that this is a copy of no instant
		}
		if err != nil {
			t.Fatal(err)
		}
		return image
	}
}

// copyDir copies a directory. What is set aside in its files and not used takes no time.
func copyDir(to, from string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := to + strings.TrimPrefix(path, from)
		if entry.IsDir() {
			return os.MkdirAll(name, 0o700)
		}
		return copySparse(name, path)
	})
}

// copySparse copies a file by blocks, and leaves out those of zeros.
func copySparse(to, from string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	block, zeros := make([]byte, 16<<10), make([]byte, 16<<10)
	for at := int64(0); err == nil; at += int64(len(block)) {
		var n int
		if n, err = source.ReadAt(block, at); n > 0 && !bytes.Equal(block[:n], zeros[:n]) {
			_, e := f.WriteAt(block[:n], at)
			err = errors.Join(err, e)
		}
		if errors.Is(err, io.EOF) {
			return errors.Join(f.Truncate(at+int64(n)), f.Close())
		}
	}
	return errors.Join(err, f.Close())
}

// listing tells the files of a directory, their sizes and when they were last written.
func listing(t testing.TB, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if info, err := entry.Info(); err == nil {
			fmt.Fprintln(&b, path, info.Size(), info.ModTime())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// replace puts a part of another image in place of that part.
func replace(t testing.TB, dir, image, part string) {
	t.Helper()
	remove(t, dir, part)
	info, err := os.Stat(filepath.Join(image, part))
	if err != nil {
		t.Fatal(err)
	}
	if info.IsDir() {
		err = copyDir(filepath.Join(dir, part), filepath.Join(image, part))
	} else {
		err = copySparse(filepath.Join(dir, part), filepath.Join(image, part))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func remove(t testing.TB, dir, part string) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(dir, part)); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func write(t testing.TB, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// newest returns the path of the newest file of a pattern in a directory.
func newest(t testing.TB, dir, pattern string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: %v, %v", pattern, names, err)
	}
	return names[len(names)-1]
}

// block returns a block of the branch in which view and height are equal.
func block(height qc.Height, payload ...blocktree.BatchRef) *blocktree.Block {
	b := &blocktree.Block{Epoch: 1, View: qc.View(height), Height: height, Parent: qc.BlockID{byte(height)},
		Justify: qc.QuorumCertificate{Epoch: 1, View: qc.View(height - 1), Signers: qc.NewBitmap(nodes)}, Time: int64(height),
		Payload: payload}
	b.ID()
	return b
}

// state returns the k-th safety state, in which the replica has voted for block(k).
func state(k uint64) hotstuff.SafetyState {
	return hotstuff.SafetyState{Sequence: k, Epoch: 1, LastVoted: &qc.Vote{View: qc.View(k), Block: block(qc.Height(k)).ID(), Signer: 2},
		HighQC: qc.QuorumCertificate{Epoch: 1, View: qc.View(k - 1), Signers: qc.NewBitmap(nodes)}}
}

// commit returns a commit of block(height), with lanes that tell the height.
func commit(height qc.Height) hotstuff.CommitRecord {
	c := hotstuff.CommitRecord{Height: height, Block: block(height).ID(), Lanes: make(blocktree.Lanes, nodes)}
	c.Lanes[1].Seq = uint64(height)
	return c
}

// certified returns a certificate of the state after block(height).
func certified(height qc.Height) hotstuff.CheckpointRecord {
	return hotstuff.CheckpointRecord{Certificate: &qc.CheckpointCertificate{Epoch: 1, Signers: qc.NewBitmap(nodes),
		Checkpoint: qc.Checkpoint{Height: height, Block: block(height).ID(), Digest: [32]byte{byte(height)}}}}
}

// batch returns the seq-th batch of node 1 in an incarnation, with a blob of the given size.
func batch(starts, seq uint64, size int) *mempool.Batch {
	b := &mempool.Batch{Origin: 1, Incarnation: blocktree.Incarnation{Starts: starts}, Seq: seq, Expiry: 9}
	for i := range size {
		b.Blob = append(b.Blob, byte(i))
	}
	if size >= 8 {
		binary.BigEndian.PutUint64(b.Blob, seq)
	}
	b.Digest()
	return b
}

// vote appends block(k) and the k-th safety state, as a replica does when it votes.
func vote(t testing.TB, s *store.Store, k uint64) {
	t.Helper()
	if err := s.Append([]hotstuff.Record{hotstuff.BlockRecord{Block: block(qc.Height(k))}, state(k)}); err != nil {
		t.Fatal(err)
	}
}

func appendBatches(t testing.TB, s *store.Store, batches ...*mempool.Batch) {
	t.Helper()
	if err := s.AppendBatches(batches); err != nil {
		t.Fatal(err)
	}
}

// sequence returns the sequence of the safety state that a restart finds.
func sequence(t testing.TB, s *store.Store) uint64 {
	t.Helper()
	r, err := s.Recover()
	if err != nil {
		t.Fatal(err)
	}
	return r.Safety.Sequence
}
