package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/hotstuffd/hotstuffd/api/server"
	"github.com/hotstuffd/hotstuffd/app/kv"
	"github.com/hotstuffd/hotstuffd/app/kv/redis"
	"github.com/hotstuffd/hotstuffd/config"
	"github.com/hotstuffd/hotstuffd/node"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/store"
)

func newStart() *cobra.Command {
	var home string
	c := &cobra.Command{
		Use:   "start",
		Short: "Run one node until it is told to end",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if home == "" {
				return config.Errorf("no home: name the node's directory, such as --home testnet/node0")
			}
			return start(c.Context(), home, c.ErrOrStderr())
		},
	}
	c.Flags().StringVar(&home, "home", "", "the node's `directory`")
	return c
}

// initData makes the data directory of a replica that has never run.
func initData(dir string, g *config.Genesis, id qc.NodeID) error {
	return store.Init(dir, node.StoreIdentity(g, id), store.Options{})
}

// start puts a replica together from its home, and runs it until ctx ends or a part of it fails.
func start(ctx context.Context, home string, stderr io.Writer) error {
	cfg, genesis, secrets, err := config.Load(home)
	if err != nil {
		return err
	}
	if err := probe(cfg); err != nil {
		return err
	}
	screen := newScreen(stderr)
	logger := newLogger(cfg.Log, screen).With("node", secrets.ID)
	// The store's limits decide results, so they are the same on all replicas; the node's own are for what it takes in.
	limits := kv.DefaultLimits()
	if cfg.Clients.MaxValueBytes > limits.ValueBytes {
		return config.Errorf("clients.max_value_bytes = %d: the store holds values of at most %d bytes, lower it", cfg.Clients.MaxValueBytes, limits.ValueBytes)
	}
	application, err := kv.New(limits)
	if err != nil {
		return err
	}
	replica, err := node.New(node.Options{Config: cfg, Genesis: genesis, Secrets: secrets, Application: application, Logger: logger})
	if err != nil {
		return explainPort(mendable(err), "net.listen", cfg.Net.Listen)
	}
	// From here on an error ends the process, and that frees what the replica holds: nothing of it runs yet.
	catchUp := &catchUp{meter: newMeter(screen, logger), replica: replica}
	parts := []part{replica.Run, catchUp.run}
	if cfg.Clients.Listen != "" {
		s, err := redis.Listen(redisConfig(cfg, genesis, replica, logger), replica)
		if err != nil {
			return fmt.Errorf("clients.listen: %w", err)
		}
		parts = append(parts, serving(s.Serve, s.Close))
	}
	if cfg.HTTP.Listen != "" {
		s, err := server.Listen(server.Options{Address: cfg.HTTP.Listen, Node: replica, Version: version(), Profiles: cfg.HTTP.Profiles, Collectors: replica.Collectors(), Logger: logger})
		if err != nil {
			return explainPort(err, "http.listen", cfg.HTTP.Listen)
		}
		parts = append(parts, serving(s.Serve, s.Close))
	}
	for _, open := range []struct{ key, address string }{{"clients.listen", cfg.Clients.Listen}, {"http.listen", cfg.HTTP.Listen}} {
		if !onLoopback(open.address) {
			logger.Warn("listening beyond this machine without passwords or encryption", "setting", open.key, "address", open.address)
		}
	}
	logger.Info("started", "chain", genesis.Chain.Hex(), "replicas", len(genesis.Nodes), "peers", cfg.Net.Listen, "clients", cfg.Clients.Listen, "http", cfg.HTTP.Listen)
	catchUp.look() // before it runs: a short replay would not be seen
	err = runAll(ctx, parts)
	logger.Info("ended")
	return err
}

// redisConfig returns the Redis front end's settings. Commands of one request are never spread over two batches, so a
// request is at most what a batch may hold; a command is shorter in a batch than on the wire.
func redisConfig(cfg config.Config, g *config.Genesis, replica *node.Node, logger *slog.Logger) redis.Config {
	return redis.Config{
		Listen: cfg.Clients.Listen, Timeout: cfg.Clients.Timeout, MaxConnections: cfg.Clients.MaxConnections,
		MaxValueBytes: cfg.Clients.MaxValueBytes, MaxPipeline: cfg.Clients.MaxPipeline, MaxRequestBytes: int(g.Limits.BatchBytesMax),
		Replied: replica.Replied, Info: func() []redis.InfoField { return info(replica.Status()) }, Logger: logger,
	}
}

// info is the replica's part of what INFO says.
func info(s server.Status) []redis.InfoField {
	field := func(name string, value any) redis.InfoField {
		return redis.InfoField{Section: "Replication", Name: name, Value: fmt.Sprint(value)}
	}
	return []redis.InfoField{field("role", "master"), field("replica_id", s.ID), field("replicas", s.Nodes), field("peers_connected", s.PeersConnected),
		field("view", s.View), field("leader", s.Leader), field("committed_height", s.CommittedHeight), field("applied_height", s.AppliedHeight),
		field("committed_commands", s.CommittedCommands), field("state_digest", s.StateDigest)}
}

// newLogger returns the operator's log. Level and format have been checked.
func newLogger(c config.Log, out io.Writer) *slog.Logger {
	var options slog.HandlerOptions
	levels := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
	options.Level = levels[c.Level]
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(out, &options))
	}
	return slog.New(slog.NewTextHandler(out, &options))
}

// probe finds out whether the data directory can be written, before anything depends on it. It writes nothing: the directory may
// be another node's, or in use.
func probe(cfg config.Config) error {
	const write = 2 // W_OK
	dir := cfg.Path(cfg.Storage.Dir)
	err := syscall.Access(dir+string(filepath.Separator)+".", write)
	switch {
	case err == nil, errors.Is(err, fs.ErrNotExist):
		return nil // the store says what its absence means
	case errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%s is not a directory: move the file away, or name another place in storage.dir", dir)
	case errors.Is(err, syscall.EROFS): // what was mounted, or named, is wrong
		return config.Errorf("%s cannot be written: %w: make it writable, with all that is in it, for the user that runs hotstuffd", dir, err)
	}
	return fmt.Errorf("%s cannot be written: %w: make it writable, with all that is in it, for the user that runs hotstuffd", dir, err)
}

// explainPort adds the mend to the error of a listener, if its port is in use.
func explainPort(err error, key, address string) error {
	if !errors.Is(err, syscall.EADDRINUSE) {
		return err
	}
	return fmt.Errorf("%s = %q: the port is in use: stop what listens there, or choose another port", key, address)
}

// onLoopback tells whether an address is reached from this machine alone; listening nowhere is.
func onLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return address == "" || err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}
