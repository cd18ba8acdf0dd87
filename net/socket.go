package hsnet

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/quic-go/quic-go"
)

const (
	keepAlive        = 1 * time.Second
	idleTimeout      = 5 * time.Second
	handshakeTimeout = 2 * time.Second // also for the hellos

	// streamWindowMax bounds what a peer may send ahead of a reader that does not read. Larger windows gain nothing on a
	// link of 40 MB/s and 100 ms.
	streamWindowMax = 4 << 20
	streamWindowMin = 256 << 10
	// windowsBudget is shared by all streams of all peers.
	windowsBudget = 128 << 20

	// socketBuffer is what a burst of several peers needs, as the kernel reports it.
	socketBuffer = 7 << 20
)

// quicConfig sets what quic-go leaves wide open: a hundred streams of six megabytes a peer, and no keep-alive.
func quicConfig(replicas int) *quic.Config {
	window := uint64(min(streamWindowMax, max(streamWindowMin, windowsBudget/(Classes*replicas))))
	return &quic.Config{
		Versions:              []quic.Version{quic.Version1},
		HandshakeIdleTimeout:  handshakeTimeout,
		MaxIdleTimeout:        idleTimeout,
		KeepAlivePeriod:       keepAlive,
		MaxIncomingStreams:    -1, // none: all streams go one way
		MaxIncomingUniStreams: Classes,
		// The connection's window is the sum of its streams': with less, one stalled bulk reader starves the votes.
		InitialStreamReceiveWindow:     window,
		MaxStreamReceiveWindow:         window,
		InitialConnectionReceiveWindow: Classes * window,
		MaxConnectionReceiveWindow:     Classes * window,
	}
}

// bind opens the one UDP socket for connections in and out.
func (n *Network) bind() error {
	address, err := net.ResolveUDPAddr("udp", n.cfg.Listen)
	if err != nil {
		return fmt.Errorf("net: listen address %q: %w", n.cfg.Listen, err)
	}
	n.udp, err = net.ListenUDP("udp", address)
	if err != nil {
		return fmt.Errorf("net: cannot listen on %s (UDP): %w; stop what uses this address, or set another", n.cfg.Listen, err)
	}
	key, err := resetKey(n.cfg.Identity, n.cfg.Chain)
	if err != nil {
		_ = n.udp.Close()
		return err
	}
	n.transport = &quic.Transport{
		Conn:                n.udp,
		StatelessResetKey:   &key,
		VerifySourceAddress: n.admission.mustProveAddress,
		ConnContext: func(ctx context.Context, from *quic.ClientInfo) (context.Context, error) {
			ctx, err := n.admission.enter(ctx, from.RemoteAddr)
			if err != nil {
				n.counters.faults[FaultBusy].Add(1)
			}
			return ctx, err
		},
	}
	// quic-go writes its own warning on small buffers to the standard logger; this is its switch. Ours follows below.
	_ = os.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true")
	n.listener, err = n.transport.Listen(n.tlsConfig(nil), n.quic)
	if err != nil {
		_ = n.transport.Close()
		_ = n.udp.Close()
		return fmt.Errorf("net: cannot listen on %s (QUIC): %w", n.cfg.Listen, err)
	}
	n.log.Info("listening for replicas", "address", n.udp.LocalAddr().String())
	n.checkBuffers()
	return nil
}

// checkBuffers warns once when the system gave the socket less than quic-go asked for.
func (n *Network) checkBuffers() {
	receive, send, ok := socketBuffers(n.udp)
	if ok && min(receive, send) < socketBuffer {
		n.log.Warn("UDP socket buffers are small: bursts will be lost and sent again; raise net.core.rmem_max and net.core.wmem_max",
			"receive_bytes", receive, "send_bytes", send, "wanted_bytes", socketBuffer)
	}
}
