package hotstuff_test

import (
	"encoding/binary"
	"testing"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/pacemaker"
	"github.com/hotstuffd/hotstuffd/qc"
)

// follower is a core that n0 leads, and the proposals of one view after the other, each with one batch. The signatures are
// the mock's: what remains is the core's own work.
type follower struct {
	tb       testing.TB
	cluster  *cluster
	core     *hotstuff.Core
	verified []hotstuff.Verified // by view, from 1
	next     int
	commits  int
}

// followedViews is how many proposals a follower has: more than a core keeps of anything.
const followedViews = 512

func newFollower(tb testing.TB) *follower {
	o := defaults(4)
	o.rule = pacemaker.Fixed
	c := newCluster(tb, o)
	f := &follower{tb: tb, cluster: c}
	s := &solo{cluster: c}
	verifier := hotstuff.NewVerifier(1, c.committee, c.certs(), c.public, c.limits())
	parent := c.genesis
	for v := qc.View(1); v <= followedViews; v++ {
		parent = s.on(parent, v, func(b *blocktree.Block) {
			b.Proposer = 0
			ref := blocktree.BatchRef{Seq: uint64(v - 1), Bytes: 1000, Expiry: b.Height + 100}
			binary.BigEndian.PutUint64(ref.Digest[:], uint64(v))
			b.Payload = append(b.Payload, ref)
		})
		m, err := verifier.Verify(hotstuff.Window{View: v}, 0, &hotstuff.Proposal{Block: parent})
		if err != nil {
			tb.Fatal(err)
		}
		f.verified = append(f.verified, m)
	}
	f.restart()
	return f
}

// restart begins with the first view again.
func (f *follower) restart() {
	f.next, f.commits = 0, 0
	r := f.cluster.nodes[1]
	cfg := f.cluster.config(1)
	core, err := hotstuff.New(cfg, r.disk.recover(cfg.Leaders.Depth()), f.cluster.tick())
	if err != nil {
		f.tb.Fatal(err)
	}
	f.core = core
}

// follow takes the next proposal to the vote for it, and commits what that decides.
func (f *follower) follow() {
	v := f.verified[f.next]
	f.next++
	f.step(f.cluster.tick())
	f.step(v)
	for _, r := range f.core.Questions().Require {
		f.step(hotstuff.PayloadStatus{Block: r.Block.ID(), Valid: true})
	}
	ready := f.core.Ready()
	if !ready.Gated || len(ready.Send) != 1 {
		f.tb.Fatalf("view %d: no vote: %+v", f.next, ready)
	}
	f.commits += len(ready.Commit)
	f.core.Advance()
}

func (f *follower) step(in hotstuff.Input) {
	if err := f.core.Step(in); err != nil {
		f.tb.Fatal(err)
	}
}

// BenchmarkStepProposal follows a leader; the unit is one view: a proposal in, a vote out, a block committed.
func BenchmarkStepProposal(b *testing.B) {
	f := newFollower(b)
	b.ReportAllocs()
	for b.Loop() {
		if f.next == len(f.verified) {
			b.StopTimer()
			f.restart()
			b.StartTimer()
		}
		f.follow()
	}
}

// A view costs the core no more allocations than it did, and no more after many views than after few.
func TestAllocationsOfProposals(t *testing.T) {
	f := newFollower(t)
	for range 100 {
		f.follow()
	}
	const most = 20
	if got := testing.AllocsPerRun(200, f.follow); got > most {
		t.Errorf("a view takes %v allocations, want at most %d", got, most)
	}
	if f.commits != f.next-3 {
		t.Errorf("%d views commit %d blocks", f.next, f.commits)
	}
}
