package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/hotstuffd/hotstuffd/api/wire"
	"github.com/hotstuffd/hotstuffd/qc"
)

// A snapshot travels outside of a store as one file that explains itself: magic (8 bytes), format (4), chain (32), the size of a
// chunk (4), the record's length (4), the record, which is that of the description beside a stored snapshot, SHA-256 over all
// of these (32), and then the snapshot's bytes. It is no replica's own: any of the chain can take it in.
const (
	exportMagic  = "hsd-expo"
	exportFormat = 1
	exportHeader = 8 + 4 + 32 + 4 + 4

	recordBytesMax = 4096 + SnapshotChunksMax*40 // more than any
)

// ErrSnapshotFile: a file is no snapshot's, or damaged.
var ErrSnapshotFile = errors.New("no snapshot file, or a damaged one: get it again")

// AppendSnapshotHeader appends what comes before a snapshot's bytes in a file of its own.
func AppendSnapshotHeader(dst []byte, chain qc.ChainID, m *SnapshotMeta) ([]byte, error) {
	snapshot := wire.Snapshot(*m)
	record, err := wire.AppendSnapshot(nil, &snapshot)
	start := len(dst)
	dst = append(dst, exportMagic...)
	dst = binary.BigEndian.AppendUint32(dst, exportFormat)
	dst = append(dst, chain[:]...)
	dst = binary.BigEndian.AppendUint32(dst, SnapshotChunkBytes)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(record)))
	dst = append(dst, record...)
	sum := sha256.Sum256(dst[start:])
	return append(dst, sum[:]...), err
}

// SnapshotFile is a snapshot in a file of its own. What is in it is checked when it is read. It belongs to one goroutine.
type SnapshotFile struct {
	Meta  SnapshotMeta
	f     io.ReaderAt
	start int64 // of the snapshot's bytes
	buf   []byte
}

// ParseSnapshotFile reads what a file of a given size says of itself. Its certificate is not verified.
// Expected errors: ErrSnapshotFile, ErrOtherChain, ErrNewerFormat; the reader's.
func ParseSnapshotFile(f io.ReaderAt, size int64, chain qc.ChainID, l wire.Limits) (*SnapshotFile, error) {
	head := make([]byte, min(size, exportHeader))
	if _, err := f.ReadAt(head, 0); err != nil && err != io.EOF {
		return nil, err
	}
	if len(head) < exportHeader || !bytes.HasPrefix(head, []byte(exportMagic)) {
		return nil, ErrSnapshotFile
	}
	if format := binary.BigEndian.Uint32(head[8:]); format > exportFormat {
		return nil, fmt.Errorf("format %d, this version knows %d: %w", format, exportFormat, ErrNewerFormat)
	}
	length := int64(binary.BigEndian.Uint32(head[48:]))
	start := exportHeader + length + sha256.Size
	if length > recordBytesMax || size < start {
		return nil, ErrSnapshotFile
	}
	text := make([]byte, start)
	if _, err := f.ReadAt(text, 0); err != nil && err != io.EOF {
		return nil, err
	}
	body := text[:exportHeader+length]
	if sum := sha256.Sum256(body); !bytes.Equal(sum[:], text[len(body):]) {
		return nil, ErrSnapshotFile
	}
	if of := qc.ChainID(head[12:44]); of != chain {
		return nil, fmt.Errorf("it is of chain %.16s..., this home's is %.16s...: %w", of.Hex(), chain.Hex(), ErrOtherChain)
	}
	record, err := wire.ParseSnapshot(body[exportHeader:], l)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSnapshotFile, err)
	}
	s := &SnapshotFile{Meta: SnapshotMeta(*record), f: f, start: start}
	if binary.BigEndian.Uint32(head[44:]) != SnapshotChunkBytes || !s.Meta.fits(SnapshotChunkBytes) || size != start+s.Meta.Bytes {
		return nil, ErrSnapshotFile
	}
	return s, nil
}

// Chunk returns a chunk, which is the caller's until the next call.
// Expected errors: ErrChunk.
func (s *SnapshotFile) Chunk(index int) ([]byte, error) {
	size := s.Meta.chunkSize(index, SnapshotChunkBytes)
	if int64(cap(s.buf)) < size {
		s.buf = make([]byte, size)
	}
	chunk := s.buf[:size]
	if _, err := s.f.ReadAt(chunk, s.start+int64(index)*SnapshotChunkBytes); err != nil && err != io.EOF {
		return nil, err
	}
	if sha256.Sum256(chunk) != s.Meta.Chunks[index] {
		return nil, fmt.Errorf("chunk %d: %w", index, ErrChunk)
	}
	return chunk, nil
}

// Reader returns a reader of the snapshot from its beginning, which checks each chunk before it gives out any of its bytes.
// Chunk is not to be called beside it.
// Expected errors: of a read: ErrChunk.
func (s *SnapshotFile) Reader() io.Reader { return &fileReader{file: s} }

type fileReader struct {
	file *SnapshotFile
	next int    // chunk
	rest []byte // of the chunk before it
}

// Read implements io.Reader.
func (r *fileReader) Read(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(r.rest) == 0 {
		if r.next == len(r.file.Meta.Chunks) {
			return 0, io.EOF
		}
		if r.rest, err = r.file.Chunk(r.next); err != nil {
			return 0, err
		}
		r.next++
	}
	n = copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// Take stores all chunks of a snapshot file, and makes it one of the store's, as if another replica had sent it. Chunks that
// an earlier Take has left are not stored again; what a failed one leaves has no snapshot's name. seen, which may be nil, is
// told how many bytes are there, and its error ends it.
// Expected errors: ErrChunk.
func (s *Store) Take(f *SnapshotFile, seen func(bytes int64) error) error {
	r, err := s.ReceiveSnapshot(f.Meta)
	if err != nil {
		return err
	}
	missing := r.Missing()
	left := int64(0)
	for _, i := range missing {
		left += f.Meta.chunkSize(i, SnapshotChunkBytes)
	}
	for _, i := range missing {
		chunk, err := f.Chunk(i)
		if err == nil {
			err = r.Put(i, chunk)
		}
		if left -= int64(len(chunk)); err == nil && seen != nil {
			err = seen(f.Meta.Bytes - left)
		}
		if err != nil {
			return errors.Join(err, r.Abort())
		}
	}
	_, err = r.Commit()
	return err
}
