package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/hotstuffd/hotstuffd/api/wire"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
)

const (
	// SnapshotChunkBytes is the size of a chunk of a snapshot, but for the last: the unit in which it is checked and sent.
	SnapshotChunkBytes = hotstuff.SnapshotChunkBytes
	// SnapshotChunksMax is the greatest number of chunks: no snapshot is larger than 64 GiB.
	SnapshotChunksMax = hotstuff.SnapshotChunksMax
)

// SnapshotMeta describes a snapshot: the state after the block of a checkpoint, as Bytes bytes. It is shared, and not to be
// changed.
type SnapshotMeta struct {
	Certificate *qc.CheckpointCertificate
	Bytes       int64
	Chunks      [][32]byte // SHA-256 of each chunk
}

// Height returns the height of the block whose state it is.
func (m *SnapshotMeta) Height() qc.Height { return m.Certificate.Checkpoint.Height }

// Root names the snapshot: a hash of what is certified and of all chunks. It does not cover who signed the certificate, for
// that differs from replica to replica.
func (m *SnapshotMeta) Root() [32]byte {
	at := &m.Certificate.Checkpoint
	text := append(make([]byte, 0, 128), "hotstuffd/snapshot\x00\x01"...)
	text = binary.BigEndian.AppendUint64(text, uint64(at.Height))
	text = append(text, at.Block[:]...)
	text = append(text, at.Digest[:]...)
	text = binary.BigEndian.AppendUint64(text, uint64(m.Bytes))
	h := sha256.New()
	h.Write(text)
	for i := range m.Chunks {
		h.Write(m.Chunks[i][:])
	}
	return [32]byte(h.Sum(nil))
}

// chunkSize returns the size of a chunk.
func (m *SnapshotMeta) chunkSize(index int, chunkBytes int64) int64 {
	return min(chunkBytes, m.Bytes-int64(index)*chunkBytes)
}

// fits tells whether the size and the number of chunks agree.
func (m *SnapshotMeta) fits(chunkBytes int64) bool {
	return m.Certificate != nil && m.Bytes >= 0 && len(m.Chunks) <= SnapshotChunksMax &&
		m.Bytes <= int64(len(m.Chunks))*chunkBytes && m.Bytes > int64(len(m.Chunks)-1)*chunkBytes
}

// The description of a snapshot lies beside it in a file of its own: magic (8 bytes), owner (32), SHA-256 over both and the
// record (32), then the record. It binds the snapshot to the replica as all files of ours are bound.
const (
	metaMagic  = "hsd-snap"
	metaHeader = 8 + 32 + sha256.Size
)

func metaSum(of owner, record []byte) [sha256.Size]byte {
	return sha256.Sum256(append(append([]byte(metaMagic), of[:]...), record...))
}

func sealMeta(of owner, m *SnapshotMeta) ([]byte, error) {
	snapshot := wire.Snapshot(*m)
	record, err := wire.AppendSnapshot(nil, &snapshot)
	sum := metaSum(of, record)
	data := append(make([]byte, 0, metaHeader+len(record)), metaMagic...)
	data = append(data, of[:]...)
	data = append(data, sum[:]...)
	return append(data, record...), err
}

// parseMeta returns what a file of sealMeta's says, if it is whole and this replica's.
func parseMeta(data []byte, of owner, l wire.Limits) (m SnapshotMeta, ok bool) {
	if len(data) < metaHeader || !bytes.HasPrefix(data, append([]byte(metaMagic), of[:]...)) {
		return m, false
	}
	record := data[metaHeader:]
	if sum := metaSum(of, record); !bytes.Equal(sum[:], data[metaHeader-sha256.Size:metaHeader]) {
		return m, false
	}
	snapshot, err := wire.ParseSnapshot(record, l)
	if err != nil {
		return m, false
	}
	return SnapshotMeta(*snapshot), true
}

// Snapshots returns the whole snapshots, newest first: those whose description is not damaged and whose file has the right
// size. What is in it is checked when it is read.
func (s *Store) Snapshots() []SnapshotMeta {
	s.alive.RLock() // Revive replaces them
	defer s.alive.RUnlock()
	return s.snapshots.whole()
}

// OpenSnapshot returns a reader of a snapshot from its beginning, which checks each chunk before it gives out any of its
// bytes. It goes on reading a snapshot that is removed meanwhile.
// Expected errors: ErrNotFound; of a read: ErrChunk.
func (s *Store) OpenSnapshot(height qc.Height) (io.ReadCloser, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.end()
	m, f, err := s.snapshots.open(height)
	if err != nil {
		return nil, err
	}
	return &snapshotReader{s: s, f: f, meta: m}, nil
}

// SnapshotChunk returns a chunk of a snapshot, in buf if there is room in it.
// Expected errors: ErrNotFound if there is no such snapshot, or no more, or it has fewer chunks; ErrChunk.
func (s *Store) SnapshotChunk(buf []byte, height qc.Height, index int) ([]byte, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.end()
	m, f, err := s.snapshots.open(height)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if index < 0 || index >= len(m.Chunks) {
		return nil, ErrNotFound
	}
	return s.snapshots.chunk(f, &m, index, buf)
}

// open opens the file of a listed snapshot.
func (x *snapshots) open(height qc.Height) (m SnapshotMeta, f File, err error) {
	m, ok := x.find(height)
	if !ok {
		return m, nil, ErrNotFound
	}
	f, err = x.fs.Open(join(x.dir, snapshotName(height, dataSuffix)))
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil, ErrNotFound // removed since it was found
	}
	return m, f, err
}

// chunk reads a chunk into buf, if it has room, and checks it.
// Expected errors: ErrChunk.
func (x *snapshots) chunk(f File, m *SnapshotMeta, index int, buf []byte) ([]byte, error) {
	size := m.chunkSize(index, x.chunkBytes)
	if int64(cap(buf)) < size {
		buf = make([]byte, size)
	}
	buf = buf[:size]
	if _, err := f.ReadAt(buf, int64(index)*x.chunkBytes); err != nil && err != io.EOF {
		return nil, fmt.Errorf("store: snapshot %d: %w", m.Height(), err)
	}
	if sha256.Sum256(buf) != m.Chunks[index] {
		return nil, fmt.Errorf("store: %s: chunk %d of snapshot %d: %w", x.dir, index, m.Height(), ErrChunk)
	}
	return buf, nil
}

// snapshotReader reads a snapshot from its beginning.
type snapshotReader struct {
	s    *Store
	f    File
	meta SnapshotMeta
	next int    // chunk
	rest []byte // of the chunk before it
	buf  []byte // reused
}

func (r *snapshotReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(r.rest) == 0 {
		if r.next == len(r.meta.Chunks) {
			return 0, io.EOF
		}
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func (r *snapshotReader) fill() (err error) {
	if err := r.s.begin(); err != nil {
		return err
	}
	defer r.s.end()
	if r.buf, err = r.s.snapshots.chunk(r.f, &r.meta, r.next, r.buf); err != nil {
		return err
	}
	r.rest = r.buf
	r.next++
	return nil
}

func (r *snapshotReader) Close() error { return r.f.Close() }
