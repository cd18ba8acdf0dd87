package kv

import "slices"

// split divides the leaf where hash h stands until it is small enough, or the hash has no bits left.
func (t *trie) split(h uint64) {
	n, level := t.root, 0
	for {
		i := place(h, level)
		l := n.leaves[i]
		if l == nil {
			n, level = n.nodes[i], level+1
			continue
		}
		if len(l.entries) <= leafKeysMax || l.depth == hashBits {
			return
		}
		low, high := t.divide(l)
		if local := int(l.depth) - level*fanBits; local < fanBits {
			half := fan >> local / 2
			first := i &^ (2*half - 1)
			n.fill(first, half, low)
			n.fill(first+half, half, high)
			continue
		}
		// The leaf's prefix has used up this node's bits: one more level.
		below := &inner{cached: t.fresh()}
		below.fill(0, fan/2, low)
		below.fill(fan/2, fan/2, high)
		n.leaves[i], n.nodes[i] = nil, below
	}
}

// place is which place of an inner node at a level hash h leads to.
func place(h uint64, level int) int {
	return int(h >> (hashBits - fanBits*(level+1)) % fan)
}

// divide parts a leaf's entries by the first bit of their hashes that they need not share: those without it come first. The
// leaf is nobody else's.
func (t *trie) divide(l *leaf) (low, high *leaf) {
	at := 0
	for at < len(l.entries) && l.entries[at].bit(l.depth) == 0 {
		at++
	}
	part := func(entries []entry) *leaf {
		half := &leaf{depth: l.depth + 1, cached: t.fresh()}
		if len(entries) > 0 {
			half.entries = append(make([]entry, 0, len(entries)+room), entries...)
		}
		return half
	}
	return part(l.entries[:at]), part(l.entries[at:])
}

// remove deletes a key. It says whether there was one.
func (t *trie) remove(key []byte) bool {
	h := hashOf(key)
	if l := t.leafOf(h); l.find(key, h) < 0 {
		return false
	}
	l := t.touch(h)
	i := l.find(key, h)
	l.entries = slices.Delete(l.entries, i, i+1)
	t.keys--
	t.merge(h)
	return true
}

// merge joins the leaf where hash h stands with its neighbour while both fit into one. Without it the shape, and so the
// digest, would depend on keys that are gone. All nodes on the way to the leaf were touched; the neighbour may be frozen.
func (t *trie) merge(h uint64) {
	var way [hashBits / fanBits]*inner
	level := 0
	for way[0] = t.root; way[level].leaves[place(h, level)] == nil; level++ {
		way[level+1] = way[level].nodes[place(h, level)]
	}
	for {
		n, i := way[level], place(h, level)
		l := n.leaves[i]
		if l.depth == 0 {
			return
		}
		width := fan >> (int(l.depth) - level*fanBits) // places that the leaf fills
		other := n.leaves[i&^(width-1)^width]
		if other == nil || other.depth != l.depth || len(l.entries)+len(other.entries) > leafKeysMax {
			return
		}
		low, high := l, other
		if i&width != 0 {
			low, high = other, l
		}
		joined := &leaf{depth: l.depth - 1, cached: t.fresh()}
		joined.entries = append(append(make([]entry, 0, len(l.entries)+len(other.entries)), low.entries...), high.entries...)
		if t.Frozen(other.born) {
			share(joined.entries) // some are nobody else's: writing to them costs a copy, once
		}
		n.fill(i&^(2*width-1), 2*width, joined)
		if 2*width == fan && level > 0 { // the node has no other leaf: the leaf takes its place
			level--
			way[level].nodes[place(h, level)] = nil
			way[level].leaves[place(h, level)] = joined
		}
	}
}
