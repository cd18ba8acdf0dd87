package redis

import (
	"net"
	"sync"
	"time"

	"github.com/hotstuffd/hotstuffd/app/kv/resp"
)

// conn is one client. Its reader makes requests and puts them into queue; its writer answers them from there, in order.
type conn struct {
	server *Server
	sock   net.Conn
	id     uint64
	since  time.Time

	// The reader's.
	parser   *resp.Parser
	buf      []byte // received bytes; buf[from:to] are not parsed yet
	from, to int
	building *request // commands taken, not yet sent on

	wake chan struct{} // capacity 1: the writer should look at the queue
	room chan struct{} // capacity 1: the reader should
	gone chan struct{} // closed when the writer has ended: nobody will be answered any more

	mu        sync.Mutex
	name, lib string // as the client calls itself and its library
	libVer    string
	queue     [requestsMax]*request // a ring: requests not yet answered, oldest at head
	head      int
	queued    int
	submitted int  // requests that the submitter holds, timed-out ones too
	armed     bool // the writer's alarm is set, not later than the time of any request in the queue
	draining  bool // the reader has ended: the writer ends when the queue is empty
}

func newConn(s *Server, sock net.Conn, id uint64) *conn {
	return &conn{server: s, sock: sock, id: id, since: time.Now(), parser: resp.NewParser(s.cfg.limits()),
		buf: make([]byte, readBufferMin), wake: make(chan struct{}, 1), room: make(chan struct{}, 1),
		gone: make(chan struct{}), armed: true}
}

// run serves the client until it leaves, breaks the protocol, or the server closes.
func (c *conn) run() {
	go c.write()
	c.read()
	c.mu.Lock()
	c.draining = true
	c.mu.Unlock()
	signal(c.wake)
	<-c.gone
	if c.building != nil {
		c.building.release()
	}
}

// stopReading makes the reader end; what it has sent on is still answered.
func (c *conn) stopReading() { c.sock.SetReadDeadline(time.Unix(1, 0)) }

// read takes in commands until the client stops sending them. What arrives together is sent on together.
func (c *conn) read() {
	for c.fill() {
		more := c.parse()
		if !c.send() || !more {
			return
		}
	}
}

// fill waits for bytes. The buffer grows for a command that does not fit and for a client that fills it, and comes back
// to readBufferMax. The parser bounds it: a command is either whole or refused before it exceeds MaxRequestBytes.
func (c *conn) fill() bool {
	switch pending := c.to - c.from; {
	case pending == 0:
		if c.to == len(c.buf) && len(c.buf) < readBufferMax || len(c.buf) > readBufferMax {
			c.buf = make([]byte, readBufferMax)
		}
		c.from, c.to = 0, 0
	case c.to < len(c.buf):
	case c.from > 0:
		copy(c.buf, c.buf[c.from:c.to])
		c.from, c.to = 0, pending
	default: // doubling keeps the copying linear
		bigger := make([]byte, 2*len(c.buf))
		copy(bigger, c.buf)
		c.buf = bigger
	}
	n, err := c.sock.Read(c.buf[c.to:])
	c.to += n
	return n > 0 || err == nil
}

// parse takes all whole commands from the buffer. more is false if the client is not to be read any further.
func (c *conn) parse() (more bool) {
	for {
		args, n, err := c.parser.Next(c.buf[c.from:c.to])
		if err != nil {
			c.literal(func(dst []byte) []byte { return resp.AppendError(dst, "ERR "+err.Error()) })
			c.server.log.Debug("redis: client closed for a protocol error", "client", c.sock.RemoteAddr(), "error", err)
			return false
		}
		if n == 0 {
			return true
		}
		c.from += n
		if len(args) > 0 && !c.take(args) {
			return false
		}
	}
}

// send hands the request that was built to the submitter. It waits while the connection has too much under way; it is
// false if the client is gone.
func (c *conn) send() bool {
	r := c.building
	if r == nil {
		return true
	}
	local := r.seal(c.server.cfg.Timeout)
	submit, ok := c.enqueue(r, local)
	if !ok {
		return false // run releases it
	}
	c.building = nil
	if !submit {
		return true
	}
	// Complete may have been called before Submit returns: only an error leaves r to us.
	if err := c.server.submitter.Submit(&r.Request); err != nil {
		r.complete(&r.Request, nil, err)
	}
	return true
}
