package sim

import (
	"math/bits"

	"github.com/hotstuffd/hotstuffd/config"
	"github.com/hotstuffd/hotstuffd/qc"
)

// ViewsMax bounds the views from one commit to the next while nothing goes wrong but that the run's dead and
// Byzantine replicas, at most f, are what they are, and views last long enough. Views are counted as Counts.Views
// counts them.
//
// Let view v be live if a correct replica leads it. All correct replicas vote for the block of a live view, on the
// highest certificate that its leader knows; so QC(v) can be made by whoever has their votes. If v+1 is live, its
// leader has them, and builds on QC(v). If not, every correct replica gets them by timeouts and releases (PROTOCOL
// §3) before the next live leader proposes. Three certified views on end commit.
//
// Nobody proposes in the other views (dead leaders, or those that swallow). The live views of a rotation, at least
// 2f+1, fall into at most f runs, so one run has three: from any view on, three live ones in a row end within n+2
// views. The third certificate is known one view later. One more view may be half over when the count begins, and a
// commit is counted when it is noted on disk, with the next vote: n+5.
//
// Byzantine leaders propose. A run of L live views no longer commits for certain when L is 3: the block b of the view
// s after it may be certified although it is not built on the run's last certificate, and whoever knows QC(s)
// collects older votes no more (docs/model.md). Say then out = 1 for this run, else 0; the last live view is lost.
// And say in = 1 for the run after s, if its first block is built on b: then b lengthens that run by one. A run
// commits unless
//
//	in + L − out ≤ 2.
//
// If s is a gap of its own, what a run loses the next one wins: whoever leads s+1 either knows QC(s), and builds on
// b, or has the votes, and b was not harmful. If the gap is longer, it has used up two faulty leaders and leaves one
// run fewer. So with R runs on end, none of which commits, the number of their live views is at most 2R + out(last) −
// in(first) ≤ 2R + 1. In one rotation that can be: R = f, and 2f+1 live views. In two it cannot, for 4f+2 > 2·2f + 1.
// The first whole run begins within three live views (a longer one commits) and a gap of at most f; then come two
// rotations; and three views are for the reasons above: 2n + f + 6.
//
// With the schedule reputation this holds as well: until three certified views on end are known to somebody, and so
// committed, the roster leads. Fixed has the same live leader always.
func (c *Config) ViewsMax() qc.View {
	n := qc.View(c.Nodes)
	for _, b := range c.Byzantine {
		proposes := b&Swallow == 0 || b&ForgeProposal != 0
		if proposes && c.Leaders != config.LeadersFixed {
			return 2*n + (n-1)/3 + 6
		}
	}
	return n + 5
}

// HealedViewsMax bounds the views from the end of the faults to the next commit. Beside ViewsMax it takes the views
// in which some timeout is still shorter than the real delays. Such a view is left by a timeout certificate, and each
// of those doubles the timeout of who enters by it; after log2(max/base) + 1 of them it is at its cap, which exceeds
// the delays (L7). Of any three views on end without a commit at least one is left so; where Byzantine leaders
// prevent that, by blocks that are certified in the place of others, it is what the second rotation of ViewsMax is
// for.
func (c *Config) HealedViewsMax() qc.View {
	steps := bits.Len64(uint64((c.Pacemaker.MaxTimeout-1)/c.Pacemaker.BaseTimeout)) + 1
	return c.ViewsMax() + 3*qc.View(steps)
}
