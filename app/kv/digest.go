package kv

import (
	"crypto/sha256"
	"encoding/binary"
)

// Domains of the digests. No input of one can be an input of another.
const (
	domainInner = "hotstuffd/kv/inner\x00\x01"
	domainLeaf  = "hotstuffd/kv/leaf\x00\x02"
	domainEntry = "hotstuffd/kv/entry\x00\x01"
)

// sum returns the digest of all entries below a root. It costs one SHA-256 for each leaf and node that was touched since the last
// call, over at most 16 entries of at most longEntryBytes each, besides the data of long entries that changed themselves.
// What it writes is cached alone, and sums of long data: everything else in a frozen node is read by the executor too.
func (n *inner) sum() [sha256.Size]byte {
	var d digester
	return d.inner(n, 0)
}

// digester lends its buffer to one digest at a time.
type digester struct{ buf []byte }

// inner returns the digest of a node: of what stands in it, each behind the length of its prefix inside the node.
func (d *digester) inner(n *inner, level int) [sha256.Size]byte {
	if !n.changed {
		return n.digest
	}
	for i, below := range n.nodes { // first, since they need the buffer
		if below != nil {
			d.inner(below, level+1)
		} else if l := n.leaves[i]; l.changed {
			d.leaf(l)
		}
	}
	b := append(d.buf[:0], domainInner...)
	for i := 0; i < fan; {
		if below := n.nodes[i]; below != nil {
			b = append(append(b, 0xff), below.digest[:]...)
			i++
			continue
		}
		l := n.leaves[i]
		local := l.depth - uint8(level*fanBits)
		b = append(append(b, local), l.digest[:]...)
		i += fan >> local
	}
	d.buf = b
	n.digest, n.changed = sha256.Sum256(b), false
	return n.digest
}

// leaf renews the digest of a leaf: of its entries in their order.
func (d *digester) leaf(l *leaf) {
	b := append(d.buf[:0], domainLeaf...)
	for i := range l.entries {
		e := &l.entries[i]
		b = binary.AppendUvarint(b, uint64(e.keyBytes()))
		b = binary.AppendUvarint(b, uint64(len(e.data)))
		if len(e.data) <= longEntryBytes {
			b = append(b, e.data...)
			continue
		}
		if *e.sum == unknown {
			e.sum.of(e.data)
		}
		b = append(b, e.sum[:]...)
	}
	d.buf = b
	l.digest, l.changed = sha256.Sum256(b), false
}

// sum is the digest of the data of a long entry, or unknown.
type sum [sha256.Size]byte

// unknown is the sum of no data that anybody will find.
var unknown sum

func (s *sum) of(data []byte) {
	h := sha256.New()
	h.Write([]byte(domainEntry))
	h.Write(data)
	h.Sum(s[:0])
}
