package qc

import (
	"encoding/binary"
	"fmt"
)

// Committee is the roster's shape in one epoch of one chain: what quorums and signed messages depend on.
// It is immutable. Keys live in the Scheme.
type Committee struct {
	Chain ChainID
	Epoch Epoch
	n     int
}

// NewCommittee returns a committee of n replicas.
// Expected errors: n outside 1..MaxCommittee.
func NewCommittee(chain ChainID, epoch Epoch, n int) (*Committee, error) {
	if n < 1 || n > MaxCommittee {
		return nil, fmt.Errorf("qc: committee of %d replicas: want 1 to %d", n, MaxCommittee)
	}
	return &Committee{Chain: chain, Epoch: epoch, n: n}, nil
}

// MaxCommittee bounds the number of replicas.
const MaxCommittee = 1024

// Size returns n.
func (c *Committee) Size() int { return c.n }

// Faults returns f = ⌊(n−1)/3⌋, the number of Byzantine replicas tolerated.
func (c *Committee) Faults() int { return (c.n - 1) / 3 }

// Quorum returns q = ⌈(n+f+1)/2⌉, which is 2f+1 when n = 3f+1. Any two quorums share f+1 replicas.
func (c *Committee) Quorum() int { return (c.n + c.Faults() + 2) / 2 }

// Has tells whether id is a member.
func (c *Committee) Has(id NodeID) bool { return int(id) < c.n }

// Signed messages: a domain tag of fixed length, then chain, epoch and the fields, all of fixed size.
// Binding all of them keeps a vote from being replayed as a timeout, in another epoch or on another chain (S4).
const (
	domainVote       = "hotstuffd/vote\x00\x01"
	domainTimeout    = "hotstuffd/tmo\x00\x00\x01"
	domainCheckpoint = "hotstuffd/ckpt\x00\x01"
)

// VoteMessage returns the bytes that a vote for block in view signs.
func (c *Committee) VoteMessage(view View, block BlockID) []byte {
	m := c.message(domainVote, uint64(view), len(block))
	return append(m, block[:]...)
}

// TimeoutMessage returns the bytes that a timeout of view signs, naming the view of the signer's highest certificate.
func (c *Committee) TimeoutMessage(view, highQC View) []byte {
	return binary.BigEndian.AppendUint64(c.message(domainTimeout, uint64(view), 8), uint64(highQC))
}

// message begins with a domain and a number of its own: a view or a height.
func (c *Committee) message(domain string, number uint64, extra int) []byte {
	m := make([]byte, 0, len(domain)+32+4+8+extra)
	m = append(m, domain...)
	m = append(m, c.Chain[:]...)
	m = binary.BigEndian.AppendUint32(m, uint32(c.Epoch))
	return binary.BigEndian.AppendUint64(m, number)
}
