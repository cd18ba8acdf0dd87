package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"strconv"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/hotstuffd/hotstuffd/config"
	"github.com/hotstuffd/hotstuffd/sim"
	"github.com/hotstuffd/hotstuffd/sim/plan"
)

// replayFlags are the flags of sim replay.
type replayFlags struct {
	lines int
	node  int
	svg   string
}

func newReplay() *cobra.Command {
	var f replayFlags
	c := &cobra.Command{
		Use:   "replay SEED",
		Short: "Show the run of a seed of the tests, event by event",
		Long: `Show the run of a seed of the tests: its size, faults and load are drawn from the seed.

One line an event, then the outcome. The exit status is 1 if the run broke a rule of docs/guarantees.md.`,
		Example: `  hotstuffd sim replay 7
  hotstuffd sim replay 7 --node 2 --lines 50           the last 50 lines that tell of replica 2`,
		Args: oneSeed,
		RunE: func(c *cobra.Command, args []string) error { return f.run(c, args[0]) },
	}
	c.Flags().IntVar(&f.lines, "lines", 0, "print only the last `n` lines; 0: all")
	c.Flags().IntVar(&f.node, "node", -1, "print only lines that tell of replica `i`")
	c.Flags().StringVar(&f.svg, "svg", "", "a `file` for a picture of the run; empty: none")
	return c
}

func oneSeed(c *cobra.Command, args []string) error {
	if len(args) != 1 {
		return config.Errorf("%q takes one seed, a number: see \"%s --help\"", c.CommandPath(), c.CommandPath())
	}
	return nil
}

func (f *replayFlags) run(c *cobra.Command, seed string) error {
	n, err := strconv.ParseUint(seed, 10, 64)
	if err != nil {
		return config.Errorf("seed %q: want a whole number from 0 to 2^64-1", seed)
	}
	if f.lines < 0 {
		return config.Errorf("--lines = %d: want 0 for all of them, or more", f.lines)
	}
	cfg := sim.Mixed(n)
	if c.Flags().Changed("node") && (f.node < 0 || f.node >= cfg.Nodes) {
		return config.Errorf("--node = %d: the run of seed %d has replicas 0 to %d", f.node, n, cfg.Nodes-1)
	}
	// Who has seen enough, such as head, closes the pipe: the run goes on to its outcome, and nothing is to be said.
	signal.Ignore(syscall.SIGPIPE)
	defer signal.Reset(syscall.SIGPIPE)
	return f.replay(c, cfg)
}

func (f *replayFlags) replay(c *cobra.Command, cfg sim.Config) error {
	out := bufio.NewWriter(c.OutOrStdout())
	for _, l := range cfg.Words() {
		fmt.Fprintln(out, l)
	}
	fmt.Fprintln(out)
	lines := traceLines{out: out, max: f.lines}
	if f.node >= 0 {
		lines.only = regexp.MustCompile(fmt.Sprintf(`\bn%d\b`, f.node))
	}
	result, report := plan.Watch(cfg, lines.add)
	lines.flush()
	r := result.Counts
	fmt.Fprintf(out, "\n%d views, %d view changes, %d blocks of %d commands, %d crashes, %d messages, %d requests answered, %.1f s\n",
		r.Views, r.ViewChanges, r.Commits, r.Commands, r.Crashes, r.Messages, r.Requests, float64(r.Ticks)/10_000)
	fmt.Fprintf(out, "trace hash %x\n", result.Hash)
	if result.Failure == nil {
		fmt.Fprintln(out, "every rule held")
	} else {
		fmt.Fprintf(out, "a rule was broken: %v\n", result.Failure)
	}
	if err := out.Flush(); err != nil && !errors.Is(err, syscall.EPIPE) {
		return err
	}
	if f.svg != "" {
		if err := writePicture(c.ErrOrStderr(), f.svg, report); err != nil {
			return err
		}
	}
	if result.Failure != nil {
		return fmt.Errorf("seed %d: %w", cfg.Seed, result.Failure)
	}
	return nil
}

// traceLines passes lines on, or the last of them.
type traceLines struct {
	out  io.Writer
	only *regexp.Regexp // nil: all
	max  int            // 0: no bound
	kept []string       // ring
	next int
}

func (l *traceLines) add(line string) {
	if l.only != nil && !l.only.MatchString(line) {
		return
	}
	switch {
	case l.max == 0:
		fmt.Fprintln(l.out, line)
	case len(l.kept) < l.max:
		l.kept = append(l.kept, line)
	default:
		l.kept[l.next] = line
		l.next = (l.next + 1) % l.max
	}
}

func (l *traceLines) flush() {
	for i := range l.kept {
		fmt.Fprintln(l.out, l.kept[(l.next+i)%len(l.kept)])
	}
}

// writePicture draws a report into a file, and tells where.
func writePicture(stderr io.Writer, name string, report *plan.Report) error {
	file, err := os.Create(name)
	if err != nil {
		return config.Errorf("--svg: %w: name a file that can be written, or none with --svg \"\"", err)
	}
	if err := errors.Join(report.SVG(file), file.Close()); err != nil {
		return fmt.Errorf("--svg: %w", err)
	}
	fmt.Fprintf(stderr, "picture: %s\n", name)
	return nil
}
