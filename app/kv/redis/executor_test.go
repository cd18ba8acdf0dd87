package redis_test

import (
	"sync"
	"testing"
	"time"

	"github.com/hotstuffd/hotstuffd/app"
	"github.com/hotstuffd/hotstuffd/app/kv"
	"github.com/hotstuffd/hotstuffd/app/kv/redis"
	"github.com/hotstuffd/hotstuffd/app/session"
	"github.com/hotstuffd/hotstuffd/mempool"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// executor is a node of one replica: it takes requests in and one goroutine applies them to a real store, in order.
type executor struct {
	store *kv.Store
	// sessions are as the engine has them.
	sessions *session.Table
	inbox    chan *app.Request
	ended    chan struct{}
	mu       sync.Mutex
	refuse   error         // what Submit answers with
	fail     error         // what Complete is called with
	gate     chan struct{} // requests wait for it to be closed
	taken    chan struct{} // gets one for each request taken in, up to its capacity

	requests                            int // executed
	largest, largestReply, mostCommands int // of any request: bytes taken, bytes of its reply, commands
}

func newExecutor(t testing.TB) *executor {
	t.Helper()
	store, err := kv.New(kv.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	e := &executor{store: store, sessions: session.NewTable(session.Limits{Sessions: 2, Bytes: 1 << 20}), inbox: make(chan *app.Request, 64), ended: make(chan struct{}),
		taken: make(chan struct{}, 64)}
	go e.run()
	return e
}

func (e *executor) Submit(r *app.Request) error {
	e.mu.Lock()
	err := e.refuse
	e.mu.Unlock()
	if err != nil {
		return err
	}
	e.inbox <- r
	select {
	case e.taken <- struct{}{}:
	default:
	}
	return nil
}

// set changes the executor's behaviour.
func (e *executor) set(change func(e *executor)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change(e)
}

func (e *executor) run() {
	defer close(e.ended)
	for r := range e.inbox {
		e.mu.Lock()
		gate, fail := e.gate, e.fail
		e.mu.Unlock()
		if gate != nil {
			<-gate
		}
		reply := e.execute(r)
		if fail != nil {
			reply = nil
		} else {
			r.Executed = time.Now().Add(-time.Minute)
		}
		r.Complete(r, reply, fail)
	}
}

// execute gives the results of all operations of a request, end to end.
func (e *executor) execute(r *app.Request) (reply []byte) {
	size, blob, locals := len(r.Blob), r.Blob, r.Locals
	for done := uint32(0); ; done++ {
		for ; len(locals) > 0 && locals[0].After == done; locals = locals[1:] {
			size += len(locals[0].Query)
			if locals[0].Literal {
				reply = append(reply, locals[0].Query...)
			} else {
				reply = e.store.Query(locals[0].Query, reply)
			}
		}
		command, rest, ok := mempool.NextCommand(blob)
		if !ok {
			if done != r.Count || len(blob) > 0 || len(locals) > 0 {
				reply = append(reply, "-ERR malformed request\r\n"...)
			}
			break
		}
		reply, blob = e.apply(r, command, reply), rest
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.requests++
	e.largest, e.largestReply = max(e.largest, size), max(e.largestReply, len(reply))
	e.mostCommands = max(e.mostCommands, int(r.Count)+len(r.Locals))
	return reply
}

func (e *executor) apply(r *app.Request, c mempool.Command, reply []byte) []byte {
	if !c.Engine {
		return e.store.Apply(app.Moment{}, c.Body, reply)
	}
	s, ok := session.Parse(c.Body)
	switch {
	case !ok:
		return append(reply, "-ERR malformed request\r\n"...)
	case s.Open:
		return r.Words.Opened(reply, e.sessions.Open([32]byte{}))
	}
	reply, outcome := e.sessions.Once(s.ID, s.Seq, s.Command, reply, func(reply []byte) []byte { return e.store.Apply(app.Moment{}, s.Command, reply) })
	if outcome != session.Done {
		reply = r.Words.Refused(reply, outcome)
	}
	return reply
}

// defaults is a configuration for tests: a free port, and times no test reaches unless it means to.
func defaults() redis.Config {
	return redis.Config{Listen: "127.0.0.1:0", Timeout: 20 * time.Second, MaxConnections: 100, MaxValueBytes: 1 << 20,
		MaxPipeline: 1024, MaxRequestBytes: 2 << 20}
}

// start serves an executor until the test ends, and shows that Close leaves nothing behind.
func start(t testing.TB, cfg redis.Config) (*redis.Server, *executor) {
	t.Helper()
	e := newExecutor(t)
	s, err := redis.Listen(cfg, e)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
		close(e.inbox)
		<-e.ended
	})
	return s, e
}
