package hotstuff

import (
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/qc"
)

// Ready is what the world must now do, in the order of the fields. Its slices are the caller's until Advance.
type Ready struct {
	// First rests on nothing that Persist holds, and leaves before that is written: proposals of views that were reserved by
	// an earlier write, and certificates for others to check.
	First []Envelope
	// Persist is one atomic batch, synced when it is written.
	Persist []Record
	// Gated: Send rests on Persist and leaves only once that is durable. A restart would otherwise forget a vote that others
	// count (S9). Without it Persist holds only what this replica has learnt, and Send need not wait.
	Gated bool
	Send  []Envelope
	// Commit lists newly committed blocks, oldest first, each once (S12).
	Commit []Committed
	// Verify lists sums of votes to check off the loop.
	Verify []VerifyRequest
	// Dropped counts what was refused in this step, for metrics and the log.
	Dropped []Drop
	// Push: half of the view's time is gone and work waits; show it to the leader again.
	Push bool
}

// Envelope is one message to one peer, or to all peers.
type Envelope struct {
	To        qc.NodeID // meaningless with Broadcast
	Broadcast bool
	Message   Message
}

// Committed is a committed block and the lanes after it.
type Committed struct {
	Block *blocktree.Block
	Lanes blocktree.Lanes
}

// Requirement is a block whose payload must be held before it can be voted for.
type Requirement struct {
	Block  *blocktree.Block
	Before blocktree.Lanes // next(parent)
}

// PayloadRequest asks what a block of Height on Parent may name.
type PayloadRequest struct {
	View   qc.View
	Parent qc.BlockID
	Height qc.Height
	Lanes  blocktree.Lanes // next(Parent)
}

// VerifyRequest asks for the sum of votes for one block in one view; or, if there are Checkpoints, of signatures of one
// state.
type VerifyRequest struct {
	View  qc.View
	Block qc.BlockID
	Votes []qc.Vote
	Ahead bool // the sum is wanted at once, as Unchecked, and again when it is checked

	Checkpoint  qc.Checkpoint
	Checkpoints []qc.SignedCheckpoint
}

// Drop says that something from a peer was refused, and why.
type Drop struct {
	From   qc.NodeID
	Reason error
}

// Questions are what the core asks of the mempool. Both are pure, so the driver answers before it takes the Ready: one
// turn then costs one synced write, whatever it brings about.
type Questions struct {
	// Require lists blocks whose payload must be known to be held and synced before a vote; each is answered, at any
	// later time, by a PayloadStatus.
	Require []Requirement
	// Build asks for a payload to propose, to be answered at once by a Payload.
	Build *PayloadRequest
}

// Questions returns what the core asks, and forgets that it asked.
func (c *Core) Questions() Questions {
	q := Questions{Require: c.require, Build: c.build}
	c.require = nil
	return q
}

// Ready returns what is to be done since the last Advance.
func (c *Core) Ready() Ready {
	r := &c.out
	r.Gated = r.Gated || c.gated
	commits := len(c.commits) > 0 && (c.gated || len(r.Persist) > 0)
	if c.gated || commits {
		c.safety.state.Sequence++
		r.Persist = append(r.Persist, c.safety.state)
		c.gated, c.reserving = false, c.safety.state.Reserved
	}
	if commits {
		// They gate nothing and ride along: a restart without them finds them again by the high QC, and what was decided stays
		// decided by the votes on a quorum's disks. They never go without the safety state, or a restart would find its high
		// QC below its committed block.
		c.commits[len(c.commits)-1].Lanes = c.tree.Committed().Lanes
		for _, rec := range c.commits {
			r.Persist = append(r.Persist, rec)
		}
		c.commits = c.commits[:0]
	}
	return *r
}

// Advance says that everything in the last Ready was done, or is under way where its order allows it.
func (c *Core) Advance() {
	c.out = Ready{}
	c.reserved = c.reserving
}

func (c *Core) send(to qc.NodeID, m Message) {
	c.out.Send = append(c.out.Send, Envelope{To: to, Message: m})
}

func (c *Core) broadcast(m Message) {
	c.out.Send = append(c.out.Send, Envelope{Broadcast: true, Message: m})
}

func (c *Core) drop(from qc.NodeID, reason error) {
	c.out.Dropped = append(c.out.Dropped, Drop{From: from, Reason: reason})
}
