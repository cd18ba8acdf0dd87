package hsnet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"time"
)

const (
	backoffMin = 50 * time.Millisecond
	backoffMax = 1 * time.Second
	// steadyAfter is how long a connection must live before the next dial is immediate again: a peer that takes a
	// connection up and drops it must not make both sides spin.
	steadyAfter = 1 * time.Second
)

// backoff spaces the dials to one peer.
type backoff struct{ wait time.Duration }

// next returns how long to wait after a failure: 50 ms, doubled up to 1 s, with a quarter of jitter both ways, so that
// two replicas do not keep dialing each other at the same moment.
func (b *backoff) next() time.Duration {
	b.wait = min(backoffMax, max(backoffMin, 2*b.wait))
	return b.wait*3/4 + rand.N(b.wait/2)
}

// ended notes how a connection went that was in use for so long. One that was replaced by another process under our
// identity waits longest: the two would otherwise replace each other as fast as they can dial.
func (b *backoff) ended(lasted time.Duration, replaced bool) {
	switch {
	case replaced:
		b.wait = backoffMax
	case lasted >= steadyAfter:
		b.wait = 0
	default:
		b.next()
	}
}

// connect dials the peer, and listens for it, until one of both gives a connection. It returns nil when ctx has ended.
func (p *peer) connect(ctx context.Context) *candidate {
	if p.backoff.wait > 0 {
		if c := p.pause(ctx, p.backoff.next()); c != nil {
			return c
		}
	}
	for ctx.Err() == nil {
		c, err := p.attempt(ctx)
		if c != nil {
			return c
		}
		p.report(err)
		if c := p.pause(ctx, p.backoff.next()); c != nil {
			return c
		}
	}
	return nil
}

// pause waits, but takes a connection that the peer makes meanwhile.
func (p *peer) pause(ctx context.Context, wait time.Duration) *candidate {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
			return nil
		case c := <-p.offers:
			if p.fresh(c) {
				return c
			}
		}
	}
}

// attempt dials once, but prefers a connection that the peer makes meanwhile.
func (p *peer) attempt(ctx context.Context) (*candidate, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type outcome struct {
		c   *candidate
		err error
	}
	dialed := make(chan outcome, 1)
	p.n.tasks.Go(func() {
		c, err := p.dial(ctx)
		dialed <- outcome{c, err}
	})
	for {
		select {
		case d := <-dialed:
			if d.c != nil && !p.fresh(d.c) {
				return nil, nil
			}
			return d.c, d.err
		case c := <-p.offers:
			if !p.fresh(c) {
				continue
			}
			cancel()
			if d := <-dialed; d.c != nil {
				c = newer(c, d.c)
			}
			return c, nil
		}
	}
}

// fresh tells whether a greeted connection can be taken up while none is in use; it closes those that the arbiter has
// already given up.
func (p *peer) fresh(c *candidate) bool {
	if p.arbiter() || p.later(c) {
		return true
	}
	c.close(codeRedundant)
	return false
}

// newer chooses between two greeted connections and closes the other: of one arbiter, the one it took up last.
func newer(a, b *candidate) *candidate {
	if b.hello.ArbiterBoot == a.hello.ArbiterBoot && b.hello.Session > a.hello.Session {
		a, b = b, a
	}
	b.close(codeRedundant)
	return a
}

// dial connects to the peer's address and greets it.
func (p *peer) dial(ctx context.Context) (*candidate, error) {
	address, err := resolve(ctx, p.address)
	if err != nil {
		return nil, err
	}
	conn, err := p.n.transport.Dial(ctx, address, p.n.tlsConfig(&p.id), p.n.quic)
	if err != nil {
		return nil, err
	}
	return p.greet(ctx, conn)
}

// resolve looks a host name up anew for every dial: a replica may come back at another address.
func resolve(ctx context.Context, address string) (*net.UDPAddr, error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("address %q in the roster: %w", address, err)
	}
	port, err := net.DefaultResolver.LookupPort(ctx, "udp", service)
	if err != nil {
		return nil, fmt.Errorf("address %q in the roster: %w", address, err)
	}
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	found, err := net.DefaultResolver.LookupIPAddr(ctx, host)
	if err != nil {
		return nil, fmt.Errorf("address %q in the roster: %w", address, err)
	}
	return &net.UDPAddr{IP: found[0].IP, Zone: found[0].Zone, Port: port}, nil
}
