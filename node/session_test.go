package node_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hotstuffd/hotstuffd/api/server"
	"github.com/hotstuffd/hotstuffd/app/session"
	"github.com/hotstuffd/hotstuffd/node"
)

// A command of a session is executed once, through whichever replica it is sent, also after all have started again.
func TestDoOnce(t *testing.T) {
	c := newCluster(t, 4)
	all := func(do func(i int)) {
		for i := range 4 {
			do(i)
		}
	}
	all(c.start)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	id, err := c.nodes[0].OpenSession(ctx)
	if err != nil {
		t.Fatal(err)
	}
	first := ""
	once := func(i int, seq uint64, command string) string {
		t.Helper()
		reply, err := c.nodes[i].DoOnce(ctx, id, seq, []byte(command))
		if err != nil {
			t.Fatalf("node %d: %v", i, err)
		}
		return string(reply)
	}
	all(func(i int) {
		if got := once(i, 1, "first"); first == "" {
			first = got
		} else if got != first {
			t.Errorf("node %d gives %s, the first result was %s", i, got, first)
		}
	})
	if got := c.query(2); got != "1" {
		t.Errorf("%s commands executed, want 1", got)
	}
	all(c.stop)
	all(c.start)
	if got := once(3, 1, "first"); got != first {
		t.Errorf("after a restart %s, the first result was %s", got, first)
	}
	if got := once(1, 2, "second"); !strings.HasPrefix(got, "2:") {
		t.Errorf("the second command gives %s", got)
	}
	for _, tt := range []struct {
		id, seq uint64
		want    error
	}{{id, 1, node.ErrNumberTaken}, {id + 1, 1, node.ErrSessionExpired}, {id, 3 + session.Window, node.ErrTooFarAhead}} {
		if _, err := c.nodes[0].DoOnce(ctx, tt.id, tt.seq, []byte("never")); !errors.Is(err, tt.want) {
			t.Errorf("session %d, number %d: %v, want %v", tt.id, tt.seq, err, tt.want)
		}
	}
	if _, err := c.nodes[0].DoOnce(ctx, id, 0, []byte("never")); err == nil {
		t.Error("number 0 is executed")
	}
	if got := once(0, 3, strings.Repeat("x", 10)); !strings.HasPrefix(got, "3:") {
		t.Errorf("refused commands were executed: the third gives %s", got)
	}
	c.agree()
	log := ""
	if err := c.nodes[1].Log(ctx, 1, false, entriesTo(func(entries []server.Entry) error {
		for _, e := range entries {
			log += e.Command + "\n"
		}
		return nil
	})); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log, "engine: open a session\n") || !strings.Contains(log, "number 2: 6 bytes\n") {
		t.Errorf("the log shows\n%s", log)
	}
}
