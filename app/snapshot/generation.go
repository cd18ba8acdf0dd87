package snapshot

import (
	"slices"
	"sync/atomic"
)

// Generations tells which nodes of a state are frozen. It belongs to the executor; only its Marks go elsewhere. The zero
// value is a state that was never frozen.
type Generations struct {
	now        uint64  // of nodes that are made now
	bound      uint64  // nodes born before are frozen; 0: none is
	unreleased []*Mark // as far as it is known, in the order in which they were made
}

// Mark is one freeze.
type Mark struct {
	bound    uint64 // it holds nodes born before
	released atomic.Bool
}

// Now returns the generation of nodes that are made now.
func (g *Generations) Now() uint64 { return g.now }

// Freeze freezes all nodes that stand in the state, until the mark is released.
func (g *Generations) Freeze() *Mark {
	g.now++
	m := &Mark{bound: g.now}
	// Those before may have been released in any order: they must not pile up.
	g.unreleased = append(slices.DeleteFunc(g.unreleased, (*Mark).isReleased), m)
	g.bound = m.bound
	return m
}

// Release is called when nothing reads what was frozen any more. Any goroutine may call it.
func (m *Mark) Release() { m.released.Store(true) }

func (m *Mark) isReleased() bool { return m.released.Load() }

// Settle takes note of what was released. It is called before each write: what Frozen says holds until the next call.
func (g *Generations) Settle() {
	if len(g.unreleased) > 0 {
		g.settle()
	}
}

// settle: the youngest mark that is not released decides, for it holds all that is older and still stands in the state.
func (g *Generations) settle() {
	for n := len(g.unreleased); n > 0; n-- {
		if m := g.unreleased[n-1]; !m.isReleased() {
			g.bound = m.bound
			return
		}
		g.unreleased = g.unreleased[:n-1]
	}
	g.bound = 0
}

// Frozen tells whether a node that was born then, and stands in the state, is frozen: the executor copies it instead of
// writing to it.
func (g *Generations) Frozen(born uint64) bool { return born < g.bound }

// AnyFrozen tells whether there is anything frozen at all.
func (g *Generations) AnyFrozen() bool { return g.bound > 0 }
