package hotstuff_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/pacemaker"
	"github.com/hotstuffd/hotstuffd/qc"
)

var update = flag.Bool("update", false, "rewrite the golden output in testdata")

// TestScript plays the stories in testdata: scripts that drive a cluster of cores and show everything that they say.
// A story is a line that says what is shown, then groups of commands, each followed by ---- and what happened.
// `go test ./hotstuff -run Script -update` rewrites what happened; review the difference.
//
// The commands (n0 and so on are replicas, a1 a batch, b3 the block of view 3, b3' a further one of that view):
//
//	nodes 4 [leaders=round-robin|reputation|fixed] [chunk=3]  start a cluster; replicas may be held back with down=3
//	submit n0 a1 a2        batches become includable everywhere
//	deliver [2->3]         hand over what is under way until nothing is; or what waits on one link, once
//	tick 500               let 500 ticks of 100 µs pass; messages wait
//	run 500                the same, messages taking no time
//	hurry n1 1000          n1's clock runs ahead
//	drop 2->3 | drop kind=vote from=1 to=3 | heal             what the network loses from now on
//	crash 2 | restart 2    the disk stays
//	lose 2                 a crash that takes the disk; a new one is prepared for a rejoin
//	peer 3 down|up         tell the others of a connection
//	payload n2 withhold|release                               whether n2 holds the batches of blocks
//	executor n2 full|free  whether n2 may name batches in its blocks
//	fork b3 as n1 to 2,3   a further block by the leader of b3, sent to some
//	forge vote b3 view=4 as n1 to 2 | forge timeout 3 as n0 [high=1] to 1,2 | forge block 5 on=3 as n0 to 1
//	replay vote b3 as n1 from 2 to 1                          a genuine vote comes back
//	show                   where each replica stands
//	expect committed n1|all a1 a2 | expect view n1 4 | expect halted n2 WORDS
func TestScript(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no stories in testdata", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { playFile(t, file) })
	}
}

func playFile(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(text), "# ") {
		t.Fatalf("%s must open with a line that says what is shown", file)
	}
	var out strings.Builder
	s := &script{t: t}
	lines := strings.Split(string(text), "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		switch {
		case line == "----":
			out.WriteString("----\n")
			out.WriteString(s.output())
			for i+1 < len(lines) && lines[i+1] != "" {
				i++ // what happened last time
			}
		case line == "" || strings.HasPrefix(line, "#"):
			out.WriteString(line + "\n")
		default:
			out.WriteString(line + "\n")
			s.command(line)
		}
	}
	s.end()
	got := strings.TrimRight(out.String(), "\n") + "\n"
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != string(text) {
		t.Errorf("%s: %s\nif this is as it should be, run: go test ./hotstuff -run Script -update", file, firstDifference(string(text), got))
	}
}

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			return fmt.Sprintf("line %d\nwant: %s\n got: %s", i+1, w[i], g[i])
		}
	}
	return fmt.Sprintf("want %d lines, got %d", len(w), len(g))
}

// script is one story being played.
type script struct {
	t        *testing.T
	c        *cluster
	said     strings.Builder // by show
	expected []qc.NodeID     // halted as expected
}

func (s *script) output() string {
	s.c.flush()
	out := s.c.takeTrace() + s.said.String()
	s.said.Reset()
	return out
}

// end fails the story if a replica halted that was not expected to.
func (s *script) end() {
	for _, r := range s.c.nodes {
		if r.halted != nil && !slices.Contains(s.expected, r.id) {
			s.t.Errorf("%v halted: %v", r.id, r.halted)
		}
	}
}

func (s *script) command(line string) {
	s.t.Helper()
	a := parseArgs(s.t, line)
	if a.verb == "nodes" {
		s.nodes(a)
		return
	}
	c := s.c
	c.flush()
	switch a.verb {
	case "submit":
		for _, name := range a.words[1:] {
			c.submit(a.id(0), name)
		}
	case "deliver":
		if len(a.words) == 0 {
			c.quiet()
		} else {
			s.deliverLink(a.link(0))
		}
	case "tick":
		c.run(qc.Ticks(a.number(0)), false)
	case "run":
		c.quiet()
		c.run(qc.Ticks(a.number(0)), true)
	case "hurry":
		c.turnAt(c.node(a.id(0)), c.now+qc.Ticks(a.number(1)))
	case "drop":
		c.drops = append(c.drops, a.dropRule())
	case "heal":
		c.drops = nil
	case "crash":
		c.crash(c.node(a.id(0)))
	case "restart":
		c.start(c.node(a.id(0)))
	case "lose":
		c.lose(c.node(a.id(0)))
	case "peer":
		c.peer(a.id(0), a.words[1] == "up")
	case "payload":
		if r := c.node(a.id(0)); a.words[1] == "withhold" {
			r.withhold = true
		} else {
			c.release(r)
		}
	case "executor":
		c.node(a.id(0)).paused = a.words[1] == "full"
	case "fork", "forge", "replay":
		s.byzantine(a)
	case "show":
		s.said.WriteString(c.show())
	case "expect":
		s.expect(a)
	default:
		s.t.Fatalf("unknown command %q", line)
	}
	c.flush()
}

func (s *script) nodes(a args) {
	o := defaults(a.number(0))
	o.chunk = a.option("chunk", o.chunk)
	if name := a.options["leaders"]; name != "" {
		rule, err := pacemaker.ParseSchedule(name)
		if err != nil {
			s.t.Fatal(err)
		}
		o.rule = rule
	}
	s.c = newCluster(s.t, o)
	s.c.trace = true
	held := a.option("down", -1)
	for _, r := range s.c.nodes {
		if int(r.id) != held {
			s.c.start(r)
		}
	}
}

// deliverLink hands over what waits on one link now.
func (s *script) deliverLink(from, to qc.NodeID) {
	wave := s.c.queue
	s.c.queue = nil
	for _, p := range wave {
		if p.from == from && p.to == to {
			s.c.deliver(p)
		} else {
			s.c.queue = append(s.c.queue, p)
		}
	}
}

func (s *script) byzantine(a args) {
	c, as, to := s.c, a.as, a.to
	switch {
	case a.verb == "fork":
		c.inject(as, &hotstuff.Proposal{Block: c.forgeTwin(s.block(a.words[0]))}, to...)
	case a.verb == "replay":
		b := s.block(a.words[1])
		c.inject(qc.NodeID(a.option("from", int(as))), &hotstuff.VoteMessage{Vote: c.forgeVote(as, b.View, b.ID())}, to...)
	case a.words[0] == "vote":
		b := s.block(a.words[1])
		v := qc.View(a.option("view", int(b.View)))
		c.inject(qc.NodeID(a.option("from", int(as))), &hotstuff.VoteMessage{Vote: c.forgeVote(as, v, b.ID())}, to...)
	case a.words[0] == "timeout":
		t := c.forgeTimeout(as, qc.View(a.number(1)), qc.View(a.option("high", -1)))
		if t == nil {
			s.t.Fatal("no certificates for that timeout")
		}
		c.inject(qc.NodeID(a.option("from", int(as))), &hotstuff.TimeoutMessage{Timeout: t}, to...)
	case a.words[0] == "block":
		b := c.forgeBlock(as, qc.View(a.number(1)), qc.View(a.option("on", -1)))
		if b == nil {
			s.t.Fatal("no certificates for that block")
		}
		c.inject(as, &hotstuff.Proposal{Block: b}, to...)
	}
}

func (s *script) expect(a args) {
	s.t.Helper()
	c := s.c
	switch a.words[0] {
	case "committed":
		for _, r := range c.nodes {
			if a.words[1] == "all" && r.core != nil || a.words[1] == r.id.String() {
				if got := c.committedBatches(r); got != strings.Join(a.words[2:], " ") {
					s.t.Errorf("%v has committed %q, want %q", r.id, got, a.words[2:])
				}
			}
		}
	case "view":
		if got := c.node(a.id(1)).core.View(); got != qc.View(a.number(2)) {
			s.t.Errorf("%v is in view %d, want %d", a.id(1), got, a.number(2))
		}
	case "halted":
		r := c.node(a.id(1))
		if r.halted == nil || !strings.Contains(r.halted.Error(), strings.Join(a.words[2:], " ")) {
			s.t.Errorf("%v: got %v, want it halted by %q", r.id, r.halted, a.words[2:])
		}
		s.expected = append(s.expected, r.id)
	default:
		s.t.Fatalf("cannot expect %q", a.words[0])
	}
}

// committedBatches names the batches that a replica has committed, in their order.
func (c *cluster) committedBatches(r *replica) string {
	var names []string
	for _, id := range c.chain[:r.past.committed+1] {
		for _, ref := range c.block(id).Payload {
			names = append(names, c.names[ref.Digest])
		}
	}
	return strings.Join(names, " ")
}

func (s *script) block(label string) *blocktree.Block {
	for _, bs := range s.c.ofView {
		for _, b := range bs {
			if s.c.label(b.ID()) == label {
				return b
			}
		}
	}
	s.t.Fatalf("no block %s", label)
	return nil
}

// args is one command: words, key=value options, and "as n1", "to 2,3".
type args struct {
	t       *testing.T
	verb    string
	words   []string
	options map[string]string
	as      qc.NodeID
	to      []qc.NodeID
}

func parseArgs(t *testing.T, line string) args {
	fields := strings.Fields(line)
	a := args{t: t, verb: fields[0], options: map[string]string{}}
	for i := 1; i < len(fields); i++ {
		f := fields[i]
		if key, value, ok := strings.Cut(f, "="); ok {
			a.options[key] = strings.TrimPrefix(value, "n")
		} else if f == "as" {
			i++
			a.as = a.parseID(fields[i])
		} else if f == "to" {
			i++
			for _, id := range strings.Split(fields[i], ",") {
				a.to = append(a.to, a.parseID(id))
			}
		} else {
			a.words = append(a.words, f)
		}
	}
	return a
}

func (a args) parseNumber(s string) int {
	n, err := strconv.Atoi(strings.TrimPrefix(s, "n"))
	if err != nil {
		a.t.Fatalf("%s: %v", a.verb, err)
	}
	return n
}

func (a args) parseID(s string) qc.NodeID { return qc.NodeID(a.parseNumber(s)) }
func (a args) number(i int) int           { return a.parseNumber(a.words[i]) }
func (a args) id(i int) qc.NodeID         { return a.parseID(a.words[i]) }

func (a args) link(i int) (from, to qc.NodeID) {
	x, y, _ := strings.Cut(a.words[i], "->")
	return a.parseID(x), a.parseID(y)
}

func (a args) option(key string, otherwise int) int {
	if s, ok := a.options[key]; ok {
		return a.parseNumber(s)
	}
	return otherwise
}

// dropRule reads what the network loses.
func (a args) dropRule() func(packet) bool {
	from, to, of := a.option("from", -1), a.option("to", -1), a.options["kind"]
	if len(a.words) > 0 {
		x, y := a.link(0)
		from, to = int(x), int(y)
	}
	return func(p packet) bool {
		return (from < 0 || int(p.from) == from) && (to < 0 || int(p.to) == to) && (of == "" || kind(p.msg) == of)
	}
}
