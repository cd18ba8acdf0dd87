package config

import (
	"crypto/ed25519"
	"time"

	"github.com/hotstuffd/hotstuffd/qc"
)

// Config is one node's settings: plain values, checked. Load makes it from a home directory; an embedding program may
// build it itself.
type Config struct {
	Home      string `mapstructure:"-"`
	Genesis   string `mapstructure:"genesis"` // path of the genesis document, relative to Home
	Keys      Keys
	Net       Net
	Pacemaker Pacemaker
	Mempool   Mempool
	Storage   Storage
	Clients   Clients
	HTTP      HTTP
	Log       Log
}

// Keys names the key files, relative to Home. Their mode must be 0600 or stricter.
type Keys struct {
	BLS      string // votes and timeouts
	Identity string // Ed25519: connections, proposals, batches
}

// Net is the replicas' own network.
type Net struct {
	Listen string // UDP address, host:port
}

// Pacemaker is this replica's view timing. Nothing of it needs to agree between replicas.
type Pacemaker struct {
	BaseTimeout time.Duration `mapstructure:"base_timeout"` // of a view with work to do
	MaxTimeout  time.Duration `mapstructure:"max_timeout"`  // the cap of the exponential backoff
	Heartbeat   time.Duration // how long an idle leader holds its proposal
	MinView     time.Duration `mapstructure:"min_view"` // views are not made shorter than this under load; 0: never paced
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
	Dir string // relative to Home
}

// Clients is the Redis front end.
type Clients struct {
	Listen         string        // TCP address; empty: no Redis front end
	Timeout        time.Duration // a command not committed by then gets "-TIMEOUT outcome unknown"
	MaxConnections int           `mapstructure:"max_connections"`
	MaxValueBytes  int           `mapstructure:"max_value_bytes"` // of one key or value
	MaxPipeline    int           `mapstructure:"max_pipeline"`    // commands of one connection under way
}

// HTTP is the status, health, log and metrics server.
type HTTP struct {
	Listen string // TCP address; empty: none
}

// Log is the operator's log.
type Log struct {
	Level  string // debug, info, warn, error
	Format string // text, json
}

// Genesis is the document that all replicas of a chain share, byte for byte: its SHA-256 is the chain ID.
type Genesis struct {
	Name    string // a name for people
	Epoch   qc.Epoch
	Leaders string // leader schedule: "reputation", "round-robin", or "fixed" for tests
	Limits  Limits
	Nodes   []Member
	// Chain is the SHA-256 of the document's canonical form.
	Chain qc.ChainID
}

// Member is one replica of the roster; its index is its NodeID.
type Member struct {
	Address  string            // UDP host:port of its QUIC listener
	Identity ed25519.PublicKey // 32 bytes
	BLS      []byte            // compressed G2 public key, 96 bytes
	BLSProof []byte            // proof of possession, compressed G1, 48 bytes
}

// Limits are the genesis limits: every limit that the validity of a block depends on.
type Limits struct {
	BatchBytesMax     uint32        // blob of one batch, bytes
	BlockBatchesMax   uint32        // batches named by one block
	BlockBytesMax     uint64        // sum of the blobs named by one block, bytes
	ExpiryDistanceMax qc.Height     // a batch's expiry is at most this far above the naming block's height
	ReputationWindow  uint32        // W: blocks whose certificates decide who may lead
	ClockSkewMax      time.Duration // a voter holds a block that lies further in its future
}
