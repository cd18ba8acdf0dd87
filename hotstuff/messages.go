package hotstuff

import (
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/qc"
)

// Message is what replicas send each other for consensus: *Proposal, *VoteMessage, *TimeoutMessage, *CertificateMessage,
// *BlockRequest, *BlockResponse, *RejoinRequest, *CheckpointMessage, or one about snapshots: *Pruned, *SnapshotRequest, *SnapshotOffer, *ChunkRequest or
// *Chunk. A message from the network is not stepped before Verify made it a Verified. Those about snapshots are not for the core, and it ignores them.
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

// Pruned says that the sender was asked for blocks or batches that it keeps no longer: its log begins at Floor.
type Pruned struct{ Floor qc.Height }

// SnapshotRequest asks which snapshots of states above a height the receiver has; it answers with one SnapshotOffer each.
type SnapshotRequest struct{ Above qc.Height }

// SnapshotOffer describes a snapshot that the sender has: the state after the block of a checkpoint, as Bytes bytes in chunks of
// SnapshotChunkBytes, the last one shorter. The certificate says nothing of the chunks: whether they make that state is known when it was restored.
type SnapshotOffer struct {
	Certificate *qc.CheckpointCertificate
	Bytes       uint64
	Chunks      [][32]byte // SHA-256 of each
}

// ChunkRequest asks for one chunk of a snapshot that was offered.
type ChunkRequest struct {
	Height qc.Height
	Index  uint32
}

// Chunk answers a ChunkRequest. It is empty if the sender has no such snapshot any more.
type Chunk struct {
	Height qc.Height
	Index  uint32
	Data   []byte
}

const (
	// SnapshotChunkBytes is the size of a snapshot's chunks, but for the last: 1 MiB.
	SnapshotChunkBytes = 1 << 20
	// SnapshotChunksMax bounds a snapshot that is accepted: 64 GiB.
	SnapshotChunksMax = 1 << 16
)

func (*Pruned) message()             {}
func (*SnapshotRequest) message()    {}
func (*SnapshotOffer) message()      {}
func (*ChunkRequest) message()       {}
func (*Chunk) message()              {}
func (*Proposal) message()           {}
func (*VoteMessage) message()        {}
func (*TimeoutMessage) message()     {}
func (*CertificateMessage) message() {}
func (*BlockRequest) message()       {}
func (*BlockResponse) message()      {}
func (*RejoinRequest) message()      {}
func (*CheckpointMessage) message()  {}
