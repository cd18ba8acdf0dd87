package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/hotstuffd/hotstuffd/api/server"
)

func newLog() *cobra.Command {
	var address string
	var from uint64
	var follow bool
	c := &cobra.Command{
		Use:   "log",
		Short: "Print the committed log: height, index, origin and command, a line each",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return showLog(c, address, from, follow) },
	}
	c.Flags().StringVar(&address, "http", defaultHTTP, "the node's HTTP `address`")
	c.Flags().Uint64Var(&from, "from", 1, "the first `height` to print")
	c.Flags().BoolVar(&follow, "follow", false, "go on with what is committed from now on")
	return c
}

// showLog prints the log until it ends; with follow that is when the user ends it, or the node.
func showLog(c *cobra.Command, address string, from uint64, follow bool) error {
	parameters := url.Values{"from": {strconv.FormatUint(from, 10)}}
	if follow {
		parameters.Set("follow", "1")
	}
	body, err := ask(c.Context(), address, "/log", parameters)
	if err != nil {
		return err
	}
	defer body.Close()
	lines := json.NewDecoder(body)
	out := bufio.NewWriter(c.OutOrStdout())
	for {
		var line struct {
			server.Entry
			server.Gap
			server.LogEnd
		}
		switch err := lines.Decode(&line); {
		case errors.Is(err, io.EOF) || follow && c.Context().Err() != nil:
			return out.Flush()
		case err != nil:
			return errors.Join(out.Flush(), fmt.Errorf("log of the node at %s: %w", address, err))
		case line.Error != "":
			return errors.Join(out.Flush(), fmt.Errorf("log of the node at %s: %s", address, line.Error))
		}
		if line.To > 0 {
			if err := out.Flush(); err != nil {
				return err
			}
			fmt.Fprintf(c.ErrOrStderr(), "heights %d to %d are not in this node's log: older log is pruned, and a state that is taken over from another node brings none\n", line.From, line.To)
			continue
		}
		fmt.Fprintf(out, "%d %d n%d %s\n", line.Height, line.Index, line.Origin, line.Command)
		if follow { // nobody knows when the next line comes
			if err := out.Flush(); err != nil {
				return err
			}
		}
	}
}
