package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hotstuffd/hotstuffd/config"
)

// newRoot returns the tree of commands.
func newRoot() *cobra.Command {
	root := group("hotstuffd", "A Byzantine fault tolerant replication engine, with a key-value store for Redis clients")
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return config.Errorf("%w: see \"%s --help\"", err, c.CommandPath())
	})
	testnet := group("testnet", "Make and run a testnet on this machine")
	testnet.AddCommand(newTestnetInit(), newTestnetUp(), newTestnetDown())
	root.AddCommand(testnet, newStart(), newRejoin(), newStatus(), newLog(), newInspect(), newVerify(), newSnapshot(), newSim(), newBench(), newVersion())
	return root
}

// group returns a command that only holds others.
func group(name, short string) *cobra.Command {
	return &cobra.Command{
		Use:   name,
		Short: short,
		// A name with two letters wrong is still known.
		SuggestionsMinimumDistance: 2,
		Args:                       func(c *cobra.Command, args []string) error { return unknownCommand(c, args) },
		RunE:                       func(c *cobra.Command, _ []string) error { return c.Help() },
	}
}

func unknownCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	mend := fmt.Sprintf("see \"%s --help\"", c.CommandPath())
	if like := c.SuggestionsFor(args[0]); len(like) > 0 {
		mend = "did you mean " + strings.Join(like, " or ") + "?"
	}
	return config.Errorf("unknown command %q for %q: %s", args[0], c.CommandPath(), mend)
}

// noArgs is for commands that take flags alone.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return config.Errorf("%q takes no argument %q: see \"%s --help\"", c.CommandPath(), args[0], c.CommandPath())
	}
	return nil
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(c.OutOrStdout(), "hotstuffd %s %s %s/%s\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}

// version names the build: the module's version, which Go derives from the tag or commit it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(unknown)"
	}
	return info.Main.Version
}
