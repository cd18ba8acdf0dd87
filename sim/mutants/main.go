// Command mutants breaks the protocol on purpose, one rule at a time, and requires that the break is noticed. A check that
// cannot fail shows nothing: whoever trusts the simulator should see it find what is known to be there.
//
//	scripts/mutants                 every mutant; the last line is "N of N caught", or there are survivors
//	scripts/mutants lock-forgotten  some of them
//	scripts/mutants -list           what is broken in each, and what must notice it
//	scripts/mutants -passed         where all tests have just passed: without the checks on the unchanged source
//
// A survivor is named, and the exit status is 1.
//
// Each file in bugs/ is one mutant. It says which rule is broken and which execution that opens, the change as old text and
// new text of a source file, and the checks that must notice it, the first one first:
//
//	check: seeds 300                 the mixed seeds of the simulator, up to so many
//	check: test ./sim TestBeyond     a named test, of the simulator or, where that is the right place, of a package
//
// The source is never touched: the changed file goes to a temporary folder, and the Go tool is told to build that instead
// (-overlay). A mutant is caught when a rule fails: the one that the simulator names, or the named test. If it does not
// build, if it panics, or if a check takes too long, that is an error of the mutant and not a catch. All checks are run on
// the unchanged source first, for one that fails there would catch anything.
//
// To add one: write a file like the others. go test ./sim/mutants tells whether each still applies to the source, exactly
// once, so that a change of the source brings its mutants along.
//
// Where to read: mutant.go reads and applies a mutant, check.go runs what must notice it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	list := flag.Bool("list", false, "tell what is broken in each mutant and what must notice it, and run nothing")
	passed := flag.Bool("passed", false, "do not run the checks on the unchanged source: all tests have just passed on it")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: scripts/mutants [-list] [-passed] [name...]")
		flag.PrintDefaults()
	}
	flag.Parse()
	if err := run(*list, *passed, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run(list, passed bool, names []string) error {
	mutants, err := readMutants()
	if err != nil {
		return err
	}
	if mutants, err = choose(mutants, names); err != nil {
		return err
	}
	if list {
		for _, m := range mutants {
			fmt.Printf("%-28s %s\n%-28s   breaks %s; %s\n", m.name, m.bug, "", m.rule, describeChecks(m.checks))
		}
		return nil
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	h, err := newHarness()
	if err != nil {
		return err
	}
	defer h.close()
	if !passed {
		if err := baseline(ctx, h, mutants); err != nil {
			return err
		}
	}
	return hunt(ctx, h, mutants)
}

// choose returns the mutants of some names, or all.
func choose(mutants []*mutant, names []string) ([]*mutant, error) {
	if len(names) == 0 {
		return mutants, nil
	}
	var chosen []*mutant
	for _, name := range names {
		i := slices.IndexFunc(mutants, func(m *mutant) bool { return m.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no mutant %q: scripts/mutants -list names them", name)
		}
		chosen = append(chosen, mutants[i])
	}
	return chosen, nil
}

// baseline runs every check on the source as it is.
func baseline(ctx context.Context, h *harness, mutants []*mutant) error {
	began := time.Now()
	checks := distinct(mutants)
	var next atomic.Int64
	results := make(chan error, len(checks))
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(checks)) {
		workers.Go(func() {
			for i := int(next.Add(1) - 1); i < len(checks); i = int(next.Add(1) - 1) {
				results <- h.baseline(ctx, checks[i])
			}
		})
	}
	workers.Wait()
	close(results)
	for err := range results {
		if err != nil {
			return err
		}
	}
	fmt.Printf("the unchanged source passes all %d checks (%v)\n", len(checks), time.Since(began).Round(time.Second))
	return nil
}

// baseline runs one check on the source as it is, and returns why it is of no use.
func (h *harness) baseline(ctx context.Context, c *check) error {
	v, err := h.check(ctx, nil, c)
	switch {
	case err != nil:
		return fmt.Errorf("on the unchanged source, %s: %w", c, err)
	case v.caught:
		return fmt.Errorf("on the unchanged source, %s fails already, by %s: it would catch anything", c, v.by)
	}
	return nil
}

// outcome is what became of one mutant.
type outcome struct {
	m    *mutant
	v    verdict
	err  error
	took time.Duration
}

// hunt runs the mutants, as many at a time as there are processors, and tells of each as it ends.
func hunt(ctx context.Context, h *harness, mutants []*mutant) error {
	jobs, outcomes := make(chan *mutant), make(chan outcome)
	for range min(runtime.GOMAXPROCS(0), len(mutants)) {
		go func() {
			for m := range jobs {
				began := time.Now()
				v, err := h.hunt(ctx, m)
				outcomes <- outcome{m, v, err, time.Since(began)}
			}
		}()
	}
	go func() {
		defer close(jobs)
		for _, m := range mutants {
			jobs <- m
		}
	}()
	caught := 0
	var left []string
	for i := range mutants {
		o := <-outcomes
		said := "SURVIVES " + describeChecks(o.m.checks)
		switch {
		case o.err != nil:
			said = "ERROR " + o.err.Error()
		case o.v.caught:
			caught++
			said = "caught by " + o.v.by
		}
		if o.err != nil || !o.v.caught {
			left = append(left, o.m.name)
		}
		fmt.Printf("%3d/%d %-28s %s (%.1fs)\n", i+1, len(mutants), o.m.name, said, o.took.Seconds())
	}
	fmt.Printf("%d of %d caught\n", caught, len(mutants))
	if len(left) > 0 {
		slices.Sort(left)
		return fmt.Errorf("not caught: %s", strings.Join(left, " "))
	}
	return nil
}
