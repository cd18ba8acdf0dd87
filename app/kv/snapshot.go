package kv

import (
	"bytes"
	"cmp"
	"fmt"
	"io"

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
	keys   uint64 // so many were read
	last   []byte // and this one last
	hash   uint64 // the hash of last
	buf    []byte
}

func (s *stateReader) restore(t *trie) error {
	s.Expect(stateHead)
	for count := s.Uint64(); s.keys < count && s.Err() == nil; s.keys++ {
		s.entry(t)
	}
	s.Expect(stateEnd)
	s.End()
	return s.Err()
}

// entry reads one key and its value, and puts it into the trie.
func (s *stateReader) entry(t *trie) {
	keyBytes, valueBytes := s.Length(s.limits.KeyBytes), s.Length(s.limits.ValueBytes)
	s.buf = s.Take(s.buf[:0], keyBytes+valueBytes)
	if s.Err() != nil {
		return
	}
	key, value := s.buf[:keyBytes], s.buf[keyBytes:]
	h := hashOf(key)
	if s.keys > 0 && cmp.Or(cmp.Compare(h, s.hash), bytes.Compare(key, s.last)) <= 0 {
		s.Refuse("key %.64q is not in its order", key)
		return
	}
	s.hash, s.last = h, append(s.last[:0], key...)
	t.upsertAt(h, key, valueBytes).set(value)
}
