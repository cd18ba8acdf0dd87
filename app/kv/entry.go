package kv

import "slices"

// longEntryBytes is the size above which an entry keeps the digest of its data, so that a change beside it does not hash it
// again.
const longEntryBytes = 512

// entry is one key and its value. Both stand in one allocation, which an overwrite uses again if it fits and is not shared.
type entry struct {
	data   []byte // the key, then the value
	keyLen uint32 // and sharedData
	tag    uint32 // the hash's low half: tells nearly all other keys apart without a look at data
	sum    *sum   // of data, made anew with it and filled in by whoever takes digests; nil unless data is long
}

// sharedData marks in keyLen that a frozen entry may have the same data and sum: neither is written then. Limits keep the
// lengths of keys below it.
const sharedData = 1 << 31

// newEntry returns an entry for a copy of key, with an empty value and room for one of valueBytes. set or extend completes
// it.
func newEntry(key []byte, h uint64, valueBytes int) entry {
	data := append(slices.Grow([]byte(nil), len(key)+valueBytes), key...)
	return entry{data: data, keyLen: uint32(len(key)), tag: uint32(h)}
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
