package kv

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"math/bits"

	"github.com/hotstuffd/hotstuffd/app/snapshot"
)

// A snapshot is stateHead, the number of keys, the keys in the order of their hashes, and stateEnd. Each key stands behind
// its length and that of its value, and before its value; keys of equal hashes stand in their own order. So equal contents
// have one encoding, and it does not depend on the shape in which they are kept.
const (
	stateHead = "hotstuffd/kv/state\x00\x01"
	stateEnd  = "end\n"
)

// WriteTo implements app.Frozen.
func (f *frozen) WriteTo(w io.Writer) (int64, error) {
	s := stateWriter{snapshot.NewWriter(w)}
	s.String(stateHead)
	s.Uint64(uint64(f.keys))
	s.inner(f.root, 0)
	s.String(stateEnd)
	return s.Close()
}

type stateWriter struct{ *snapshot.Writer }

func (s *stateWriter) inner(n *inner, level int) {
	for i := 0; i < fan && !s.Failed(); {
		if below := n.nodes[i]; below != nil {
			s.inner(below, level+1)
			i++
			continue
		}
		l := n.leaves[i]
		for j := range l.entries {
			e := &l.entries[j]
			s.Length(e.keyBytes())
			s.Length(len(e.value()))
			s.Bytes(e.data)
		}
		i += fan >> (int(l.depth) - level*fanBits)
	}
}

// Restore replaces the contents by those of a snapshot, and reads r to its end. It takes exactly what WriteTo may have
// written for a store with the same Limits. After an error the store is empty.
// Expected errors: snapshot.ErrMalformed, io.ErrUnexpectedEOF, and those of r.
func (s *Store) Restore(r io.Reader) error {
	s.keys.clear() // first: two states at a time might not fit into memory
	in := stateReader{Reader: snapshot.NewReader(r), limits: s.limits}
	if err := in.restore(s.keys); err != nil {
		s.keys.clear()
		return fmt.Errorf("kv: restoring, at key %d: %w", in.keys, err)
	}
	return nil
}

type stateReader struct {
	*snapshot.Reader
	limits Limits
	count  uint64 // of keys, as the snapshot says
	keys   uint64 // so many were read
	last   []byte // and this one last
	hash   uint64 // the hash of last
	buf    []byte
	ahead  []placed // read, and not in a leaf yet
}

// placed is an entry and its hash.
type placed struct {
	entry
	hash uint64
}

// restore reads the keys into an empty trie. They come in its order, so that each node is made once, as it stays.
func (s *stateReader) restore(t *trie) error {
	s.Expect(stateHead)
	s.count = s.Uint64()
	root := s.inner(t, 0, 0)
	s.Expect(stateEnd)
	s.End()
	if s.Err() != nil {
		return s.Err()
	}
	t.root, t.keys = root, int(s.count)
	return nil
}

// inner makes the node at a level where the hashes from first on stand.
func (s *stateReader) inner(t *trie, level int, first uint64) *inner {
	n := &inner{cached: t.fresh()}
	s.places(t, n, level, first, fan)
	return n
}

// places fills as many neighbouring places of a node: with one leaf if the keys fit into it, else by halves.
func (s *stateReader) places(t *trie, n *inner, level int, first uint64, count int) {
	depth := uint8(level*fanBits + fanBits + 1 - bits.Len(uint(count)))
	switch here := s.sharing(first, depth); {
	case here <= leafKeysMax || depth == hashBits:
		l := &leaf{entries: make([]entry, here), cached: t.fresh(), depth: depth}
		for i := range l.entries {
			l.entries[i] = s.ahead[i].entry
		}
		s.ahead = s.ahead[:copy(s.ahead, s.ahead[here:])]
		n.fill(place(first, level), count, l)
	case count > 1:
		s.places(t, n, level, first, count/2)
		s.places(t, n, level, first|1<<(hashBits-1-depth), count/2)
	default:
		n.nodes[place(first, level)] = s.inner(t, level+1, first)
	}
}

// sharing reads ahead, and returns how many of the next keys share the first depth bits of their hashes with first: all of
// them, or more than a leaf holds.
func (s *stateReader) sharing(first uint64, depth uint8) (n int) {
	for ; n <= leafKeysMax || depth == hashBits; n++ {
		if n == len(s.ahead) && !s.entry() || (s.ahead[n].hash^first)>>(hashBits-depth) != 0 {
			break
		}
	}
	return n
}

// entry reads one key and its value. It returns false if there is none.
func (s *stateReader) entry() bool {
	if s.keys == s.count || s.Err() != nil {
		return false
	}
	keyBytes, valueBytes := s.Length(s.limits.KeyBytes), s.Length(s.limits.ValueBytes)
	s.buf = s.Take(s.buf[:0], keyBytes+valueBytes)
	if s.Err() != nil {
		return false
	}
	key, value := s.buf[:keyBytes], s.buf[keyBytes:]
	h := hashOf(key)
	if s.keys > 0 && cmp.Or(cmp.Compare(h, s.hash), bytes.Compare(key, s.last)) <= 0 {
		s.Refuse("key %.64q is not in its order", key)
		return false
	}
	s.hash, s.last = h, append(s.last[:0], key...)
	s.keys++
	e := newEntry(key, h, valueBytes)
	e.set(value)
	s.ahead = append(s.ahead, placed{e, h})
	return true
}
