package node

import (
	"context"
	"sync"
)

// watermark is a number that only grows, and that goroutines can wait for.
type watermark struct {
	mu      sync.Mutex
	value   uint64
	changed chan struct{} // closed and replaced at each change
}

func newWatermark() *watermark { return &watermark{changed: make(chan struct{})} }

// advance raises the value.
func (w *watermark) advance(to uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if to > w.value {
		w.value = to
		close(w.changed)
		w.changed = make(chan struct{})
	}
}

// get returns the value, and a channel that is closed when it has grown.
func (w *watermark) get() (uint64, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.value, w.changed
}

// await waits until the value is at least the given one.
// Expected errors: ctx's, and errStopped once stop is closed.
func (w *watermark) await(ctx context.Context, stop <-chan struct{}, atLeast uint64) error {
	for {
		value, changed := w.get()
		if value >= atLeast {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-stop:
			return errStopped
		}
	}
}
