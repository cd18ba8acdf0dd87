package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/hotstuffd/hotstuffd/api/wire"
	"github.com/hotstuffd/hotstuffd/mempool"
	lerrors "github.com/syndtr/goleveldb/leveldb/errors"
)

// makePayload makes the first segment and an empty index.
func makePayload(o Options, dir string, id Identity) error {
	dir = join(dir, payloadDir)
	if err := o.FS.MkdirAll(dir); err != nil {
		return err
	}
	if err := makeSegment(o.FS, dir, id, firstSegment, firstFrame, o.SegmentBytes); err != nil {
		return err
	}
	db, err := makeLevel(o.FS, join(dir, indexDir), o.writeBuffer(indexWriteBuffer), pieces)
	if err != nil {
		return err
	}
	return db.Close()
}

// openPayload brings the index up to date and finds the end of the last whole frame. A torn frame there was never
// acknowledged and is wiped, unless a vote relies on it. Segments that Prune has given up are removed, as it may not have
// come to that.
// Expected errors: ErrPayloadLost.
func openPayload(o Options, dir string, id Identity, k known, floor *floor) (*payload, error) {
	p := &payload{fs: o.FS, dir: join(dir, payloadDir), id: id, segmentBytes: o.SegmentBytes,
		indexBuffer: o.writeBuffer(indexWriteBuffer), floor: floor}
	p.first.Store(k.first)
	names, err := o.FS.List(p.dir)
	all := segmentNumbers(names)
	segments := slices.DeleteFunc(slices.Clone(all), func(n uint64) bool { return n < k.first })
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(segments) == 0 {
		return nil, refuse(p.dir, ErrPayloadLost, "there is no segment")
	}
	if err != nil {
		return nil, err
	}
	for i, number := range segments {
		if number != k.first+uint64(i) {
			return nil, refuse(p.dir, ErrPayloadLost, "%s is missing", segmentName(k.first+uint64(i)))
		}
	}
	// A process that was killed may have renamed the newest segment and not synced the directory: batches appended to it would
	// go with its name.
	if err := p.fs.SyncDir(p.dir); err != nil {
		return nil, err
	}
	if slices.Contains(names, indexSpoilt) {
		err = p.emptyIndex()
	} else {
		err = p.openIndex()
	}
	if err != nil {
		return nil, err
	}
	err = p.replay(segments, k.vouched)
	if err == nil {
		err = p.removeTemporary(names)
	}
	for _, number := range all[:len(all)-len(segments)] {
		if err == nil {
			err = p.fs.RemoveAll(join(p.dir, segmentName(number)))
		}
	}
	if err == nil {
		err = p.fs.RemoveAll(join(p.dir, indexSpoilt)) // if it comes back, the index is made once more
	}
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

// openIndex opens the index, or starts an empty one in place of one that a crash has left with a hole.
func (p *payload) openIndex() error {
	db, err := openLevel(p.fs, join(p.dir, indexDir), p.indexBuffer, pieces)
	if errors.Is(err, errDamaged) || errors.Is(err, fs.ErrNotExist) {
		return p.emptyIndex()
	}
	p.index = &index{db: db}
	return err
}

func (p *payload) emptyIndex() error {
	dir := join(p.dir, indexDir)
	if err := p.fs.RemoveAll(dir); err != nil {
		return err
	}
	db, err := makeLevel(p.fs, dir, p.indexBuffer, pieces)
	if err == nil {
		p.index = &index{db: db}
	}
	return err
}

// The file index.spoilt notes that the index was found damaged.
const indexSpoilt = "index.spoilt"

// indexError passes on what the index says. If that is that it is damaged, it is noted on disk, so that the next Open makes
// it again from the segments: otherwise every restart would end where this one does.
func (p *payload) indexError(err error) error {
	if !lerrors.IsCorrupted(err) {
		return err
	}
	err = fmt.Errorf("store: %s is damaged, and made again by the next start: %w", join(p.dir, indexDir), err)
	return errors.Join(p.spoilIndex(), err)
}

// spoilIndex makes the next Open make the index again.
func (p *payload) spoilIndex() (err error) {
	p.indexSpoilt.Do(func() {
		var f File
		if f, err = p.fs.Create(join(p.dir, indexSpoilt)); err == nil {
			err = errors.Join(f.Close(), p.fs.SyncDir(p.dir))
		}
	})
	return err
}

// replay indexes the frames behind the last indexed one, and opens the newest segment behind the last of them.
func (p *payload) replay(segments []uint64, vouched uint64) error {
	last, known, err := p.index.mark()
	if lerrors.IsCorrupted(err) {
		known, err = false, nil
	}
	if err != nil {
		return err
	}
	if known = known && slices.Contains(segments, last.segment); known {
		known, err = p.resume(last)
		if err != nil {
			return err
		}
	}
	if !known { // the index is empty, or not of these segments
		_ = p.index.close() // a damaged one says so again
		if err := p.emptyIndex(); err != nil {
			return err
		}
		if p.next, err = p.start(segments[0]); err != nil {
			return err
		}
	}
	return p.replayFrom(segments[p.segment-segments[0]:], vouched)
}

// resume goes to the frame that the index has last, and tells whether it is there.
func (p *payload) resume(last mark) (there bool, err error) {
	if _, err := p.start(last.segment); err != nil {
		return false, err
	}
	p.end, p.next = last.offset, last.frame
	return p.replayFrame()
}

// start opens a segment at its first frame and returns that frame's number.
func (p *payload) start(number uint64) (first uint64, err error) {
	if p.file != nil {
		err := p.file.Close()
		if p.file = nil; err != nil {
			return 0, err
		}
	}
	if err := p.use(number); err != nil {
		return 0, err
	}
	// The newest frame may be shown by the system and not be on the disk: what comes after it would be lost with it.
	if err := p.file.Reread(); err != nil {
		return 0, err
	}
	if p.size, err = p.file.Size(); err != nil { // the file may be shorter than it was shown, too
		return 0, err
	}
	return p.firstFrame(p.file, number)
}

// firstFrame returns the number of a segment's first frame.
func (p *payload) firstFrame(f File, number uint64) (uint64, error) {
	header := make([]byte, sector)
	if _, err := f.ReadAt(header, 0); err != nil && err != io.EOF {
		return 0, err
	}
	first, ok := parseSegmentHeader(header, p.id.owner(), number)
	if !ok {
		return 0, refuse(p.dir, ErrPayloadLost, "the header of %s is damaged", segmentName(number))
	}
	return first, nil
}

// replayFrom replays segments, the first of which is in use at its next frame.
func (p *payload) replayFrom(segments []uint64, vouched uint64) error {
	for i, number := range segments {
		if i > 0 {
			first, err := p.start(number)
			if err != nil {
				return err
			}
			if first != p.next {
				return refuse(p.dir, ErrPayloadLost, "frames %d to %d before %s are damaged", p.next, first-1, segmentName(number))
			}
		}
		for whole := true; whole; {
			var err error
			if whole, err = p.replayFrame(); err != nil {
				return err
			}
		}
	}
	if p.next <= vouched {
		return refuse(p.dir, ErrPayloadLost, "votes rely on frame %d, the last whole one is %d", vouched, p.next-1)
	}
	p.durable.Store(p.next - 1)
	return p.wipeTail()
}

// replayFrame indexes the next frame; whole is false where there is none.
func (p *payload) replayFrame() (whole bool, err error) {
	frame, batches, err := p.frameAt(p.file, p.size, mark{p.segment, p.end, p.next})
	if frame == nil || err != nil {
		return false, err
	}
	return true, p.indexFrame(frame, batches)
}

// frameAt reads a frame from the file of its segment, and the batches in it; nil where there is none that is whole.
func (p *payload) frameAt(f File, size int64, at mark) ([]byte, []*mempool.Batch, error) {
	if size-at.offset < frameHeader {
		return nil, nil, nil
	}
	header := make([]byte, frameHeader)
	if _, err := f.ReadAt(header, at.offset); err != nil {
		return nil, nil, err
	}
	length, ok := frameLength(header, at.frame)
	if !ok || length > size-at.offset {
		return nil, nil, nil
	}
	frame := make([]byte, length)
	if _, err := f.ReadAt(frame, at.offset); err != nil {
		return nil, nil, err
	}
	var batches []*mempool.Batch
	whole, err := splitFrame(frame, func(_ int, data []byte) error {
		b, err := wire.ParseBatch(data, p.id.Limits)
		batches = append(batches, b)
		return err
	})
	if err != nil {
		return nil, nil, refuse(p.dir, ErrPayloadLost, "frame %d in %s: %v", at.frame, segmentName(at.segment), err)
	}
	if !whole {
		return nil, nil, nil
	}
	return frame, batches, nil
}

// wipeTail makes zeros of all behind the last frame. What a torn write has left there could otherwise stand where a later
// frame ends, and commands can be made to look like a frame.
func (p *payload) wipeTail() error {
	if err := p.file.Truncate(p.end); err != nil {
		return err
	}
	if err := p.file.Allocate(p.size); err != nil {
		return err
	}
	return p.file.Sync()
}

// removeTemporary removes what a crash has left of a segment in the making.
func (p *payload) removeTemporary(names []string) error {
	for _, name := range names {
		if strings.HasSuffix(name, temporarySuffix) {
			if err := p.fs.RemoveAll(join(p.dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}
