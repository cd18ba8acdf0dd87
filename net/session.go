package hsnet

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
)

const (
	readBuffer = 16 << 10
	// writeChunk is what one write deadline covers: a peer that does not take this much within the idle timeout is stuck.
	// Smaller writes cost CPU.
	writeChunk = 256 << 10
)

// session is one connection in use: a writer and a reader for each class, and a watch on the peer's port.
type session struct {
	p      *peer
	conn   *quic.Conn
	hello  hello // of the other side
	in     *quic.ReceiveStream
	out    [Classes]*quic.SendStream
	queues [Classes]*queue
	wrote  chan struct{} // capacity 1: frames were sent; wakes watchPort
	since  time.Time
	failed sync.Once
}

// newSession opens the remaining streams. Streams are opened in the order of the classes, and QUIC accepts them in
// that order, so a stream needs no label.
func newSession(p *peer, c *candidate) (*session, error) {
	s := &session{p: p, conn: c.conn, hello: c.hello, in: c.in, wrote: make(chan struct{}, 1), since: time.Now()}
	s.out[Consensus] = c.out
	for class := range Class(Classes) {
		s.queues[class] = newQueue(class, p.n.cfg.Limits[class])
		if class == Consensus {
			continue
		}
		out, err := c.conn.OpenUniStream()
		if err != nil {
			return nil, err
		}
		s.out[class] = out
	}
	return s, nil
}

// start begins to send and receive. All of it ends with the connection.
func (s *session) start() {
	tasks := &s.p.n.tasks
	for class := range Class(Classes) {
		tasks.Go(func() { s.write(class) })
	}
	tasks.Go(func() { s.read(Consensus, s.in) })
	tasks.Go(s.acceptStreams)
	tasks.Go(s.watchPort)
}

// close ends the connection and tells the other side why.
func (s *session) close(code quic.ApplicationErrorCode) { _ = s.conn.CloseWithError(code, "") }

// fail ends the connection because of an error on a stream, which is the other side's fault.
func (s *session) fail(class Class, err error) {
	if errors.Is(err, net.ErrClosed) {
		return // the connection has ended, and the stream with it
	}
	s.failed.Do(func() {
		f, text := FaultFrame, err.Error()
		if isTimeout(err) {
			f, text = FaultStalled, fmt.Sprintf("it took nothing for %v", idleTimeout)
		}
		refuse(s.conn, s.p.n.fault(f, fmt.Sprintf("%v stream: %s", class, text)))
	})
}

// end drops what is still queued. The connection is closed already.
func (s *session) end() {
	for class, q := range s.queues {
		s.p.n.counters.dropped[class][DropLost].Add(uint64(q.close()))
	}
}

// write sends the queued frames of one class.
func (s *session) write(class Class) {
	q := s.queues[class]
	buf := make([]byte, 0, coalesceBytes)
	for {
		wire, large, taken := q.take(buf)
		if len(wire) == 0 {
			select {
			case <-q.ready:
				continue
			case <-s.conn.Context().Done():
				return
			}
		}
		for _, p := range [...][]byte{wire, large} {
			if err := s.writeAll(s.out[class], p); err != nil {
				s.fail(class, err)
				return
			}
		}
		s.p.n.counters.sent[class].add(taken)
		select {
		case s.wrote <- struct{}{}:
		default:
		}
	}
}

func (s *session) writeAll(out *quic.SendStream, p []byte) error {
	for len(p) > 0 {
		chunk := p[:min(len(p), writeChunk)]
		_ = out.SetWriteDeadline(time.Now().Add(idleTimeout)) // returns nil always
		if _, err := out.Write(chunk); err != nil {
			return err
		}
		p = p[len(chunk):]
	}
	return nil
}

// acceptStreams finds the other side's streams of the remaining classes, which appear with their first byte.
func (s *session) acceptStreams() {
	for class := range Class(Classes) {
		if class == Consensus {
			continue
		}
		in, err := s.conn.AcceptUniStream(s.conn.Context())
		if err != nil {
			return // the connection has ended
		}
		s.p.n.tasks.Go(func() { s.read(class, in) })
	}
}

// read hands the frames of one class to the handler.
func (s *session) read(class Class, in *quic.ReceiveStream) {
	// A handler may still be busy with a frame of the previous connection: frames of one class are never handed over
	// by two goroutines at once.
	s.p.reading[class].Lock()
	defer s.p.reading[class].Unlock()
	n := s.p.n
	r := bufio.NewReaderSize(in, readBuffer)
	var buf []byte
	for {
		frame, err := readFrame(r, n.cfg.Limits[class].FrameBytesMax, buf)
		if err != nil {
			s.fail(class, err)
			return
		}
		if frame == nil || s.conn.Context().Err() != nil {
			continue
		}
		n.counters.received[class].add(Traffic{Frames: 1, Bytes: uint64(len(frame))})
		n.handler.Frame(s.p.id, class, frame)
		if len(frame) <= keptBytesMax && cap(frame) > cap(buf) {
			buf = frame
		}
	}
}

func isTimeout(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)
}
