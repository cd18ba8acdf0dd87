package redis_test

import (
	"strings"
	"testing"
	"time"

	"github.com/hotstuffd/hotstuffd/app"
)

// Each command of a request that failed is answered for itself, so that a client's count of replies stays right.
func TestOutcomesAreToldForEachCommand(t *testing.T) {
	s, e := start(t, defaults())
	c := dial(t, s)
	for _, o := range []struct {
		err  error
		want string
	}{
		{app.ErrNotApplied, "-TRYAGAIN not applied\r\n"},
		{app.ErrUnknownOutcome, "-TIMEOUT outcome unknown\r\n"},
		{app.ErrStopped, "-ERR node is stopping\r\n"},
		{app.ErrBusy, "-BUSY too much work under way, try again\r\n"},
		{app.ErrDiskFull, "-MISCONF disk full, commands are refused until there is room\r\n"},
		{app.ErrTooLarge, "-ERR request too large\r\n"},
	} {
		pipeline := array("SET", "k", "1") + array("GET", "k") + array("PING")
		e.set(func(e *executor) { e.fail, e.refuse = o.err, nil })
		c.send(pipeline)
		c.expect(strings.Repeat(o.want, 3))
		e.set(func(e *executor) { e.fail, e.refuse = nil, o.err })
		c.send(pipeline)
		c.expect(strings.Repeat(o.want, 3))
	}
	e.set(func(e *executor) { e.fail, e.refuse = nil, nil })
	c.send(array("SET", "k", "1") + array("GET", "k"))
	c.expect("+OK\r\n$1\r\n1\r\n")
}

// How long replies took is told of requests that were executed, once each: not of what the front end answers by itself, and
// not of what failed.
func TestRepliesAreTimed(t *testing.T) {
	cfg := defaults()
	told := make(chan time.Duration, 10)
	cfg.Replied = func(after time.Duration) { told <- after }
	s, e := start(t, cfg)
	c := dial(t, s)
	for _, fail := range []error{nil, app.ErrUnknownOutcome} {
		e.set(func(e *executor) { e.fail = fail })
		c.send(array("SET", "k", "1") + array("SET", "k", "2"))
		c.line()
		c.line()
	}
	c.send(array("PING"))
	c.expect("+PONG\r\n")
	select {
	case after := <-told:
		if after < time.Minute || after > 2*time.Minute {
			t.Errorf("the reply to a request that was executed a minute ago took %v", after)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("nothing is told of a request that was executed and answered")
	}
	if n := len(told); n != 0 {
		t.Errorf("%d more are told of", n)
	}
}

// A request without an outcome in time is answered as unknown, in order. Its outcome comes later and is ignored, and its
// memory is not used before: later requests are what they were.
func TestTimeout(t *testing.T) {
	cfg := defaults()
	cfg.Timeout = 250 * time.Millisecond
	s, e := start(t, cfg)
	gate := make(chan struct{})
	e.set(func(e *executor) { e.gate = gate })
	c := dial(t, s)
	c.send(array("SET", "k", "late") + array("PING"))
	c.expect(strings.Repeat("-TIMEOUT outcome unknown\r\n", 2))
	c.send(array("SET", "l", "later"))
	c.expect("-TIMEOUT outcome unknown\r\n")
	e.set(func(e *executor) { e.gate = nil })
	close(gate)
	for range 20 {
		c.send(array("APPEND", "x", "1") + array("PING"))
		if line := c.line(); !strings.HasPrefix(line, ":") {
			t.Fatalf("got %s", line)
		}
		c.expect("+PONG\r\n")
	}
	c.send(array("MGET", "k", "l"))
	c.expect("*2\r\n$4\r\nlate\r\n$5\r\nlater\r\n") // unknown means applied once or never; here once
}

// While the node holds as many requests of a connection as one may have, more of its requests are refused, not lost.
func TestRequestsBehindTimeoutsAreRefused(t *testing.T) {
	cfg := defaults()
	cfg.Timeout = 20 * time.Millisecond
	s, e := start(t, cfg)
	gate := make(chan struct{})
	e.set(func(e *executor) { e.gate = gate })
	c := dial(t, s)
	for range 8 {
		c.send(array("INCR", "n"))
		c.expect("-TIMEOUT outcome unknown\r\n")
	}
	c.send(array("INCR", "n") + array("PING"))
	c.expect(strings.Repeat("-BUSY too much work under way, try again\r\n", 2))
	e.set(func(e *executor) { e.gate = nil })
	close(gate)
	for {
		c.send(array("GET", "n"))
		if line := c.line(); line == "$1" {
			c.expect("8\r\n")
			break
		}
	}
}

// A client that leaves while its requests are under way disturbs nobody.
func TestClientLeavesUnderWay(t *testing.T) {
	s, e := start(t, defaults())
	gate := make(chan struct{})
	e.set(func(e *executor) { e.gate = gate })
	c := dial(t, s)
	c.send(array("SET", "k", "1"))
	<-e.taken
	c.Close()
	e.set(func(e *executor) { e.gate = nil })
	close(gate)
	other := dial(t, s)
	for got := ""; got != "$1"; {
		other.send(array("GET", "k"))
		if got = other.line(); got == "$1" {
			other.expect("1\r\n")
		}
	}
}
