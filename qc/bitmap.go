package qc

import (
	"iter"
	"math/bits"
)

// Bitmap marks members of a committee of n: exactly ⌈n/8⌉ bytes, member i at bit i%8 of byte i/8, padding zero.
type Bitmap []byte

// NewBitmap returns an empty bitmap for a committee of n.
func NewBitmap(n int) Bitmap { return make(Bitmap, (n+7)/8) }

// Valid tells whether b is a canonical bitmap for a committee of n: exact length, zero padding.
func (b Bitmap) Valid(n int) bool {
	if len(b) != (n+7)/8 {
		return false
	}
	if pad := n % 8; pad != 0 && b[len(b)-1]>>pad != 0 {
		return false
	}
	return true
}

// Set marks id, which must be within the committee.
func (b Bitmap) Set(id NodeID) { b[id/8] |= 1 << (id % 8) }

// Has tells whether id is marked; false beyond the end.
func (b Bitmap) Has(id NodeID) bool {
	return int(id/8) < len(b) && b[id/8]&(1<<(id%8)) != 0
}

// Count returns the number of marked members.
func (b Bitmap) Count() int {
	n := 0
	for _, x := range b {
		n += bits.OnesCount8(x)
	}
	return n
}

// All ranges over the marked members in ascending order.
func (b Bitmap) All() iter.Seq[NodeID] {
	return func(yield func(NodeID) bool) {
		for i, x := range b {
			for ; x != 0; x &= x - 1 {
				if !yield(NodeID(i*8 + bits.TrailingZeros8(x))) {
					return
				}
			}
		}
	}
}

// Members lists the marked members in ascending order.
func (b Bitmap) Members() []NodeID {
	ids := make([]NodeID, 0, b.Count())
	for id := range b.All() {
		ids = append(ids, id)
	}
	return ids
}

// Clone returns a copy that shares no memory with b.
func (b Bitmap) Clone() Bitmap { return append(Bitmap(nil), b...) }
