package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/opt"
	"github.com/syndtr/goleveldb/leveldb/util"
)

// index finds batches in the segments, by digest and in the order of their lanes. It is never synced: after a crash it
// lacks the newest frames, and its mark names the last one that it has.
type index struct {
	db    *level
	batch leveldb.Batch
}

// place is where the bytes of a batch lie.
type place struct {
	segment uint64
	offset  int64
	length  uint32
}

// mark names a frame: its segment, its offset there, its number.
type mark struct {
	segment uint64
	offset  int64
	frame   uint64
}

const indexWriteBuffer = 2 * opt.MiB

var keyMark = []byte("m")

func keyDigest(d blocktree.Digest) []byte { return append([]byte{'d'}, d[:]...) }

// keyLane sorts by lane, then by position. Batches of one position, which only an equivocating origin makes, differ in
// their digests.
func keyLane(origin qc.NodeID, i blocktree.Incarnation, seq uint64) []byte {
	k := binary.BigEndian.AppendUint16([]byte{'l'}, uint16(origin))
	k = binary.BigEndian.AppendUint64(k, uint64(i.Rejoin))
	k = binary.BigEndian.AppendUint64(k, i.Starts)
	return binary.BigEndian.AppendUint64(k, seq)
}

const laneKeyBytes = 1 + 2 + 8 + 8 + 8

// add collects a batch for the next flush.
func (x *index) add(b *mempool.Batch, at place) {
	d := b.Digest()
	v := binary.BigEndian.AppendUint64(nil, at.segment)
	v = binary.BigEndian.AppendUint64(v, uint64(at.offset))
	x.batch.Put(keyDigest(d), binary.BigEndian.AppendUint32(v, at.length))
	x.batch.Put(append(keyLane(b.Origin, b.Incarnation, b.Seq), d[:]...), nil)
}

// flush writes what was added together with the mark: the index never claims more than it has.
func (x *index) flush(m mark) error {
	v := binary.BigEndian.AppendUint64(nil, m.segment)
	v = binary.BigEndian.AppendUint64(v, uint64(m.offset))
	x.batch.Put(keyMark, binary.BigEndian.AppendUint64(v, m.frame))
	err := keepFull(x.db.Write(&x.batch, nil))
	x.batch.Reset()
	return err
}

// Expected errors: leveldb.ErrNotFound.
func (x *index) find(d blocktree.Digest) (place, error) {
	v, err := x.db.Get(keyDigest(d), nil)
	if err != nil {
		return place{}, err
	}
	if len(v) != 20 {
		return place{}, fmt.Errorf("store: payload index entry of %d bytes", len(v))
	}
	return place{binary.BigEndian.Uint64(v), int64(binary.BigEndian.Uint64(v[8:])), binary.BigEndian.Uint32(v[16:])}, nil
}

// mark returns the last frame that was indexed; ok is false if there is none.
func (x *index) mark() (m mark, ok bool, err error) {
	v, err := x.db.Get(keyMark, nil)
	if errors.Is(err, leveldb.ErrNotFound) {
		return mark{}, false, nil
	}
	if err != nil || len(v) != 24 {
		return mark{}, false, err
	}
	return mark{binary.BigEndian.Uint64(v), int64(binary.BigEndian.Uint64(v[8:])), binary.BigEndian.Uint64(v[16:])}, true, nil
}

// next returns the first lane entry of an origin at or above a key, and its digest; ok is false if there is none.
func (x *index) next(origin qc.NodeID, from []byte) (key []byte, d blocktree.Digest, ok bool, err error) {
	limit := keyLane(origin, blocktree.Incarnation{Rejoin: math.MaxUint64, Starts: math.MaxUint64}, math.MaxUint64)
	it := x.db.NewIterator(&util.Range{Start: from, Limit: limit}, nil)
	defer it.Release()
	if !it.Next() {
		return nil, d, false, it.Error()
	}
	key = append(key, it.Key()...)
	return key, blocktree.Digest(key[laneKeyBytes:]), true, nil
}

func (x *index) close() error { return x.db.Close() }
