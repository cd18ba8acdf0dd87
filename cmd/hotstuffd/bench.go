package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	loader "github.com/hotstuffd/hotstuffd/cmd/internal/load"
	"github.com/hotstuffd/hotstuffd/config"
)

// benchFlags are the flags of bench, and what they come to.
type benchFlags struct {
	load  loader.Options
	sweep string

	redis    []string // addresses of servers
	dir      string   // a testnet that runs
	nodes    int      // a testnet of its own
	basePort int
	dead     int
	kill     bool

	json string
	svg  string

	points []loader.Options // what is run, one after the other
}

func newBench() *cobra.Command {
	var f benchFlags
	o := &f.load
	c := &cobra.Command{
		Use:   "bench",
		Short: "Put a load on a cluster, and measure throughput, latency and gaps",
		Long: `Put a load of SETs on a cluster, and measure throughput, latency and gaps.

Without --redis and --dir it starts a testnet of its own, in a temporary directory, and removes it at the end. The load
and all of its nodes share this machine.

Closed loop: each client sends --pipeline commands, waits for their replies, and goes on. Open loop (--rate): commands are
due on a schedule, and latency counts from when a command was due, so that a stall is not hidden. docs/operations.md
explains the figures.`,
		Example: `  hotstuffd bench                                            four nodes of its own, 32 clients
  hotstuffd bench --clients 1 --pipeline 1                   how long a lone command takes
  hotstuffd bench --rate 20000 --dead 1                      open loop, one of the four killed before
  hotstuffd bench --rate 10000 --kill-leader                 how long a lost leader is noticed
  hotstuffd bench --sweep rate=5000,10000,20000,40000 --svg curve.svg
  hotstuffd bench --dir ./testnet --json -                   on a testnet that runs
  hotstuffd bench --redis 127.0.0.1:6379                     on any Redis`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	c.Flags().StringSliceVar(&f.redis, "redis", nil, "`addresses` of servers of the Redis protocol, with commas between")
	c.Flags().StringVar(&f.dir, "dir", "", "`directory` of a testnet that runs")
	c.Flags().IntVar(&f.nodes, "nodes", 4, "start a testnet of so many nodes, and remove it at the end")
	c.Flags().IntVar(&f.basePort, "base-port", 0, "its first `port`, as for testnet up; 0: free ones")
	c.Flags().IntVar(&f.dead, "dead", 0, "kill so many of its nodes before the load")
	c.Flags().BoolVar(&f.kill, "kill-leader", false, "kill its leader in the middle, and tell how long nothing was answered and committed")
	c.Flags().IntVar(&o.Clients, "clients", 32, "connections, over all nodes")
	c.Flags().IntVar(&o.Pipeline, "pipeline", 16, "closed loop: commands that a client sends before it waits")
	c.Flags().IntVar(&o.Rate, "rate", 0, "open loop: commands a second that are due, over all clients; 0: closed loop")
	c.Flags().DurationVar(&o.Duration, "duration", 10*time.Second, "how long is measured")
	c.Flags().DurationVar(&o.Warmup, "warmup", 2*time.Second, "load before that, which does not count")
	c.Flags().IntVar(&o.Payload, "payload", 128, "bytes of a value; values are random")
	c.Flags().IntVar(&o.Keys, "keys", 100_000, "how many keys there are to draw from")
	c.Flags().Uint64Var(&o.Seed, "seed", 1, "source of keys and values")
	c.Flags().StringVar(&f.sweep, "sweep", "", "several runs: `rate=N,N,...` or clients=N,N,...")
	c.Flags().StringVar(&f.json, "json", "", "write the report as JSON to a `file`; -: to the standard output, instead of the table")
	c.Flags().StringVar(&f.svg, "svg", "", "a `file` for a picture of a sweep: latency against throughput")
	c.AddCommand(newPrimitives())
	return c
}

// check finds what is wrong with the flags before anything is started.
func (f *benchFlags) check(c *cobra.Command) (err error) {
	changed := c.Flags().Changed
	own := !changed("redis") && !changed("dir")
	switch {
	case changed("redis") && changed("dir"), !own && changed("nodes"):
		return config.Errorf("--redis, --dir and --nodes are three places for the load: choose one")
	case !own && (f.dead != 0 || f.kill || changed("base-port")):
		return config.Errorf("--dead, --kill-leader and --base-port are for a testnet of its own: leave out --redis and --dir")
	case changed("redis") && slices.Contains(f.redis, ""):
		return config.Errorf("--redis: an address is empty: want host:port,host:port,...")
	case own && (f.nodes < 1 || f.nodes > 64):
		return config.Errorf("--nodes = %d: want 1 to 64 on one machine", f.nodes)
	case f.dead < 0 || f.dead > (f.nodes-1)/3:
		return config.Errorf("--dead = %d: of %d nodes at most %d may fail", f.dead, f.nodes, (f.nodes-1)/3)
	case f.kill && f.dead+1 > (f.nodes-1)/3:
		return config.Errorf("--kill-leader and --dead %d: of %d nodes at most %d may fail", f.dead, f.nodes, (f.nodes-1)/3)
	case changed("pipeline") && (f.load.Rate > 0 || strings.HasPrefix(f.sweep, "rate=")):
		return config.Errorf("--pipeline is of the closed loop: in open loop commands are sent when they are due, so leave it out")
	case f.svg != "" && f.sweep == "":
		return config.Errorf("--svg draws a sweep: name its points with --sweep rate=N,N,... or --sweep clients=N,N,...")
	case f.kill && f.sweep != "":
		return config.Errorf("--kill-leader is for one run: leave out --sweep")
	}
	if f.points, err = f.runs(); err != nil {
		return err
	}
	for i := range f.points {
		if err := f.points[i].Check(); err != nil {
			return err
		}
	}
	return nil
}

// runs returns the options of each run.
func (f *benchFlags) runs() ([]loader.Options, error) {
	if f.sweep == "" {
		return []loader.Options{f.load}, nil
	}
	what, list, _ := strings.Cut(f.sweep, "=")
	if what != "rate" && what != "clients" || what == "clients" && f.load.Rate > 0 || what == "rate" && f.load.Rate > 0 {
		return nil, config.Errorf("--sweep %q: want rate=N,N,... (open loop) or clients=N,N,... (closed loop), without --rate", f.sweep)
	}
	var runs []loader.Options
	for word := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(word)
		if err != nil || n < 1 {
			return nil, config.Errorf("--sweep %q: %q is no number above 0: want such as %s=1000,2000,4000", f.sweep, word, what)
		}
		o := f.load
		if what == "rate" {
			o.Rate = n
		} else {
			o.Clients = n
		}
		runs = append(runs, o)
	}
	return runs, nil
}

func (f *benchFlags) run(c *cobra.Command) (err error) {
	if err := f.check(c); err != nil {
		return err
	}
	report := newBenchReport()
	files, err := f.create()
	if err != nil {
		return err
	}
	defer files.close()
	p, err := f.place(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.end()) }()
	report.Nodes, report.Dead = len(p.targets)+len(p.dead), p.dead
	for _, o := range f.points {
		result, outage, err := f.measure(c, p, o)
		if c.Context().Err() != nil {
			return errInterrupted
		} else if err != nil {
			p.fallen(c.ErrOrStderr())
			return err
		}
		report.Runs, report.Outage = append(report.Runs, result), outage
	}
	return files.write(c, report)
}

// measure does one run.
func (f *benchFlags) measure(c *cobra.Command, p *place, o loader.Options) (*loader.Result, *outage, error) {
	o.Targets = p.targets
	var before [][]byte
	o.Moments = append(o.Moments, loader.Moment{After: o.Warmup, Do: func(ctx context.Context) { before = p.metrics(ctx) }})
	var killed *killing
	if f.kill {
		killed = &killing{place: p}
		o.Moments = append(o.Moments, loader.Moment{After: o.Warmup + o.Duration/2, Do: killed.do})
	}
	line := newLiveLine(c.ErrOrStderr(), &o)
	o.Live = line.show
	result, err := loader.Run(c.Context(), o)
	line.clear()
	if err != nil {
		return nil, nil, err
	}
	result.Stages = stagesBetween(before, p.metrics(c.Context()))
	if killed == nil {
		return result, nil, nil
	}
	out, err := killed.outage(result)
	if err != nil {
		return nil, nil, fmt.Errorf("--kill-leader: %w", err)
	}
	return result, out, nil
}
