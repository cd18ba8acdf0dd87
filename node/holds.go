package node

import (
	"sync"

	"github.com/hotstuffd/hotstuffd/qc"
)

// Holds is what peers are fetching: the keeper does not take it away under their hands, or a peer whose way up takes longer than
// a few snapshots would never come to its end. One hold a peer: from the lowest height that it has asked for, until it has asked for
// nothing for holdTime. Safe for concurrent use.
type Holds struct {
	mu sync.Mutex
	of map[qc.NodeID]hold
}

type hold struct {
	height qc.Height
	until  qc.Ticks
}

// holdTime is how long a hold outlives the last request: 30 s.
const holdTime = 30 * qc.TicksPerSecond

// NewHolds returns no holds.
func NewHolds() *Holds { return &Holds{of: make(map[qc.NodeID]hold)} }

// note takes a peer's request for what lies at a height.
func (h *Holds) note(peer qc.NodeID, height qc.Height, now qc.Ticks) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if old, ok := h.of[peer]; ok && old.until > now {
		height = min(height, old.height)
	}
	h.of[peer] = hold{height, now + holdTime}
}

// renew takes a request of a peer whose height is not known.
func (h *Holds) renew(peer qc.NodeID, now qc.Ticks) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if old, ok := h.of[peer]; ok && old.until > now {
		h.of[peer] = hold{old.height, now + holdTime}
	}
}

// least returns the lowest height that is held.
func (h *Holds) least(now qc.Ticks) (at qc.Height, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for peer, x := range h.of { // the least of all: order does not matter
		if x.until <= now {
			delete(h.of, peer)
		} else if !ok || x.height < at {
			at, ok = x.height, true
		}
	}
	return at, ok
}
