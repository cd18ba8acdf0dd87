package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/hotstuffd/hotstuffd/cmd/internal/floor"
	"github.com/hotstuffd/hotstuffd/config"
)

// primitiveTime is for how long each part is measured.
const primitiveTime = 450 * time.Millisecond

func newPrimitives() *cobra.Command {
	var asJSON bool
	var dir string
	c := &cobra.Command{
		Use:   "primitives",
		Short: "Measure what a replica's work is made of: signatures, syncs, network",
		Long: `Measure what a replica's work is made of on this machine, one part after the other: signatures, hashes, syncs of the
disk, a megabyte over QUIC, one write of the store. Each figure is a median. All takes about five seconds.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return primitives(c, dir, asJSON) },
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print the figures as JSON")
	c.Flags().StringVar(&dir, "dir", ".", "`directory` on the disk that is to be measured")
	return c
}

func primitives(c *cobra.Command, dir string, asJSON bool) (err error) {
	work, err := os.MkdirTemp(dir, "hotstuffd-bench-*")
	if err != nil {
		return config.Errorf("--dir: %w: name a directory that can be written, on the disk that is to be measured", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	figures, err := floor.Measure(c.Context(), work, primitiveTime)
	if c.Context().Err() != nil {
		return errInterrupted
	} else if err != nil {
		return err
	}
	if asJSON {
		values := make(map[string]float64)
		for _, f := range figures {
			values[f.Name] = f.Value
		}
		return writeJSON(c.OutOrStdout(), values)
	}
	out := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
	for _, f := range figures {
		name, perMegabyte := strings.CutSuffix(f.Name, "_us_per_mb")
		unit := "µs"
		if perMegabyte {
			unit = "µs/MB"
		} else {
			name = strings.TrimSuffix(name, "_us")
		}
		fmt.Fprintf(out, "%s\t%.1f\t%s\t%s\n", name, f.Value, unit, f.What)
	}
	return out.Flush()
}
