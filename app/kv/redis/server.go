package redis

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/hotstuffd/hotstuffd/app"
)

// Server serves Redis clients on one TCP address.
type Server struct {
	cfg       Config
	submitter app.Submitter
	listener  net.Listener
	log       *slog.Logger
	started   time.Time

	mu      sync.Mutex
	conns   map[uint64]*conn // open ones, by id
	total   uint64           // connections accepted since the start; the last one's id
	refused uint64           // of these, for their number
	stop    chan struct{}    // closed by Close
	running sync.WaitGroup   // connections, and Serve
}

// Listen binds the address, so that a port in use shows at once. The server takes in clients from Serve on.
func Listen(cfg Config, submitter app.Submitter) (*Server, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	cfg.WriteTimeout = cmp.Or(cfg.WriteTimeout, writeTimeoutDefault)
	cfg.Logger = cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))
	listener, err := net.Listen("tcp", cfg.Listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("redis: %s is in use: stop the program that listens there, or choose another address", cfg.Listen)
	}
	if err != nil {
		return nil, fmt.Errorf("redis: cannot listen: %w", err)
	}
	return &Server{cfg: cfg, submitter: submitter, listener: listener, log: cfg.Logger, started: time.Now(),
		conns: map[uint64]*conn{}, stop: make(chan struct{})}, nil
}

// Addr is the address the server listens on.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Serve accepts clients until Close, and then returns nil.
func (s *Server) Serve() error {
	s.mu.Lock()
	if s.closing() {
		s.mu.Unlock()
		return nil
	}
	s.running.Add(1)
	s.mu.Unlock()
	defer s.running.Done()
	for {
		sock, err := s.listener.Accept()
		switch {
		case err == nil:
			s.admit(sock)
		case s.closing():
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("redis: %w", err)
		default:
			s.log.Warn("redis: cannot accept a client", "error", err)
			select {
			case <-time.After(acceptRetry):
			case <-s.stop:
			}
		}
	}
}

func (s *Server) closing() bool {
	select {
	case <-s.stop:
		return true
	default:
		return false
	}
}

// admit starts a connection, or turns it away if there are enough.
func (s *Server) admit(sock net.Conn) {
	s.mu.Lock()
	s.total++
	if s.closing() || len(s.conns) >= s.cfg.MaxConnections {
		s.refused++
		s.mu.Unlock()
		// The line fits into the new socket's empty buffer, so this does not wait for the client.
		sock.SetWriteDeadline(time.Now().Add(time.Second))
		sock.Write([]byte("-ERR max number of clients reached\r\n"))
		sock.Close()
		return
	}
	c := newConn(s, sock, s.total)
	s.conns[c.id] = c
	s.running.Add(1)
	s.mu.Unlock()
	go func() {
		defer s.running.Done()
		c.run()
		s.mu.Lock()
		delete(s.conns, c.id)
		s.mu.Unlock()
	}()
}

// clients returns the open connections in the order they came.
func (s *Server) clients() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*conn, 0, len(s.conns))
	for _, c := range s.conns {
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b *conn) int { return cmp.Compare(a.id, b.id) })
	return list
}

// Close stops accepting and reading, lets commands under way get their replies, and returns when all goroutines have
// ended. It takes at most Config.Timeout and Config.WriteTimeout, besides calls to Submit that are under way: stop the
// node as well. It may be called more than once.
func (s *Server) Close() error {
	s.mu.Lock()
	if s.closing() {
		s.mu.Unlock()
		s.running.Wait()
		return nil
	}
	close(s.stop)
	s.mu.Unlock()
	err := s.listener.Close()
	for _, c := range s.clients() {
		c.stopReading()
	}
	s.running.Wait()
	return err
}
