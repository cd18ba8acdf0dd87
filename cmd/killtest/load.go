package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/hotstuffd/hotstuffd/cmd/internal/witness"
)

// Clients of each kind. They wait for each answer, and a moment after it: the load is moderate, for the processors that
// the nodes share.
const (
	historians = 6 // read and write a few keys of this cycle, at any node
	counters   = 2 // number their increments and send them again, soon, to another node
	writers    = 4 // write keys once, in pipelines, at one node until that fails
	clients    = historians + counters + writers
)

// patience is how long a client waits for an answer. It outlasts a pause, not a cycle.
const patience = 3 * time.Second

// What keeps a history small enough to be decided: a key that has so much is left alone, and a new one takes its place.
const (
	slots         = 4 // keys in use at once; the first is a counter
	operationsMax = 300
	openMax       = 4
)

// load is clients at work, for one cycle.
type load struct {
	cycle   int
	cluster *cluster
	history *witness.History
	outage  *outage
	numbers *[counters]*witness.Numbered // nil: no session yet
	writes  *[writers]*witness.Writes

	failed  chan error // the first reply that no node should have given
	stop    chan struct{}
	ended   sync.Once
	running sync.WaitGroup

	mu      sync.Mutex
	keys    [slots]int    // how many keys each slot has used up
	waiting map[int]bool  // clients that were not served since serve was asked
	served  chan struct{} // closed when there are none
}

// round is one thing that a client does.
// Expected errors: witness.ErrNotApplied, witness.ErrUnknown.
type round func(ctx context.Context) error

// begin sets all clients to work.
func (l *load) begin(ctx context.Context, seed uint64) {
	l.failed, l.stop = make(chan error, clients), make(chan struct{})
	l.outage.begin(time.Now())
	for i := range clients {
		random := rand.New(rand.NewPCG(seed, uint64(l.cycle)<<8|uint64(i+1)))
		var work round
		switch {
		case i < historians:
			work = l.historian(i, random)
		case i < historians+counters:
			work = l.counter(i-historians, random)
		default:
			work = l.writer(i-historians-counters, random)
		}
		l.running.Go(func() { l.work(ctx, i, random, work) })
	}
}

// work does round after round, until it is told to stop or is given a reply that is wrong.
func (l *load) work(ctx context.Context, id int, random *rand.Rand, do round) {
	for {
		err := do(ctx)
		switch {
		case err == nil:
			l.outage.answered(time.Now())
			l.serve(id)
		case !witness.Unanswered(err):
			l.failed <- fmt.Errorf("client %d: %w", id, err)
			return
		}
		select {
		case <-time.After(time.Duration(random.IntN(20)) * time.Millisecond):
		case <-l.stop:
			return
		}
	}
}

func (l *load) serve(id int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting[id] {
		if delete(l.waiting, id); len(l.waiting) == 0 {
			close(l.served)
		}
	}
}

// all returns what is closed when every client was served from now on.
func (l *load) all() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.served, l.waiting = make(chan struct{}), make(map[int]bool)
	for id := range clients {
		l.waiting[id] = true
	}
	return l.served
}

// end tells the clients to stop, and returns what is closed when they have.
func (l *load) end() <-chan struct{} {
	l.ended.Do(func() {
		l.outage.end(time.Now())
		close(l.stop)
	})
	over := make(chan struct{})
	go func() {
		l.running.Wait()
		close(over)
	}()
	return over
}

// historian reads, sets, swaps and counts on the keys of this cycle, at any node.
func (l *load) historian(id int, random *rand.Rand) round {
	known := make(map[string]string) // what it saw last: an old value for CAS
	count := 0
	return func(ctx context.Context) error {
		slot := random.IntN(slots)
		op := witness.Operation{Key: l.key(slot)}
		if slot == 0 {
			op.Name = []string{"INCR", "INCR", "GET"}[random.IntN(3)]
		} else {
			count++
			op.Name = []string{"GET", "GET", "SET", "GETSET", "CAS", "CAS"}[random.IntN(6)]
			op.Old, op.Value = known[op.Key], fmt.Sprintf("%d.%d", id, count)
		}
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		got, err := l.history.Run(ctx, l.node(random.IntN(nodes)), id, op)
		switch {
		case err != nil && !witness.Unanswered(err):
			return fmt.Errorf("%+v: %w", op, err)
		case err != nil:
		case op.Name == "GET":
			known[op.Key] = got.Value
		case op.Name != "CAS" || got.Swapped:
			known[op.Key] = op.Value
		}
		return err
	}
}

// key returns the key that a slot uses at present.
func (l *load) key(slot int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		key := fmt.Sprintf("c%d.%d.%d", l.cycle, slot, l.keys[slot])
		if operations, open := l.history.Size(key); operations < operationsMax && open < openMax {
			return key
		}
		l.keys[slot]++
	}
}

// counter has one increment executed exactly once. It does not wait for long before it asks another node, so that the
// same number is under way at several; then longer, for a busy machine must not keep it from ever being served.
func (l *load) counter(id int, random *rand.Rand) round {
	impatience := 200 * time.Millisecond
	return func(ctx context.Context) error {
		first := random.IntN(nodes)
		n := l.numbers[id]
		if n == nil {
			ctx, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			opened, err := witness.OpenNumbered(ctx, l.node(first), fmt.Sprintf("count%d", id))
			if err == nil {
				l.numbers[id] = opened
			}
			return err
		}
		err := n.Step(ctx, l.cluster.clients(first), impatience)
		if impatience = min(2*impatience, patience); err == nil {
			impatience = 200 * time.Millisecond
		}
		return err
	}
}

// writer writes a few keys, at one node until that does not answer.
func (l *load) writer(id int, random *rand.Rand) round {
	at := id % nodes
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		acknowledged, err := l.writes[id].Send(ctx, l.node(at), 1+random.IntN(8))
		if err != nil {
			at = random.IntN(nodes)
		}
		if acknowledged > 0 && witness.Unanswered(err) {
			return nil
		}
		return err
	}
}

func (l *load) node(id int) *goredis.Client { return l.cluster.members[id].client.Load() }

// lastReads reads each key of the history once more, so that what was acknowledged last must be there too.
func (l *load) lastReads(ctx context.Context, random *rand.Rand) error {
	var failed error
	for _, key := range l.history.Keys() {
		_, err := l.history.Run(ctx, l.node(random.IntN(nodes)), clients, witness.Operation{Name: "GET", Key: key})
		failed = errors.Join(failed, err)
	}
	return failed
}
