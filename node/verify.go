package node

import (
	"sync"

	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
)

// verifiers is the verification pool: as many verifiers as pairing checks may run at once. Whoever has a message to check
// borrows one; a peer's messages are checked by that peer's reader, one at a time, so that none can take the pool from the
// others (a budget per peer).
type verifiers chan *hotstuff.Verifier

func (v verifiers) verify(w hotstuff.Window, from qc.NodeID, m hotstuff.Message) (hotstuff.Verified, error) {
	verifier := <-v
	defer func() { v <- verifier }()
	return verifier.Verify(w, from, m)
}

func (v verifiers) sum(r hotstuff.VerifyRequest, unchecked func(hotstuff.Unchecked)) hotstuff.Sum {
	verifier := <-v
	defer func() { v <- verifier }()
	return verifier.Sum(r, unchecked)
}

// certificateCache remembers verified certificates for all verifiers, the newest certificatesMax of them.
type certificateCache struct {
	mu     sync.Mutex
	known  map[[32]byte]struct{}
	oldest [][32]byte // ring
	next   int
}

// certificatesMax bounds the certificates that are remembered. A certificate comes back within a view or two, from at
// most n peers.
const certificatesMax = 1024

func newCertificateCache() *certificateCache {
	return &certificateCache{known: make(map[[32]byte]struct{}, certificatesMax), oldest: make([][32]byte, certificatesMax)}
}

// Has implements qc.Cache.
func (c *certificateCache) Has(key [32]byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.known[key]
	return ok
}

// Add implements qc.Cache.
func (c *certificateCache) Add(key [32]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.known[key]; ok {
		return
	}
	delete(c.known, c.oldest[c.next])
	c.oldest[c.next] = key
	c.known[key] = struct{}{}
	c.next = (c.next + 1) % certificatesMax
}

// hashCache shares hashes of messages to the curve between the core, which signs votes, and the verifiers, which soon check
// sums over the same messages: the newest hashesMax of them.
type hashCache struct {
	mu    sync.Mutex
	known [hashesMax]struct {
		msg   string
		point qc.HashPoint
	}
	next int
}

// hashesMax bounds the shared hashes: those of the last few views.
const hashesMax = 16

// Get implements qc.HashCache.
func (c *hashCache) Get(msg []byte) (qc.HashPoint, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.known {
		if c.known[i].msg == string(msg) && len(msg) > 0 {
			return c.known[i].point, true
		}
	}
	return qc.HashPoint{}, false
}

// Add implements qc.HashCache.
func (c *hashCache) Add(msg []byte, p qc.HashPoint) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known[c.next].msg, c.known[c.next].point = string(msg), p
	c.next = (c.next + 1) % hashesMax
}

// worker does for the loop what it asks for, in order, without making it wait: sums of votes, or writes of batches.
// Its queue is bounded by what the core and the mempool may have under way.
type worker[T any] struct {
	mu     sync.Mutex
	ready  sync.Cond
	queue  []T
	closed bool
}

func newWorker[T any]() *worker[T] {
	w := &worker[T]{}
	w.ready.L = &w.mu
	return w
}

func (w *worker[T]) put(items ...T) {
	w.mu.Lock()
	w.queue = append(w.queue, items...)
	w.mu.Unlock()
	w.ready.Signal()
}

// take waits for work and returns all of it; ok is false once the worker is closed.
func (w *worker[T]) take() (items []T, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for !w.closed && len(w.queue) == 0 {
		w.ready.Wait()
	}
	items, w.queue = w.queue, nil
	return items, !w.closed
}

func (w *worker[T]) close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.ready.Broadcast()
}

// payloadWriter is one goroutine that writes and syncs batches: all that have come while it was busy in one write.
type payloadWriter struct {
	*worker[*mempool.Batch]
	write func([]*mempool.Batch) error
	done  func([]*mempool.Batch)
}

func (p *payloadWriter) run() error {
	for {
		batches, ok := p.take()
		if !ok {
			return nil
		}
		if err := p.write(batches); err != nil {
			return err
		}
		p.done(batches)
	}
}
