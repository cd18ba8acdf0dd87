package node

import (
	"sync"
	"time"

	"github.com/hotstuffd/hotstuffd/app"
)

// admission makes clients wait while more of their work is under way than the mempool takes.
type admission struct {
	patience time.Duration // how long a client is made to wait before it is told to come back
	mu       sync.Mutex
	open     chan struct{} // closed while work is taken in
	isOpen   bool
}

func newAdmission(patience time.Duration) *admission {
	open := make(chan struct{})
	close(open)
	return &admission{patience: patience, open: open, isOpen: true}
}

func (a *admission) set(open bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case open && !a.isOpen:
		close(a.open)
	case !open && a.isOpen:
		a.open = make(chan struct{})
	}
	a.isOpen = open
}

// wait returns once work is taken in.
// Expected errors: app.ErrBusy, app.ErrStopped.
func (a *admission) wait(stop <-chan struct{}) error {
	a.mu.Lock()
	open, isOpen := a.open, a.isOpen
	a.mu.Unlock()
	if isOpen {
		return nil
	}
	timer := time.NewTimer(a.patience)
	defer timer.Stop()
	select {
	case <-open:
		return nil
	case <-timer.C:
		return app.ErrBusy
	case <-stop:
		return app.ErrStopped
	}
}
