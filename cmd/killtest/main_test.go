package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hotstuffd/hotstuffd/api/server"
)

// What is wrong with the command line ends with status 2 and one line, before anything is made.
func TestWrongCommandLines(t *testing.T) {
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "mine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ args, want string }{
		{"--cycles 0", "--cycles = 0: want at least 1"},
		{"--cycles many", `invalid value "many" for flag -cycles: parse error`},
		{"--cicles 2", "flag provided but not defined: -cicles"},
		{"6", `argument "6" is not understood: see --help`},
		{"--env HOTSTUFFD_LOG_LEVEL", `invalid value "HOTSTUFFD_LOG_LEVEL" for flag -env: want KEY=VALUE`},
		{"--dir " + full, "--dir = " + full + ": it is not empty: choose another one"},
	} {
		var out, errs bytes.Buffer
		status := run(t.Context(), strings.Fields(test.args), &out, &errs)
		if want := "killtest: " + test.want + "\n"; status != 2 || errs.String() != want || out.Len() > 0 {
			t.Errorf("%s: status %d, %q, %q, want %q", test.args, status, out.String(), errs.String(), want)
		}
	}
}

// A failure is told with its seed, ends with status 1, and leaves the logs: here the daemon is none.
func TestFailureKeepsTheLogs(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	status := run(t.Context(), []string{"--daemon", filepath.Join(dir, "nothing"), "--seed", "5", "--dir", dir}, &out, &errs)
	if status != 1 || !strings.HasPrefix(errs.String(), "killtest: --seed 5: testnet init: ") || !strings.HasSuffix(errs.String(), "\nkept: "+dir+"/net/node*/node.log\n") {
		t.Errorf("status %d, %q", status, errs.String())
	}
	if _, err := os.Stat(dir); err != nil {
		t.Error(err)
	}
}

// Two states at one height are found, whenever they were shown.
func TestTwoStatesAreFound(t *testing.T) {
	c := newCluster(options{}, &outage{})
	same := server.Status{ID: 0, AppliedHeight: 7, StateDigest: "aa", LastBlock: "bb", CommittedCommands: 9}
	for range 2 {
		if err := c.compare(same); err != nil {
			t.Fatal(err)
		}
		same.ID++
	}
	for what, change := range map[string]func(*server.Status){
		"another digest":           func(s *server.Status) { s.StateDigest = "ab" },
		"another block":            func(s *server.Status) { s.LastBlock = "ba" },
		"another count":            func(s *server.Status) { s.CommittedCommands++ },
		"another state, higher up": func(s *server.Status) { s.AppliedHeight, s.StateDigest = 8, "ab" },
	} {
		s := same
		change(&s)
		err := c.compare(s)
		if found := err != nil && strings.HasPrefix(err.Error(), "two states at height 7: node 0 showed "); found != (s.AppliedHeight == 7) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
