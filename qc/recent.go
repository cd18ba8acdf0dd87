package qc

import "slices"

// recent keeps the values of the last few keys used, at most max of them; the one used longest ago goes first. A scan
// over a few dozen short keys is nothing beside the curve arithmetic it saves, and the order of eviction depends on
// the calls alone, never on a map's.
type recent[V any] struct {
	max     int
	entries []recentEntry[V] // the most recently used first
}

type recentEntry[V any] struct {
	key   string
	value V
}

func (r *recent[V]) get(key []byte) (value V, ok bool) {
	for i := range r.entries {
		if e := r.entries[i]; e.key == string(key) {
			copy(r.entries[1:i+1], r.entries[:i])
			r.entries[0] = e
			return e.value, true
		}
	}
	return value, false
}

// add remembers a key that get did not find.
func (r *recent[V]) add(key []byte, value V) {
	if len(r.entries) == r.max {
		r.entries = r.entries[:r.max-1]
	}
	r.entries = slices.Insert(r.entries, 0, recentEntry[V]{string(key), value})
}
