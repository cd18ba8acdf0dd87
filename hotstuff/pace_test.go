package hotstuff_test

import (
	"testing"

	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
)

// TestPaceIsOfTheWholeView: under load a leader waits until MinView after its vote for the block before, so that a view that
// takes longer by itself is not made longer still. Without load, and where MinView is 0, it never waits.
func TestPaceIsOfTheWholeView(t *testing.T) {
	for _, c := range []struct {
		name         string
		heavy        bool
		minView      qc.Ticks
		certified    qc.Ticks // after the vote
		wantProposal qc.Ticks
	}{
		{"short view", true, 60, 10, 60},
		{"long view", true, 60, 100, 100},
		{"light load", false, 60, 10, 10},
		{"never paced", true, 0, 10, 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := defaults(4)
			o.timing.MinView = c.minView
			s := &solo{cluster: newCluster(t, o), t: t}
			s.r = s.nodes[0]
			s.start(s.r)
			s.turn(s.r, hotstuff.Load{Heavy: c.heavy})
			s.submit(1, "a")
			bs := s.chainOf(1, 2, 3) // n0 leads view 4
			for _, b := range bs[1:] {
				s.propose(b) // it votes for each; the last vote stays with it
			}
			votedAt := s.now
			s.wait(votedAt + c.certified)
			said := s.giveQC(bs[3])
			for len(of(said, "proposal")) == 0 && s.now < votedAt+200 {
				said = s.wait(s.now + 1)
			}
			if got := s.now - votedAt; got != c.wantProposal {
				t.Errorf("it proposes %d after its vote, want %d", got, c.wantProposal)
			}
		})
	}
}
