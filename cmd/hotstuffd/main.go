// Command hotstuffd runs replicas of a Byzantine fault tolerant, replicated key-value store that speaks the Redis protocol.
//
//	hotstuffd testnet up                  four replicas on this machine, from nothing
//	hotstuffd start --home testnet/node0  one replica
//	hotstuffd rejoin --home HOME          the way back of one that has lost its safety state
//	hotstuffd status, hotstuffd log       what a replica does and what was committed
//	hotstuffd inspect, hotstuffd verify   what a stopped replica has on disk, and whether it is sound
//	hotstuffd snapshot export, import     a state in a file
//	hotstuffd sim                         how a deployment of many replicas in many places would do
//	hotstuffd bench                       a load on a cluster, and what it costs
//
// Errors are one line on standard error. The exit status is 0 for success, 2 when the operator can mend the cause by
// editing settings or the command line, and 1 for everything else.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/hotstuffd/hotstuffd/config"
)

func main() {
	// The first signal ends the work in order; once it came, a second one ends the process as if nobody listened.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run runs the command line until it is done or ctx ends, and returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintf(stderr, "hotstuffd: %s\n", config.OneLine(err.Error()))
	var user *config.UserError
	if errors.As(err, &user) {
		return 2
	}
	return 1
}
