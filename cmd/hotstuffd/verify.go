package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/hotstuffd/hotstuffd/app/kv"
	"github.com/hotstuffd/hotstuffd/node"
)

func newVerify() *cobra.Command {
	var home string
	var state bool
	c := &cobra.Command{
		Use:   "verify",
		Short: "Verify all that a stopped node has on disk, by the keys of the genesis",
		Long: `Verify all that a stopped node has on disk, by the keys of the genesis: every block with its certificates, every
batch, every snapshot.

Not a byte is changed. Status 0: all is sound; 1: something is not; 2: this is no home, or it cannot be looked at.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return verify(c, home, state) },
	}
	c.Flags().StringVar(&home, "home", "", "the node's `directory`")
	c.Flags().BoolVar(&state, "state", false, "also execute the log anew, and compare the state with the certified one")
	return c
}

func verify(c *cobra.Command, home string, state bool) error {
	l, err := loadHome(home)
	if err != nil {
		return err
	}
	if err := l.view(); err != nil {
		return err
	}
	if l.loss != nil {
		return l.loss
	}
	meter, _ := l.meter(c.ErrOrStderr())
	began := time.Now()
	f, err := l.audit(c.Context(), meter, state)
	meter.end()
	if err = errors.Join(err, l.close()); err != nil {
		return err
	}
	tellFindings(c.OutOrStdout(), f, time.Since(began))
	if n := len(f.Problems) + f.Further; n > 0 {
		return fmt.Errorf("%s is not sound: %d problems: keep its files, and see \"Looking into a home\" in docs/operations.md", l.dir, n)
	}
	return nil
}

// audit looks into all parts of a store.
func (l *looked) audit(ctx context.Context, m *meter, state bool) (node.Findings, error) {
	a, err := node.NewAudit(l.store, l.genesis, l.secrets.ID)
	if err != nil {
		return node.Findings{}, err
	}
	a.Seen = func(p node.AuditProgress) { m.show(step{"verifying " + p.Part, p.Done, p.Total, p.Bytes}) }
	err = a.Safety()
	if err == nil {
		err = a.Snapshots(ctx)
	}
	if err == nil {
		err = a.Log(ctx)
	}
	if err == nil && state {
		var fresh *kv.Store
		if fresh, err = kv.New(kv.DefaultLimits()); err == nil {
			err = a.State(ctx, fresh)
		}
	}
	if ctx.Err() != nil {
		err = errors.New("interrupted before all was verified")
	}
	return a.Findings(), err
}

func tellFindings(w io.Writer, f node.Findings, took time.Duration) {
	for _, p := range f.Problems {
		fmt.Fprintf(w, "wrong: %s\n", p)
	}
	if f.Further > 0 {
		fmt.Fprintf(w, "wrong: %d further problems\n", f.Further)
	}
	for _, n := range f.Notes {
		fmt.Fprintf(w, "note: %s\n", n)
	}
	fmt.Fprintf(w, "verified %d blocks (heights %d to %d) with their certificates, %d timeout certificates, %d proposers' signatures, %d batches and %d snapshots in %s\n",
		f.Blocks, f.LogBegins, f.Highest, f.Timeouts, f.Signed, f.Batches, len(f.Snapshots), took.Round(time.Millisecond))
	if len(f.Compared) > 0 {
		fmt.Fprintf(w, "executed: the states of heights %v are the certified ones\n", f.Compared)
	}
	if len(f.Problems) == 0 {
		fmt.Fprintln(w, "sound")
	}
}
