// Command killtest runs four real nodes under clients' load, kills, ends and pauses them at random moments, and checks that
// nothing which a client was told, and nothing which a node has signed, was ever contradicted.
//
//	scripts/killtest --cycles 200   builds the daemon and this program, and runs it
//
// A cycle is a few seconds of load, in which nodes are killed (kill -9 of one, two or all), told to end, or paused
// (SIGSTOP), started again, and sometimes killed as they start. Then all four must agree, and serve. What is checked:
//
//   - every write that was acknowledged is there: after each cycle that cycle's, and all of them after a last kill of all
//   - after each cycle all four nodes show one digest at one height, and two digests were never shown at one height
//   - what clients saw of single keys is linearizable, by porcupine, and decided
//   - increments that clients number and send again, also to another node while the first is paused, count exactly once
//   - in all that a node has sent over all its lives there is one vote, one timeout and one proposal a view at most, and no
//     vote after the view's timeout: its log shows each before it leaves
//   - no node ends by itself, no reply is a wrong one, and after a cycle every client is served within a bound
//
// The seed decides what is done to the nodes and when; what the clients meet is the machine's. The exit status is 0 if all
// held; 1 if not, and then the nodes' homes and logs are kept; 2 for a wrong command line.
//
// Where to read: plan.go decides what is done, trial.go does it and checks, load.go has the clients, ballots.go judges what
// the logs show.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9/logging"
)

func main() {
	// The kernel kills a node when the thread that started it ends, so that thread must live as long as this program.
	runtime.LockOSThread()
	logging.Disable() // the Redis client would tell of every node that is killed
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// options are the command line.
type options struct {
	daemon   string
	cycles   int
	seed     uint64
	basePort int
	dir      string
	keep     bool
	env      []string
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "killtest:", err)
		return 2
	}
	if o.dir == "" {
		if o.dir, err = os.MkdirTemp("", "hotstuffd-killtest-"); err != nil {
			fmt.Fprintln(stderr, "killtest:", err)
			return 1
		}
	}
	t := newTrial(o, stdout)
	err = t.run(ctx)
	t.cluster.killAll()
	if ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	if err != nil {
		fmt.Fprintf(stdout, "killtest: FAILED after %s\n", t.counts())
		fmt.Fprintf(stderr, "killtest: --seed %d: %v\nkept: %s\n", o.seed, err, filepath.Join(o.dir, "net", "node*", "node.log"))
		return 1
	}
	fmt.Fprintf(stdout, "killtest: all held: %s; %d acknowledged writes found in the end\n", t.counts(), t.present)
	if !o.keep {
		err = os.RemoveAll(o.dir)
	}
	if err != nil {
		fmt.Fprintln(stderr, "killtest: all held, but its folder stays:", err)
	}
	return 0
}

// parse reads the command line. An error is the user's.
func parse(args []string, stderr io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("killtest", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.daemon, "daemon", "hotstuffd", "the daemon's `program`; scripts/killtest builds it")
	flags.IntVar(&o.cycles, "cycles", 200, "`how often` nodes are struck and must come back")
	flags.Uint64Var(&o.seed, "seed", uint64(time.Now().Unix()), "decides what is done to which node when; by default another one each time")
	flags.IntVar(&o.basePort, "base-port", 7700, "node i listens on `port`+10i and the two after it")
	flags.StringVar(&o.dir, "dir", "", "`folder` for the nodes' homes and logs: empty, or none yet; by default a temporary one")
	flags.BoolVar(&o.keep, "keep", false, "keep the folder also if all held")
	flags.Func("env", "`KEY=VALUE` for the nodes' environment, such as HOTSTUFFD_MEMPOOL_BATCH_DELAY=0s; may be given more than once", func(s string) error {
		if key, _, ok := strings.Cut(s, "="); !ok || key == "" {
			return errors.New("want KEY=VALUE")
		}
		o.env = append(o.env, s)
		return nil
	})
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(stderr, "usage: scripts/killtest [flags]")
			flags.SetOutput(stderr)
			flags.PrintDefaults()
		}
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("argument %q is not understood: see --help", flags.Arg(0))
	case o.cycles < 1:
		return o, fmt.Errorf("--cycles = %d: want at least 1", o.cycles)
	case o.dir == "":
		return o, nil
	}
	if entries, err := os.ReadDir(o.dir); err == nil && len(entries) > 0 {
		return o, fmt.Errorf("--dir = %s: it is not empty: choose another one", o.dir)
	}
	o.dir, err = filepath.Abs(o.dir)
	return o, err
}
