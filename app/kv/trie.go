package kv

import (
	"bytes"
	"crypto/sha256"

	"github.com/hotstuffd/hotstuffd/app/snapshot"
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
// not. Writes mark the nodes on their way as changed, for digest, and copy those that are frozen (freeze.go).
type trie struct {
	root *inner
	keys int
	snapshot.Generations
}

// inner leads from fanBits bits of the hash to an inner node or a leaf; exactly one of the two is set at each place. A
// leaf whose prefix ends inside these bits fills all places that agree with it, 8, 4, 2 or 1 neighbours (16 in an almost
// empty root).
type inner struct {
	nodes  [fan]*inner
	leaves [fan]*leaf
	cached
}

// leaf holds the entries whose hashes share their first depth bits.
type leaf struct {
	entries []entry // in the order of their hashes; of equal hashes, of their keys
	cached
	depth uint8
}

// cached is what digests keep in a node. Whoever takes digests owns it while the node is frozen.
type cached struct {
	born    uint64 // the generation that made the node; never changed
	digest  [sha256.Size]byte
	changed bool // digest is of another state
}

func newTrie() *trie {
	t := &trie{}
	t.clear()
	return t
}

// clear lets all keys go.
func (t *trie) clear() {
	t.root, t.keys = &inner{cached: t.fresh()}, 0
	t.root.fill(0, fan, &leaf{cached: t.fresh()})
}

func (n *inner) fill(from, count int, l *leaf) {
	for i := from; i < from+count; i++ {
		n.leaves[i] = l
	}
}

// leafOf returns the leaf where keys with hash h stand.
func (t *trie) leafOf(h uint64) *leaf {
	n := t.root
	for shift := hashBits - fanBits; ; shift -= fanBits {
		i := h >> shift % fan
		if l := n.leaves[i]; l != nil {
			return l
		}
		n = n.nodes[i]
	}
}

// touch is leafOf for a write: all nodes on the way are marked as changed, and are nobody else's afterwards.
func (t *trie) touch(h uint64) *leaf {
	t.Settle()
	if t.Frozen(t.root.born) {
		t.root = t.copyInner(t.root)
	}
	n := t.root
	for level := 0; ; level++ {
		n.changed = true
		i := place(h, level)
		if l := n.leaves[i]; l != nil {
			if t.Frozen(l.born) {
				l = t.copyLeaf(l)
				width := fan >> (int(l.depth) - level*fanBits)
				n.fill(i&^(width-1), width, l)
			}
			l.changed = true
			return l
		}
		if below := n.nodes[i]; t.Frozen(below.born) {
			n.nodes[i] = t.copyInner(below)
		}
		n = n.nodes[i]
	}
}

// find returns the index of a key's entry, or -1.
func (l *leaf) find(key []byte, h uint64) int {
	for i := range l.entries {
		if e := &l.entries[i]; e.tag == tagOf(h) && bytes.Equal(e.key(), key) {
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
	return t.upsertAt(hashOf(key), key, valueBytes)
}

// upsertAt is upsert with the hash at hand.
func (t *trie) upsertAt(h uint64, key []byte, valueBytes int) *entry {
	l := t.touch(h)
	if i := l.find(key, h); i >= 0 {
		e := &l.entries[i]
		if !t.AnyFrozen() {
			e.keyLen &^= sharedData // with whom it was is gone
		}
		return e
	}
	t.keys++
	i := l.insert(newEntry(key, h, valueBytes), h)
	if len(l.entries) > leafKeysMax {
		t.split(h)
		l = t.leafOf(h)
		i = l.find(key, h)
	}
	return &l.entries[i]
}

// insert puts an entry at its place, and returns which that is. Leaves are in order at all times, because whoever takes
// digests and writes snapshots must not move anything.
func (l *leaf) insert(e entry, h uint64) int {
	key, at := e.key(), len(l.entries)
	for at > 0 && l.entries[at-1].compare(key, h, l.depth) > 0 {
		at--
	}
	l.add(entry{})
	copy(l.entries[at+1:], l.entries[at:])
	l.entries[at] = e
	return at
}

// room is for so many entries more when a leaf is full: doubling would waste more than its entries need.
const room = 3

// add appends an entry.
func (l *leaf) add(e entry) {
	if len(l.entries) == cap(l.entries) {
		l.entries = append(make([]entry, 0, len(l.entries)+room), l.entries...)
	}
	l.entries = append(l.entries, e)
}
