package kv

import (
	"bytes"
	"cmp"
	"slices"
)

// longEntryBytes is the size above which an entry keeps the digest of its data, so that a change beside it does not hash it
// again.
const longEntryBytes = 512

// entry is one key and its value. Both stand in one allocation, which an overwrite uses again if it fits and is not shared.
type entry struct {
	data   []byte // the key, then the value
	keyLen uint32 // and sharedData
	tag    uint32 // tagOf the hash: tells nearly all other keys of a leaf apart, and their order, without a look at data
	sum    *sum   // of data, made anew with it and filled in by whoever takes digests; nil unless data is long
}

// sharedData marks in keyLen that a frozen entry may have the same data and sum: neither is written then. Limits keep the
// lengths of keys below it.
const sharedData = 1 << 31

// tagShift is the bit of the hash at which a tag begins. Bits below are the same in few keys of one leaf, those above the tag in
// all, unless there are hardly any keys.
const tagShift = 28

// tagDepth is the depth from which all that the keys of a leaf need not share begins inside the tag.
const tagDepth = hashBits - tagShift - 32

func tagOf(h uint64) uint32 { return uint32(h >> tagShift) }

// compare orders an entry of a leaf and a key by their hashes, and those of equal hashes by their keys.
func (e *entry) compare(key []byte, h uint64, depth uint8) int {
	if depth >= tagDepth && e.tag != tagOf(h) {
		return cmp.Compare(e.tag, tagOf(h))
	}
	return cmp.Or(cmp.Compare(hashOf(e.key()), h), bytes.Compare(e.key(), key))
}

// bit returns the bit of the hash behind a prefix of depth bits.
func (e *entry) bit(depth uint8) uint64 {
	if depth >= tagDepth && depth < tagDepth+32 {
		return uint64(e.tag) >> (tagDepth + 31 - depth) & 1
	}
	return hashOf(e.key()) >> (hashBits - 1 - depth) & 1
}

// newEntry returns an entry for a copy of key, with an empty value and room for one of valueBytes. set or extend completes
// it.
func newEntry(key []byte, h uint64, valueBytes int) entry {
	data := append(slices.Grow([]byte(nil), len(key)+valueBytes), key...)
	return entry{data: data, keyLen: uint32(len(key)), tag: tagOf(h)}
}

func (e *entry) keyBytes() int  { return int(e.keyLen &^ sharedData) }
func (e *entry) key() []byte    { n := e.keyBytes(); return e.data[:n:n] }
func (e *entry) value() []byte  { return e.data[e.keyBytes():] }
func (e *entry) isShared() bool { return e.keyLen&sharedData != 0 }

// share marks the data of entries that were copied from a frozen leaf.
func share(entries []entry) {
	for i := range entries {
		entries[i].keyLen |= sharedData
	}
}

// set overwrites the value with a copy of v.
func (e *entry) set(v []byte) {
	key := e.key()
	size := len(key) + len(v)
	wasteful := cap(e.data) > 256 && cap(e.data) > 2*size
	if e.isShared() || size > cap(e.data) || wasteful {
		e.data = append(append(slices.Grow([]byte(nil), size), key...), v...)
	} else {
		e.data = append(e.data[:len(key)], v...)
	}
	e.renewSum()
	e.keyLen &^= sharedData
}

// extend appends a copy of v to the value. Room grows geometrically, so that many small appends cost linear time. Shared
// data grows in place too, since nobody reads behind the length he has, but it stays shared up to there.
func (e *entry) extend(v []byte) {
	e.data = append(e.data, v...)
	e.renewSum()
}

// renewSum forgets the sum of data that has changed. A shared sum is the other's: this entry gets its own.
func (e *entry) renewSum() {
	switch {
	case len(e.data) <= longEntryBytes:
		e.sum = nil
	case e.sum == nil || e.isShared():
		e.sum = new(sum)
	default:
		*e.sum = unknown
	}
}
