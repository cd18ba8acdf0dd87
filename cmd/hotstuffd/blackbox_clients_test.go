package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// patient bounds all that the clients of a test do.
func patient(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), clusterLife)
	t.Cleanup(cancel)
	return ctx
}

// What one node has answered, every other node knows from then on.
func TestWriteIsReadElsewhereAtOnce(t *testing.T) {
	c, ctx := startedCluster(t, 4), patient(t)
	for i := range 12 { // every pair
		writer, reader, value := i%4, (i+1+i/4)%4, strconv.Itoa(i)
		if err := c.client(writer).Set(ctx, "x", value, 0).Err(); err != nil {
			t.Fatal(err)
		}
		if got, err := c.client(reader).Get(ctx, "x").Result(); err != nil || got != value {
			t.Errorf("node %d wrote %s, node %d reads %q, %v", writer, value, reader, got, err)
		}
	}
}

// Of swaps that start from the same value on all nodes at once, exactly one gets through.
func TestOneOfRacingSwapsGetsThrough(t *testing.T) {
	c, ctx := startedCluster(t, 4), patient(t)
	rounds := 50
	if testing.Short() {
		rounds = 5
	}
	old, wins := "", [4]int{}
	for round := range rounds {
		var swapped [4]int
		wish := func(i int) string { return fmt.Sprintf("%d by node %d", round, i) }
		atOnce(t, 4, func(i int) (err error) {
			swapped[i], err = c.client(i).Do(ctx, "CAS", "lock", old, wish(i)).Int()
			return err
		})
		winner := -1
		for i, n := range swapped {
			if n == 1 && winner < 0 {
				winner = i
			} else if n != 0 {
				t.Fatalf("round %d: answers %v, want 1 from one node alone", round, swapped)
			}
		}
		if winner < 0 {
			t.Fatalf("round %d: nobody got through", round)
		}
		wins[winner]++
		old = wish(winner) // were it not, nobody would get through in the next round
	}
	if got, err := c.client(0).Get(ctx, "lock").Result(); err != nil || got != old {
		t.Errorf("%q, %v, want %q", got, err, old)
	}
	t.Logf("swaps that got through, by node: %v", wins)
}

// wire is a connection to a node's Redis port without a client library.
type wire struct {
	net.Conn
	t  *testing.T
	in *bufio.Reader
}

func (c *cluster) dial(id int) *wire {
	c.t.Helper()
	conn, err := net.Dial("tcp", address(c.basePort, id, 1))
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		c.t.Fatal(err)
	}
	return &wire{conn, c.t, bufio.NewReader(conn)}
}

func (w *wire) send(text string) {
	w.t.Helper()
	if _, err := io.WriteString(w.Conn, text); err != nil {
		w.t.Fatal(err)
	}
}

func (w *wire) expect(want string) {
	w.t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(w.in, got); err != nil || string(got) != want {
		w.t.Fatalf("got %q, %v, want %q", got[:n], err, want)
	}
}

// words is a command as clients send it.
func words(args ...string) string {
	text := fmt.Sprintf("*%d\r\n", len(args))
	for _, a := range args {
		text += bulk(a)
	}
	return text
}

func bulk(s string) string { return fmt.Sprintf("$%d\r\n%s\r\n", len(s), s) }

// Writes, reads and what is answered on the spot come back in the order in which they were sent.
func TestRepliesComeInTheOrderOfThePipeline(t *testing.T) {
	c := startedCluster(t, 4)
	for id := range 4 {
		var sent, want strings.Builder
		w, key := c.dial(id), "n"+strconv.Itoa(id)
		for i := 1; i <= 500; i++ {
			n := strconv.Itoa(i)
			sent.WriteString(words("INCR", key) + words("GET", key) + words("ECHO", n) + words("LPUSH", key, n) + words("SET", key, n, "GET"))
			want.WriteString(":" + n + "\r\n" + bulk(n) + bulk(n))
			want.WriteString("-ERR unknown command 'LPUSH', with args beginning with: '" + key + "' '" + n + "' \r\n" + bulk(n))
		}
		w.send(sent.String())
		w.expect(want.String())
	}
}

// Commands of a connection apply in its order, however they are spread over segments, while other nodes write as well.
func TestCommandsOfAConnectionApplyInItsOrder(t *testing.T) {
	c, ctx := startedCluster(t, 4), patient(t)
	const count = 1000
	var wires [4]*wire
	for id := range wires {
		wires[id] = c.dial(id)
	}
	var want strings.Builder
	for i := range count {
		fmt.Fprintf(&want, "%d,", i)
	}
	atOnce(t, 4, func(id int) error {
		sent := make(chan error, 1)
		go func() { // never waits for an answer
			for i := range count {
				if _, err := io.WriteString(wires[id], words("APPEND", "list"+strconv.Itoa(id), strconv.Itoa(i)+",")); err != nil {
					sent <- err
					return
				}
			}
			sent <- nil
		}()
		length := 0
		for i := range count {
			length += len(strconv.Itoa(i)) + 1
			if line, err := wires[id].in.ReadString('\n'); err != nil || line != fmt.Sprintf(":%d\r\n", length) {
				return fmt.Errorf("answer %d is %q, %v, want %d", i, line, err, length)
			}
		}
		return <-sent
	})
	for id := range 4 {
		if got, err := c.client((id+1)%4).Get(ctx, "list"+strconv.Itoa(id)).Result(); err != nil || got != want.String() {
			t.Errorf("commands of node %d applied as %.200s, %v", id, got, err)
		}
	}
}

// After load from all sides no increment is lost, and all nodes hold the same state.
func TestAllAgreeAfterLoadFromAll(t *testing.T) {
	c, ctx := startedCluster(t, 4), patient(t)
	const clients, pipelines, commands = 8, 20, 100
	atOnce(t, clients, func(i int) error {
		for p := range pipelines {
			pipe := c.client(i % 4).Pipeline()
			for k := range commands {
				pipe.Incr(ctx, "total")
				pipe.Set(ctx, fmt.Sprintf("%d:%d", i, k), p, 0)
				pipe.Append(ctx, "all", strconv.Itoa(i))
			}
			if _, err := pipe.Exec(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	took := c.agree(upTo(4)...)
	const total = clients * pipelines * commands
	for id := range 4 {
		if n, err := c.client(id).Get(ctx, "total").Int(); err != nil || n != total {
			t.Errorf("node %d counts %d, %v, want %d", id, n, err, total)
		}
	}
	t.Logf("all agree %v after %d commands", took, 3*total)
}

// The log shows every command of every node, once, and each connection's in its order.
func TestLogShowsWhatWasCommitted(t *testing.T) {
	c, ctx := startedCluster(t, 4), patient(t)
	const pipelines, commands = 5, 20
	atOnce(t, 4, func(id int) error {
		for p := range pipelines {
			pipe := c.client(id).Pipeline()
			for i := range commands {
				pipe.Set(ctx, "k", fmt.Sprintf("%d.%d", id, p*commands+i), 0)
			}
			if _, err := pipe.Exec(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	c.agree(upTo(4)...)
	status, stdout, stderr := inProcess(ctx, "log", "--http", address(c.basePort, 1, 2), "--from", "1")
	if status != 0 || stderr != "" {
		t.Fatalf("status %d, %s", status, stderr)
	}
	var seen [4]int
	height, index := 0, 0
	for line := range strings.Lines(stdout) {
		var l struct{ height, index, origin, id, i int }
		if _, err := fmt.Sscanf(line, "%d %d n%d SET k %d.%d\n", &l.height, &l.index, &l.origin, &l.id, &l.i); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if l.height > height {
			height, index = l.height, 0
		}
		if l.height != height || l.index != index || l.origin != l.id || l.i != seen[l.id] {
			t.Fatalf("%q: want height %d, index %d, and command %d of the node", line, height, index, seen[l.id])
		}
		index++
		seen[l.id]++
	}
	if count := pipelines * commands; seen != [4]int{count, count, count, count} {
		t.Errorf("%v commands by node, want %d of each", seen, count)
	}
}

// A follower sees a command of another node without asking again.
func TestLogFollowsOtherNodes(t *testing.T) {
	c := startedCluster(t, 4)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	ctx, interrupt := context.WithCancel(patient(t))
	defer interrupt()
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"log", "--follow", "--http", address(c.basePort, 3, 2)}, write, write)
		write.Close()
	}()
	lines := bufio.NewScanner(read)
	for i := range 4 {
		origin, value := i%4, "v"+strconv.Itoa(i)
		if err := c.client(origin).Set(ctx, "k", value, 0).Err(); err != nil {
			t.Fatal(err)
		}
		var height int
		if !lines.Scan() {
			t.Fatal("the log ends")
		}
		if _, err := fmt.Sscanf(lines.Text(), "%d 0 n"+strconv.Itoa(origin)+" SET k "+value, &height); err != nil || height == 0 {
			t.Fatalf("got %q: %v", lines.Text(), err)
		}
	}
	interrupt()
	if status := <-ended; status != 0 {
		t.Errorf("status %d", status)
	}
}
