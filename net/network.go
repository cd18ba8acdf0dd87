package hsnet

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/hotstuffd/hotstuffd/qc"
)

// Handler receives. It must be safe for concurrent use, and every call must return once its owner wants to stop,
// because Close waits for it.
type Handler interface {
	// Frame hands over one received frame, whose memory is the handler's until it returns. It is called by one goroutine for each
	// peer and class, in the order in which the frames were sent; blocking it holds back that class of that peer alone. A
	// frame that was read in time may still be handed over after PeerDown.
	Frame(from qc.NodeID, class Class, frame []byte)
	// PeerUp and PeerDown alternate for each peer, beginning with PeerUp; Close ends with a PeerDown for each that is up.
	// Send to the peer works from PeerUp on. They must not block: a peer's connection waits for them.
	PeerUp(id qc.NodeID)
	PeerDown(id qc.NodeID)
}

// Network connects one replica with all others. Make it with Listen. All methods are safe for concurrent use.
type Network struct {
	cfg     Config
	handler Handler
	log     *slog.Logger

	certificate tls.Certificate
	roster      map[identityKey]qc.NodeID
	boot        uint64

	udp       *net.UDPConn
	transport *quic.Transport
	listener  *quic.Listener
	quic      *quic.Config
	admission *admission

	peers    []*peer // by NodeID; nil for this replica
	counters counters
	refused  atomic.Int64 // when a refusal was last logged, Unix nanoseconds

	ctx    context.Context
	cancel context.CancelFunc
	tasks  sync.WaitGroup // every goroutine that this package starts
	start  sync.Once
	close  sync.Once
}

// Listen checks the configuration and binds the socket. Nothing is sent or received before Start. The network must be
// closed. Errors are one line for the operator: a configuration that cannot work, or an address in use.
func Listen(cfg Config, handler Handler) (*Network, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	certificate, err := selfSigned(cfg.Identity)
	if err != nil {
		return nil, err
	}
	var boot [8]byte
	_, _ = rand.Read(boot[:]) // never fails
	n := &Network{
		cfg: cfg, handler: handler, log: cfg.Logger,
		certificate: certificate,
		roster:      make(map[identityKey]qc.NodeID, len(cfg.Peers)),
		boot:        binary.BigEndian.Uint64(boot[:]),
		quic:        quicConfig(len(cfg.Peers)),
		admission:   newAdmission(len(cfg.Peers)),
		peers:       make([]*peer, len(cfg.Peers)),
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	for i, member := range cfg.Peers {
		id := qc.NodeID(i)
		n.roster[identityKey(member.Identity)] = id
		if id != cfg.Self {
			n.peers[i] = newPeer(n, id, member.Address)
		}
	}
	if err := n.bind(); err != nil {
		n.cancel()
		return nil, err
	}
	return n, nil
}

// Start begins to accept and to dial. Calls after the first do nothing.
func (n *Network) Start() {
	n.start.Do(func() {
		n.tasks.Go(n.accept)
		for _, p := range n.peers {
			if p != nil {
				n.tasks.Go(func() { p.run(n.ctx) })
			}
		}
	})
}

// Close tells all peers, ends every goroutine and waits for them. What is still queued is dropped.
func (n *Network) Close() {
	n.close.Do(func() {
		n.start.Do(func() {}) // a Start that comes later does nothing
		n.cancel()
		n.tasks.Wait()
		_ = n.transport.Close() // returns errors of the socket, which is closed next
		_ = n.udp.Close()
	})
}

// Send queues a frame for one peer and never blocks. The frame must not change any more. It tells whether the frame was
// queued; that says nothing about its arrival. It is false for this replica itself and for ids outside the roster.
func (n *Network) Send(to qc.NodeID, class Class, frame []byte) bool {
	if int(to) >= len(n.peers) || n.peers[to] == nil || int(class) >= Classes {
		return false
	}
	return n.peers[to].send(class, frame)
}

// Broadcast queues one frame for every peer, without copying it: it must not change any more.
func (n *Network) Broadcast(class Class, frame []byte) {
	for id := range n.peers {
		n.Send(qc.NodeID(id), class, frame)
	}
}

// Connected returns how many peers are up.
func (n *Network) Connected() int {
	up := 0
	for _, p := range n.peers {
		if p != nil && p.session.Load() != nil {
			up++
		}
	}
	return up
}

// Peers describes all peers, in ascending order of id.
func (n *Network) Peers() []PeerStatus {
	status := make([]PeerStatus, 0, len(n.peers))
	for _, p := range n.peers {
		if p != nil {
			status = append(status, p.status())
		}
	}
	return status
}

// Stats returns the counters.
func (n *Network) Stats() Stats { return n.counters.snapshot() }

// accept greets every connection that has passed the TLS handshake.
func (n *Network) accept() {
	for {
		conn, err := n.listener.Accept(n.ctx)
		if err != nil {
			if n.ctx.Err() == nil {
				n.log.Error("the replicas' network stopped accepting connections: restart this replica", "error", err)
			}
			return
		}
		n.tasks.Go(func() { n.welcome(conn) })
	}
}

// welcome greets an inbound connection and offers it to its peer's loop.
func (n *Network) welcome(conn *quic.Conn) {
	defer n.admission.leave(conn)
	id, err := n.member(conn.ConnectionState().TLS)
	if err != nil {
		refuse(conn, err)
		return
	}
	p := n.peers[id]
	c, err := p.greet(n.ctx, conn)
	if code := remoteCode(err); code != 0 && code < codeFault {
		return // the peer ended it without a fault: both sides dialed at once, and one connection is enough
	}
	if err != nil {
		n.logRefusal("a greeting failed", fmt.Errorf("%v at %v: %w", id, conn.RemoteAddr(), err))
		return
	}
	select {
	case p.offers <- c:
	case <-n.ctx.Done():
		c.close(codeShutdown)
	}
}

// logRefusal logs at most one refusal a second: a flood must not fill the log.
func (n *Network) logRefusal(what string, err error) {
	now, last := time.Now().UnixNano(), n.refused.Load()
	if n.ctx.Err() == nil && now-last >= int64(time.Second) && n.refused.CompareAndSwap(last, now) {
		n.log.Warn(what, "reason", err)
	}
}
