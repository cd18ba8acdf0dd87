package redis_test

import (
	"errors"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestProtocolErrorsCloseTheConnection(t *testing.T) {
	s, _ := start(t, defaults())
	for input, want := range map[string]string{
		"*1\r\n$9223372036854775807\r\n":  "invalid bulk length",
		"*1\r\n$-2\r\n":                   "invalid bulk length",
		"*2\r\n$3\r\nGET\r\n$1048577\r\n": "invalid bulk length",
		"*1000000\r\n":                    "invalid multibulk length",
		"*-1\r\n":                         "invalid multibulk length",
		"*1\r\n$4\r\nPINGPING":            "expected CRLF after bulk string",
		"*1\r\n+PING\r\n":                 "expected '$', got '+'",
		"SET \"k\r\n":                     "unbalanced quotes in request",
		strings.Repeat("x", 64<<10+1):     "too big inline request",
		"*1" + strings.Repeat("1", 40):    "invalid multibulk length",
	} {
		c := dial(t, s)
		c.send(array("SET", "k", "1") + input)
		c.expect("+OK\r\n-ERR Protocol error: " + want + "\r\n")
		c.expectClosed()
	}
}

// Bytes that are no protocol at all end a connection, never the server.
func TestGarbage(t *testing.T) {
	s, _ := start(t, defaults())
	for _, input := range []string{"\x00\x01\x02\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"\x16\x03\x01\x02\x00\x01\r\n", "*\r\n", "$1\r\n"} {
		c := dial(t, s)
		c.send(input)
		if line := c.line(); !strings.HasPrefix(line, "-ERR ") {
			t.Errorf("%q: %q", input, line)
		}
		c.Close()
	}
	c := dial(t, s)
	c.send("PING\r\n")
	c.expect("+PONG\r\n")
}

// A client that sends without end and never reads blocks itself alone, takes bounded memory, and is cut off.
func TestClientThatNeverReads(t *testing.T) {
	cfg := defaults()
	cfg.WriteTimeout = 500 * time.Millisecond
	s, _ := start(t, cfg)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	flood := dial(t, s)
	cut := make(chan int)
	go func() {
		pings := strings.Repeat(array("PING"), 4096)
		sent := 0
		for sent < 64<<20 {
			n, err := io.WriteString(flood.Conn, pings)
			if sent += n; err != nil {
				if errors.Is(err, os.ErrDeadlineExceeded) {
					t.Error("the client gave up first")
				}
				break
			}
		}
		cut <- sent
	}()
	other := dial(t, s)
	for open := true; open; {
		select {
		case sent := <-cut:
			open = false
			if sent >= 64<<20 {
				t.Error("the server took in everything")
			}
		default:
			other.send(array("INCR", "n"))
			if line := other.line(); !strings.HasPrefix(line, ":") {
				t.Fatal(line)
			}
		}
	}
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 24<<20 {
		t.Errorf("%d MiB for one client that does not read", grown>>20)
	}
}

// A large command that comes byte by byte takes linear time, and nobody else waits for it.
func TestDrippedCommand(t *testing.T) {
	s, _ := start(t, defaults())
	c := dial(t, s)
	command, value := array("SET", "k", strings.Repeat("x", 600_000)), make([]byte, 1)
	started := time.Now()
	for i := range len(command) {
		value[0] = command[i]
		if _, err := c.Write(value); err != nil {
			t.Fatal(err)
		}
	}
	c.expect("+OK\r\n")
	if d := time.Since(started); d > 20*time.Second {
		t.Errorf("took %v", d)
	}
	c.send(array("STRLEN", "k"))
	c.expect(":600000\r\n")
}

// Large values pass whole; many of them are spread over requests that keep the limit.
func TestRequestsKeepTheirLimits(t *testing.T) {
	cfg := defaults()
	cfg.MaxPipeline = 100
	cfg.MaxRequestBytes = cfg.MaxValueBytes + 70_000
	s, e := start(t, cfg)
	c := dial(t, s)
	large := strings.Repeat("v", cfg.MaxValueBytes)
	go io.WriteString(c.Conn, strings.Repeat(array("SET", "large", large)+array("SET", "medium", large[:80_000]), 20)+
		strings.Repeat(array("INCR", "n"), 5000)+
		strings.Repeat(array("PING"), 1000)+strings.Repeat(array("GET", "large"), 40))
	c.expect(strings.Repeat("+OK\r\n", 40))
	for n := range 5000 {
		if want := ":" + itoa(n+1); c.line() != want {
			t.Fatalf("not %s", want)
		}
	}
	c.expect(strings.Repeat("+PONG\r\n", 1000))
	for range 40 { // the store bounds the replies to the reads of one request
		if line := c.line(); line == "$1048576" {
			c.expect(large + "\r\n")
		} else if !strings.HasPrefix(line, "-ERR replies to one pipeline would exceed") {
			t.Fatal(line)
		}
	}
	e.set(func(e *executor) {
		if e.largest > cfg.MaxRequestBytes || e.mostCommands > cfg.MaxPipeline {
			t.Errorf("a request of %d bytes, one of %d commands", e.largest, e.mostCommands)
		}
	})
}

// A pipeline of plain SETs travels as one request: SET answers with a value only if it is asked to. Of several pipelines, for
// one may come in two pieces.
func TestPipelinesOfSetsAreOneRequest(t *testing.T) {
	s, e := start(t, defaults())
	c := dial(t, s)
	for range 10 {
		c.send(strings.Repeat(array("SET", "k", "v"), 64))
		c.expect(strings.Repeat("+OK\r\n", 64))
	}
	e.set(func(e *executor) {
		if e.mostCommands != 64 {
			t.Errorf("at most %d of 64 SETs in one request", e.mostCommands)
		}
	})
}

// Small writes that answer with a large value must not add up to a reply without bound.
func TestWritesThatAnswerWithValuesAreSpread(t *testing.T) {
	s, e := start(t, defaults())
	c := dial(t, s)
	large := strings.Repeat("v", 100_000)
	c.send(array("SET", "k", large))
	c.expect("+OK\r\n")
	c.send(strings.Repeat(array("SET", "k", "x", "NX", "GET"), 100))
	c.expect(strings.Repeat("$100000\r\n"+large+"\r\n", 100))
	e.set(func(e *executor) {
		if e.largestReply > 16*(len(large)+20) {
			t.Errorf("a reply of %d bytes", e.largestReply)
		}
	})
}
