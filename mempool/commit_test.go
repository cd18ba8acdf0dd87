package mempool_test

import (
	"testing"

	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
)

func heights(list []mempool.Execution) (hs []qc.Height) {
	for _, e := range list {
		hs = append(hs, e.Block.Height)
	}
	return hs
}

// TestExecutionIsInCommitOrder: a later block that is complete waits for an earlier one that is not (S12).
func TestExecutionIsInCommitOrder(t *testing.T) {
	s := newSolo(t, 4, nil)
	x, y := s.lane(1, laneOne, 2, "x"), s.lane(2, laneOne, 1, "y")
	s.hold(y...)
	s.commit(x...)
	s.commit(y...)
	s.commit()
	expectTrue(t, "the first block is not complete", len(s.sync().Execute) == 0)
	s.hold(x[1])
	s.Receive(1, s.verified(t, x[0]))
	e := s.sync().Execute
	expect(t, "then all go, in order", heights(e), 1, 2, 3)
	expectTrue(t, "with their batches in order", len(e[0].Batches) == 2 && e[0].Batches[1] == x[1] && e[1].Batches[0] == y[0])
	expectTrue(t, "each once", len(s.sync().Execute) == 0)
}

// TestCommittedIsLoadedBeforeItIsFetched: what this replica voted for is on its own disk; only what is not there is asked from peers, and at once.
func TestCommittedIsLoadedBeforeItIsFetched(t *testing.T) {
	s := newSolo(t, 4, nil)
	x := s.lane(2, laneOne, 2, "x")
	s.commit(x...) // proposed by replica 1
	r := s.at(0)
	expect(t, "looked for on disk", r.Load, x[0].Digest(), x[1].Digest())
	expectTrue(t, "and nowhere else yet", len(r.Fetch) == 0)
	s.Loaded(r.Load, x[:1])
	r = s.at(0)
	expectTrue(t, "what was on disk is not synced again", len(r.Persist) == 0)
	expectTrue(t, "the proposer is asked for the rest", len(r.Fetch) == 1 && r.Fetch[0].To == 1)
	expect(t, "without a grace", r.Fetch[0].Request.Digests, x[1].Digest())
	expectTrue(t, "then the next", s.at(20).Fetch[0].To == 2)
	s.Receive(1, s.verified(t, x[1]))
	expect(t, "executed", heights(s.sync().Execute), 1)
}

// TestCatchingUpIsWindowed: far behind, batches are resolved only some way ahead of execution, so memory stays bounded; execution moves the window.
func TestCatchingUpIsWindowed(t *testing.T) {
	s := newSolo(t, 4, func(c *mempool.Config) { c.ResolveBytes = 3 * (4 + 4096) })
	x := s.lane(1, laneOne, 10, "x") // four bytes each, and 4096 on top
	for _, b := range x {
		s.commit(b)
	}
	loads := s.Ready().Load
	expect(t, "three batches", loads, x[0].Digest(), x[1].Digest(), x[2].Digest())
	s.Loaded(loads, x[:3])
	expect(t, "they are executed", heights(s.sync().Execute), 1, 2, 3)
	expectTrue(t, "and hold the window until that is done", len(s.Ready().Load) == 0)
	s.Executed(2)
	expect(t, "it moves by two", s.Ready().Load, x[3].Digest(), x[4].Digest())
	s.Executed(3)
	expect(t, "and by one", s.Ready().Load, x[5].Digest())
	expectTrue(t, "the backlog is all that is left", s.Stats().BacklogBytes == 7*4)
}

// TestWindowMovesOverWhatIsComplete: blocks beyond the window that miss nothing are executed when it comes to them.
func TestWindowMovesOverWhatIsComplete(t *testing.T) {
	s := newSolo(t, 4, func(c *mempool.Config) { c.ResolveBytes = 1 })
	x := s.lane(1, laneOne, 2, "x")
	s.hold(x...)
	s.commit(x[0])
	s.commit()
	s.commit(x[1])
	expect(t, "the first fills the window", heights(s.sync().Execute), 1)
	s.Executed(1)
	r := s.sync()
	expect(t, "then the next", heights(r.Execute), 2)
	expect(t, "and what has left memory is loaded", r.Load, x[1].Digest())
	s.Loaded(r.Load, x[1:])
	expect(t, "and executed", heights(s.sync().Execute), 3)
}

// TestLoneReplicaResolvesFromItsDisk: in a committee of one nobody can be asked, and nothing spins.
func TestLoneReplicaResolvesFromItsDisk(t *testing.T) {
	s := newSolo(t, 1, nil)
	x := s.lane(0, laneOne, 1, "x")
	s.commit(x...)
	r := s.sync()
	s.Loaded(r.Load, nil)
	for now := range qc.Ticks(100) {
		expectTrue(t, "nobody is asked", len(s.at(now).Fetch) == 0)
	}
	_, ok := s.Deadline()
	expectTrue(t, "and the driver can sleep", !ok)
	s.Receive(1, s.verified(t, x[0]))
	expect(t, "executed", heights(s.sync().Execute), 1)
}

// TestFetchGoesOnWhenABlockCommits: a batch that is being fetched for a vote stays in the rotation, and memory is given back when all is done.
func TestFetchGoesOnWhenABlockCommits(t *testing.T) {
	s := newSolo(t, 4, nil)
	x := s.lane(1, laneOne, 1, "x")
	s.Require(s.block(1, x...), s.tip)
	expectTrue(t, "asked once", len(s.at(5).Fetch) == 1)
	s.commit(x...)
	expectTrue(t, "not looked for on disk: it was not there", len(s.Ready().Load) == 0)
	expectTrue(t, "asked again", s.at(25).Fetch[0].To == 2)
	s.Receive(1, s.verified(t, x[0]))
	expect(t, "executed", heights(s.sync().Execute), 1)
	s.Executed(1)
	st := s.Stats()
	expectTrue(t, "nothing is left", st == mempool.Stats{})
}
