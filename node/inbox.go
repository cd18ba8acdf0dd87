package node

import "sync"

// inbox carries events to the driver loop. It is bounded: a sender of foreign or client events waits while it is full,
// which pushes back on that peer's stream or that client's connection alone. Answers that the loop itself has asked for
// always fit, so that an edge never waits for the loop while the loop waits for nothing: their number is bounded by
// what was asked.
type inbox struct {
	mu     sync.Mutex
	space  sync.Cond
	events []Event
	weight int // bytes of client work among events
	closed bool
	wake   chan struct{} // one slot: there are events
}

// Bounds of the inbox.
const (
	inboxEventsMax = 8192
	inboxBytesMax  = 32 << 20
)

func newInbox() *inbox {
	b := &inbox{wake: make(chan struct{}, 1)}
	b.space.L = &b.mu
	return b
}

// put adds an event from outside, waiting for space. It returns false once the inbox is closed.
func (b *inbox) put(e Event, weight int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for !b.closed && (len(b.events) >= inboxEventsMax || b.weight > 0 && b.weight+weight > inboxBytesMax) {
		b.space.Wait()
	}
	return b.add(e, weight)
}

// answer adds what the loop has asked for. It never waits.
func (b *inbox) answer(e Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.add(e, 0)
}

func (b *inbox) add(e Event, weight int) bool {
	if b.closed {
		return false
	}
	b.events = append(b.events, e)
	b.weight += weight
	select {
	case b.wake <- struct{}{}:
	default:
	}
	return true
}

// take swaps out all events; spare is reused for the next ones.
func (b *inbox) take(spare []Event) []Event {
	clear(spare)
	b.mu.Lock()
	defer b.mu.Unlock()
	events := b.events
	b.events, b.weight = spare[:0], 0
	b.space.Broadcast()
	return events
}

// close refuses further events, wakes those who wait, and returns what was left.
func (b *inbox) close() []Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.space.Broadcast()
	left := b.events
	b.events = nil
	return left
}
