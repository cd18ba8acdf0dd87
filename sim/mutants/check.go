package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// harness builds and runs checks in a temporary folder.
type harness struct {
	root string // of the module
	work string
}

func newHarness() (*harness, error) {
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	work, err := os.MkdirTemp("", "hotstuffd-mutants-")
	return &harness{root, work}, err
}

func (h *harness) close() { os.RemoveAll(h.work) }

// moduleRoot is the folder of go.mod, from here upwards.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, missing := os.Stat(filepath.Join(dir, "go.mod")); missing == nil {
			return dir, nil
		}
		if filepath.Dir(dir) == dir {
			return "", errors.New("there is no go.mod here or above: run this from inside the repository")
		}
		dir = filepath.Dir(dir)
	}
	return "", err
}

// verdict is what a check has said of a source.
type verdict struct {
	caught bool
	by     string // the rule, and where
}

// Bounds of the harness's patience. None of them counts as a catch.
const (
	buildTimeMax = 5 * time.Minute
	checkTimeMax = 8 * time.Minute
)

// hunt runs a mutant's checks until one fails.
func (h *harness) hunt(ctx context.Context, m *mutant) (verdict, error) {
	for _, c := range m.checks {
		if v, err := h.check(ctx, m, c); v.caught || err != nil {
			return v, err
		}
	}
	return verdict{}, nil
}

// check builds a check's package with a mutant, nil for none, and runs it.
func (h *harness) check(ctx context.Context, m *mutant, c *check) (verdict, error) {
	dir, err := os.MkdirTemp(h.work, "")
	if err != nil {
		return verdict{}, err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "check.test")
	build := []string{"test", "-c", "-vet=off", "-ldflags=-s -w", "-o", binary}
	if m != nil {
		overlay, err := h.overlay(dir, m)
		if err != nil {
			return verdict{}, err
		}
		build = append(build, "-overlay", overlay)
	}
	if out, err := h.command(ctx, buildTimeMax, h.root, "go", append(build, c.pkg)...); err != nil {
		return verdict{}, fmt.Errorf("does not build: %w\n%s", err, out)
	}
	// A test is named by its parts: TestScript/early_timeout.
	args := []string{"-test.run", "^" + strings.ReplaceAll(c.test, "/", "$/^") + "$", "-test.v", "-test.failfast"}
	if c.seeds > 0 {
		args = append(args, fmt.Sprintf("-sim.seeds=%d", c.seeds), "-sim.stop=1")
	}
	out, err := h.command(ctx, checkTimeMax, filepath.Join(h.root, c.pkg), binary, args...)
	return c.judge(out, err)
}

// overlay writes the changed files, and the list by which the Go tool takes them for the source's.
func (h *harness) overlay(dir string, m *mutant) (string, error) {
	changed, err := m.apply(h.root)
	if err != nil {
		return "", err
	}
	replace := make(map[string]string)
	for file, text := range changed {
		name := filepath.Join(dir, strings.ReplaceAll(file, "/", "-"))
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			return "", err
		}
		replace[filepath.Join(h.root, file)] = name
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, "overlay.json")
	return name, os.WriteFile(name, list, 0o600)
}

// command runs a program for a bounded time, on one processor: the others have other mutants.
func (h *harness) command(ctx context.Context, patience time.Duration, dir, name string, args ...string) (
	[]byte, error) {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(limited, name, args...)
	cmd.Dir, cmd.WaitDelay = dir, 10*time.Second
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "CI=") // the short campaign: the seeds are given
	out, err := cmd.CombinedOutput()
	switch {
	case ctx.Err() != nil:
		return out, errors.New("interrupted")
	case limited.Err() != nil:
		return out, fmt.Errorf("no answer within %v", patience)
	}
	return out, err
}

var (
	// seedFails is how the simulator reports: "seed 12: S1 at 0.3s: ...".
	seedFails = regexp.MustCompile(`(?m)(seed \d+|n=\d+[^:\n]*): (\S+) at [0-9.]+s: `)
	testFails = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)
	testRuns  = regexp.MustCompile(`(?m)^=== RUN `)
)

// judge tells what the output of a check means.
func (c *check) judge(out []byte, failed error) (verdict, error) {
	switch {
	case !testRuns.Match(out):
		return verdict{}, fmt.Errorf("%s did not run: %v\n%s", c, failed, tail(out))
	case failed == nil:
		return verdict{}, nil
	case bytes.Contains(out, []byte("panic: ")) || bytes.Contains(out, []byte("fatal error: ")):
		return verdict{}, fmt.Errorf("%s crashes\n%s", c, tail(out))
	}
	if at := seedFails.FindSubmatch(out); at != nil {
		return verdict{true, fmt.Sprintf("%s in %s, %s", at[2], c.test, at[1])}, nil
	}
	if names := testFails.FindAllSubmatch(out, -1); names != nil && c.seeds == 0 {
		return verdict{true, c.pkg[len("./"):] + "." + string(names[len(names)-1][1])}, nil
	}
	return verdict{}, fmt.Errorf("%s fails by no rule: %v\n%s", c, failed, tail(out))
}

func tail(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}

// distinct returns the checks of some mutants, each once, the mixed seeds with the largest number.
func distinct(mutants []*mutant) (checks []*check) {
	for _, m := range mutants {
		for _, c := range m.checks {
			i := slices.IndexFunc(checks, func(o *check) bool { return o.pkg == c.pkg && o.test == c.test })
			if i < 0 {
				checks = append(checks, c)
			} else if c.seeds > checks[i].seeds {
				checks[i] = c
			}
		}
	}
	return checks
}
