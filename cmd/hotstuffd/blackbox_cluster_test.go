package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/hotstuffd/hotstuffd/api/server"
)

// clusterLife is how long the nodes of a test may run before they are taken for stuck.
const clusterLife = 5 * time.Minute

// cluster is a testnet whose nodes are processes that a test starts, kills and starts again. Its methods belong to the
// test's goroutine, but for client.
type cluster struct {
	t        *testing.T
	dir      string
	basePort int
	life     context.Context
	nodes    []*child // nil: does not run
	clients  []*goredis.Client
}

// newCluster makes a testnet of n nodes. None of them runs.
func newCluster(t *testing.T, n int) *cluster {
	t.Helper()
	c := &cluster{t: t, nodes: make([]*child, n)}
	c.dir, c.basePort = newTestnet(t, n)
	life, cancel := context.WithTimeout(context.Background(), clusterLife)
	c.life = life
	t.Cleanup(func() {
		c.end()
		cancel()
	})
	for i := range n {
		// A retry could apply a write twice. A node answers within its own timeout, so the client's must be longer.
		client := goredis.NewClient(&goredis.Options{Addr: address(c.basePort, i, 1), MaxRetries: -1, DialerRetries: 1, ReadTimeout: patience})
		t.Cleanup(func() { client.Close() })
		c.clients = append(c.clients, client)
	}
	return c
}

// startedCluster is a testnet of n nodes that all have committed a block.
func startedCluster(t *testing.T, n int) *cluster {
	t.Helper()
	c := newCluster(t, n)
	c.start(upTo(n)...)
	return c
}

// upTo lists the nodes 0 to n-1, without some.
func upTo(n int, without ...int) (ids []int) {
	left := make(map[int]bool)
	for _, id := range without {
		left[id] = true
	}
	for id := range n {
		if !left[id] {
			ids = append(ids, id)
		}
	}
	return ids
}

// client is a usual Redis client of a node, safe for concurrent use.
func (c *cluster) client(id int) *goredis.Client { return c.clients[id] }

// start starts nodes and waits until each has applied a block.
func (c *cluster) start(ids ...int) {
	c.t.Helper()
	for _, id := range ids {
		c.launch(id)
	}
	for _, id := range ids {
		n := c.nodes[id]
		ctx, cancel := context.WithTimeout(c.t.Context(), patience)
		go func() {
			defer cancel()
			select {
			case <-n.ended:
			case <-ctx.Done():
			}
		}()
		_, ok := awaitBlock(ctx, address(c.basePort, id, 2))
		cancel()
		if !ok {
			c.t.Fatalf("node %d has not committed", id)
		}
	}
}

func (c *cluster) launch(id int) {
	c.t.Helper()
	dir := filepath.Join(c.dir, "node"+strconv.Itoa(id))
	log, err := os.OpenFile(filepath.Join(dir, "node.log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		c.t.Fatal(err)
	}
	defer log.Close() // the process has its own copy
	n := &child{id: id, home: home{dir: dir}, cmd: daemonUntil(c.life, c.t, "start", "--home", dir), ended: make(chan struct{})}
	n.cmd.Stdout, n.cmd.Stderr = log, log
	n.cmd.SysProcAttr = childAttributes(false) // it dies with the test, however that dies
	if err := startSharing(n.cmd); err != nil {
		c.t.Fatal(err)
	}
	c.nodes[id] = n
	go func() {
		n.status = n.cmd.Wait()
		close(n.ended)
	}()
}

// kill ends nodes at one blow, as kill -9 does.
func (c *cluster) kill(ids ...int) {
	c.t.Helper()
	for _, id := range ids {
		if err := c.nodes[id].cmd.Process.Kill(); err != nil {
			c.t.Errorf("node %d has ended by itself: %v", id, err)
		}
	}
	for _, id := range ids {
		<-c.nodes[id].ended
		c.nodes[id] = nil
	}
}

// end ends all nodes in order. One that ended by itself, does not end, or had a data race fails the test.
func (c *cluster) end() {
	for _, n := range c.nodes {
		if n == nil {
			continue
		}
		if err := n.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			c.t.Errorf("node %d has ended by itself: %v", n.id, err)
		}
	}
	over := time.After(patience)
	for _, n := range c.nodes {
		if n == nil {
			continue
		}
		select {
		case <-n.ended:
		case <-over:
			c.t.Errorf("node %d does not end", n.id)
			_ = n.cmd.Process.Kill() // all that can be wrong is that it ended after all
			<-n.ended
		}
		if n.status != nil || c.t.Failed() {
			c.t.Error(n.epitaph())
		}
	}
	logs, _ := filepath.Glob(filepath.Join(c.dir, "node*", "node.log"))
	for _, name := range logs {
		log, err := os.ReadFile(name)
		if err != nil {
			c.t.Error(err)
		}
		if i := bytes.Index(log, []byte("WARNING: DATA RACE")); i >= 0 {
			c.t.Errorf("%s: %.4000s", name, log[i:])
		}
	}
}

// status returns what a node shows, once it has applied a height.
func (c *cluster) status(ctx context.Context, id int, height uint64) server.Status {
	c.t.Helper()
	for {
		_, s, err := askStatus(ctx, address(c.basePort, id, 2), strconv.FormatUint(height, 10))
		if err != nil {
			c.t.Fatal(err)
		}
		if s.AppliedHeight >= height {
			return s
		}
	}
}

// agree waits until nodes stand at the same height, and returns how long that took. Two that differ at the same height,
// then or on the way, fail the test.
func (c *cluster) agree(ids ...int) time.Duration {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	began := time.Now()
	first := make(map[uint64]server.Status)
	for top := uint64(0); ; {
		abreast := 0
		for _, id := range ids {
			s := c.status(ctx, id, top)
			if s.AppliedHeight > top { // the chain goes on meanwhile
				top, abreast = s.AppliedHeight, 0
			}
			abreast++
			f, seen := first[s.AppliedHeight]
			if !seen {
				first[s.AppliedHeight] = s
			} else if f.StateDigest != s.StateDigest || f.LastBlock != s.LastBlock || f.CommittedCommands != s.CommittedCommands {
				c.t.Fatalf("nodes differ at height %d:\n%+v\n%+v", s.AppliedHeight, f, s)
			}
		}
		if abreast == len(ids) {
			return time.Since(began)
		}
	}
}

// atOnce runs n functions at once, waits for all and fails the test with what they return.
func atOnce(t *testing.T, n int, run func(i int) error) {
	t.Helper()
	var all sync.WaitGroup
	failed := make([]error, n)
	for i := range n {
		all.Go(func() { failed[i] = run(i) })
	}
	all.Wait()
	for i, err := range failed {
		if err != nil {
			t.Errorf("%d: %v", i, err)
		}
	}
}
