package kv

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"
	"testing"
)

// Tags give the order and the bits that the whole hashes give, at every depth at which two keys can stand in one leaf.
func TestTagsOrderAsHashes(t *testing.T) {
	keys := make([][]byte, 50_000)
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "key%d", i)
	}
	slices.SortFunc(keys, func(a, b []byte) int { return cmp.Compare(hashOf(a), hashOf(b)) })
	deepest := 0
	for i, key := range keys {
		h, e := hashOf(key), newEntry(key, hashOf(key), 0)
		for depth := range uint8(hashBits) {
			if got, want := e.bit(depth), h>>(hashBits-1-depth)&1; got != want {
				t.Fatalf("bit %d of %016x: %d", depth, h, got)
			}
			if got := e.compare(key, h, depth); got != 0 {
				t.Fatalf("%s and itself at depth %d: %d", key, depth, got)
			}
		}
		if i == 0 {
			continue
		}
		before := newEntry(keys[i-1], hashOf(keys[i-1]), 0)
		common := bits.LeadingZeros64(hashOf(keys[i-1]) ^ h)
		deepest = max(deepest, common)
		for depth := range uint8(common + 1) {
			if a, b := before.compare(key, h, depth), e.compare(keys[i-1], hashOf(keys[i-1]), depth); a != -1 || b != 1 {
				t.Fatalf("%016x and %016x at depth %d: %d and %d, want -1 and 1", hashOf(keys[i-1]), h, depth, a, b)
			}
		}
	}
	if deepest < 2*tagDepth {
		t.Errorf("the hashes part after %d bits at the latest: that tries few depths", deepest)
	}
}

// Keys of equal hashes, which nobody knows, would stand in their own order.
func TestEqualHashesOrderByKeys(t *testing.T) {
	e := newEntry([]byte("b"), hashOf([]byte("b")), 0)
	for _, depth := range []uint8{0, tagDepth, hashBits} {
		if less, more := e.compare([]byte("c"), hashOf(e.key()), depth), e.compare([]byte("a"), hashOf(e.key()), depth); less != -1 || more != 1 {
			t.Errorf("at depth %d: %d and %d", depth, less, more)
		}
	}
}
