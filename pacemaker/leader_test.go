package pacemaker_test

import (
	"fmt"
	"math/bits"
	"testing"

	"github.com/hotstuffd/hotstuffd/pacemaker"
	"github.com/hotstuffd/hotstuffd/qc"
)

// branch is a chain of links from the tip down; genesis is the last.
type branch []pacemaker.Link

func (b branch) at(depth int) (pacemaker.Link, bool) {
	if depth >= len(b) {
		return pacemaker.Link{}, false
	}
	return b[depth], true
}

// grow puts a block of a view on top, its justify signed by the given replicas.
func (b branch) grow(v qc.View, proposer qc.NodeID, signers ...qc.NodeID) branch {
	link := pacemaker.Link{View: v, Height: b[0].Height + 1, Proposer: proposer, Signers: qc.NewBitmap(16)}
	for _, id := range signers {
		link.Signers.Set(id)
	}
	return append(branch{link}, b...)
}

func genesis() branch { return branch{{Signers: qc.NewBitmap(16)}} }

// steady is a chain of consecutive views 1..top, led in turn, all signed by the same replicas.
func steady(n int, top qc.View, signers ...qc.NodeID) branch {
	b := genesis()
	for v := qc.View(1); v <= top; v++ {
		b = b.grow(v, qc.NodeID(int(v)%n), signers...)
	}
	return b
}

func TestFixedAndRoundRobin(t *testing.T) {
	b := steady(4, 20, 0, 1, 2)
	for v := qc.View(21); v < 30; v++ {
		if got := (pacemaker.LeaderRule{Schedule: pacemaker.RoundRobin, Size: 4, Faults: 1, Window: 4}).Leader(v, b.at); got != qc.NodeID(v%4) {
			t.Errorf("round-robin, view %d: %v", v, got)
		}
		if got := (pacemaker.LeaderRule{Schedule: pacemaker.Fixed, Size: 4}).Leader(v, b.at); got != 0 {
			t.Errorf("fixed, view %d: %v", v, got)
		}
	}
}

func TestParseSchedule(t *testing.T) {
	for name, want := range map[string]pacemaker.Schedule{"reputation": pacemaker.Reputation, "round-robin": pacemaker.RoundRobin, "fixed": pacemaker.Fixed} {
		if got, err := pacemaker.ParseSchedule(name); got != want || err != nil {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if _, err := pacemaker.ParseSchedule("rotation"); err == nil {
		t.Error("a misspelt schedule was accepted")
	}
}

// TestReputation shows each part of the leader function (PROTOCOL §4) with n = 7, f = 2, W = 4. Replica 6 never signs.
func TestReputation(t *testing.T) {
	rule := pacemaker.LeaderRule{Schedule: pacemaker.Reputation, Size: 7, Faults: 2, Window: 4}
	all := []qc.NodeID{0, 1, 2, 3, 4, 5}
	b := steady(7, 20, all...)
	// The grandparent of view 21's block is b18, the last two proposers there are 18%7=4 and 17%7=3: {0,1,2,5} remain.
	if got := rule.Leader(21, b.at); got != 1 {
		t.Errorf("steady: %v, want n1, which is {0,1,2,5}[21 mod 4]", got)
	}
	for name, c := range map[string]struct {
		view   qc.View
		branch branch
	}{
		"a view was skipped at the tip":    {22, b},
		"at the parent":                    {22, steady(7, 19, all...).grow(21, 0, all...)},
		"at the grandparent":               {22, steady(7, 18, all...).grow(20, 0, all...).grow(21, 0, all...)},
		"the window reaches genesis":       {7, steady(7, 6, all...)},
		"nobody is eligible":               {21, steady(7, 20, 3, 4)},
		"the branch is not held that deep": {21, b[:5]},
	} {
		if got := rule.Leader(c.view, c.branch.at); got != qc.NodeID(c.view%7) {
			t.Errorf("%s: %v, want the roster's n%d", name, got, c.view%7)
		}
	}
	// c.height = W+1 is the first that counts.
	if got, want := rule.Leader(8, steady(7, 7, all...).at), qc.NodeID(0); got != want {
		t.Errorf("just above the window: %v, want %v of {0,1,2,3}", got, want)
	}
	// Only W justifies are read, those of b15 to b18: who signed b14's is not eligible, who signed b15's is.
	for first, want := range map[qc.View]qc.NodeID{14: 0, 15: 6} {
		b := genesis()
		for v := qc.View(1); v <= 20; v++ {
			signer := qc.NodeID(0)
			if v == first {
				signer = 6
			}
			b = b.grow(v, 3, signer)
		}
		if got := rule.Leader(21, b.at); got != want {
			t.Errorf("n6 signed the justify of b%d alone: %v leads, want %v", first, got, want)
		}
	}
}

// TestWindowShorterThanTheExclusion: W counts justifies also where more proposers than that are excluded.
func TestWindowShorterThanTheExclusion(t *testing.T) {
	b := genesis()
	for v := qc.View(1); v <= 20; v++ {
		signer := qc.NodeID(0)
		if v == 17 {
			signer = 6 // of the justify of b17, below the window of b18 alone
		}
		b = b.grow(v, 3, signer)
	}
	rule := pacemaker.LeaderRule{Schedule: pacemaker.Reputation, Size: 7, Faults: 2, Window: 1}
	if got := rule.Leader(21, b.at); got != 0 {
		t.Errorf("%v leads, want n0", got)
	}
}

// TestLeaderReadsWithinDepth: a tree that keeps Depth blocks below the committed one can always evaluate the function.
func TestLeaderReadsWithinDepth(t *testing.T) {
	for _, rule := range []pacemaker.LeaderRule{{Size: 4, Faults: 1, Window: 8}, {Size: 31, Faults: 10, Window: 2}} {
		b, deepest := steady(4, 100, 0, 1, 2), 0
		rule.Leader(101, func(d int) (pacemaker.Link, bool) { deepest = max(deepest, d); return b.at(d) })
		if deepest > rule.Depth() || deepest < rule.Window {
			t.Errorf("%+v reads %d deep, Depth is %d", rule, deepest, rule.Depth())
		}
	}
}

// TestThreeLiveLeadersInARow simulates chains with every set of at most f dead, who die at different moments: within two
// rotations three consecutive views have live leaders, so a block commits (L15). Whatever quorum of the living signs.
func TestThreeLiveLeadersInARow(t *testing.T) {
	for _, n := range []int{4, 7, 10} {
		f := (n - 1) / 3
		for dead := range uint(1) << n {
			if d := bits.OnesCount(dead); d == 0 || d > f {
				continue
			}
			for _, w := range []int{1, 4, 8, 16} {
				for _, schedule := range []pacemaker.Schedule{pacemaker.Reputation, pacemaker.RoundRobin} {
					rule := pacemaker.LeaderRule{Schedule: schedule, Size: n, Faults: f, Window: w}
					for _, dies := range []qc.View{1, 9, 20, 21, 22, 23} {
						if err := commitsAfter(rule, dead, dies); err != nil {
							t.Fatalf("n=%d W=%d schedule %d dead %b from view %d: %v", n, w, schedule, dead, dies, err)
						}
					}
				}
			}
		}
	}
}

// commitsAfter grows a chain; every live leader's block is certified, as it is when votes in timeouts count.
func commitsAfter(rule pacemaker.LeaderRule, dead uint, dies qc.View) error {
	b, quorum := genesis(), (rule.Size+rule.Faults+2)/2
	row, waited := 0, 0
	for v := qc.View(1); v < dies+qc.View(6*rule.Size); v++ {
		gone := uint(0)
		if v >= dies {
			gone = dead
		}
		leader := rule.Leader(v, b.at)
		if gone>>leader&1 == 1 {
			row = 0
		} else {
			var signers []qc.NodeID
			for i := 0; len(signers) < quorum && i < rule.Size; i++ {
				if id := qc.NodeID((int(v)*3 + i) % rule.Size); gone>>id&1 == 0 {
					signers = append(signers, id)
				}
			}
			b = b.grow(v, leader, signers...)
			row++
		}
		if v < dies {
			continue
		}
		if waited++; row >= 3 {
			waited = 0
		}
		if waited > 2*rule.Size {
			return fmt.Errorf("no three live leaders in a row for %d views up to %d", waited, v)
		}
	}
	return nil
}
