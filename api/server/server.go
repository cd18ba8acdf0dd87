package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"
)

// Bounds of the server. What comes above them waits (connections) or is refused with 503 (waiting requests).
const (
	connectionsMax    = 256
	waitingMax        = 64 // streams of the log and waits for a height, at once
	scrapesMax        = 4  // of /metrics, at once
	headerBytesMax    = 16 << 10
	requestTimeout    = 10 * time.Second // to send a whole request
	idleTimeout       = time.Minute      // between two requests of a connection
	writeTimeout      = 10 * time.Second // for a client to take what is written to it
	statusWaitTimeout = 30 * time.Second
	closeTimeout      = 2 * time.Second // for requests under way when the server closes
)

// Options are what a server needs.
type Options struct {
	Address    string                 // TCP host:port to listen on
	Node       Node                   // what is shown
	Version    string                 // of the program
	Profiles   bool                   // also serve Go's profiles under /debug/pprof/
	Collectors []prometheus.Collector // shown by /metrics beside those of Go and the process
	Logger     *slog.Logger           // of broken connections; nil: none
}

// Server is an HTTP server that listens. Its methods may be called by any goroutine.
type Server struct {
	node     Node
	version  string
	started  time.Time
	waiting  chan struct{} // holds one element for each request that waits or streams
	listener net.Listener
	http     *http.Server
	stop     context.CancelFunc // ends the requests that wait or stream
}

// Listen takes the address; requests are answered once Serve runs.
// Expected errors: the address cannot be listened on, or two collectors show the same metric.
func Listen(o Options) (*Server, error) {
	registry := prometheus.NewRegistry()
	own := []prometheus.Collector{collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})}
	for _, c := range append(own, o.Collectors...) {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("http server: metrics: %w", err)
		}
	}
	listener, err := net.Listen("tcp", o.Address)
	if err != nil {
		return nil, fmt.Errorf("http server: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Server{node: o.Node, version: o.Version, started: time.Now(), waiting: make(chan struct{}, waitingMax),
		listener: netutil.LimitListener(listener, connectionsMax), stop: stop}
	logger := o.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	s.http = &http.Server{
		Handler:        s.routes(registry, o.Profiles),
		BaseContext:    func(net.Listener) context.Context { return ctx },
		ErrorLog:       slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
		MaxHeaderBytes: headerBytesMax,
		ReadTimeout:    requestTimeout,
		IdleTimeout:    idleTimeout,
		WriteTimeout:   requestTimeout + writeTimeout,
	}
	return s, nil
}

// Addr returns the address that the server listens on.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Serve answers requests until Close. It returns nil after Close.
func (s *Server) Serve() error {
	if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("http server: %w", err)
	}
	return nil
}

// Close frees the address, ends waits and streams, and gives other requests two seconds to end.
func (s *Server) Close() error {
	s.stop()
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if err := s.http.Shutdown(ctx); errors.Is(err, context.DeadlineExceeded) {
		return s.http.Close()
	} else if err != nil {
		return err
	}
	return nil
}

func (s *Server) routes(registry *prometheus.Registry, profiles bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "alive\n") })
	mux.HandleFunc("GET /readyz", s.ready)
	mux.HandleFunc("GET /status", s.status)
	mux.HandleFunc("GET /log", s.log)
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: scrapesMax, Timeout: requestTimeout}))
	if profiles {
		mux.HandleFunc("GET /debug/pprof/", s.patient(pprof.Index)) // some of these, too, look on for seconds
		mux.HandleFunc("GET /debug/pprof/profile", s.patient(pprof.Profile))
		mux.HandleFunc("GET /debug/pprof/trace", s.patient(pprof.Trace))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		mux.ServeHTTP(w, r)
	})
}

func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	if ok, reason := s.node.Ready(); !ok {
		http.Error(w, "not ready: "+reason, http.StatusServiceUnavailable)
		return
	}
	io.WriteString(w, "ready\n")
}

// patient has a handler counted and treated as one of a request that waits.
func (s *Server) patient(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if done := s.wait(w); done != nil {
			defer done()
			h(w, r)
		}
	}
}

// wait makes room for a request that waits or streams, and frees it of the deadlines for short ones. The caller calls
// done at its end; it is nil when there was no room, and then the request is answered.
func (s *Server) wait(w http.ResponseWriter) (done func()) {
	select {
	case s.waiting <- struct{}{}:
	default:
		http.Error(w, fmt.Sprintf("%d requests wait already, try again later", waitingMax), http.StatusServiceUnavailable)
		return nil
	}
	// A read deadline that passes would count as the client's going away.
	http.NewResponseController(w).SetReadDeadline(time.Time{})
	return func() { <-s.waiting }
}
