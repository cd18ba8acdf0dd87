package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"
)

// configure changes a setting of every node, which are not started yet.
func (c *cluster) configure(line, to string) {
	c.t.Helper()
	for id := range c.nodes {
		name := filepath.Join(c.dir, fmt.Sprintf("node%d", id), "config.toml")
		text, err := os.ReadFile(name)
		if err != nil {
			c.t.Fatal(err)
		}
		lines := strings.Split(string(text), "\n")
		found := false
		for i := range lines {
			if strings.HasPrefix(lines[i], line+" =") {
				lines[i], found = line+" = "+to, true
			}
		}
		if !found {
			c.t.Fatalf("%s has no %s", name, line)
		}
		if err := os.WriteFile(name, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
			c.t.Fatal(err)
		}
	}
}

// nodeLog returns what a node has logged in all its lives.
func (c *cluster) nodeLog(id int) string {
	c.t.Helper()
	log, err := os.ReadFile(filepath.Join(c.dir, fmt.Sprintf("node%d", id), "node.log"))
	if err != nil {
		c.t.Fatal(err)
	}
	return string(log)
}

// A node whose disk was replaced by an empty one is brought up by the others' snapshot, for they have pruned their logs: it
// has every key, and a session's command that is sent to it again gives the first result. So does a start of all nodes
// from their snapshots.
func TestReplacedNodeIsBroughtUp(t *testing.T) {
	c, ctx := newCluster(t, 4), patient(t)
	c.configure("snapshot_bytes", `"1MiB"`)
	c.configure("retain_blocks", "20")
	c.start(upTo(4)...)
	session, err := c.client(0).Do(ctx, "SESSION").Int64()
	if err != nil {
		t.Fatal(err)
	}
	once := func(id int) {
		t.Helper()
		if got, err := c.client(id).Do(ctx, "ONCE", session, 1, "INCR", "visits").Int64(); err != nil || got != 1 {
			t.Errorf("by node %d: %d, %v, want the first result", id, got, err)
		}
	}
	once(0)
	written := 0
	for ; !c.allPruned(3); written++ {
		fillKeys(ctx, t, c.client(written%4), written)
	}
	c.agree(upTo(4)...)

	home := filepath.Join(c.dir, "node3")
	c.kill(3)
	if err := os.RemoveAll(filepath.Join(home, "data")); err != nil {
		t.Fatal(err)
	}
	if status, _, stderr := finish(t, daemon(t, "rejoin", "--home", home)); status != 0 {
		t.Fatalf("rejoin: status %d, %s", status, stderr)
	}
	c.launch(3)
	c.awaitRejoined(3)
	if log := c.nodeLog(3); strings.Count(log, `msg="took over a snapshot"`) != 1 {
		t.Errorf("it took over no snapshot:\n%s", log)
	}
	c.agree(upTo(4)...)
	holds := func(id int) {
		t.Helper()
		once(id)
		p := c.client(id).Pipeline()
		for k := range written {
			p.Get(ctx, key(k, 9))
		}
		replies, err := p.Exec(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for k, r := range replies {
			if value, want := r.(*goredis.StringCmd).Val(), filling(k); value != want {
				t.Fatalf("node %d has %.20q... for key %d; want %.20q...", id, value, k, want)
			}
		}
	}
	holds(3)
	c.kill(upTo(4)...)
	c.start(upTo(4)...)
	for id := range 4 {
		holds(id)
		if log := c.nodeLog(id); !strings.Contains(log[strings.LastIndex(log, "msg=recovered"):], "snapshot=") ||
			strings.Contains(log[strings.LastIndex(log, "msg=recovered"):], "snapshot=0 ") {
			t.Errorf("node %d has not started from a snapshot", id)
		}
	}
	c.agree(upTo(4)...)
}

// allPruned tells whether the log of the first nodes begins above genesis.
func (c *cluster) allPruned(nodes int) bool {
	for id := range nodes {
		if log := c.nodeLog(id); strings.Count(log, "log_from=") == strings.Count(log, "log_from=0\n") {
			return false
		}
	}
	return true
}

// fillKeys writes ten keys at once.
func fillKeys(ctx context.Context, t *testing.T, client *goredis.Client, k int) {
	t.Helper()
	p := client.Pipeline()
	for i := range 10 {
		p.Set(ctx, key(k, i), filling(k), 0)
	}
	if _, err := p.Exec(ctx); err != nil {
		t.Fatal(err)
	}
}

func key(k, i int) string { return fmt.Sprintf("key%d:%d", k, i) }

// filling is a value that makes a state of several chunks.
func filling(k int) string { return strings.Repeat(fmt.Sprint(k, ","), 200) }
