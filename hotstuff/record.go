package hotstuff

import (
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
	Incarnation  blocktree.Incarnation  // of the replica's own newest lane
}

// Record is one durable fact of Ready.Persist: BlockRecord, CommitRecord or SafetyState.
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

func (BlockRecord) record()  {}
func (CommitRecord) record() {}
func (SafetyState) record()  {}
