package hotstuff

import (
	"encoding/hex"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/qc"
)

// SafetyState is all that a replica must remember so as never to contradict itself (PROTOCOL §7, S9).
// It is synced before any message that depends on it leaves.
type SafetyState struct {
	Sequence     uint64 // k: grows by one with each write
	Epoch        qc.Epoch
	LastVoted    *qc.Vote // nil before the first vote
	LockView     qc.View
	LockBlock    qc.BlockID
	HighQC       qc.QuorumCertificate
	LastTC       *qc.TimeoutCertificate // the highest known; nil before the first
	LastTimeout  *qc.Timeout            // nil before the first timeout
	LastProposal *blocktree.Block       // whole: a restart may send it again, and nothing else in its view
	Reserved     qc.View                // the highest view in which a proposal may have left before it was on disk (safety.reserve)
	Incarnation  blocktree.Incarnation  // of the replica's own newest lane
	Nonce        Nonce                  // zero, but while the replica rejoins (rejoin.go)
	Floor        qc.View                // w of the last rejoin: nothing is signed in views up to it; 0: there was none
}

// Nonce is a random number that a replica has drawn after it had lost its safety state.
type Nonce [32]byte

// String gives the first eight hex digits, as the log shows them.
func (n Nonce) String() string { return hex.EncodeToString(n[:4]) }

// IsZero tells whether n is none.
func (n Nonce) IsZero() bool { return n == Nonce{} }

// Record is one durable fact of Ready.Persist: BlockRecord, CommitRecord, CheckpointRecord or SafetyState.
type Record interface{ record() }

// BlockRecord keeps a block, by its ID.
type BlockRecord struct{ Block *blocktree.Block }

// CommitRecord says that the block of this height on the committed chain is Block. Lanes is next(Block); it is set only
// on the last commit of a write, where a restart begins.
type CommitRecord struct {
	Height qc.Height
	Block  qc.BlockID
	Lanes  blocktree.Lanes
}

// CheckpointRecord keeps the highest checkpoint certificate.
type CheckpointRecord struct{ Certificate *qc.CheckpointCertificate }

func (BlockRecord) record()      {}
func (CommitRecord) record()     {}
func (CheckpointRecord) record() {}
func (SafetyState) record()      {}
