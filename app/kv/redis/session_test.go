package redis_test

import (
	"fmt"
	"strings"
	"testing"
)

// open opens a session and returns its identifier.
func (c *raw) open() string {
	c.t.Helper()
	c.send(array("SESSION"))
	id, ok := strings.CutPrefix(c.line(), ":")
	if !ok {
		c.t.Fatalf("SESSION answers %q", id)
	}
	return id
}

// A command sent twice under one number is executed once, and answered twice, also on another connection.
func TestOnce(t *testing.T) {
	s, _ := start(t, defaults())
	c := dial(t, s)
	id := c.open()
	c.send(array("ONCE", id, "1", "INCR", "k") + array("ONCE", id, "1", "INCR", "k") + array("GET", "k") + array("once", id, "2", "incrby", "k", "5"))
	c.expect(":1\r\n:1\r\n$1\r\n1\r\n:6\r\n")
	other := dial(t, s)
	other.send(array("ONCE", id, "2", "INCRBY", "k", "5") + array("ONCE", id, "1", "SET", "k", "never") +
		array("ONCE", id, "3", "GETSET", "k", "8") + array("SET", "k", "9") + array("ONCE", id, "3", "GETSET", "k", "8") + array("GET", "k"))
	other.expect(":6\r\n-ERR another command was executed under this number: not executed\r\n$1\r\n6\r\n+OK\r\n$1\r\n6\r\n$1\r\n9\r\n")
	if own := other.open(); own == id {
		t.Errorf("two sessions are called %s", id)
	}
}

// What cannot be executed once is not executed at all, and says why.
func TestOnceRefuses(t *testing.T) {
	s, _ := start(t, defaults())
	c := dial(t, s)
	id := c.open()
	for _, test := range []struct{ command, want string }{
		{array("ONCE", "12345", "1", "SET", "k", "v"), "-SESSION_EXPIRED no such session, or it was evicted: the command is not executed, and may have been before"},
		{array("ONCE", id, "0", "SET", "k", "v"), "-ERR sequence numbers begin at 1: not executed"},
		{array("ONCE", id, "5000", "SET", "k", "v"), "-ERR the sequence number is too far ahead of the least one that is missing: not executed"},
		{array("ONCE", id, "x", "SET", "k", "v"), "-ERR value is not an integer or out of range"},
		{array("ONCE", "-1", "1", "SET", "k", "v"), "-ERR value is not an integer or out of range"},
		{array("ONCE", id, "9223372036854775808", "SET", "k", "v"), "-ERR value is not an integer or out of range"},
		{array("ONCE", id, "1", "SET", "k"), "-ERR wrong number of arguments for 'set' command"},
		{array("ONCE", id, "1"), "-ERR wrong number of arguments for 'once' command"},
		{array("SESSION", "x"), "-ERR wrong number of arguments for 'session' command"},
		{array("ONCE", id, "1", "MGET", "k", "k"), "-ERR ONCE takes commands that write: a read may be sent again as it is"},
		{array("ONCE", id, "1", "PING"), "-ERR ONCE takes a command of the store"},
		{array("ONCE", id, "1", "ONCE", id, "2", "SET", "k", "v"), "-ERR ONCE takes a command of the store"},
		{array("ONCE", id, "1", "NOSUCH", "k"), "-ERR unknown command 'NOSUCH', with args beginning with: 'k' "},
	} {
		c.send(test.command)
		if got := c.line(); got != test.want {
			t.Errorf("%q: %s\nwant %s", test.command, got, test.want)
		}
	}
	large := strings.Repeat("v", 5000)
	c.send(array("SET", "big", large) + array("ONCE", id, "1", "GETDEL", "big") + array("ONCE", id, "1", "GETDEL", "big") + array("GET", "k"))
	c.expect("+OK\r\n" + fmt.Sprintf("$5000\r\n%s\r\n", large) + "-ERR executed before; its result is not kept any more\r\n$-1\r\n")
	c.open()
	c.open() // the test's engine has room for two
	c.send(array("ONCE", id, "2", "SET", "k", "v"))
	if got := c.line(); !strings.HasPrefix(got, "-SESSION_EXPIRED ") {
		t.Errorf("an evicted session: %s", got)
	}
}

// Commands of sessions and others share requests, which keep to their limits.
func TestOnceKeepsToTheLimits(t *testing.T) {
	cfg := defaults()
	cfg.MaxValueBytes, cfg.MaxRequestBytes = 1000, 80_000
	s, e := start(t, cfg)
	c := dial(t, s)
	id := c.open()
	var pipeline, want strings.Builder
	for i := 1; i <= 900; i++ {
		pipeline.WriteString(array("ONCE", id, fmt.Sprint(i), "SET", fmt.Sprint("key", i), strings.Repeat("v", 500)))
		want.WriteString("+OK\r\n")
	}
	c.send(pipeline.String())
	c.expect(want.String())
	e.set(func(e *executor) {
		if e.largest > 80_000 || e.requests < 6 {
			t.Errorf("%d requests, the largest of %d bytes", e.requests, e.largest)
		}
	})
}
