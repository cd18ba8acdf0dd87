package hotstuff_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
)

// snapshot is what a replica has to give of its newest certified state.
func (c *cluster) snapshot(of *replica) hotstuff.Restored {
	cert := of.disk.certified
	at := cert.Checkpoint.Height
	s := hotstuff.Restored{Certificate: cert, Block: of.disk.blocks[cert.Checkpoint.Block], Lanes: make(blocktree.Lanes, c.opt.n)}
	depth := qc.Height(c.config(of.id).Leaders.Depth())
	for h := qc.Height(1); h <= at; h++ {
		b := of.disk.blocks[of.disk.chain[h]]
		var err error
		if s.Lanes, err = s.Lanes.Extend(b.Payload, h, 10_000, nil); err != nil {
			c.fatal("%v", err)
		}
		if h < at && at-h <= depth {
			s.Below = append(s.Below, b)
		}
	}
	return s
}

// restore has a replica take over a snapshot, and its disk with it.
func (c *cluster) restore(r *replica, s hotstuff.Restored) {
	if at := s.Block.Height; at >= qc.Height(len(r.disk.chain)) {
		r.disk.chain = slices.Clone(c.chain[:at])
		for _, id := range r.disk.chain {
			r.disk.blocks[id] = c.nodes[0].disk.blocks[id] // as if it had executed them
		}
		r.past.committed, r.past.fresh = at, false
	}
	c.turn(r, s)
}

// TestGoesOnFromSnapshot: a replica that takes over a snapshot fetches nothing below it, follows, commits what the others
// commit, votes, and a restart stands on the snapshot's block.
func TestGoesOnFromSnapshot(t *testing.T) {
	c := newCheckpointed(t)
	for _, r := range c.nodes[:3] {
		c.start(r)
	}
	c.work(40)
	s := c.snapshot(c.nodes[0])
	r := c.nodes[3]
	c.start(r)
	c.restore(r, s)
	if got := r.core.Tree().Committed().Block.ID(); got != s.Block.ID() {
		t.Fatalf("committed %s, want the snapshot's %s", c.label(got), c.label(s.Block.ID()))
	}
	if got := r.core.Checkpoints().Certified; got != s.Block.Height {
		t.Errorf("certified height %d, want %d", got, s.Block.Height)
	}
	below := 0
	c.drops = append(c.drops, func(p packet) bool {
		if m, ok := p.msg.(*hotstuff.BlockRequest); ok && p.from == 3 && m.From <= s.Block.Height {
			below++
		}
		return false
	})
	c.crash(c.nodes[2]) // from here on a quorum needs the restored one
	c.run(30_000, true)
	before := c.height()
	c.work(12)
	if below > 0 {
		t.Errorf("%d requests for blocks below the snapshot", below)
	}
	if got := r.core.Tree().Committed().Block.Height; got < before+8 || r.core.Votes() == 0 {
		t.Errorf("height %d, %d votes: it does not take part in what came after height %d", got, r.core.Votes(), before)
	}
	c.crash(r)
	c.start(r)
	c.work(8)
	if got := r.core.Tree().Committed().Block.Height; got < before+12 {
		t.Errorf("height %d after a restart, which came after height %d", got, before+12)
	}
}

// TestSnapshotLowersNothing: neither what was signed nor the chain goes back for a snapshot, and one that comes late
// changes nothing (PROTOCOL §9).
func TestSnapshotLowersNothing(t *testing.T) {
	c := newCheckpointed(t)
	c.startAll()
	c.work(24)
	r := c.nodes[1]
	s := c.snapshot(r)
	c.work(10)
	before, view, at := r.core.Safety(), r.core.View(), r.core.Tree().Committed()
	c.restore(r, s)
	after := r.core.Safety()
	if r.core.View() < view || r.core.Tree().Committed() != at || after.LockView < before.LockView || after.HighQC.View < before.HighQC.View ||
		after.LastVoted.View < before.LastVoted.View {
		t.Errorf("from view %d, height %d, %+v to view %d, height %d, %+v", view, at.Block.Height, before, r.core.View(),
			r.core.Tree().Committed().Block.Height, after)
	}
	c.work(8)
}

// TestSnapshotKeepsItsBranch: what a replica holds above the snapshot's block it keeps, and its certificates commit at
// once what they commit.
func TestSnapshotKeepsItsBranch(t *testing.T) {
	c := newCheckpointed(t)
	c.startAll()
	c.work(16)
	r := c.nodes[3]
	c.drops = append(c.drops, func(p packet) bool { _, fetched := p.msg.(*hotstuff.BlockResponse); return p.to == 3 && fetched })
	hole, lost := c.height()+5, 0 // one block, so that the branch above has no root
	c.drops = append(c.drops, func(p packet) bool {
		m, ok := p.msg.(*hotstuff.Proposal)
		if ok && p.to == 3 && m.Block.Height == hole {
			lost++
			return true
		}
		return false
	})
	c.work(14)
	if got := r.core.Tree().Committed().Block.Height; lost == 0 || got > hole {
		t.Fatalf("height %d without a block at %d, lost %d times", got, hole, lost)
	}
	s := c.snapshot(c.nodes[0])
	c.restore(r, s)
	if got := r.core.Tree().Committed().Block.Height; got < s.Block.Height {
		t.Errorf("height %d, below the snapshot's %d", got, s.Block.Height)
	}
	c.drops = nil
	c.work(8)
	if got, want := r.core.Tree().Committed().Block.Height, c.height(); got+4 < want {
		t.Errorf("height %d, the others are at %d", got, want)
	}
}

// TestSnapshotIsCompared: a certificate of another state than ours halts us, whatever brings it (S15).
func TestSnapshotIsCompared(t *testing.T) {
	c := newCheckpointed(t)
	c.nodes[3].wrongAt = 1
	c.startAll()
	c.drops = append(c.drops, func(p packet) bool { _, is := p.msg.(*hotstuff.CheckpointMessage); return is && p.to == 3 })
	c.work(10)
	r := c.nodes[3]
	if r.halted != nil {
		t.Fatalf("halted early: %v", r.halted)
	}
	c.turn(r, c.snapshot(c.nodes[0]))
	var d *hotstuff.DivergedError
	if !errors.As(r.halted, &d) {
		t.Errorf("halted with %v, want a diverged state", r.halted)
	}
}
