package cutdisk

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing/synctest"
	"time"
)

// Gate holds back what LevelDB does beside its caller, so that a schedule can be chosen: writes and syncs of tables and
// manifests. All else passes, but for what Also tells.
type Gate struct {
	// Also tells of other files, by the paths they were opened by, whether what is done to them waits too: for calls that run
	// beside others.
	// nil: none.
	Also func(path string) bool

	mu      sync.Mutex
	waiting []waiter
}

type waiter struct {
	label string
	pass  chan struct{}
}

// Hold puts a gate in front of the disk; nil takes it away.
func (d *Disk) Hold(g *Gate) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gate = g
}

// wait returns when the gate lets the caller pass. The disk is not locked.
func (d *Disk) wait(label string) {
	d.mu.Lock()
	g := d.gate
	d.mu.Unlock()
	if g == nil {
		return
	}
	pass := make(chan struct{})
	g.mu.Lock()
	g.waiting = append(g.waiting, waiter{label, pass})
	g.mu.Unlock()
	<-pass
}

// waitFor returns when the gate lets pass what is done to a file, if it is one that waits.
func (d *Disk) waitFor(path string, o op) {
	d.mu.Lock()
	g := d.gate
	d.mu.Unlock()
	if g != nil && g.Also != nil && g.Also(path) {
		d.wait(path + " " + kindNames[o.kind])
	}
}

// Pass lets one of those who wait pass, and tells whether anybody waited. The choice is by choose, which gets their
// number, and independent of the order in which they came.
func (g *Gate) Pass(choose func(n int) int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) == 0 {
		return false
	}
	slices.SortFunc(g.waiting, func(a, b waiter) int { return strings.Compare(a.label, b.label) })
	i := choose(len(g.waiting))
	close(g.waiting[i].pass)
	g.waiting = slices.Delete(g.waiting, i, i+1)
	return true
}

// Schedule runs calls on a disk, and holds back what LevelDB does beside them: how much of it is done before the next call
// is by chance, but the same for the same seed. Only the removal of old tables goes its own way.
type Schedule struct {
	gate *Gate
	rng  *rand.Rand
}

// NewSchedule puts a gate in front of the disk. It must be called in a bubble of synctest, and so must the calls be made.
func NewSchedule(d *Disk, gate *Gate, seed uint64) *Schedule {
	d.Hold(gate)
	return &Schedule{gate, rand.New(rand.NewPCG(seed, 1))}
}

// Run makes a call, and lets some of what waits be done.
func (s *Schedule) Run(call func() error) error { return s.Begin(call)() }

// Begin begins a call, which goes on beside others as far as the gate lets it. end waits for its end.
func (s *Schedule) Begin(call func() error) (end func() error) {
	done := make(chan error, 1)
	go func() { done <- call() }()
	synctest.Wait()
	return func() error { return s.await(done) }
}

func (s *Schedule) await(done <-chan error) error {
	for waits := 0; ; {
		synctest.Wait()
		select {
		case err := <-done:
			s.beside()
			return err
		default:
		}
		if !s.gate.Pass(s.rng.IntN) {
			if waits++; waits > 1000 {
				panic("a call waits for something that never comes")
			}
			time.Sleep(time.Second) // the bubble's: LevelDB tries again after a while; nothing else is under way
		}
	}
}

// beside lets some of what waits be done: all of it, half of the time.
func (s *Schedule) beside() {
	most := s.rng.IntN(8)
	if s.rng.IntN(2) == 0 {
		most = 1 << 30
	}
	for n := 0; n < most && s.gate.Pass(s.rng.IntN); n++ {
		synctest.Wait()
	}
}
