package sim

import (
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
)

// Observer is told what happens in a run, as it happens, in the order of time. It changes nothing.
type Observer interface {
	// Sent is a message between two replicas that has been put on its way.
	Sent(Message)
	// Entered is a replica that has entered a view, by a timeout certificate or by one of votes.
	Entered(id qc.NodeID, v qc.View, byTimeout bool, at qc.Ticks)
	// Executed is a committed block whose commands a replica's application has applied.
	Executed(id qc.NodeID, b *blocktree.Block, commands int, at qc.Ticks)
	// Answered is the outcome of a client's request; err is nil if it was applied.
	Answered(id qc.NodeID, asked, at qc.Ticks, err error)
	// Over is the end of Config.Duration. Usage is by replica, and nil without Config.Costs.
	Over(usage []Usage)
}

// Message is a message on its way.
type Message struct {
	From, To      qc.NodeID
	Kind          Kind
	View          qc.View  // of a proposal, a vote or a timeout; else 0
	Bytes         int      // of its frame
	Sent, Arrives qc.Ticks // Sent: it begins to leave its sender
}

// Kind is what a message is.
type Kind uint8

// The kinds of messages.
const (
	KindOther Kind = iota
	KindProposal
	KindVote
	KindTimeout
	KindCertificate
	KindBlockRequest
	KindBlocks
	KindBatch
	KindBatchRequest
	KindRejoin
	KindCheckpoint
	kindsEnd
)

// Kinds is the number of kinds.
const Kinds = int(kindsEnd)

var kindNames = [Kinds]string{"other", "proposal", "vote", "timeout", "certificate", "block request", "blocks", "batch", "batch request", "rejoin request", "checkpoint"}

// String returns the kind in words.
func (k Kind) String() string { return kindNames[k] }

func kindOf(message any) Kind {
	if k := Kind(typeOf(message)); k < kindsEnd {
		return k
	}
	return KindOther
}

func viewOf(message any) qc.View {
	switch m := message.(type) {
	case *hotstuff.Proposal:
		return m.Block.View
	case *hotstuff.VoteMessage:
		return m.Vote.View
	case *hotstuff.TimeoutMessage:
		return m.Timeout.View
	}
	return 0
}

func commandsIn(e mempool.Execution) (n int) {
	for _, b := range e.Batches {
		n += int(b.Count)
	}
	return n
}
