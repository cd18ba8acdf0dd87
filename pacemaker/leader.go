package pacemaker

import (
	"fmt"

	"github.com/hotstuffd/hotstuffd/qc"
)

// Schedule is a leader schedule. All replicas of a chain use the same one: the genesis fixes it.
type Schedule uint8

// The schedules. See PROTOCOL §4.
const (
	// Reputation lets only those lead whose votes were in recent certificates, less the last f proposers.
	Reputation Schedule = iota
	// RoundRobin takes the roster in order of view.
	RoundRobin
	// Fixed has replica 0 lead every view; for tests.
	Fixed
)

// ParseSchedule reads a schedule's name in the genesis document.
func ParseSchedule(name string) (Schedule, error) {
	switch name {
	case "reputation":
		return Reputation, nil
	case "round-robin":
		return RoundRobin, nil
	case "fixed":
		return Fixed, nil
	}
	return 0, fmt.Errorf(`unknown leader schedule %q: write "reputation", "round-robin" or "fixed"`, name)
}

// Link is what the leader function reads of a block.
type Link struct {
	View     qc.View
	Height   qc.Height
	Proposer qc.NodeID
	Signers  qc.Bitmap // of the block's justify
}

// Branch yields the links of a branch from its tip down: 0 is the tip, 1 its parent, and so on. ok is false below the
// oldest block held.
type Branch func(depth int) (link Link, ok bool)

// LeaderRule is the leader function's parameters, all fixed by genesis.
type LeaderRule struct {
	Schedule Schedule
	Size     int // n
	Faults   int // f
	Window   int // W, in blocks
}

// Depth is how many blocks below the tip Leader may read. A tree that keeps as many below the committed block
// lets every voter evaluate it for every branch that may still be voted for.
func (r LeaderRule) Depth() int { return r.Window + r.Faults + 4 }

// Leader returns leader(v, P), P being the tip of the branch and the parent of the block to be proposed in v.
// It reads nothing but the branch, so all voters agree on it, whatever each of them has committed (L11, L15).
func (r LeaderRule) Leader(v qc.View, branch Branch) qc.NodeID {
	switch r.Schedule {
	case Fixed:
		return 0
	case Reputation:
		if c := r.candidates(v, branch); len(c) > 0 {
			return c[uint64(v)%uint64(len(c))]
		}
	}
	return qc.NodeID(uint64(v) % uint64(r.Size))
}

// candidates returns the signers of the justifies of the last W blocks ending at P's grandparent c, less the proposers
// of the last f blocks ending at c, in ascending order. It is empty unless P, its parent and c have the views v−1, v−2
// and v−3, and c is higher than W: after any trouble the roster decides, so that a reputation can never freeze.
func (r LeaderRule) candidates(v qc.View, branch Branch) []qc.NodeID {
	for depth := range 3 {
		link, ok := branch(depth)
		if !ok || link.View+qc.View(depth)+1 != v {
			return nil
		}
		if depth == 2 && link.Height <= qc.Height(r.Window) {
			return nil
		}
	}
	eligible := qc.NewBitmap(r.Size)
	excluded := qc.NewBitmap(r.Size)
	for i := range max(r.Window, r.Faults) {
		link, ok := branch(2 + i)
		if !ok {
			return nil
		}
		if i < r.Window {
			for j := range min(len(eligible), len(link.Signers)) {
				eligible[j] |= link.Signers[j]
			}
		}
		if i < r.Faults {
			excluded.Set(link.Proposer)
		}
	}
	for i := range eligible {
		eligible[i] &^= excluded[i]
	}
	return eligible.Members()
}
