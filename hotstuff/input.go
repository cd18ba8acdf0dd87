package hotstuff

import (
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/qc"
)

// Input is what Step takes: Verified, Tick, Payload, PayloadStatus, Work, Peer, Load, Unchecked, Sum, OpenLane,
// Rejoined, Executed or Restored.
type Input interface{ input() }

// Tick tells the time. It comes before the other inputs of a turn, and whenever Core.Deadline is due.
type Tick struct {
	Now  qc.Ticks // never goes back
	Wall int64    // the wall clock, nanoseconds since the Unix epoch: for block times only. It may be set back
}

// Payload answers Questions.Build. No Refs means that nothing may be named now.
type Payload struct {
	View   qc.View
	Parent qc.BlockID
	Refs   []blocktree.BatchRef
}

// PayloadStatus answers Questions.Require: every batch of the block is held, checked against the block and synced; or the
// block names a batch that contradicts it, and must not be voted for.
type PayloadStatus struct {
	Block qc.BlockID
	Valid bool
}

// Work tells whether an includable batch is held: unexpired, and contiguous from next(highQC.block) (PROTOCOL §3).
type Work struct{ Includable bool }

// Peer tells that the connection to a replica is up, or known to be down.
type Peer struct {
	ID qc.NodeID
	Up bool
}

// Load tells that views should be paced, or need not be: whether payload flows at a rate at which many small views would
// cost more than they give. A lone command is never paced.
type Load struct{ Heavy bool }

// OpenLane asks for a new incarnation of the replica's own lane, above the last one and not below AtLeast. It is raised
// and synced; the driver may use it once the Ready with it is done. While the replica rejoins, no lane opens.
type OpenLane struct{ AtLeast blocktree.Incarnation }

// Rejoined tells that a block with this replica's nonce was executed, so that the certificate which committed it is known.
type Rejoined struct{ Nonce Nonce }

// Unchecked is what the votes of a VerifyRequest make a certificate of, if all of them are good. It comes before the Sum, and
// only what others check may rest on it. Only Verifier.Sum makes one that is not empty.
type Unchecked struct{ cert *qc.QuorumCertificate }

// Sum is the answer to a VerifyRequest. Only Verifier.Sum makes one that is not empty.
type Sum struct {
	view  qc.View
	block qc.BlockID
	cert  *qc.QuorumCertificate // nil when no quorum of good votes remained
	bad   []qc.NodeID           // signers whose votes do not verify

	// The same of checkpoints.
	state     qc.Checkpoint
	stateCert *qc.CheckpointCertificate
}

// Executed tells that the application has come to a state after a block whose height is a multiple of
// Limits.CheckpointEvery. It comes in order of height, after a restart from the beginning again.
type Executed struct{ Checkpoint qc.Checkpoint }

// Verified is a message that was checked as far as its kind demands. Only Verifier.Verify makes one that is not empty:
// what is not checked cannot be stepped.
type Verified struct {
	from qc.NodeID
	msg  Message
	// late: the timeout is of a view that is over. Its certificates, and its vote, still count.
	late bool
}

func (Tick) input()          {}
func (Payload) input()       {}
func (PayloadStatus) input() {}
func (Work) input()          {}
func (Peer) input()          {}
func (Load) input()          {}
func (OpenLane) input()      {}
func (Rejoined) input()      {}
func (Executed) input()      {}
func (Unchecked) input()     {}
func (Sum) input()           {}
func (Verified) input()      {}

// Certificate returns the certificate that nobody has checked, nil for the empty Unchecked.
func (u Unchecked) Certificate() *qc.QuorumCertificate { return u.cert }

// From returns the peer that sent the message.
func (v Verified) From() qc.NodeID { return v.from }

// Message returns the checked message, nil for the empty Verified.
func (v Verified) Message() Message { return v.msg }
