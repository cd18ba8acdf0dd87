package main

import (
	"context"
	"fmt"
	"testing"

	goredis "github.com/redis/go-redis/v9"
)

// numbered is a client that has increments executed exactly once: it sends one again, to another node, until it has the
// result.
type numbered struct {
	session int64
	seq     int64 // of the next increment
	key     string
	resent  int
}

// step does one increment, by the node that it likes best or any other.
func (n *numbered) step(ctx context.Context, nodes []*goredis.Client, first int) (err error) {
	for i := range nodes {
		var got int64
		if got, err = nodes[(first+i)%len(nodes)].Do(ctx, "ONCE", n.session, n.seq, "INCR", n.key).Int64(); err != nil {
			n.resent++
			continue
		}
		if got != n.seq {
			return fmt.Errorf("increment %d gives %d", n.seq, got)
		}
		n.seq++
		return nil
	}
	return err
}

// Commands of sessions are executed exactly once, though their clients send them again whenever a reply is lost: to other
// nodes while one is killed, and after a kill of all.
func TestSessionsAreExactlyOnce(t *testing.T) {
	c, ctx := startedCluster(t, 4), patient(t)
	clients := make([]*numbered, 8)
	for i := range clients {
		id, err := c.client(i%4).Do(ctx, "SESSION").Int64()
		if err != nil {
			t.Fatal(err)
		}
		clients[i] = &numbered{session: id, seq: 1, key: fmt.Sprintf("count%d", i)}
	}
	// connect makes new clients: a pool that has failed to connect for a while does not try at once.
	connect := func() (nodes []*goredis.Client) {
		for _, client := range c.clients {
			again := goredis.NewClient(client.Options())
			t.Cleanup(func() { again.Close() })
			nodes = append(nodes, again)
		}
		return nodes
	}
	run := func() *load {
		nodes := connect()
		return startLoad(len(clients), func(i, _ int) error { return clients[i].step(ctx, nodes, i) })
	}
	kills := 2
	if testing.Short() {
		kills = 1
	}
	for kill := range kills {
		l := run()
		l.await(4)
		c.kill(kill % 4)
		l.await(4)
		c.start(kill % 4)
		l.await(4)
		for _, err := range l.end() {
			t.Errorf("node %d killed: %v", kill%4, err)
		}
		l = run()
		l.await(4)
		c.kill(upTo(4)...)
		if failed := l.end(); len(failed) != len(clients) {
			t.Errorf("%d of %d clients had a command under way", len(failed), len(clients))
		}
		c.start(upTo(4)...)
	}
	l := run()
	l.await(2)
	for _, err := range l.end() {
		t.Error(err)
	}
	nodes := connect()
	resent, executed := 0, int64(0)
	for i, n := range clients {
		// What was executed long ago, or just now, is not executed again, wherever it is asked for.
		if got, err := nodes[(i+1)%4].Do(ctx, "ONCE", n.session, n.seq-1, "INCR", n.key).Int64(); err != nil || got != n.seq-1 {
			t.Errorf("increment %d sent again gives %d, %v", n.seq-1, got, err)
		}
		if got, err := nodes[(i+2)%4].Get(ctx, n.key).Int64(); err != nil || got != n.seq-1 {
			t.Errorf("client %d has counted to %d, the store to %d, %v", i, n.seq-1, got, err)
		}
		resent, executed = resent+n.resent, executed+n.seq-1
	}
	if resent < len(clients) {
		t.Errorf("only %d commands were sent again", resent)
	}
	c.agree(upTo(4)...)
	t.Logf("%d increments, %d sent again, each executed once", executed, resent)
}
