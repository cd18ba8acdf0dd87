package sim

import (
	"bytes"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/qc"
)

// sound checks certificates by the text of PROTOCOL §1 and the bare signature scheme. It shares nothing with
// qc.Verifier, its cache and its collectors, for those are under test: a certificate that a correct replica relies on
// must be one whatever they say.
type sound struct {
	committee *qc.Committee
	scheme    qc.Scheme
	genesis   qc.QuorumCertificate
	quorum    int
	checked   map[proof]struct{}      // quorum certificates found sound
	blocks    map[qc.BlockID]struct{} // that they certify
}

// proof is all of a quorum certificate but its epoch.
type proof struct {
	view      qc.View
	block     qc.BlockID
	signers   string
	signature qc.Signature
}

func newSound(w *World) *sound {
	n, f := w.cfg.Nodes, (w.cfg.Nodes-1)/3
	s := &sound{committee: w.committee, scheme: newKeys(n, w.cfg.BLS).scheme(), genesis: blocktree.GenesisQC(w.root, n),
		checked: make(map[proof]struct{}), blocks: make(map[qc.BlockID]struct{})}
	for 2*s.quorum-n <= f { // two quorums share a correct replica
		s.quorum++
	}
	return s
}

// signers counts a bitmap's members by itself; -1 if it is not one of n replicas.
func (s *sound) signers(b qc.Bitmap) int {
	n := s.committee.Size()
	if len(b) != (n+7)/8 {
		return -1
	}
	count := 0
	for i := range 8 * len(b) {
		if b[i/8]>>(i%8)&1 == 0 {
			continue
		}
		if i >= n {
			return -1
		}
		count++
	}
	return count
}

// qc says what is wrong with a quorum certificate, and by which rule.
func (s *sound) qc(q *qc.QuorumCertificate) (rule, wrong string) {
	_, known := s.checked[proof{q.View, q.Block, string(q.Signers), q.Signature}]
	if known && q.Epoch == s.committee.Epoch {
		return "", ""
	}
	switch {
	case q.View == 0:
		g := &s.genesis
		same := q.Epoch == g.Epoch && q.Block == g.Block && q.Signature == g.Signature
		if !same || !bytes.Equal(q.Signers, g.Signers) {
			return "S3", "it has view 0 and is not genesis's"
		}
		return "", ""
	case q.Epoch != s.committee.Epoch:
		return "S4", "its epoch is another"
	case s.signers(q.Signers) < s.quorum:
		return "S8", "its signers are no quorum"
	case !s.scheme.VerifySame(s.committee.VoteMessage(q.View, q.Block), q.Signers, q.Signature):
		return "S6", "it does not verify for its signers"
	}
	s.checked[proof{q.View, q.Block, string(q.Signers), q.Signature}] = struct{}{}
	s.blocks[q.Block] = struct{}{}
	return "", ""
}

// vote tells whether a vote verifies.
func (s *sound) vote(v *qc.Vote) bool {
	signer := qc.NewBitmap(s.committee.Size())
	signer[v.Signer/8] = 1 << (v.Signer % 8)
	return s.scheme.VerifySame(s.committee.VoteMessage(v.View, v.Block), signer, v.Signature)
}

// tc says what is wrong with a timeout certificate, and by which rule.
func (s *sound) tc(t *qc.TimeoutCertificate) (rule, wrong string) {
	switch {
	case t.Epoch != s.committee.Epoch:
		return "S4", "its epoch is another"
	case s.signers(t.Signers) < s.quorum || s.signers(t.Signers) != len(t.HighQCViews):
		return "S8", "its signers are no quorum, or not as many as the views it lists"
	}
	highest := qc.View(0)
	groups := make(map[qc.View]qc.Bitmap, 1)
	at := 0
	for id := range qc.NodeID(s.committee.Size()) {
		if t.Signers[id/8]>>(id%8)&1 == 0 {
			continue
		}
		listed := t.HighQCViews[at]
		at++
		highest = max(highest, listed)
		if groups[listed] == nil {
			groups[listed] = qc.NewBitmap(s.committee.Size())
		}
		groups[listed][id/8] |= 1 << (id % 8)
	}
	switch {
	case highest >= t.View:
		return "L14", "it lists a view that is not below its own"
	case t.HighQC.View != highest:
		return "L14", "its QC is not the highest that it lists"
	}
	if rule, wrong := s.qc(&t.HighQC); rule != "" {
		return rule, "in its QC: " + wrong
	}
	var messages [][]byte
	var signers []qc.Bitmap
	for listed, group := range groups { // the sum is the same in any order
		messages, signers = append(messages, s.committee.TimeoutMessage(t.View, listed)), append(signers, group)
	}
	if !s.scheme.VerifyDistinct(messages, signers, t.Signature) {
		return "S6", "it does not verify for its signers"
	}
	return "", ""
}

// soundQC fails unless what a correct replica relies on is a quorum certificate.
func (c *checker) soundQC(id qc.NodeID, q *qc.QuorumCertificate) {
	if rule, wrong := c.sound.qc(q); rule != "" {
		c.w.fail(rule, "%v relies on QC %s: %s", id, describeQC(q), wrong)
	}
}

// soundTC fails unless what a correct replica relies on is a timeout certificate.
func (c *checker) soundTC(id qc.NodeID, t *qc.TimeoutCertificate) {
	if rule, wrong := c.sound.tc(t); rule != "" {
		c.w.fail(rule, "%v relies on TC %d with QC %s, listing %v: %s",
			id, t.View, describeQC(&t.HighQC), t.HighQCViews, wrong)
	}
}
