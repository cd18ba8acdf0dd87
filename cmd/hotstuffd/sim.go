package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/hotstuffd/hotstuffd/config"
	"github.com/hotstuffd/hotstuffd/sim/plan"
)

// simFlags are the flags of sim, and what they come to.
type simFlags struct {
	options plan.Options
	latency string
	costs   string
	svg     string
	asJSON  bool
}

func newSim() *cobra.Command {
	f := simFlags{options: plan.DefaultOptions()}
	o := &f.options
	c := &cobra.Command{
		Use:   "sim",
		Short: "Simulate a deployment: latency, throughput, traffic and load of every replica",
		Long: `Simulate a deployment of many replicas in many places, and tell how long commands take and what replicas have to do.

The program that a replica runs, all of it but network, disk and processor, runs here for every replica, on virtual time.
Latencies between places, bandwidth and processing costs were measured, or are yours. The same flags print the same
report. docs/simulation.md explains the figures and the files.`,
		Example: `  hotstuffd sim                                        100 replicas in 21 regions of AWS for a minute
  hotstuffd sim --nodes 7 --latency lan --rate 5000    seven in a rack
  hotstuffd sim --nodes 31 --faults 10                 ten of 31 are dead
  hotstuffd sim --latency sites.csv --costs ours.txt   your places, your machines`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	c.Flags().IntVar(&o.Nodes, "nodes", o.Nodes, "number of replicas, 4 to 128, in turns at each place")
	c.Flags().StringVar(&f.latency, "latency", "aws", "`aws`, lan, or a file with a table of times between places")
	c.Flags().IntVar(&o.Faults, "faults", o.Faults, "number of dead replicas, at most (nodes-1)/3; the seed draws which")
	c.Flags().Uint64Var(&o.Seed, "seed", o.Seed, "source of all that is random")
	c.Flags().DurationVar(&o.Duration, "duration", o.Duration, "virtual time of the run, 2s to 1h")
	c.Flags().IntVar(&o.Rate, "rate", o.Rate, "commands a second, over all replicas")
	c.Flags().IntVar(&o.Bytes, "bytes", o.Bytes, "bytes of a command")
	c.Flags().StringVar(&o.Leaders, "leaders", o.Leaders, "how views get their leaders: reputation or round-robin")
	c.Flags().IntVar(&o.Bandwidth, "bandwidth", o.Bandwidth, "what each replica can send, `Mbit/s`")
	c.Flags().IntVar(&o.Cores, "cores", o.Cores, "processor cores of each replica")
	c.Flags().DurationVar(&o.BaseTimeout, "base-timeout", 0, "the setting pacemaker.base_timeout; 0s: four times the longest way, at least the default")
	c.Flags().StringVar(&f.costs, "costs", "", "a `file` with costs of signatures, messages and writes, instead of those measured")
	c.Flags().StringVar(&f.svg, "svg", "./sim.svg", "the `file` for the picture; empty: none")
	c.Flags().BoolVar(&f.asJSON, "json", false, "print the report as JSON")
	c.AddCommand(newReplay())
	return c
}

func (f *simFlags) run(c *cobra.Command) error {
	if err := f.read(); err != nil {
		return err
	}
	f.options.Progress = simProgress(c.ErrOrStderr())
	report, err := simulate(c.Context(), f.options)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(c.OutOrStdout())
	if f.asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(report)
	} else {
		err = report.Text(out)
	}
	if err := errors.Join(err, out.Flush()); err != nil {
		return err
	}
	if f.svg == "" {
		return nil
	}
	return writePicture(c.ErrOrStderr(), f.svg, report)
}

// read turns the names of files into what is in them. Everything that is wrong is found before the run.
func (f *simFlags) read() (err error) {
	switch f.latency {
	case "aws":
	case "lan":
		f.options.Sites = plan.LAN()
	default:
		f.options.Sites, err = readFile("--latency", f.latency, "name aws, lan or a file", plan.ReadLatency)
	}
	if err == nil && f.costs != "" {
		f.options.Costs, err = readFile("--costs", f.costs, "name a file with lines such as bls.verify = 0.79ms", func(name string, r io.Reader) (plan.Costs, error) {
			return plan.ReadCosts(name, r, plan.DefaultCosts())
		})
	}
	if err != nil {
		return err
	}
	return f.options.Check()
}

// readFile reads a file that a flag names.
func readFile[T any](flag, name, mend string, read func(string, io.Reader) (T, error)) (value T, err error) {
	file, err := os.Open(name)
	if err != nil {
		return value, config.Errorf("%s: %w: %s", flag, err, mend)
	}
	defer file.Close()
	value, err = read(name, file)
	var user *config.UserError
	if err != nil && !errors.As(err, &user) {
		err = config.Errorf("%s: %w: %s", flag, err, mend)
	}
	return value, err
}

// errInterrupted is a run that its user ended.
var errInterrupted = errors.New("interrupted")

// simulate runs until the end or until ctx ends: a run itself knows nothing of the world outside.
func simulate(ctx context.Context, o plan.Options) (*plan.Report, error) {
	type outcome struct {
		report *plan.Report
		err    error
	}
	done := make(chan outcome, 1)
	go func() {
		report, err := plan.Run(o)
		done <- outcome{report, err}
	}()
	select {
	case end := <-done:
		return end.report, end.err
	case <-ctx.Done():
		return nil, errInterrupted
	}
}

// simProgress shows how far a run is, if somebody looks.
func simProgress(stderr io.Writer) func(float64) {
	file, ok := stderr.(*os.File)
	if !ok {
		return nil
	}
	if info, err := file.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return nil
	}
	return func(share float64) {
		if share < 1 {
			fmt.Fprintf(file, "\rsimulating: %2.0f %%", 100*share)
		} else {
			fmt.Fprint(file, "\r                  \r")
		}
	}
}
