package plan

import (
	"testing"

	"github.com/hotstuffd/hotstuffd/sim"
)

// A liar may propose in whatever view he likes. `hotstuffd sim replay 5000` has one, and filled the memory with notes.
func TestProposalsFarAheadTakeNoRoom(t *testing.T) {
	w := newWatch(&Options{Nodes: 4})
	w.Sent(sim.Message{Kind: sim.KindProposal, From: 1, View: 1 << 20})
	w.Sent(sim.Message{Kind: sim.KindProposal, From: 2, View: 7})
	if n := len(w.views); n != 8 {
		t.Errorf("notes of %d views, want 8", n)
	}
}
