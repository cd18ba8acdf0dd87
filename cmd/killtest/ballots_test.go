package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Lines as package node writes them.
const (
	header   = `{"time":"2026-01-02T03:04:05.678Z","level":"DEBUG","msg":`
	vote5    = header + `"sent vote","node":1,"view":5,"block":"aa"}` + "\n"
	vote5b   = header + `"sent vote","node":1,"view":5,"block":"bb"}` + "\n"
	sum5     = header + `"sent certificate","node":1,"view":5,"block":"aa"}` + "\n"
	sum5b    = header + `"sent certificate","node":1,"view":5,"block":"bb"}` + "\n"
	timeout5 = header + `"sent timeout","node":1,"view":5,"high_qc_view":4}` + "\n"
	timeout6 = header + `"sent timeout","node":1,"view":6,"high_qc_view":4}` + "\n"
	other6   = header + `"sent timeout","node":1,"view":6,"high_qc_view":5}` + "\n"
	propose5 = header + `"sent proposal","node":1,"view":5,"block":"aa"}` + "\n"
	another5 = header + `"sent proposal","node":1,"view":5,"block":"bb"}` + "\n"
	started  = header + `"started","node":1,"chain":"cc"}` + "\n"
)

// What a node has signed twice, and differently, is found, whichever messages show it and however many lives lie between.
// Repeats are no fault.
func TestDoubleVoteIsFound(t *testing.T) {
	for _, test := range []struct {
		name, lines, want string
		shown             int
	}{
		{"repeats", started + vote5 + vote5 + sum5 + timeout5 + timeout5 + vote5 + timeout6 + propose5 + propose5, "", 9},
		{"two votes", vote5 + started + vote5b, "node 1: two different votes in view 5: aa and bb", 2},
		{"a vote and another one in a sum", vote5 + sum5b, "node 1: two different votes in view 5: aa and bb", 2},
		{"a sum and another vote", sum5 + vote5b, "node 1: two different votes in view 5: aa and bb", 2},
		{"two timeouts", timeout6 + started + other6, "node 1: two different timeouts in view 6: 4 and 5", 2},
		{"two proposals", propose5 + another5, "node 1: two different proposals in view 5: aa and bb", 2},
		{"a vote after the timeout", timeout5 + vote5, "node 1: voted in view 5 after it had timed out there: block aa", 2},
		{"what is not of the log", "panic: no\n\ngoroutine 1 [running]:\n" + vote5, "", 1},
		{"a line cut in the middle of a life", vote5[:60] + "\n" + started, "node 1: its log has a line that is none: ", 0},
		{"a vote for nothing", strings.Replace(vote5, `"aa"`, `""`, 1), "node 1: its log lacks view or block: ", 0},
		{"a vote without a view", strings.Replace(vote5, `"view"`, `"vue"`, 1), "node 1: its log lacks view or block: ", 0},
		{"a timeout without its certificate", strings.Replace(timeout5, "high_qc_view", "high", 1), "node 1: its log lacks view or high_qc_view: ", 0},
	} {
		b, got := newBallots(1), ""
		for line := range strings.Lines(test.lines) {
			if err := b.line([]byte(strings.TrimSuffix(line, "\n"))); err != nil {
				got = err.Error()
				break
			}
		}
		if (got == "") != (test.want == "") || !strings.HasPrefix(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
		if b.shown != test.shown {
			t.Errorf("%s: %d lines counted, want %d", test.name, b.shown, test.shown)
		}
	}
}

// What a node says as it stops is told; its log is not.
func TestLastWords(t *testing.T) {
	for _, test := range []struct{ log, want string }{
		{started + "hotstuffd: no\n", "hotstuffd: no"},
		{"hotstuffd: of an earlier life\n" + started + "panic: a\n\ngoroutine 1:\nb\nc\nd\n", "panic: a | goroutine 1: | b | c"},
		{started, "it says nothing in "},
	} {
		j := journal{path: filepath.Join(t.TempDir(), "node.log")}
		if err := os.WriteFile(j.path, []byte(test.log), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := j.lastWords(); got != test.want && (test.log != started || got != test.want+j.path) {
			t.Errorf("%q ends with %q, want %q", test.log, got, test.want)
		}
	}
}

// A log is read piece by piece, while its node writes. What a kill has cut short is passed over, and the next life's first
// line is not taken for its end; a node that ended in order has cut nothing.
func TestLogOfManyLives(t *testing.T) {
	for _, test := range []struct {
		name, first, second string
		killed              bool
		want                string
		shown               int
	}{
		{"whole", vote5, sum5, true, "", 2},
		{"cut", vote5 + timeout5[:50], sum5, true, "", 2},
		{"cut, and not killed", vote5 + timeout5[:50], sum5, false, "node 1: its log ends within a line, though it was not killed: ", 1},
		{"a double vote in the next life", vote5 + timeout5[:50], vote5b, true, "node 1: two different votes in view 5: aa and bb", 2},
	} {
		path := filepath.Join(t.TempDir(), "node.log")
		write := func(text string) {
			t.Helper()
			f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.WriteString(text); err != nil {
				t.Fatal(err)
			}
		}
		b := newBallots(1)
		l := journal{path: path, node: 1, line: b.line}
		half := len(test.first) / 2 // a node at work: the last line is not whole yet
		write(test.first[:half])
		err := l.read()
		write(test.first[half:])
		if err == nil {
			err = l.close(test.killed)
		}
		if err == nil {
			write(test.second)
			err = l.read()
		}
		got := ""
		if err != nil {
			got = err.Error()
		}
		if (got == "") != (test.want == "") || !strings.HasPrefix(got, test.want) || b.shown != test.shown {
			t.Errorf("%s: %q with %d lines, want %q with %d", test.name, got, b.shown, test.want, test.shown)
		}
	}
}
