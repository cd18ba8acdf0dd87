package kv

import (
	"bytes"
	"crypto/sha256"
)

const (
	fanBits = 4
	fan     = 1 << fanBits
	// leafKeysMax splits a leaf with more keys. It is part of the state's digest.
	leafKeysMax = 16
	hashBits    = 64
)

// trie holds the entries by the hashes of their keys. Its shape depends on the set of keys alone: the keys whose hashes
// share a prefix stand in one leaf exactly when they are at most leafKeysMax and those of the next shorter prefix are
// not. Writes mark the nodes on their way as changed, for digest.
type trie struct {
	root inner
	keys int
}

// inner leads from fanBits bits of the hash to an inner node or a leaf; exactly one of the two is set at each place. A
// leaf whose prefix ends inside these bits fills all places that agree with it, 8, 4, 2 or 1 neighbours (16 in an almost
// empty root).
type inner struct {
	nodes   [fan]*inner
	leaves  [fan]*leaf
	digest  [sha256.Size]byte
	changed bool
}

// leaf holds the entries whose hashes share their first depth bits.
type leaf struct {
	entries []entry // in no order, until sort
	digest  [sha256.Size]byte
	depth   uint8
	changed bool
}

func newTrie() *trie {
	t := &trie{}
	t.root.changed = true
	t.root.fill(0, fan, &leaf{changed: true})
	return t
}

func (n *inner) fill(from, count int, l *leaf) {
	for i := from; i < from+count; i++ {
		n.leaves[i] = l
	}
}

// leafOf returns the leaf where keys with hash h stand.
func (t *trie) leafOf(h uint64) *leaf {
	n := &t.root
	for shift := hashBits - fanBits; ; shift -= fanBits {
		i := h >> shift % fan
		if l := n.leaves[i]; l != nil {
			return l
		}
		n = n.nodes[i]
	}
}

// touch is leafOf for a write: it marks all nodes on the way as changed.
func (t *trie) touch(h uint64) *leaf {
	n := &t.root
	for shift := hashBits - fanBits; ; shift -= fanBits {
		n.changed = true
		i := h >> shift % fan
		if l := n.leaves[i]; l != nil {
			l.changed = true
			return l
		}
		n = n.nodes[i]
	}
}

// find returns the index of a key's entry, or -1.
func (l *leaf) find(key []byte, h uint64) int {
	for i := range l.entries {
		if e := &l.entries[i]; e.tag == uint32(h) && bytes.Equal(e.key(), key) {
			return i
		}
	}
	return -1
}

// get returns the value of a key. It is valid until the next write.
func (t *trie) get(key []byte) (value []byte, ok bool) {
	h := hashOf(key)
	l := t.leafOf(h)
	if i := l.find(key, h); i >= 0 {
		return l.entries[i].value(), true
	}
	return nil, false
}

// upsert returns the entry of a key for the caller to change. If there is none it is made, with an empty value and room
// for one of valueBytes. The entry is valid until the next write.
func (t *trie) upsert(key []byte, valueBytes int) *entry {
	h := hashOf(key)
	l := t.touch(h)
	if i := l.find(key, h); i >= 0 {
		return &l.entries[i]
	}
	t.keys++
	if l.add(newEntry(key, h, valueBytes)); len(l.entries) > leafKeysMax {
		t.split(h)
		l = t.touch(h)
		return &l.entries[l.find(key, h)]
	}
	return &l.entries[len(l.entries)-1]
}

// add appends an entry. Room grows by little: doubling would waste more than a leaf's entries need.
func (l *leaf) add(e entry) {
	if len(l.entries) == cap(l.entries) {
		l.entries = append(make([]entry, 0, len(l.entries)+3), l.entries...)
	}
	l.entries = append(l.entries, e)
}
