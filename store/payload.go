package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"sync/atomic"

	"github.com/hotstuffd/hotstuffd/api/wire"
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/syndtr/goleveldb/leveldb"
)

// payload holds batches: appended to segment files, found by an index. Only the segments are synced; the index is a
// cache, brought up to date from the segments at Open.
type payload struct {
	fs           FS
	dir          string
	id           Identity
	segmentBytes int64
	indexBuffer  int
	index        *index
	indexSpoilt  sync.Once // the index was found damaged

	// The newest segment, where frames are appended. One goroutine appends.
	segment uint64
	file    File
	size    int64  // of file, bytes
	end     int64  // of the last frame in it
	next    uint64 // number of the next frame
	frame   []byte // reused

	durable atomic.Uint64 // number of the newest synced frame
	newest  atomic.Uint64 // segment, for others than its goroutine
	first   atomic.Uint64 // the oldest segment that was not given up

	floor *floor // the store's
}

const (
	payloadDir    = "payload"
	indexDir      = "index"
	frameKeptMax  = 8 << 20 // a larger frame's memory is not kept for the next
	firstSegment  = 1
	firstFrame    = 1
	segmentOffset = sector // of a segment's first frame
)

// AppendBatches makes batches durable, in order, before it returns, with one write and one sync. Batches that are stored
// already are stored again and found at their newest place. After a failed write every later call returns the failure.
// Expected errors: ErrFull; every other one is final.
func (s *Store) AppendBatches(batches []*mempool.Batch) error {
	if err := s.beginWrite(); err != nil {
		return err
	}
	defer s.end()
	if len(batches) == 0 {
		return nil
	}
	if err := s.payload.append(batches); err != nil {
		return s.fail(err)
	}
	return nil
}

func (p *payload) append(batches []*mempool.Batch) error {
	frame := append(p.frame[:0], make([]byte, frameHeader)...)
	for _, b := range batches {
		at := len(frame)
		var err error
		if frame, err = wire.AppendBatch(append(frame, 0, 0, 0, 0), b); err != nil {
			return err
		}
		binary.BigEndian.PutUint32(frame[at:], uint32(len(frame)-at-4))
	}
	body := len(frame)
	frame, err := sealFrame(frame, p.next)
	if err != nil {
		return err
	}
	if p.end+int64(len(frame)) > p.size {
		if err := p.roll(int64(len(frame))); err != nil {
			return err
		}
	}
	if _, err := p.file.WriteAt(frame, p.end); err != nil {
		return err
	}
	if err := p.file.Sync(); err != nil {
		return err
	}
	p.durable.Store(p.next)
	if err := p.indexFrame(frame[:body], batches); err != nil {
		return err
	}
	if p.frame = frame; cap(frame) > frameKeptMax {
		p.frame = nil
	}
	return nil
}

// indexFrame puts the frame at the end of the newest segment in the index, and moves past it. What no block can name any
// more is not indexed: Prune would have to find it again.
func (p *payload) indexFrame(frame []byte, batches []*mempool.Batch) error {
	i := 0
	_, err := splitFrame(frame, func(offset int, batch []byte) error {
		if !p.floor.gone(batches[i]) {
			p.index.add(batches[i], place{p.segment, p.end + int64(offset), uint32(len(batch))})
		}
		i++
		return nil
	})
	if err != nil {
		return err
	}
	if err := p.index.flush(mark{p.segment, p.end, p.next}); err != nil {
		return p.indexError(err)
	}
	p.end += aligned(int64(len(frame)))
	p.next++
	return nil
}

// roll starts the next segment, with room for a frame of the given size.
func (p *payload) roll(frame int64) error {
	next := p.segment + 1
	if err := makeSegment(p.fs, p.dir, p.id, next, p.next, max(p.segmentBytes, segmentOffset+frame)); err != nil {
		return err
	}
	err := p.file.Close()
	if p.file = nil; err != nil {
		return err
	}
	return p.use(next)
}

// use opens a segment to append at its first frame's place.
func (p *payload) use(number uint64) (err error) {
	if p.file, err = p.fs.Open(join(p.dir, segmentName(number))); err != nil {
		return err
	}
	p.segment, p.end = number, segmentOffset
	p.newest.Store(number)
	p.size, err = p.file.Size()
	return err
}

func makeSegment(fs FS, dir string, id Identity, number, first uint64, size int64) error {
	return writeFile(fs, dir, segmentName(number), segmentHeader(id.owner(), number, first), size)
}

// Batch returns a stored batch, its digest computed. One that no block above the floor can name counts as not stored.
// Expected errors: ErrNotFound, ErrPayloadLost.
func (s *Store) Batch(d blocktree.Digest) (*mempool.Batch, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.end()
	return s.payload.batch(d)
}

// HasBatch tells whether a batch is stored, without reading it. So it may count one whose turn is below the floor.
func (s *Store) HasBatch(d blocktree.Digest) (bool, error) {
	if err := s.begin(); err != nil {
		return false, err
	}
	defer s.end()
	switch at, err := s.payload.index.find(d); {
	case err == nil:
		return at.segment >= s.payload.first.Load(), nil
	case errors.Is(err, leveldb.ErrNotFound):
		return false, nil
	default:
		return false, s.payload.indexError(err)
	}
}

func (p *payload) batch(d blocktree.Digest) (*mempool.Batch, error) {
	at, err := p.index.find(d)
	if errors.Is(err, leveldb.ErrNotFound) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, p.indexError(err)
	}
	data := make([]byte, at.length)
	f, err := p.fs.Open(join(p.dir, segmentName(at.segment)))
	if err == nil {
		_, err = f.ReadAt(data, at.offset)
		err = errors.Join(err, f.Close())
	}
	if at.segment < p.first.Load() { // after the read: Prune gives a segment up before it removes it
		return nil, ErrNotFound
	}
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("store: batch %x: %w", d, err)
	}
	var b *mempool.Batch
	if err == nil {
		b, err = wire.ParseBatch(data, p.id.Limits)
	}
	if err != nil || b.Digest() != d {
		// Either the segment is damaged, or the index leads astray. Reading all segments again, the next Open finds out.
		err = refuse(p.dir, ErrPayloadLost, "batch %x in %s is damaged", d, segmentName(at.segment))
		return nil, errors.Join(p.spoilIndex(), err)
	}
	if p.floor.gone(b) {
		return nil, ErrNotFound
	}
	return b, nil
}

func (p *payload) close() error {
	var err error
	if p.file != nil {
		err = p.file.Close()
	}
	return errors.Join(err, p.index.close())
}
