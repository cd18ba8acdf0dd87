package redis_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hotstuffd/hotstuffd/app/kv/redis"
)

// raw is a client that sends whatever bytes a test wants.
type raw struct {
	t testing.TB
	net.Conn
	in *bufio.Reader
}

func dial(t testing.TB, s *redis.Server) *raw {
	t.Helper()
	sock, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sock.Close() })
	sock.SetDeadline(time.Now().Add(30 * time.Second))
	return &raw{t: t, Conn: sock, in: bufio.NewReader(sock)}
}

func (r *raw) send(text string) {
	r.t.Helper()
	if _, err := io.WriteString(r.Conn, text); err != nil {
		r.t.Fatal(err)
	}
}

// expect reads exactly the wanted replies.
func (r *raw) expect(want string) {
	r.t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(r.in, got)
	if string(got[:n]) != want {
		r.t.Fatalf("got %.300q, want %.300q (%v)", got[:n], want, err)
	}
}

// line reads one line.
func (r *raw) line() string {
	r.t.Helper()
	line, err := r.in.ReadString('\n')
	if err != nil {
		r.t.Fatalf("%q, %v", line, err)
	}
	return strings.TrimSuffix(line, "\r\n")
}

// expectClosed shows that the server ends the connection, with nothing more to say.
func (r *raw) expectClosed() {
	r.t.Helper()
	rest, err := io.ReadAll(r.in)
	if nerr, ok := err.(net.Error); len(rest) > 0 || ok && nerr.Timeout() {
		r.t.Fatalf("still open: %.100q, %v", rest, err)
	}
}

// array is a command as a client library sends it.
func array(words ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, w := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
	}
	return b.String()
}
