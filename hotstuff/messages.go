package hotstuff

import (
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/qc"
)

// Message is what replicas send each other for consensus: *Proposal, *VoteMessage, *TimeoutMessage, *CertificateMessage,
// *BlockRequest, *BlockResponse, *RejoinRequest or *CheckpointMessage. A message from the network is not stepped before Verify made it a Verified.
type Message interface{ message() }

// Proposal carries a leader's block, signed by it.
type Proposal struct{ Block *blocktree.Block }

// VoteMessage carries one vote, to the leader of the next view or, by whoever left its view through a timeout
// certificate, to all.
type VoteMessage struct {
	Vote qc.Vote
	// Held tells, unsigned and advisory, how far the sender holds each origin's lane (PROTOCOL §6). May be empty.
	Held blocktree.Lanes
}

// TimeoutMessage carries one timeout. It is rebroadcast verbatim until the view changes.
type TimeoutMessage struct {
	Timeout *qc.Timeout
	Held    blocktree.Lanes // as in VoteMessage
}

// CertificateMessage carries a certificate that lets its receivers enter a view: one of the two is set.
type CertificateMessage struct {
	QC *qc.QuorumCertificate
	TC *qc.TimeoutCertificate
}

// BlockRequest asks for the branch that ends in Target, from height From up.
type BlockRequest struct {
	Target qc.BlockID
	From   qc.Height // the first height wanted: the requester's committed height + 1, or where a range begins
}

// BlockResponse answers a BlockRequest: consecutive blocks in ascending order of height from the height asked for, of the
// branch that ends in Target, or of the committed chain if Target is not held. When they do not all fit, it holds the
// first, as many as do, but at least two, for each certifies the one before it; and the receiver asks for the rest.
type BlockResponse struct {
	Target qc.BlockID
	Blocks []*blocktree.Block
}

// RejoinRequest asks a peer to have the sender's nonce ordered (PROTOCOL §7). It needs no signature: whose nonce it is, the
// authenticated connection says.
type RejoinRequest struct{ Nonce Nonce }

// CheckpointMessage carries the signature of one replica's state, or the certificate of a quorum's: one of the two is set.
type CheckpointMessage struct {
	Signed      *qc.SignedCheckpoint
	Certificate *qc.CheckpointCertificate
}

func (*Proposal) message()           {}
func (*VoteMessage) message()        {}
func (*TimeoutMessage) message()     {}
func (*CertificateMessage) message() {}
func (*BlockRequest) message()       {}
func (*BlockResponse) message()      {}
func (*RejoinRequest) message()      {}
func (*CheckpointMessage) message()  {}
