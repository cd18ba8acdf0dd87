package main

import (
	"fmt"
	"slices"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/hotstuffd/hotstuffd/cmd/internal/witness"
)

// Commands of sessions are executed exactly once, though their clients send them again whenever a reply is lost: to other
// nodes while one is killed, and after a kill of all.
func TestSessionsAreExactlyOnce(t *testing.T) {
	c, ctx := startedCluster(t, 4), patient(t)
	clients := make([]*witness.Numbered, 8)
	for i := range clients {
		var err error
		if clients[i], err = witness.OpenNumbered(ctx, c.client(i%4), fmt.Sprintf("count%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	// connect makes new clients: a pool that has failed to connect for a while does not try at once.
	connect := func() (nodes []*goredis.Client) {
		for _, client := range c.clients {
			options := *client.Options()
			options.MaxRetries = -1 // NewClient has made 0 of it, of which the next one would make its default
			again := goredis.NewClient(&options)
			t.Cleanup(func() { again.Close() })
			nodes = append(nodes, again)
		}
		return nodes
	}
	run := func() *load {
		nodes := connect()
		return startLoad(len(clients), func(i, _ int) error {
			return clients[i].Step(ctx, slices.Concat(nodes[i%4:], nodes[:i%4]), patience) // first the one it likes best
		})
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
		if err := n.Check(ctx, nodes[(i+1)%4], nodes[(i+2)%4]); err != nil {
			t.Errorf("client %d: %v", i, err)
		}
		resent, executed = resent+n.Resent, executed+n.Count()
	}
	if resent < len(clients) {
		t.Errorf("only %d commands were sent again", resent)
	}
	c.agree(upTo(4)...)
	t.Logf("%d increments, %d sent again, each executed once", executed, resent)
}
