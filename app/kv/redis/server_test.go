package redis_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/hotstuffd/hotstuffd/app/kv/redis"
)

// A mixed pipeline travels as one request, and its replies come back in order: writes, reads between them that see
// exactly the writes before, and answers that need no store.
func TestPipelineIsOneRequestInOrder(t *testing.T) {
	s, e := start(t, defaults())
	c := dial(t, s)
	c.send(array("SET", "k", "1") + array("GET", "k") + array("PING") + array("PING", "x") + array("INCR", "k") +
		array("NOSUCH", "a", "b\r\nc") + array("GET", "k") + array("GET") + array("DBSIZE") + array("ECHO", "e"))
	c.expect("+OK\r\n$1\r\n1\r\n+PONG\r\n$1\r\nx\r\n:2\r\n" +
		"-ERR unknown command 'NOSUCH', with args beginning with: 'a' 'b  c' \r\n" +
		"$1\r\n2\r\n-ERR wrong number of arguments for 'get' command\r\n:1\r\n$1\r\ne\r\n")
	e.set(func(e *executor) {
		if e.requests != 1 {
			t.Errorf("%d requests", e.requests)
		}
	})
}

// Answers that need no store wait for those before them.
func TestLiteralsWaitTheirTurn(t *testing.T) {
	s, e := start(t, defaults())
	gate := make(chan struct{})
	e.set(func(e *executor) { e.gate = gate })
	c := dial(t, s)
	c.send(array("SET", "k", "1"))
	c.send(array("PING"))
	other := dial(t, s)
	other.send("PING\r\n")
	other.expect("+PONG\r\n") // the server is alive
	close(gate)
	c.expect("+OK\r\n+PONG\r\n")
	e.set(func(e *executor) {
		if e.requests > 2 {
			t.Errorf("%d requests: answers that are known were submitted", e.requests)
		}
	})
}

func TestInlineCommands(t *testing.T) {
	s, _ := start(t, defaults())
	c := dial(t, s)
	c.send("PING\r\n\r\nset k \"a b\\x21\"\nGET k\r\nEXISTS k k\r\nQUIT\r\nPING\r\n")
	c.expect("+PONG\r\n+OK\r\n$4\r\na b!\r\n:2\r\n+OK\r\n")
	c.expectClosed()
}

// A client may stop sending, as netcat does, and still gets its replies.
func TestHalfClosedClientIsAnswered(t *testing.T) {
	s, _ := start(t, defaults())
	c := dial(t, s)
	c.send("SET k 1\r\nGET k\r\n")
	if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	c.expect("+OK\r\n$1\r\n1\r\n")
	c.expectClosed()
}

func TestConnectionCommands(t *testing.T) {
	s, _ := start(t, defaults())
	c := dial(t, s)
	for _, step := range [][2]string{
		{"SELECT 0", "+OK"}, {"SELECT 1", "-ERR DB index is out of range"},
		{"SELECT x", "-ERR value is not an integer or out of range"},
		{"HELLO 3", "-NOPROTO unsupported protocol version"},
		{"HELLO x", "-ERR Protocol version is not an integer or out of range"},
		{"HELLO 2 AUTH a b", "-ERR Syntax error in HELLO option 'AUTH'"},
		{"CLIENT GETNAME", "$-1"}, {"CLIENT SETNAME me", "+OK"}, {"CLIENT ID", ":1"},
		{"CLIENT SETNAME \"a b\"", "-ERR Client names cannot contain spaces, newlines or special characters."},
		{"CLIENT SETINFO LIB-NAME x", "+OK"}, {"CLIENT SETINFO LIB-FOO x", "-ERR Unrecognized option 'lib-foo'"},
		{"CLIENT NO-EVICT ON", "+OK"}, {"CLIENT NOSUCH", "-ERR unknown subcommand 'NOSUCH'. Try CLIENT HELP."},
		{"CLIENT SETNAME", "-ERR wrong number of arguments for 'client|setname' command"},
		{"CONFIG SET a b", "-ERR only CONFIG GET is supported: settings are in the node's configuration file"},
		{"CONFIG GET", "-ERR wrong number of arguments for 'config|get' command"},
		{"COMMAND DOCS", "*0"}, {"COMMAND COUNT", ":30"}, {"COMMAND X", "-ERR unknown subcommand 'X'. Try COMMAND HELP."},
		{"PING a b", "-ERR wrong number of arguments for 'ping' command"},
		{"ECHO", "-ERR wrong number of arguments for 'echo' command"},
	} {
		c.send(step[0] + "\r\n")
		if got := c.line(); got != step[1] {
			t.Errorf("%s: got %q, want %q", step[0], got, step[1])
		}
	}
	c.send("CLIENT GETNAME\r\nHELLO 2 SETNAME you\r\n")
	c.expect("$2\r\nme\r\n*14\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.4.0\r\n$5\r\nproto\r\n:2\r\n" +
		"$2\r\nid\r\n:1\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n")
	c.send("CONFIG GET save\r\nCONFIG GET append* x\r\n")
	c.expect("*2\r\n$4\r\nsave\r\n$0\r\n\r\n*2\r\n$10\r\nappendonly\r\n$3\r\nyes\r\n")
	c.send("COMMAND INFO get nosuch ping\r\n")
	c.expect("*3\r\n*6\r\n$3\r\nget\r\n:2\r\n*1\r\n+readonly\r\n:1\r\n:1\r\n:1\r\n*-1\r\n" +
		"*6\r\n$4\r\nping\r\n:-1\r\n*1\r\n+fast\r\n:0\r\n:0\r\n:0\r\n")
	c.send("CLIENT LIST\r\n")
	if c.line(); !strings.Contains(c.line(), "name=you") {
		t.Error("CLIENT LIST does not show the client's name")
	}
}

func TestInfo(t *testing.T) {
	cfg := defaults()
	cfg.Info = func() []redis.InfoField { return []redis.InfoField{{Section: "Replica", Name: "height", Value: "12"}} }
	s, _ := start(t, cfg)
	c := dial(t, s)
	c.send("INFO replica\r\n")
	c.expect("$22\r\n# Replica\r\nheight:12\r\n\r\n")
	c.send("INFO\r\n")
	var n int
	if _, err := fmt.Sscanf(c.line(), "$%d", &n); err != nil {
		t.Fatal(err)
	}
	text := make([]byte, n+2)
	if _, err := io.ReadFull(c.in, text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# Server\r\nredis_version:", "\r\nconnected_clients:1\r\n", "\r\nheight:12\r\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("INFO lacks %q: %q", want, text)
		}
	}
}

func TestListenErrorsSayWhatToDo(t *testing.T) {
	s, e := start(t, defaults())
	taken := defaults()
	taken.Listen = s.Addr().String()
	small := defaults()
	small.MaxRequestBytes = small.MaxValueBytes
	for want, cfg := range map[string]redis.Config{
		"redis: " + taken.Listen + " is in use: stop the program that listens there, or choose another address": taken,
		"redis: MaxRequestBytes is 1048576, too small for values of 1048576 bytes: make it at least 1118208":    small,
		"redis: Timeout must be positive": {},
	} {
		if _, err := redis.Listen(cfg, e); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestTooManyConnections(t *testing.T) {
	cfg := defaults()
	cfg.MaxConnections = 2
	s, _ := start(t, cfg)
	first, second := dial(t, s), dial(t, s)
	for _, c := range []*raw{first, second} {
		c.send("PING\r\n")
		c.expect("+PONG\r\n")
	}
	third := dial(t, s)
	third.expect("-ERR max number of clients reached\r\n")
	third.expectClosed()
	first.send("QUIT\r\n")
	first.expect("+OK\r\n")
	first.expectClosed()
	for { // the place is free once the server has noticed
		c := dial(t, s)
		c.send("PING\r\n")
		if line, _ := c.in.ReadString('\n'); line == "+PONG\r\n" {
			break
		}
	}
}

// Close lets what was submitted be answered, and then ends every connection and goroutine.
func TestCloseAnswersWhatIsUnderWay(t *testing.T) {
	s, e := start(t, defaults())
	gate := make(chan struct{})
	e.set(func(e *executor) { e.gate = gate })
	busy, idle := dial(t, s), dial(t, s)
	busy.send(array("SET", "k", "1"))
	idle.send("PING\r\n")
	idle.expect("+PONG\r\n")
	<-e.taken
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	idle.expectClosed()
	close(gate)
	busy.expect("+OK\r\n")
	busy.expectClosed()
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", s.Addr().String()); err == nil {
		t.Error("a closed server accepts clients")
	}
}
