package main

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/hotstuffd/hotstuffd/api/server"
	"github.com/spf13/cobra"
)

func newStatus() *cobra.Command {
	var address string
	var asJSON bool
	c := &cobra.Command{
		Use:   "status",
		Short: "Show the state of a node",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return showStatus(c, address, asJSON) },
	}
	c.Flags().StringVar(&address, "http", defaultHTTP, "the node's HTTP `address`")
	c.Flags().BoolVar(&asJSON, "json", false, "print the status as the node sent it")
	return c
}

func showStatus(c *cobra.Command, address string, asJSON bool) error {
	raw, s, err := askStatus(c.Context(), address, "")
	if err != nil {
		return err
	}
	if asJSON {
		_, err := c.OutOrStdout().Write(raw)
		return err
	}
	out := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintf(out, "node\t%d of %d, hotstuffd %s, up %s\n", s.ID, s.Nodes, s.Version, time.Duration(s.UptimeSeconds*float64(time.Second)).Round(time.Second))
	fmt.Fprintf(out, "chain\t%s\n", s.Chain)
	if s.Rejoining {
		fmt.Fprintf(out, "rejoining\tsigns nothing until its nonce is committed\n")
	}
	if s.DiskFull {
		fmt.Fprintf(out, "disk\tfull: votes no more and takes no commands until there is room\n")
	}
	fmt.Fprintf(out, "peers\t%d of %d connected\n", s.PeersConnected, s.Nodes-1)
	fmt.Fprintf(out, "view\t%d, led by node %d\n", s.View, s.Leader)
	fmt.Fprintf(out, "committed\theight %d\n", s.CommittedHeight)
	fmt.Fprintf(out, "applied\theight %d, %d commands%s\n", s.AppliedHeight, s.CommittedCommands, catchingUp(s))
	fmt.Fprintf(out, "certified\theight %d%s\n", s.CheckpointHeight, stalled(s))
	fmt.Fprintf(out, "last block\t%s\n", s.LastBlock)
	fmt.Fprintf(out, "state digest\t%s\n", s.StateDigest)
	return out.Flush()
}

// catchingUp says how far there is to go.
func catchingUp(s server.Status) string {
	switch {
	case s.SnapshotHeight > 0:
		return fmt.Sprintf(", fetching snapshot %d: %s of %s", s.SnapshotHeight, size(int64(s.SnapshotHave)), size(int64(s.SnapshotBytes)))
	case s.CatchingUpTo > 0:
		return fmt.Sprintf(", catching up to height %d", s.CatchingUpTo)
	}
	return ""
}

// stalled says that blocks carry no payload, and who differs.
func stalled(s server.Status) string {
	switch {
	case !s.CheckpointStalled:
		return ""
	case len(s.CheckpointDiffer) == 0:
		return ", back-pressure: blocks carry no payload until a newer state is certified"
	}
	return fmt.Sprintf(", states differ: blocks carry no payload; not as here: nodes %v", s.CheckpointDiffer)
}
