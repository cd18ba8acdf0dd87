package outage

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hotstuffd/hotstuffd/config"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/sim"
)

// scenario is a run of a few dozen views in which batches, segments, tables and checkpoints come and go. Every other one
// has a Byzantine replica.
func scenario(seed uint64) sim.Config {
	r := rand.New(rand.NewPCG(seed, 0))
	c := sim.Calm(seed, 4)
	c.Duration = 1300
	c.Limits.CheckpointInterval = 1 + qc.Height(r.IntN(4))
	c.Latency = sim.Latency{Min: 1, Max: qc.Ticks(2 + r.IntN(20)), Jitter: 2}
	c.DetectWithin = qc.Ticks(20 + r.IntN(2000))
	c.SyncTime = qc.Ticks(1 + r.IntN(30))
	c.Crashes.For = qc.Ticks(20 + r.IntN(300))
	c.Pacemaker.BaseTimeout = 20 * time.Millisecond
	c.Pacemaker.MaxTimeout = 300 * time.Millisecond
	c.Pacemaker.Heartbeat = 50 * time.Millisecond
	c.Pacemaker.MinView = 2 * time.Millisecond
	c.Clients = sim.Clients{Count: 3, Pipeline: 3, Think: 40, Reads: 0.2, Bytes: 60, Sessions: 1}
	if seed%3 == 1 {
		c.Leaders, c.Limits.ReputationWindow = config.LeadersReputation, 4
	}
	if seed%2 == 1 {
		c.Byzantine = map[qc.NodeID]sim.Behaviors{qc.NodeID(r.IntN(4)): byzantine[seed/2%uint64(len(byzantine))]}
	}
	return c
}

// byzantine are those who make the most of a replica that forgets.
var byzantine = []sim.Behaviors{
	sim.Equivocate | sim.Replay,
	sim.WithholdCert | sim.VoteForAll,
	sim.EarlyTimeout | sim.ForkLane,
	sim.WithholdProposal | sim.WithholdVote | sim.StaleCert,
}

// The power of a node, of several or of all fails at any operation on a disk, again and again. The nodes start again from
// what is left, and nothing that was said or acknowledged before is contradicted (S9, S13, S17, L12).
func TestPowerCutsOfNodes(t *testing.T) {
	var n counts
	t.Run("scenarios", func(t *testing.T) {
		for seed := range ofCampaign[uint64](12, 2) {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				everywhere(t, seed, &n)
			})
		}
	})
	t.Log(&n)
	if want := ofCampaign[int64](3_000, 50); n.points.Load() < want && *again == "" && !raceDetector {
		t.Errorf("%d operations were cut at, want %d at least", n.points.Load(), want)
	}
}

// everywhere plays a scenario once, and then again for operations of each correct replica at which the power fails.
func everywhere(t *testing.T, seed uint64, n *counts) {
	base := play(t, scenario(seed), newSite(outage{name: fmt.Sprintf("%d/none", seed)}))
	base.check(t)
	n.plain(base)
	correct := slices.Sorted(maps.Keys(base.calmAt))
	steps := rand.New(rand.NewPCG(seed, 1)) // even ones would meet some operations alone: a write of a store has four
	for _, id := range correct {
		for at := int64(0); at < base.calmAt[id]; at += 1 + steps.Int64N(ofCampaign[int64](12, short)) {
			for variant := range 2 {
				o := plan(seed, id, at, variant, correct)
				if *again != "" && *again != o.name {
					continue
				}
				p := play(t, scenario(seed), newSite(o))
				p.check(t)
				n.add(p)
			}
		}
	}
}

// plan makes the rest of an outage by chance: who loses the power with the first, and who loses it again while it starts.
func plan(seed uint64, id qc.NodeID, at int64, variant int, correct []qc.NodeID) outage {
	where := fmt.Sprintf("%d/%d/%d", seed, id, at)
	o := outage{name: fmt.Sprintf("%s/%d", where, variant), seed: hash(fmt.Sprintf("%s/%d", where, variant)), variant: variant,
		cuts: map[qc.NodeID][]cut{id: {{operations: at}}}}
	r := rand.New(rand.NewPCG(hash(where), 0))
	others := r.IntN(6)
	for _, other := range correct {
		if other != id && (others == 0 || others == 1 && r.IntN(2) == 0) {
			o.also = append(o.also, other)
		}
	}
	for _, other := range append(slices.Clone(o.also), id) {
		if other != id {
			o.cuts[other] = []cut{{operations: 1 << 40}} // its first life ends with the other's
		}
		for len(o.cuts[other]) < 4 && r.IntN(2) == 0 {
			o.cuts[other] = append(o.cuts[other], cut{r.IntN(2) == 0, r.Int64N(32)})
		}
	}
	return o
}

// counts is what a campaign has come to.
type counts struct {
	points, images, repeats, cuts, several, all, again atomic.Int64
	views, commits, requests, operations               atomic.Int64
}

func (n *counts) plain(p played) {
	for _, m := range p.calmAt {
		n.operations.Add(m)
	}
}

func (n *counts) add(p played) {
	switch {
	case !p.met: // among the last: old tables are removed sooner or later
		return
	case p.repeats:
		n.repeats.Add(1)
		return
	case p.outage.variant == 0:
		n.points.Add(1)
	}
	n.images.Add(1)
	n.cuts.Add(int64(len(p.found)))
	if len(p.outage.also) > 0 {
		n.several.Add(1)
	}
	if len(p.outage.also)+1 == len(p.machines) {
		n.all.Add(1)
	}
	for _, f := range p.found {
		if f.life > 1 {
			n.again.Add(1)
		}
	}
	n.views.Add(int64(p.Counts.Views))
	n.commits.Add(int64(p.Counts.Commits))
	n.requests.Add(int64(p.Counts.Requests))
}

func (n *counts) String() string {
	return fmt.Sprintf("%d power cuts of whole nodes at %d of %d operations: %d runs, in %d of them of several nodes at once, in %d of all; "+
		"%d cuts were of a node that was starting again; %d views, %d commits, %d requests answered; nothing refused (%d more were equal to others)",
		n.cuts.Load(), n.points.Load(), n.operations.Load(), n.images.Load(), n.several.Load(), n.all.Load(), n.again.Load(),
		n.views.Load(), n.commits.Load(), n.requests.Load(), n.repeats.Load())
}
