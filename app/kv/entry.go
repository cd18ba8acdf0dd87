package kv

import (
	"crypto/sha256"
	"slices"
)

// longEntryBytes is the size from which on an entry keeps the digest of its data, so that a change beside it does not
// hash it again.
const longEntryBytes = 512

// entry is one key and its value. Both stand in one allocation, which an overwrite uses again if it fits.
type entry struct {
	data   []byte // the key, then the value
	keyLen uint32
	tag    uint32 // the hash's low half: tells nearly all other keys apart without a look at data
	sum    *[sha256.Size]byte
}

// newEntry returns an entry for a copy of key, with an empty value and room for one of valueBytes.
func newEntry(key []byte, h uint64, valueBytes int) entry {
	data := append(slices.Grow([]byte(nil), len(key)+valueBytes), key...)
	return entry{data: data, keyLen: uint32(len(key)), tag: uint32(h)}
}

func (e *entry) key() []byte   { return e.data[:e.keyLen:e.keyLen] }
func (e *entry) value() []byte { return e.data[e.keyLen:] }

// set overwrites the value with a copy of v.
func (e *entry) set(v []byte) {
	e.sum = nil
	size := int(e.keyLen) + len(v)
	if wasteful := cap(e.data) > 256 && cap(e.data) > 2*size; size <= cap(e.data) && !wasteful {
		e.data = append(e.data[:e.keyLen], v...)
		return
	}
	e.data = append(append(slices.Grow([]byte(nil), size), e.key()...), v...)
}

// extend appends a copy of v to the value. Room grows geometrically, so that many small appends cost linear time.
func (e *entry) extend(v []byte) {
	e.sum = nil
	e.data = append(e.data, v...)
}
