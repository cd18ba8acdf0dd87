package config

import (
	"path/filepath"
	"time"
)

// Config is one node's settings: plain values. Load makes it from a home directory and checks it; an embedding program may
// begin with Default and call Validate.
type Config struct {
	Home      string    `mapstructure:"-"`
	Chain     string    `mapstructure:"chain"`   // hex chain ID that this home belongs to; empty: whatever the genesis gives
	Genesis   string    `mapstructure:"genesis"` // path of the genesis document
	Keys      Keys      `mapstructure:"keys"`
	Net       Net       `mapstructure:"net"`
	Pacemaker Pacemaker `mapstructure:"pacemaker"`
	Mempool   Mempool   `mapstructure:"mempool"`
	Storage   Storage   `mapstructure:"storage"`
	Clients   Clients   `mapstructure:"clients"`
	HTTP      HTTP      `mapstructure:"http"`
	Log       Log       `mapstructure:"log"`
}

// Keys names the key files. Their mode must be 0600 or stricter.
type Keys struct {
	BLS      string `mapstructure:"bls"`      // votes and timeouts
	Identity string `mapstructure:"identity"` // Ed25519: connections, proposals, batches
}

// Net is the replicas' own network.
type Net struct {
	Listen string `mapstructure:"listen"` // UDP address, host:port; an empty host is every interface
}

// Pacemaker is this replica's view timing. Nothing of it needs to agree between replicas.
type Pacemaker struct {
	BaseTimeout time.Duration `mapstructure:"base_timeout"` // of a view with work to do
	MaxTimeout  time.Duration `mapstructure:"max_timeout"`  // the cap of the exponential backoff
	Heartbeat   time.Duration `mapstructure:"heartbeat"`    // how long an idle leader holds its proposal
	MinView     time.Duration `mapstructure:"min_view"`     // views are not made shorter than this under load; 0: never paced
}

// Mempool bounds what this replica takes in as an origin, and holds for others.
type Mempool struct {
	BatchBytes   int           `mapstructure:"batch_bytes"`   // a batch is closed at this size, bytes
	BatchDelay   time.Duration `mapstructure:"batch_delay"`   // how long a batch may wait for more commands while others are under way
	PendingBytes int           `mapstructure:"pending_bytes"` // admission pauses above this many bytes of own commands under way
	PeerBytes    int           `mapstructure:"peer_bytes"`    // quota of another origin's batches not yet named by a block
}

// Storage is the durable side.
type Storage struct {
	Dir           string `mapstructure:"dir"`            // of the databases
	SnapshotBytes int    `mapstructure:"snapshot_bytes"` // of log between two snapshots, at least
	RetainBlocks  int    `mapstructure:"retain_blocks"`  // of the log that are kept below the newest snapshot
}

// Clients is the Redis front end.
type Clients struct {
	Listen         string        `mapstructure:"listen"`          // TCP address; empty: no Redis front end
	Timeout        time.Duration `mapstructure:"timeout"`         // a command not committed by then gets "-TIMEOUT outcome unknown"
	MaxConnections int           `mapstructure:"max_connections"` // at once
	MaxValueBytes  int           `mapstructure:"max_value_bytes"` // of one key or value
	MaxPipeline    int           `mapstructure:"max_pipeline"`    // commands of one connection under way
}

// HTTP is the status, health, log and metrics server.
type HTTP struct {
	Listen   string `mapstructure:"listen"`   // TCP address; empty: none
	Profiles bool   `mapstructure:"profiles"` // also under /debug/pprof/: what the program spends its time and memory on
}

// Log is the operator's log, on standard error.
type Log struct {
	Level  string `mapstructure:"level"`  // debug, info, warn, error
	Format string `mapstructure:"format"` // text, json
}

// Default returns the settings that hold where nothing else is said. Nothing listens beyond this machine.
//
// With four replicas on one machine, one of them dead, a lone command waits for at most one view of the dead leader
// before its commit: base_timeout keeps that under a quarter of a second.
func Default() Config {
	return Config{
		Genesis:   "genesis.json",
		Keys:      Keys{BLS: "bls.key", Identity: "identity.key"},
		Net:       Net{Listen: "127.0.0.1:7000"},
		Pacemaker: Pacemaker{BaseTimeout: 100 * time.Millisecond, MaxTimeout: 10 * time.Second, Heartbeat: time.Second, MinView: 6 * time.Millisecond},
		Mempool:   Mempool{BatchBytes: 128 << 10, BatchDelay: 2 * time.Millisecond, PendingBytes: 64 << 20, PeerBytes: 64 << 20},
		Storage:   Storage{Dir: "data", SnapshotBytes: 64 << 20, RetainBlocks: 1000},
		Clients:   Clients{Listen: "127.0.0.1:7001", Timeout: 10 * time.Second, MaxConnections: 4096, MaxValueBytes: 1 << 20, MaxPipeline: 4096},
		HTTP:      HTTP{Listen: "127.0.0.1:7002"},
		Log:       Log{Level: "info", Format: "text"},
	}
}

// Path returns where a path named in the settings lies: relative ones are relative to Home.
func (c Config) Path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(c.Home, name)
}
