package sim

import (
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
)

// addedUp is a sum of votes that a replica was told of before it was checked.
type addedUp struct {
	life  *life
	found bool // somebody has found it spoilt
}

// sumOf names it.
type sumOf struct {
	by        qc.NodeID
	view      qc.View
	block     qc.BlockID
	signature qc.Signature
}

// addedUp notes a sum that a replica may make use of before it is checked.
func (c *checker) addedUp(l *life, q *qc.QuorumCertificate) {
	if at := (sumOf{l.r.id, q.View, q.Block, q.Signature}); c.sums[at] == nil || c.sums[at].life != l {
		c.sums[at] = &addedUp{life: l}
	}
}

// spoilt tells whether what a correct replica has sent does not verify because of a bad vote in a sum that it did not wait to
// have checked. Each Byzantine replica does that to it once a life: whoever has spoilt one sum is in no other that it trusts.
func (c *checker) spoilt(from qc.NodeID, message any) bool {
	var q *qc.QuorumCertificate
	switch m := message.(type) {
	case *hotstuff.Proposal:
		q = &m.Block.Justify
	case *hotstuff.CertificateMessage:
		q = m.QC
	}
	if q == nil {
		return false
	}
	s := c.sums[sumOf{from, q.View, q.Block, q.Signature}]
	if s == nil || !c.byzantineIn(q.Signers) {
		return false
	}
	if rule, _ := c.sound.qc(q); rule == "" {
		return false // it is good, and was refused for something else
	}
	if !s.found {
		s.found = true
		if s.life.spoilt++; s.life.spoilt > len(c.w.cfg.Byzantine) {
			c.w.fail("S6", "%v trusts sums that %d Byzantine replicas have spoilt %d times", from, len(c.w.cfg.Byzantine), s.life.spoilt)
		}
	}
	return true
}

func (c *checker) byzantineIn(signers qc.Bitmap) bool {
	for id := range signers.All() {
		if c.w.replicas[id].byzantine() {
			return true
		}
	}
	return false
}
