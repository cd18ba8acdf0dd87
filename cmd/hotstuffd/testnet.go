package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/hotstuffd/hotstuffd/config"
)

// testnetFlags are the flags that the commands on testnets share.
type testnetFlags struct {
	dir      string
	nodes    int
	basePort int
}

func (f *testnetFlags) addDir(c *cobra.Command) {
	c.Flags().StringVar(&f.dir, "dir", "./testnet", "the testnet's `directory`")
}

func (f *testnetFlags) addAll(c *cobra.Command) {
	f.addDir(c)
	c.Flags().IntVar(&f.nodes, "nodes", 4, "number of nodes; (`n`-1)/3 of them may fail in any way")
	c.Flags().IntVar(&f.basePort, "base-port", 7000, "node i listens on `port`+10i (QUIC, UDP), +1 (Redis), +2 (HTTP)")
}

func (f *testnetFlags) make() error {
	return config.InitTestnet(config.Testnet{Dir: f.dir, Nodes: f.nodes, BasePort: f.basePort, InitData: initData})
}

func newTestnetInit() *cobra.Command {
	var f testnetFlags
	c := &cobra.Command{
		Use:   "init",
		Short: "Make a genesis and a home for every node",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.make(); err != nil {
				return err
			}
			_, err := fmt.Fprintf(c.OutOrStdout(), "made %d nodes in %s; start them all: hotstuffd testnet up --dir %s\n", f.nodes, f.dir, f.dir)
			return err
		},
	}
	f.addAll(c)
	return c
}

func newTestnetUp() *cobra.Command {
	var f testnetFlags
	var detach bool
	var patience time.Duration
	c := &cobra.Command{
		Use:   "up",
		Short: "Run a testnet, one process a node, and make it first if there is none",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if patience <= 0 {
				return config.Errorf("--wait = %s: want a positive duration, such as 1m", patience)
			}
			homes, err := f.open(c)
			if err != nil {
				return err
			}
			u := up{dir: f.dir, homes: homes, detach: detach, patience: patience, stdout: c.OutOrStdout(), stderr: c.ErrOrStderr()}
			return u.run(c.Context())
		},
	}
	f.addAll(c)
	c.Flags().BoolVar(&detach, "detach", false, "leave the nodes running; end them with \"hotstuffd testnet down\"")
	c.Flags().DurationVar(&patience, "wait", time.Minute, "how long the first commit may take")
	return c
}

// home is one node's directory, and the settings in it.
type home struct {
	dir    string
	config config.Config
}

// open returns the homes of the testnet, which it makes if there is none. Everything that is wrong with one is found
// before a process is started.
func (f *testnetFlags) open(c *cobra.Command) ([]home, error) {
	if _, err := os.Stat(filepath.Join(f.dir, "node0")); errors.Is(err, fs.ErrNotExist) {
		if err := f.make(); err != nil {
			return nil, err
		}
		fmt.Fprintf(c.ErrOrStderr(), "made a testnet of %d nodes in %s\n", f.nodes, f.dir)
	}
	var homes []home
	for {
		dir := filepath.Join(f.dir, "node"+strconv.Itoa(len(homes)))
		if _, err := os.Stat(dir); err != nil && len(homes) > 0 {
			break
		}
		cfg, _, secrets, err := config.Load(dir)
		if err != nil {
			return nil, fmt.Errorf("node%d: %w", len(homes), err)
		}
		if int(secrets.ID) != len(homes) {
			return nil, config.Errorf("%s holds the keys of node %d: a node's home in a testnet is called after its id", dir, secrets.ID)
		}
		if cfg.HTTP.Listen == "" {
			return nil, config.Errorf("node%d: http.listen is empty: testnet up needs it to see the node commit", len(homes))
		}
		homes = append(homes, home{dir, cfg})
	}
	if c.Flags().Changed("nodes") && len(homes) != f.nodes {
		return nil, config.Errorf("%s holds a testnet of %d nodes, not %d: leave out --nodes, or choose another --dir", f.dir, len(homes), f.nodes)
	}
	if want := fmt.Sprintf("127.0.0.1:%d", f.basePort); c.Flags().Changed("base-port") && homes[0].config.Net.Listen != want {
		return nil, config.Errorf("%s holds a testnet that listens on %s, not %s: leave out --base-port, or choose another --dir", f.dir, homes[0].config.Net.Listen, want)
	}
	return homes, nil
}

func newTestnetDown() *cobra.Command {
	var f testnetFlags
	c := &cobra.Command{
		Use:   "down",
		Short: "End a testnet that runs",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if _, err := os.Stat(f.dir); errors.Is(err, fs.ErrNotExist) {
				return config.Errorf("there is no testnet in %s: name the directory with --dir", f.dir)
			}
			running, err := readRunning(f.dir)
			if err != nil {
				return err
			}
			ended, err := running.end(c.Context())
			if err != nil {
				return err
			}
			if err := removeRunning(f.dir); err != nil {
				return err
			}
			if ended == 0 {
				_, err = fmt.Fprintf(c.OutOrStdout(), "no node of %s runs\n", f.dir)
			} else {
				_, err = fmt.Fprintf(c.OutOrStdout(), "ended %d nodes of %s\n", ended, f.dir)
			}
			return err
		},
	}
	f.addDir(c)
	return c
}
