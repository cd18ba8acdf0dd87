package hsnet

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hotstuffd/hotstuffd/qc"
)

// position names one connection in the order in which an arbiter took up connections with one follower.
type position struct {
	boot    uint64 // of the arbiter
	session uint64 // counted from 1
}

// peer is one other replica. Its loop, run, alone decides which connection is in use, so PeerUp and PeerDown alternate.
type peer struct {
	n       *Network
	id      qc.NodeID
	address string

	offers  chan *candidate         // inbound connections that were greeted; unbuffered, so whoever offers waits
	session atomic.Pointer[session] // nil while the peer is down
	reading [Classes]sync.Mutex     // held by the reader of a class: an old connection's must end before a new one's begins
	backoff backoff                 // belongs to run

	mu      sync.Mutex
	last    position // of the connection that was taken up last
	since   time.Time
	problem string
}

func newPeer(n *Network, id qc.NodeID, address string) *peer {
	return &peer{n: n, id: id, address: address, offers: make(chan *candidate)}
}

// run keeps the peer connected until ctx ends.
func (p *peer) run(ctx context.Context) {
	var next *candidate
	for {
		if next == nil {
			next = p.connect(ctx)
		}
		if next == nil {
			return
		}
		next = p.serve(ctx, next)
	}
}

// serve takes a connection up and stays until it ends. It returns the connection that replaces it, if one does.
func (p *peer) serve(ctx context.Context, c *candidate) (next *candidate) {
	s, err := p.takeUp(c)
	if err != nil {
		c.close(codeRedundant)
		p.report(err)
		p.backoff.ended(0, false)
		return nil
	}
	p.n.counters.sessions.Add(1)
	p.change("")
	p.session.Store(s)
	p.n.log.Info("peer is up", "peer", p.id, "address", c.conn.RemoteAddr().String())
	p.n.handler.PeerUp(p.id)
	s.start()

	next = p.await(ctx, s)

	p.session.Store(nil)
	s.end()
	why := explain(endedBy(s.conn))
	if next != nil {
		why = "a newer connection of it took over"
	}
	p.change(why)
	if ctx.Err() == nil {
		p.n.log.Warn("peer is down", "peer", p.id, "reason", why)
	}
	p.backoff.ended(time.Since(s.since), remoteCode(endedBy(s.conn)) == codeReplaced)
	p.n.handler.PeerDown(p.id)
	return next
}

// takeUp makes a candidate the connection in use: the arbiter numbers it and says so, the follower notes the number.
func (p *peer) takeUp(c *candidate) (*session, error) {
	at := position{c.hello.ArbiterBoot, c.hello.Session}
	if p.arbiter() {
		at = position{p.n.boot, p.lastSession().session + 1}
		if err := p.sayHello(c, at); err != nil {
			return nil, err
		}
	}
	s, err := newSession(p, c)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	p.last = at
	p.mu.Unlock()
	return s, nil
}

// await returns once the session has ended, by itself, with ctx, or replaced by a newer connection.
func (p *peer) await(ctx context.Context, s *session) *candidate {
	for {
		select {
		case <-ctx.Done():
			s.close(codeShutdown)
			return nil
		case <-s.conn.Context().Done():
			return nil
		case c := <-p.offers:
			if p.supersedes(c, s) {
				s.close(codeReplaced)
				return c
			}
			c.close(codeRedundant)
		}
	}
}

// supersedes tells whether a newly greeted connection takes the place of the one in use. The newest authenticated
// connection wins, or a restarted peer would wait for the idle timeout of its former life.
func (p *peer) supersedes(c *candidate, s *session) bool {
	if !p.arbiter() {
		return p.later(c)
	}
	// Not so when the follower said hello before it knew of the connection in use: both sides dialed at the same
	// moment, and it will follow that one.
	crossed := c.hello.Boot == s.hello.Boot && (position{c.hello.ArbiterBoot, c.hello.Session} != p.lastSession())
	return !crossed
}

// later tells whether the arbiter took up this connection after the one this follower took up last. Numbers of a
// restarted arbiter begin anew.
func (p *peer) later(c *candidate) bool {
	last := p.lastSession()
	return c.hello.ArbiterBoot != last.boot || c.hello.Session > last.session
}

func (p *peer) lastSession() position {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

// send queues a frame on the connection in use.
func (p *peer) send(class Class, frame []byte) bool {
	dropped := &p.n.counters.dropped[class]
	if len(frame) == 0 || len(frame) > p.n.cfg.Limits[class].FrameBytesMax {
		dropped[DropSize].Add(1)
		return false
	}
	s := p.session.Load()
	if s == nil {
		dropped[DropDown].Add(1)
		return false
	}
	queued, displaced, why := s.queues[class].push(frame)
	dropped[DropDisplaced].Add(uint64(displaced))
	if !queued {
		dropped[why].Add(1)
	}
	return queued
}

// change notes that the peer went up (problem is empty) or down.
func (p *peer) change(problem string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.since, p.problem = time.Now(), problem
}

// report logs why the peer could not be reached, once for each new reason.
func (p *peer) report(err error) {
	if err == nil || p.n.ctx.Err() != nil || remoteCode(err) == codeRedundant {
		return
	}
	problem := explain(err)
	p.mu.Lock()
	known := p.problem == problem
	p.problem = problem
	p.mu.Unlock()
	if !known {
		p.n.log.Warn("cannot connect to peer", "peer", p.id, "address", p.address, "reason", problem)
	}
}

func (p *peer) status() PeerStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	status := PeerStatus{ID: p.id, Address: p.address, Since: p.since, Problem: p.problem}
	if s := p.session.Load(); s != nil {
		status.Up, status.RTT = true, s.conn.ConnectionStats().SmoothedRTT
	}
	return status
}
