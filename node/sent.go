package node

import (
	"context"
	"log/slog"

	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
)

// sentLog shows at debug level, a line each, what this replica has signed for a view, before it leaves: whoever reads the
// logs of all its lives can tell whether it ever contradicted itself, as cmd/killtest does. Repeats are shown again.
type sentLog struct {
	self   qc.NodeID
	logger *slog.Logger
}

// show tells of a message that is about to be sent. A vote that a timeout carries comes before the timeout, so that a vote
// which follows its view's timeout is one that must not be.
func (l sentLog) show(message any) {
	if !l.logger.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	switch m := message.(type) {
	case *hotstuff.VoteMessage:
		l.block("sent vote", m.Vote.View, m.Vote.Block)
	case *hotstuff.TimeoutMessage:
		t := m.Timeout
		if t.Vote != nil {
			l.block("sent vote", t.Vote.View, t.Vote.Block)
		}
		l.logger.Debug("sent timeout", "view", t.View, "high_qc_view", t.HighQC.View)
		l.certificate(&t.HighQC)
	case *hotstuff.Proposal:
		l.block("sent proposal", m.Block.View, m.Block.ID())
		l.certificate(&m.Block.Justify)
	case *hotstuff.CertificateMessage:
		if m.QC != nil {
			l.certificate(m.QC)
		}
	}
}

// certificate tells of a certificate that has a vote of this replica in its sum. A vote that the replica has counted by
// itself, for it leads the next view, leaves in no other way.
func (l sentLog) certificate(c *qc.QuorumCertificate) {
	if c.View > 0 && c.Signers.Has(l.self) {
		l.block("sent certificate", c.View, c.Block)
	}
}

func (l sentLog) block(what string, view qc.View, block qc.BlockID) {
	l.logger.Debug(what, "view", view, "block", block.Hex())
}
