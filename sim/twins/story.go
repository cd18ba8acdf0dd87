package twins

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
)

// A story is what a run says for a reader: who sends, commits and restarts what, round by round. Runs are told only once they
// are found to be wrong, by playing them again.

// tell plays a scenario that broke a rule again, and returns its story with it.
func (w *world) tell(s *Scenario) *Violation {
	var story strings.Builder
	w.story = &story
	defer func() { w.story = nil }()
	v := w.play(s)
	v.Story = story.String()
	return v
}

func (w *world) note(x *instance, format string, args ...any) {
	if w.story != nil {
		fmt.Fprintf(w.story, "  %s %s\n", w.name(x), fmt.Sprintf(format, args...))
	}
}

func (w *world) noteRound() {
	switch {
	case w.story == nil:
	case w.round == 0:
		fmt.Fprintf(w.story, "tail: %v\n", w.scenario.Tail)
	default:
		fmt.Fprintf(w.story, "round %d\n", w.round)
	}
}

func (w *world) noteSend(x *instance, e hotstuff.Envelope) {
	if w.story == nil {
		return
	}
	to := "all"
	if !e.Broadcast {
		to = e.To.String()
	}
	w.note(x, "in view %d sends %s to %s", x.core.View(), describe(e.Message), to)
}

func describe(m hotstuff.Message) string {
	switch m := m.(type) {
	case *hotstuff.Proposal:
		text := fmt.Sprintf("block %v of view %d on %s", m.Block.ID(), m.Block.View, describeQC(&m.Block.Justify))
		if m.Block.TC != nil {
			text += " with " + describeTC(m.Block.TC)
		}
		return text
	case *hotstuff.VoteMessage:
		return fmt.Sprintf("vote for %v of view %d", m.Vote.Block, m.Vote.View)
	case *hotstuff.TimeoutMessage:
		text := fmt.Sprintf("timeout of view %d with %s", m.Timeout.View, describeQC(&m.Timeout.HighQC))
		if m.Timeout.Vote != nil {
			text += fmt.Sprintf(" and its vote for %v", m.Timeout.Vote.Block)
		}
		return text
	case *hotstuff.CertificateMessage:
		if m.TC != nil {
			return describeTC(m.TC)
		}
		return describeQC(m.QC)
	case *hotstuff.BlockRequest:
		return fmt.Sprintf("request for %v from height %d", m.Target, m.From)
	}
	return fmt.Sprintf("%T", m)
}

func describeQC(q *qc.QuorumCertificate) string {
	return fmt.Sprintf("QC(%d, %v) by %v", q.View, q.Block, q.Signers.Members())
}

func describeTC(tc *qc.TimeoutCertificate) string {
	views := slices.Clone(tc.HighQCViews)
	return fmt.Sprintf("TC(%d) by %v, high QC views %v", tc.View, tc.Signers.Members(), views)
}
