package hsnet

import (
	"errors"
	"net"
	"syscall"
	"time"
)

const (
	lookBusy       = 100 * time.Millisecond // how often an eye is kept on a connection while frames are sent
	lookIdle       = 1 * time.Second        // and on an idle one, where only keep-alives show whether the peer lives
	challengeGrace = 100 * time.Millisecond // and three round trips
)

// watchPort notices that the peer's process has died, long before the idle timeout does. QUIC's unconnected socket never
// hears that a port is closed. So when something was sent and nothing came back for a while, a connected socket sends
// one byte to the same port, which no QUIC endpoint answers. If the peer's host replies that nobody listens there, the
// peer is challenged over the connection itself: a forged reply alone ends nothing.
func (s *session) watchPort() {
	address, ok := s.conn.RemoteAddr().(*net.UDPAddr)
	if !ok {
		return
	}
	socket, err := net.DialUDP("udp", nil, address)
	if err != nil {
		return // no second opinion: the idle timeout decides
	}
	defer socket.Close()
	refused := make(chan struct{}, 1)
	s.p.n.tasks.Go(func() { awaitRefusals(socket, refused) })
	timer := time.NewTimer(lookBusy)
	defer timer.Stop()
	before := s.conn.ConnectionStats()
	wrote := s.wrote
	for {
		select {
		case <-s.conn.Context().Done():
			return
		case <-refused:
			if !s.challenge() {
				s.close(codeGone)
				return
			}
		case <-wrote: // was idle
			wrote = nil
			timer.Reset(lookBusy)
		case <-timer.C:
			now := s.conn.ConnectionStats()
			sent, heard := now.PacketsSent != before.PacketsSent, now.PacketsReceived != before.PacketsReceived
			before = now
			if sent && !heard {
				_, _ = socket.Write([]byte{0}) // an error is a refusal of the last one: the next will be refused too
			}
			if busy := wrote == nil; sent && (busy || !heard) {
				timer.Reset(lookBusy)
			} else {
				wrote = s.wrote
				timer.Reset(lookIdle)
			}
		}
	}
}

// awaitRefusals passes on that the port was reported closed, until the socket is closed or says anything else.
func awaitRefusals(socket *net.UDPConn, refused chan<- struct{}) {
	var b [1]byte
	for {
		if _, err := socket.Read(b[:]); !errors.Is(err, syscall.ECONNREFUSED) {
			return
		}
		select {
		case refused <- struct{}{}:
		default: // one is enough
		}
	}
}

// challenge makes the peer acknowledge something and tells whether anything came from it.
func (s *session) challenge() (alive bool) {
	before := s.conn.ConnectionStats()
	s.queues[Consensus].push(nil) // an empty frame: only an acknowledgement comes of it
	timer := time.NewTimer(challengeGrace + 3*before.SmoothedRTT)
	defer timer.Stop()
	select {
	case <-s.conn.Context().Done():
	case <-timer.C:
	}
	return s.conn.ConnectionStats().PacketsReceived != before.PacketsReceived
}
