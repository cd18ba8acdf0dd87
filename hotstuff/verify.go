package hotstuff

import (
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/qc"
)

// Verifier checks messages from the network. It belongs to one goroutine: a pool has one each.
type Verifier struct {
	committee  *qc.Committee
	self       qc.NodeID
	certs      *qc.Verifier
	genesis    qc.QuorumCertificate
	identities qc.Identities
	limits     Limits
}

// Window is what the checks need to know of the receiver's progress: what is over is not worth a pairing.
// It may lag behind the core.
type Window struct {
	View   qc.View
	HighQC qc.View
	// Checkpoint is the highest certified one.
	Checkpoint qc.Height
}

// proposalsBehind is for how many views a late proposal is still taken: it saves the fetch of a block that a
// certificate has overtaken.
const proposalsBehind = 16

// ResponseBlocksMax bounds the blocks of one BlockResponse.
const ResponseBlocksMax = 512

// NewVerifier returns a verifier of messages to replica self. identities check who signed a
// proposal.
func NewVerifier(self qc.NodeID, c *qc.Committee, certs *qc.Verifier, identities qc.Identities, limits Limits) *Verifier {
	n := c.Size()
	return &Verifier{committee: c, self: self, certs: certs, identities: identities, limits: limits,
		genesis: blocktree.GenesisQC(blocktree.Genesis(c.Chain, c.Epoch, n), n)}
}

// Verify checks a message that came from an authenticated peer. Length, epoch, view and sender come before any pairing;
// certificates alone pass the window on views.
// Votes are checked for form only: the core sums them and has the sum checked once (S6).
// Expected errors: those listed as reasons in this package, and qc's.
func (v *Verifier) Verify(w Window, from qc.NodeID, m Message) (Verified, error) {
	var err error
	out := Verified{from: from, msg: m}
	switch m := m.(type) {
	case *Proposal:
		err = v.proposal(w, m.Block)
	case *VoteMessage:
		err = v.vote(w, from, &m.Vote)
	case *TimeoutMessage:
		return v.timeout(w, from, m)
	case *CertificateMessage:
		out.msg, err = v.certificate(w, m)
	case *BlockResponse:
		out.msg, err = v.blocks(m)
	case *BlockRequest:
		err = nil
	case *CheckpointMessage:
		err = v.checkpoint(w, from, m)
	case *SnapshotOffer:
		err = v.offer(m)
	case *Pruned, *SnapshotRequest, *ChunkRequest, *Chunk:
		err = nil
	case *RejoinRequest:
		if m.Nonce.IsZero() {
			err = ErrMessage
		}
	default:
		err = ErrMessage
	}
	if err != nil {
		return Verified{}, err
	}
	return out, nil
}

// Sum checks the sum of the votes that the core has collected for one block, or of the signatures of one state. If the core
// has a use for the sum before that (VerifyRequest.Ahead), unchecked is called with it meanwhile; it may be nil.
func (v *Verifier) Sum(r VerifyRequest, unchecked func(Unchecked)) Sum {
	if len(r.Checkpoints) > 0 {
		cert, bad := v.certs.CollectCheckpoints(r.Checkpoint, r.Checkpoints)
		return Sum{state: r.Checkpoint, stateCert: cert, bad: bad}
	}
	sum := v.certs.AddVotes(r.View, r.Block, r.Votes)
	if cert := sum.Unchecked(); cert != nil && r.Ahead && unchecked != nil {
		unchecked(Unchecked{cert})
	}
	cert, bad := sum.Check()
	return Sum{view: r.View, block: r.Block, cert: cert, bad: bad}
}

func (v *Verifier) proposal(w Window, b *blocktree.Block) error {
	if b == nil || b.Epoch != v.committee.Epoch || !v.committee.Has(b.Proposer) {
		return ErrMessage
	}
	if b.View+proposalsBehind < w.View {
		return ErrStale
	}
	if err := v.form(b); err != nil {
		return err
	}
	if !v.Signed(b) {
		return ErrProposer
	}
	return v.certificates(b)
}

// Block checks all of a block that neither its parent nor its proposer's signature is needed for: form, limits and both
// certificates.
// Expected errors: ErrMessage, ErrJustify, ErrLimits, blocktree.ErrLinkage, and qc's.
func (v *Verifier) Block(b *blocktree.Block) error {
	if b.Epoch != v.committee.Epoch || !v.committee.Has(b.Proposer) {
		return ErrMessage
	}
	if err := v.form(b); err != nil {
		return err
	}
	return v.certificates(b)
}

// Signed tells whether a block has its proposer's signature.
func (v *Verifier) Signed(b *blocktree.Block) bool {
	return v.identities.Verify(b.Proposer, blocktree.SigningMessage(v.committee.Chain, b.ID()), b.Signature[:])
}

// form checks what a block says of itself.
func (v *Verifier) form(b *blocktree.Block) error {
	if err := blocktree.CheckLinkage(b); err != nil {
		return err
	}
	if err := v.checkEntry(b); err != nil {
		return err
	}
	return v.checkLimits(b)
}

// certificates checks the certificates in a block.
func (v *Verifier) certificates(b *blocktree.Block) error {
	if err := v.certs.QC(&b.Justify); err != nil {
		return err
	}
	if b.TC != nil {
		return v.certs.TC(b.TC)
	}
	return nil
}

// checkEntry is condition 4 of the vote rule: exactly one of QC(v−1) without a TC, or TC(v−1) with a justify at least as
// high as the highest that the TC's signers hold.
func (v *Verifier) checkEntry(b *blocktree.Block) error {
	if b.Justify.View+1 == b.View {
		if b.TC != nil {
			return ErrJustify
		}
		return nil
	}
	if b.TC == nil || b.TC.View+1 != b.View || b.Justify.View < b.TC.HighQC.View {
		return ErrJustify
	}
	return nil
}

func (v *Verifier) checkLimits(b *blocktree.Block) error {
	if uint64(len(b.Payload)) > uint64(v.limits.BlockBatchesMax) {
		return ErrLimits
	}
	var sum uint64
	for i := range b.Payload {
		if b.Payload[i].Bytes > v.limits.BatchBytesMax {
			return ErrLimits
		}
		sum += uint64(b.Payload[i].Bytes)
	}
	if sum > v.limits.BlockBytesMax {
		return ErrLimits
	}
	return nil
}

func (v *Verifier) vote(w Window, from qc.NodeID, vote *qc.Vote) error {
	if !v.committee.Has(vote.Signer) || vote.View == 0 {
		return ErrMessage
	}
	if vote.Signer == v.self {
		// Our own vote from somebody else: it counts only if it verifies. See Core.onOwnVote.
		return v.certs.Vote(vote)
	}
	if vote.Signer != from {
		return ErrSender
	}
	if vote.View <= w.HighQC {
		return ErrStale
	}
	return nil
}

// checkpoint checks a certificate. A signature is checked for its form alone, as a vote is.
func (v *Verifier) checkpoint(w Window, from qc.NodeID, m *CheckpointMessage) error {
	if (m.Signed == nil) == (m.Certificate == nil) {
		return ErrMessage
	}
	if m.Certificate != nil {
		if m.Certificate.Checkpoint.Height <= w.Checkpoint {
			return ErrStale
		}
		return v.certs.Checkpoint(m.Certificate)
	}
	every, height := v.limits.CheckpointEvery, m.Signed.Checkpoint.Height
	switch {
	case !v.committee.Has(m.Signed.Signer) || every == 0 || height == 0 || height%every != 0 || m.Signed.Checkpoint.Block.IsZero():
		return ErrMessage
	case m.Signed.Signer != from:
		return ErrSender
	}
	return nil
}

// offer checks that a snapshot is of a certified state, and that its chunks make up its bytes.
func (v *Verifier) offer(m *SnapshotOffer) error {
	every, chunks := v.limits.CheckpointEvery, uint64(len(m.Chunks))
	switch {
	case m.Certificate == nil || chunks == 0 || chunks > SnapshotChunksMax:
		return ErrMessage
	case m.Bytes <= (chunks-1)*SnapshotChunkBytes || m.Bytes > chunks*SnapshotChunkBytes:
		return ErrMessage
	case every == 0 || m.Certificate.Checkpoint.Height == 0 || m.Certificate.Checkpoint.Height%every != 0:
		return ErrMessage
	}
	return v.certs.Checkpoint(m.Certificate)
}

func (v *Verifier) timeout(w Window, from qc.NodeID, m *TimeoutMessage) (Verified, error) {
	t := m.Timeout
	if t == nil || t.Epoch != v.committee.Epoch || !v.committee.Has(t.Signer) || t.View == 0 {
		return Verified{}, ErrMessage
	}
	if t.Signer != from && t.Signer != v.self {
		return Verified{}, ErrSender
	}
	if vote := t.OwnVote(); vote != t.Vote {
		// A bad embedded vote voids the vote, not the timeout.
		void := *t
		void.Vote = vote
		t, m = &void, &TimeoutMessage{Timeout: &void, Held: m.Held}
	}
	if t.View < w.View && t.Signer != v.self {
		return v.lateTimeout(w, from, m)
	}
	if err := v.certs.Timeout(t); err != nil {
		return Verified{}, err
	}
	return Verified{from: from, msg: m}, nil
}

// lateTimeout takes of a timeout whose view is over what still counts: a certificate higher than ours, and the vote. Its own
// signature is not worth a pairing.
func (v *Verifier) lateTimeout(w Window, from qc.NodeID, m *TimeoutMessage) (Verified, error) {
	t := *m.Timeout
	t.TC = nil
	if t.HighQC.View >= t.View {
		return Verified{}, ErrMessage
	}
	if t.HighQC.View <= w.HighQC {
		t.HighQC = v.genesis
	} else if err := v.certs.QC(&t.HighQC); err != nil {
		return Verified{}, err
	}
	return Verified{from: from, msg: &TimeoutMessage{Timeout: &t, Held: m.Held}, late: true}, nil
}

// certificate returns of the message what still counts: of a timeout certificate whose view is over, the certificate in it.
func (v *Verifier) certificate(w Window, m *CertificateMessage) (Message, error) {
	if (m.QC == nil) == (m.TC == nil) {
		return nil, ErrMessage
	}
	if m.TC != nil && m.TC.View >= w.View {
		return m, v.certs.TC(m.TC)
	}
	q := m.QC
	if q == nil {
		q = &m.TC.HighQC
	}
	if q.View <= w.HighQC {
		return nil, ErrStale
	}
	return &CertificateMessage{QC: q}, v.certs.QC(q)
}

// blocks returns those blocks of a response that are certified: all, if the last one is the target, whose certificate we
// hold, for the hashes bind the rest; else all but the last one, whose justify is verified. One pairing check for the
// whole range.
func (v *Verifier) blocks(m *BlockResponse) (Message, error) {
	if len(m.Blocks) > ResponseBlocksMax {
		return nil, ErrLimits
	}
	for i, b := range m.Blocks {
		if b == nil {
			return nil, ErrMessage
		}
		if err := blocktree.CheckLinkage(b); err != nil {
			return nil, err
		}
		if i > 0 && (b.Parent != m.Blocks[i-1].ID() || b.Height != m.Blocks[i-1].Height+1) {
			return nil, blocktree.ErrLinkage
		}
	}
	n := len(m.Blocks)
	if n == 0 || m.Blocks[n-1].ID() == m.Target {
		return m, nil
	}
	return &BlockResponse{Target: m.Target, Blocks: m.Blocks[:n-1]}, v.certs.QC(&m.Blocks[n-1].Justify)
}
