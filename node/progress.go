package node

import (
	"github.com/hotstuffd/hotstuffd/api/server"
	"github.com/hotstuffd/hotstuffd/qc"
)

// Progress is how far a replica has come in executing the log, and how far it knows that there is to go.
type Progress struct {
	Applied qc.Height
	// Target is the best guess at where the others are: what is committed here, or the highest state that a quorum, or f+1
	// peers, say they have come to. A replica that was away hears of the latter first.
	Target   qc.Height
	Transfer TransferStatus
}

// Behind tells whether the replica is catching up: it executes what is committed at once otherwise.
func (p Progress) Behind() bool { return p.Transfer.Active || p.Applied+behindMax < p.Target }

// Progress returns how far the replica has come. It is cheap.
func (n *Node) Progress() Progress {
	applied, _ := n.executor.progress.get()
	p := n.progress.read()
	return Progress{Applied: qc.Height(applied), Target: max(p.committed, p.certified, p.reached), Transfer: p.transfer}
}

// tellProgress adds to a status how the replica catches up, and from where on it has the log.
func (n *Node) tellProgress(s *server.Status) {
	p := n.Progress()
	if p.Behind() {
		s.CatchingUpTo = uint64(p.Target)
	}
	s.SnapshotHeight, s.SnapshotBytes, s.SnapshotHave = uint64(p.Transfer.Height), uint64(p.Transfer.Bytes), uint64(p.Transfer.Have)
	s.LogFrom = n.logFrom()
}

// logFrom is the lowest height whose commands are kept: the block at the floor is, its batches are not.
func (n *Node) logFrom() uint64 { return uint64(n.store.Floor()) + 1 }
