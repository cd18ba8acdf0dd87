package kv

import (
	"github.com/hotstuffd/hotstuffd/app"
	"github.com/hotstuffd/hotstuffd/app/snapshot"
)

// frozen is the state as it was at a freeze. It shares its nodes with the trie. Who holds it writes nothing into them but
// digests, which the executor does not read; the executor writes nothing at all.
type frozen struct {
	*snapshot.Mark
	root *inner
	keys int
}

var _ app.Frozen = (*frozen)(nil)

// Freeze returns the present state, in constant time. Until it is released, the first write near a key copies one leaf,
// without the data in it, and the few nodes on the way to it; and the first one to a value copies it instead of overwriting.
func (s *Store) Freeze() app.Frozen {
	return &frozen{Mark: s.keys.Freeze(), root: s.keys.root, keys: s.keys.keys}
}

// Digest implements app.Frozen.
func (f *frozen) Digest() [32]byte { return f.root.sum() }

// fresh is what is cached in a new node: nothing.
func (t *trie) fresh() cached { return cached{born: t.Now(), changed: true} }

func (t *trie) copyInner(n *inner) *inner {
	return &inner{nodes: n.nodes, leaves: n.leaves, cached: t.fresh()}
}

// copyLeaf copies a leaf, with as much room, and marks the data of its entries as shared.
func (t *trie) copyLeaf(l *leaf) *leaf {
	entries := append(make([]entry, 0, cap(l.entries)), l.entries...)
	share(entries)
	return &leaf{entries: entries, depth: l.depth, cached: t.fresh()}
}
