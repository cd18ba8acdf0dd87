package node_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hotstuffd/hotstuffd/api/server"
	"github.com/hotstuffd/hotstuffd/config"
)

// entriesTo is a reader of a log that has no gaps.
type entriesTo func([]server.Entry) error

// Entries implements server.LogReader.
func (f entriesTo) Entries(e []server.Entry) error { return f(e) }

// Gap implements server.LogReader.
func (f entriesTo) Gap(g server.Gap) error {
	return fmt.Errorf("heights %d to %d are not kept", g.From, g.To)
}

// reading is what a reader of a log has got. It has had enough when done says so.
type reading struct {
	gaps    []server.Gap
	entries []server.Entry
	next    uint64 // the least height that may come next
	done    func(server.Entry) bool
}

var errDone = fmt.Errorf("enough")

// Entries implements server.LogReader.
func (r *reading) Entries(entries []server.Entry) error {
	for _, e := range entries {
		if e.Height < r.next {
			return fmt.Errorf("height %d comes after %d", e.Height, r.next)
		}
		r.next = e.Height
		r.entries = append(r.entries, e)
		if r.done != nil && r.done(e) {
			return errDone
		}
	}
	return nil
}

// Gap implements server.LogReader.
func (r *reading) Gap(g server.Gap) error {
	if g.From < r.next || g.To < g.From {
		return fmt.Errorf("gap %+v comes after height %d", g, r.next)
	}
	r.gaps, r.next = append(r.gaps, g), g.To+1
	return nil
}

// A log that was pruned begins with what is kept, and says so; asked for from there on, it has no gap.
func TestPrunedLogBeginsWhereItIsKept(t *testing.T) {
	c := newCluster(t, 1)
	c.storage = func(_ int, s *config.Storage) { s.SnapshotBytes, s.RetainBlocks = 1<<10, 0 }
	c.start(0)
	for k := 0; c.nodes[0].Status().LogFrom == 1; k++ {
		c.do(0, fmt.Sprintf("command-%d", k))
	}
	c.do(0, "last")
	for pruned := true; pruned; { // it may be pruned once more while it is read
		from := c.nodes[0].Status().LogFrom
		var wrong []string
		for asked, want := range map[uint64]string{1: fmt.Sprintf("[{1 %d}]", from-1), from - 1: fmt.Sprintf("[{%[1]d %[1]d}]", from-1), from: "[]"} {
			r := &reading{}
			err := c.nodes[0].Log(t.Context(), asked, false, r)
			if got := fmt.Sprint(r.gaps); err != nil || got != want || r.entries[0].Height < from || r.entries[len(r.entries)-1].Command != "4 bytes" {
				wrong = append(wrong, fmt.Sprintf("from %d: gaps %s, want %s; %v\n%+v", asked, got, want, err, r.entries))
			}
		}
		if pruned = c.nodes[0].Status().LogFrom != from; !pruned && len(wrong) > 0 {
			t.Error(strings.Join(wrong, "\n"))
		}
	}
	r := &reading{}
	if err := c.nodes[0].Log(t.Context(), 1<<40, false, r); err != nil || len(r.gaps) > 0 || len(r.entries) > 0 {
		t.Errorf("beyond its end: %+v, %v", r, err)
	}
}

// A replica that took a state over from another one has a gap in its log. Who follows the log is told, and goes on behind it.
func TestLogGoesOnBehindATakenOverState(t *testing.T) {
	c := newCluster(t, 4)
	c.storage = func(i int, s *config.Storage) {
		s.SnapshotBytes = 1 << 10
		if i != 3 {
			s.RetainBlocks = 0
		}
	}
	for i := range 4 {
		c.start(i)
	}
	c.do(3, "before")
	first := c.nodes[3].Status().AppliedHeight // its block, or a later one: blocks without payload may come before it
	for range 9 {                              // the note that a block is committed comes with a later one
		c.do(3, "before")
	}
	c.agree()
	c.stop(3)
	left := c.nodes[0].Status().AppliedHeight
	for i := range 3 { // that nobody keeps it
		for k := 0; c.nodes[i].Status().LogFrom <= left+8; k++ {
			c.do(0, fmt.Sprintf("meanwhile-%d", k))
		}
	}
	c.start(3)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := c.nodes[3].Await(ctx, left+8); err != nil {
		t.Fatal(err)
	}
	r := &reading{done: func(e server.Entry) bool { return e.Command == "13 bytes" }}
	ended := make(chan error, 1)
	go func() { ended <- c.nodes[3].Log(ctx, 1, true, r) }()
	c.do(3, "and-the-last!")
	if err := <-ended; err != errDone {
		t.Fatalf("the log ends with %v", err)
	}
	// What lies below the hole is pruned as soon as it comes to that, even while it is read.
	if len(r.gaps) != 1 || r.gaps[0].To <= left || r.gaps[0].From > first && r.entries[0].Command != "6 bytes" {
		t.Fatalf("gaps %v in %+v, the first command by %d", r.gaps, r.entries, first)
	}
	c.stop(3)
	c.start(3) // the snapshot that it begins with tells that there may be a gap below
	if err := c.nodes[3].Await(ctx, r.next); err != nil {
		t.Fatal(err)
	}
	again := &reading{}
	if err := c.nodes[3].Log(ctx, 1, false, again); err != nil || len(again.gaps) != 1 || again.gaps[0].From > r.gaps[0].From || again.gaps[0].To < r.gaps[0].To {
		t.Errorf("after a restart %v, %v, before it %v", again.gaps, err, r.gaps)
	}
	if s := c.nodes[3].Status(); s.CatchingUpTo != 0 || s.SnapshotHeight != 0 {
		t.Errorf("caught up, it shows %+v", s)
	}
}
