package main

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// demanded are the bugs that a simulator of this protocol has to find, whatever else it does.
var demanded = []string{
	"two-chain-commit", "commit-over-gaps", "lock-forgotten", "quorum-of-2f", "signers-not-deduplicated", "vote-not-persisted",
	"vote-before-sync", "payload-not-synced", "vote-after-timeout", "justify-not-verified", "qc-cache-without-bitmap",
	"tc-without-high-qc-rule", "tc-with-unbounded-views", "view-by-one", "timeouts-across-views", "votes-not-in-timeouts",
	"late-votes-dropped", "window-before-certificates", "tail-not-flushed", "held-leader-keeps-qc", "reputation-of-committed",
	"lane-without-predecessor", "incarnation-not-synced", "rejoin-without-nonce", "own-foreign-vote-ignored", "own-old-vote-halts",
	"commit-out-of-order",
}

// TestMutantsApply: every mutant changes the source as it is now, at one place for each of its edits, into source that
// parses, and names checks that exist.
func TestMutantsApply(t *testing.T) {
	mutants, err := readMutants()
	if err != nil {
		t.Fatal(err)
	}
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mutants {
		changed, err := m.apply(root)
		if err != nil {
			t.Error(err)
			continue
		}
		for file, text := range changed {
			if strings.HasSuffix(file, "_test.go") {
				t.Errorf("%s changes %s: a mutant breaks what runs in production", m.name, file)
			}
			if _, err := parser.ParseFile(token.NewFileSet(), file, text, parser.SkipObjectResolution); err != nil {
				t.Errorf("%s: %v", m.name, err)
			}
		}
		for _, c := range m.checks {
			if !exists(t, root, c) {
				t.Errorf("%s: there is no %s", m.name, c)
			}
		}
	}
	for _, name := range demanded {
		if !slices.ContainsFunc(mutants, func(m *mutant) bool { return m.name == name }) {
			t.Errorf("there is no mutant %s", name)
		}
	}
}

func exists(t *testing.T, root string, c *check) bool {
	files, err := filepath.Glob(filepath.Join(root, c.pkg, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	name, _, _ := strings.Cut(c.test, "/")
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if regexp.MustCompile(`(?m)^func ` + name + `\(t \*testing\.T\)`).Match(text) {
			return true
		}
	}
	return false
}

// TestMutantThatDoesNotApply: a change whose old text is not in the source exactly once is an error that says so.
func TestMutantThatDoesNotApply(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "a.go"), []byte("package a\n\nvar x, y = 1, 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for from, want := range map[string]string{"2": "0 times", "1": "2 times", "x, y = 1, 1": ""} {
		m := &mutant{name: "m", edits: []edit{{"a.go", from, "3"}}}
		switch _, err := m.apply(root); {
		case want == "" && err != nil, want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%q: %v, want %q", from, err, want)
		}
	}
}

// TestMalformedMutants: a file that is not as it should be is named for what it lacks.
func TestMalformedMutants(t *testing.T) {
	const good = "rule: S1\nbug: b\nopens: o\ncheck: seeds 3\nfile: a.go\n<<<<\nx\n====\ny\n>>>>\n"
	if _, err := parse("good", good); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{
		strings.Replace(good, "rule: S1\n", "", 1), strings.Replace(good, "check: seeds 3\n", "", 1), strings.Replace(good, "seeds 3", "seeds many", 1),
		strings.Replace(good, ">>>>\n", "", 1), strings.Replace(good, "bug: b", "fault: b", 1), "words\n" + good,
	} {
		if _, err := parse("bad", bad); err == nil {
			t.Errorf("accepted:\n%s", bad)
		}
	}
}

// TestJudge: only a rule that fails is a catch.
func TestJudge(t *testing.T) {
	seeds, test := &check{pkg: "./sim", test: "TestMixedSeeds", seeds: 5}, &check{pkg: "./qc", test: "TestQC"}
	failed := os.ErrInvalid
	for _, c := range []struct {
		check  *check
		out    string
		err    error
		by     string
		broken bool
	}{
		{seeds, "=== RUN   TestMixedSeeds\n--- PASS: TestMixedSeeds\n", nil, "", false},
		{seeds, "=== RUN   TestMixedSeeds\n    x_test.go:3: seed 12: S1 at 0.5000s: n0 commits\n--- FAIL: TestMixedSeeds (0.1s)\n", failed, "S1 in TestMixedSeeds, seed 12", false},
		{seeds, "=== RUN   TestMixedSeeds\n    x_test.go:3: too few\n--- FAIL: TestMixedSeeds (0.1s)\n", failed, "", true},
		{test, "=== RUN   TestQC\n=== RUN   TestQC/a\n--- FAIL: TestQC (0.1s)\n    --- FAIL: TestQC/a (0.1s)\n", failed, "qc.TestQC/a", false},
		{test, "=== RUN   TestQC\n--- FAIL: TestQC (0.1s)\npanic: boo\n", failed, "", true},
		{test, "=== RUN   TestQC\n", failed, "", true},
		{test, "testing: warning: no tests to run\nPASS\n", nil, "", true},
	} {
		v, err := c.check.judge([]byte(c.out), c.err)
		if v.by != c.by || v.caught != (c.by != "") || (err != nil) != c.broken {
			t.Errorf("%q: %+v, %v", c.out, v, err)
		}
	}
}
