package hotstuff_test

import (
	"testing"

	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
)

// What others say that they have come to counts when one correct replica among them says it: f liars move nothing, and nobody
// moves it back.
func TestReachedTakesMoreThanLiars(t *testing.T) {
	s := lateSolo(t)
	for _, say := range []struct {
		by     qc.NodeID
		height qc.Height
		want   qc.Height
	}{{3, 4000, 0}, {1, 8, 8}, {2, 12, 12}, {1, 4, 12}, {1, 20, 20}, {3, 8000, 20}} {
		s.deliver(packet{from: say.by, to: 0, msg: s.signedState(say.by, stateAt(say.height, 1))})
		if got := s.r.core.Reached(); got != say.want {
			t.Errorf("n%d has come to %d: reached is %d, want %d", say.by, say.height, got, say.want)
		}
	}
}

// A stored block is judged without its parent, and its proposer's signature apart from the rest.
func TestStoredBlocksAreJudged(t *testing.T) {
	c := newCluster(t, defaults(4))
	c.startAll()
	c.work(6)
	b := *c.nodes[0].core.Tree().Committed().Block
	v := hotstuff.NewVerifier(0, c.committee, c.certs(), c.public, c.limits())
	if err := v.Block(&b); err != nil || !v.Signed(&b) {
		t.Errorf("a committed block: %v, signed %v", err, v.Signed(&b))
	}
	bare := b
	bare.Signature[3]++
	if err := v.Block(&bare); err != nil || v.Signed(&bare) {
		t.Errorf("with another signature: %v, signed %v", err, v.Signed(&bare))
	}
	b.Proposer = 4
	if err := v.Block(&b); err != hotstuff.ErrMessage {
		t.Errorf("by nobody: %v", err)
	}
}
