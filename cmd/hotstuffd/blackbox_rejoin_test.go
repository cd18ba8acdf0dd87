package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// One node of four loses its safety state under load. It does not start; "hotstuffd rejoin" prepares it; started, it
// comes back by itself, and the others, who go on all the while, can do without another one then. Nothing is deleted
// (S13).
func TestLostNodeRejoins(t *testing.T) {
	c, ctx := startedCluster(t, 4), patient(t)
	home := filepath.Join(c.dir, "node2")
	l := startLoad(3, func(i, round int) error {
		return c.client([]int{0, 1, 3}[i]).Set(ctx, fmt.Sprintf("%d:%d", i, round), round, 0).Err()
	})
	l.await(3)

	refuses := func(wantStatus int, want string) {
		t.Helper()
		status, stdout, stderr := finish(t, daemon(t, "rejoin", "--home", home))
		if status != wantStatus || stdout != "" || stderr != "hotstuffd: "+want+"\n" {
			t.Errorf("rejoin: status %d, stdout %q, stderr\n%swant status %d\n%s", status, stdout, stderr, wantStatus, want)
		}
	}
	refuses(1, fmt.Sprintf(
		`net.listen = %q: the port is in use, so this node seems to run: stop it first`, address(c.basePort, 2, 0)))
	c.kill(2)
	refuses(2, fmt.Sprintf(
		"store: %s/data: the safety state is whole: nothing is lost here: start the node as it is", home))
	if err := os.Remove(filepath.Join(home, "data", "safety.slots")); err != nil {
		t.Fatal(err)
	}
	wantOneLine(t, home, "HOTSTUFFD_LOG_LEVEL=info", 1,
		`store: $HOME/data: file safety.slots is missing: safety state is lost and this replica must not vote: see "When safety state is lost" in docs/operations.md, then run hotstuffd rejoin`)

	prepare := func() string {
		t.Helper()
		status, stdout, stderr := finish(t, daemon(t, "rejoin", "--home", home))
		if status != 0 || stderr != "" {
			t.Fatalf("rejoin: status %d\n%s", status, stderr)
		}
		return stdout
	}
	told := prepare()
	nonce := regexp.MustCompile(`nonce [0-9a-f]{8}`).FindString(told)
	want := fmt.Sprintf(`n2 has lost its state: store: %[1]s/data: file safety.slots is missing
moved %[1]s/data to %[1]s/data.lost-1: nothing in it is needed again
made a fresh %[1]s/data with %[2]s
next: hotstuffd start --home %[1]s
it signs nothing until it has come to the block in which the others have committed its nonce; "hotstuffd status" tells
`, home, nonce)
	if nonce == "" || told != want {
		t.Errorf("it says\n%swant\n%s", told, want)
	}
	if again := prepare(); !strings.HasPrefix(again, "n2 is rejoining already, with "+nonce+": nothing was done\n") {
		t.Errorf("a second time it says\n%s", again)
	}

	c.launch(2)
	c.awaitRejoined(2)
	l.await(3)
	for _, err := range l.end() {
		t.Errorf("while node 2 was away: %v", err)
	}
	c.kill(0) // node 2 is needed for every quorum from now on
	if err := c.client(2).Set(ctx, "after", "all", 0).Err(); err != nil {
		t.Errorf("through the node that came back: %v", err)
	}
	c.start(0)
	c.agree(upTo(4)...)
	status, log, stderr := finish(t, daemon(t, "log", "--http", address(c.basePort, 2, 2)))
	if status != 0 || !strings.Contains(log, " engine: rejoin n2 "+nonce+"\n") {
		t.Errorf("its log has no %s: status %d, %s%.2000s", nonce, status, stderr, log)
	}
	if _, err := os.Stat(filepath.Join(home, "data.lost-1", "safety")); err != nil {
		t.Error(err)
	}
}

// awaitRejoined waits, block by block, until a node takes part again.
func (c *cluster) awaitRejoined(id int) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	s, ok := awaitBlock(ctx, address(c.basePort, id, 2))
	for ok && s.Rejoining && ctx.Err() == nil {
		s = c.status(ctx, id, s.AppliedHeight+1)
	}
	if !ok || s.Rejoining {
		c.t.Fatalf("node %d has not rejoined: %+v", id, s)
	}
}
