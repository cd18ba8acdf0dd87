package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/hotstuffd/hotstuffd/node"
)

// told is a logger without times, and what it has written.
func told() (*slog.Logger, *bytes.Buffer) {
	var text bytes.Buffer
	return slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
			return slog.Attr{}
		}
		return a
	}})), &text
}

// Where nobody can see a bar, a work is told of in lines: at its beginning and every five seconds, with its own rate.
func TestMeterWritesLinesWhereThereIsNoTerminal(t *testing.T) {
	logger, text := told()
	m := newMeter(newScreen(text), logger)
	now := time.Unix(0, 0)
	m.now = func() time.Time { return now }
	for i := range int64(12) {
		m.show(step{what: "working", done: 1000 + 10*i, total: 2000})
		now = now.Add(time.Second)
	}
	m.show(step{what: "carrying", done: 5, total: 10, bytes: true})
	m.end()
	m.show(step{what: "carrying", done: 5, total: 10, bytes: true})
	want := `msg=working blocks=1000 of=2000
msg=working blocks=1050 of=2000 per_second=10 left=1m35s
msg=working blocks=1100 of=2000 per_second=10 left=1m30s
msg=carrying bytes=5 of=10
msg=carrying bytes=5 of=10
`
	if got := text.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// replicaAt is a replica that has come somewhere.
type replicaAt node.Progress

func (r *replicaAt) Progress() node.Progress { return node.Progress(*r) }

// A replica that is behind is followed until it is not, and that is told once; one that is not behind is not told of.
func TestCatchingUpIsTold(t *testing.T) {
	logger, text := told()
	r := &replicaAt{Applied: 90, Target: 100}
	c := &catchUp{meter: newMeter(newScreen(text), logger), replica: r}
	now := time.Unix(0, 0)
	c.meter.now = func() time.Time { return now }
	at := func(p replicaAt) {
		*r = p
		c.look()
		now = now.Add(10 * time.Second)
	}
	at(replicaAt{Applied: 90, Target: 100})
	at(replicaAt{Applied: 100, Target: 300})
	at(replicaAt{Applied: 200, Target: 400})
	at(replicaAt{Applied: 200, Target: 400, Transfer: node.TransferStatus{Active: true}})
	at(replicaAt{Applied: 200, Target: 400, Transfer: node.TransferStatus{Active: true, Height: 384, Bytes: 4096, Have: 1024}})
	at(replicaAt{Applied: 384, Target: 400})
	at(replicaAt{Applied: 399, Target: 400})
	want := `msg="catching up" blocks=100 of=300
msg="catching up" blocks=200 of=400 per_second=10 left=20s
msg="catching up" blocks=200 of=400 per_second=5 left=40s
msg="fetching snapshot 384" bytes=1024 of=4096
msg="caught up" height=384 in=40s
`
	if got := text.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// untilSaid reads what a running command writes until that matches, ends the command, and returns all that it has written.
func untilSaid(t *testing.T, c *exec.Cmd, from io.Reader, until string) string {
	t.Helper()
	wanted := regexp.MustCompile(until)
	var all []byte
	buf := make([]byte, 4096)
	for said := false; ; {
		n, err := from.Read(buf)
		all = append(all, buf[:n]...)
		if !said && wanted.Match(all) {
			said = true
			if err := c.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
				t.Fatal(err)
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, syscall.EIO) { // of a terminal: nobody has it open for writing
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Wait(); err != nil {
		t.Errorf("%v\n%q", err, all)
	}
	if !wanted.Match(all) {
		t.Errorf("no %s in %q", until, all)
	}
	return string(all)
}

// onTerminal runs a command on a terminal.
func onTerminal(t *testing.T, c *exec.Cmd, until string) string {
	t.Helper()
	terminal, err := pty.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	return untilSaid(t, c, terminal, until)
}

// onPipe runs a command whose standard error nobody sees.
func onPipe(t *testing.T, c *exec.Cmd, until string) string {
	t.Helper()
	stderr, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return untilSaid(t, c, stderr, until)
}

// A node that replays its log shows a bar on a terminal, with blocks, rate and the time left, and ends it with a line. Where its
// output goes elsewhere it writes lines, and nothing that moves.
func TestStartShowsABarOnATerminalAlone(t *testing.T) {
	c := startedCluster(t, 1)
	c.fill(0, 40)
	c.halt(0)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()

	text := onTerminal(t, daemonUntil(ctx, t, "start", "--home", c.home(0)), `msg="caught up"`)
	if !regexp.MustCompile(`\rcatching up +0% \|[^|]*\| \(0/\d\d, \d+ blocks/\w+\) \[0s:\d+s\]`).MatchString(text) {
		t.Errorf("no bar in %q", text)
	}
	if strings.Contains(text, `msg="catching up"`) {
		t.Errorf("lines beside the bar: %q", text)
	}
	text = onPipe(t, daemonUntil(ctx, t, "start", "--home", c.home(0)), `msg="caught up"`)
	if strings.ContainsAny(text, "\r\x1b") || !strings.Contains(text, `msg="catching up"`) {
		t.Errorf("it writes %q", text)
	}
	text = onTerminal(t, daemonUntil(ctx, t, "verify", "--home", c.home(0)), `\nsound\r\n`)
	if !strings.Contains(text, "\rverifying blocks ") {
		t.Errorf("no bar in %q", text)
	}
}
