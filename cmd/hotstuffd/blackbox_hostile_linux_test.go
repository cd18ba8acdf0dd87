package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
)

// memory returns a value in bytes from what the kernel says about a process, such as VmHWM, the most memory it ever had.
func memory(t *testing.T, pid int, name string) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			var kilobytes int
			if _, err := fmt.Sscanf(value, "%d kB", &kilobytes); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			return kilobytes << 10
		}
	}
	t.Fatalf("no %s in\n%s", name, status)
	return 0
}

// grownMax is how much more memory a node may take for hostile clients than it had when it started: 20 MiB is usual, 50
// with the race detector. They send it 64 MiB that make 75 MiB of replies, and announce far more.
const grownMax = 96 << 20

// Whatever a client sends, the worst that happens is an error and the end of its connection: the node goes on answering
// others, and its memory stays bounded.
func TestHostileRedisClients(t *testing.T) {
	c, ctx := startedCluster(t, 4), patient(t)
	dripped, flooded := 600_000, 64<<20
	if testing.Short() {
		dripped, flooded = 60_000, 4<<20
	}
	pid := c.nodes[0].cmd.Process.Pid
	before := memory(t, pid, "VmHWM")
	others := startLoad(1, func(_, round int) error { // they must not notice
		n, err := c.client(0).Incr(ctx, "others").Result()
		if err == nil && n != int64(round)+1 {
			err = fmt.Errorf("INCR answers %d", n)
		}
		return err
	})
	flood := make(chan error, 1)
	flooding := c.dial(0)
	go func() { flood <- pingWithoutReading(flooding, flooded) }()

	for _, test := range []struct{ sent, want string }{
		{"*1\r\n$9223372036854775807\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
		{"*1\r\n$-2\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
		{"$-2\r\n", "-ERR unknown command '$-2', with args beginning with: \r\n"},
		{"*1000000\r\n" + strings.Repeat("$1\r\nx\r\n", 1_000_000), "-ERR Protocol error: invalid multibulk length\r\n"},
	} {
		w := c.dial(0)
		// The node may close the connection before all is sent.
		if _, err := io.WriteString(w, test.sent); err != nil && len(test.sent) < 100 {
			t.Errorf("%.30q: %v", test.sent, err)
		}
		line, err := w.in.ReadString('\n')
		if lost := err != nil && len(test.sent) > 100; line != test.want && !lost {
			t.Errorf("%.30q is answered with %q, %v, want %q", test.sent, line, err, test.want)
		}
		w.Close()
	}

	drip := c.dial(0)
	for _, b := range []byte(words("SET", "dripped", strings.Repeat("x", dripped))) {
		if _, err := drip.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	drip.expect("+OK\r\n")

	if !testing.Short() { // a client that does not read is cut off after ten seconds
		if err := <-flood; err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the node does not close the connection of a client that sends and never reads: %v", err)
		}
	}
	others.await(1)
	for _, err := range others.end() {
		t.Error(err)
	}
	flooding.Close()
	if n, err := c.client(3).StrLen(ctx, "dripped").Result(); err != nil || n != int64(dripped) {
		t.Errorf("the dripped value has %d bytes, %v", n, err)
	}
	grown := memory(t, pid, "VmHWM") - before
	if grown > grownMax {
		t.Errorf("the node has grown by %d MiB", grown>>20)
	}
	t.Logf("other clients did %d commands; the node had %d MiB and grew by %d MiB", others.done[0], before>>20, grown>>20)
}

// pingWithoutReading sends PINGs and reads no answer. It fails when the node closes the connection.
func pingWithoutReading(w *wire, size int) error {
	pings := strings.Repeat("PING\r\n", 10_000)
	for sent := 0; sent < size; {
		n, err := io.WriteString(w.Conn, pings)
		sent += n
		if err != nil {
			return err
		}
	}
	return nil
}
