package main

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/hotstuffd/hotstuffd/config"
	"github.com/hotstuffd/hotstuffd/node"
	"github.com/hotstuffd/hotstuffd/store"
)

func newRejoin() *cobra.Command {
	var home string
	var discard bool
	c := &cobra.Command{
		Use:   "rejoin",
		Short: "Prepare a node that has lost its safety state for its way back",
		Long: `Prepare a node that has lost its safety state for its way back.

It moves what is left of the node's data aside, deletes nothing, and makes fresh data with a random nonce in it.
Then start the node as usual: it follows the others, which put the nonce into their log, and once that is committed
it takes part again, in views above all in which it may have voted before.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if home == "" {
				return config.Errorf("no home: name the node's directory, such as --home testnet/node0")
			}
			return rejoin(c, home, discard)
		},
	}
	c.Flags().StringVar(&home, "home", "", "the node's `directory`")
	c.Flags().BoolVar(&discard, "discard", false, "also where nothing is lost: after the node's keys were used elsewhere")
	return c
}

func rejoin(c *cobra.Command, home string, discard bool) error {
	cfg, genesis, secrets, err := config.Load(home)
	if err != nil {
		return err
	}
	dir := filepath.Clean(cfg.Path(cfg.Storage.Dir))
	// The lock in the directory says nothing if the directory was removed under a node that runs.
	socket, err := net.ListenPacket("udp", cfg.Net.Listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("net.listen = %q: the port is in use, so this node seems to run: stop it first", cfg.Net.Listen)
	}
	if err != nil {
		return fmt.Errorf("net.listen = %q: %w", cfg.Net.Listen, err)
	}
	defer socket.Close()
	done, err := store.Rejoin(dir, node.StoreIdentity(genesis, secrets.ID), store.Options{}, store.RejoinOptions{
		Check: func(s *store.Store) error { return node.CheckStored(s, genesis) }, Discard: discard})
	if errors.Is(err, store.ErrSound) {
		return config.Errorf("%w", err)
	}
	if err != nil {
		return mendable(err)
	}
	_, err = fmt.Fprint(c.OutOrStdout(), tellRejoin(done, secrets.ID, dir, home))
	return err
}

// reasonOf is what was wrong with a store, without what to do about it: that is being done.
func reasonOf(loss error) string {
	text := loss.Error()
	for _, kind := range []error{store.ErrSafetyLost, store.ErrPayloadLost} {
		text = strings.TrimSuffix(text, ": "+kind.Error())
	}
	return text
}

// tellRejoin says what was done and what comes next.
func tellRejoin(done store.Rejoining, self fmt.Stringer, dir, home string) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	switch {
	case done.Already:
		line("%v is rejoining already, with nonce %v: nothing was done", self, done.Nonce)
	case done.Loss == nil:
		line("%v gives up a safety state that is whole", self)
	default:
		line("%v has lost its state: %s", self, reasonOf(done.Loss))
	}
	if done.Moved != "" {
		line("moved %s to %s: nothing in it is needed again", dir, done.Moved)
	}
	if !done.Already {
		line("made a fresh %s with nonce %v", dir, done.Nonce)
	}
	line("next: hotstuffd start --home %s", home)
	line("it signs nothing until it has come to the block in which the others have committed its nonce; \"hotstuffd status\" tells")
	return b.String()
}
