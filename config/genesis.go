package config

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/hotstuffd/hotstuffd/qc"
)

// Genesis is the document that all replicas of a chain share: its hash is the chain ID.
type Genesis struct {
	Name    string // a name for people
	Epoch   qc.Epoch
	Leaders string // leader schedule: LeadersReputation, LeadersRoundRobin, or LeadersFixed for tests
	Limits  Limits
	Nodes   []Member
	// Chain is the SHA-256 of the document's canonical form, whatever its blanks and order of keys.
	Chain qc.ChainID
}

// The leader schedules (PROTOCOL §4).
const (
	LeadersReputation = "reputation"
	LeadersRoundRobin = "round-robin"
	LeadersFixed      = "fixed"
)

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
	// CheckpointInterval is K: replicas sign and compare their states every so many blocks.
	CheckpointInterval qc.Height
	SessionsMax        uint32 // clients' sessions that are remembered
	SessionBytesMax    uint64 // they and their kept results, bytes
}

// DefaultLimits returns the limits of a new chain of n replicas.
func DefaultLimits(n int) Limits {
	return Limits{BatchBytesMax: 4 << 20, BlockBatchesMax: 512, BlockBytesMax: 32 << 20, ExpiryDistanceMax: 8192,
		ReputationWindow: uint32(2 * n), ClockSkewMax: 10 * time.Second, CheckpointInterval: 256,
		SessionsMax: 1 << 16, SessionBytesMax: 64 << 20}
}

// genesisBytesMax bounds a genesis document; one of the largest committee takes a seventh of it.
const genesisBytesMax = 4 << 20

// ReadGenesis reads and checks a genesis document.
// Expected errors: UserError; anything else is the machine's.
func ReadGenesis(path string) (*Genesis, error) {
	data, err := readBounded(path, genesisBytesMax)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, Errorf("genesis %s does not exist: copy it from another node of the chain, or set the key genesis", path)
	} else if err != nil {
		return nil, fmt.Errorf("genesis: %w", err)
	}
	g, err := ParseGenesis(data)
	if err != nil {
		return nil, Errorf("%s: %w", filepath.Base(path), err)
	}
	return g, nil
}

// ParseGenesis reads and checks a genesis document. It is strict, for two readings of one document would be two chains:
// unknown, doubled and null keys, and anything after the document, are errors.
func ParseGenesis(data []byte) (*Genesis, error) {
	if err := checkJSON(data); err != nil {
		return nil, fmt.Errorf("not a genesis document: %w", err)
	}
	var doc genesisJSON
	if err := decodeStrict(data, &doc); err != nil {
		return nil, fmt.Errorf("not a genesis document: %w", err)
	}
	g, err := doc.genesis()
	if err != nil {
		return nil, err
	}
	if err := g.Validate(); err != nil {
		return nil, err
	}
	g.Chain = sha256.Sum256(g.canonical())
	return g, nil
}

// Encode returns the document for people to read; ParseGenesis takes it back.
func (g *Genesis) Encode() []byte {
	data, err := json.MarshalIndent(g.json(), "", "  ")
	if err != nil {
		panic(err) // strings and numbers only: cannot fail
	}
	return append(data, '\n')
}

// canonical returns the one encoding that the chain ID is the hash of: compact JSON, keys in genesisJSON's order, nodes by id,
// hex in lower case.
func (g *Genesis) canonical() []byte {
	data, err := json.Marshal(g.json())
	if err != nil {
		panic(err) // strings and numbers only: cannot fail
	}
	return data
}

// genesisJSON is the document. Its field order is part of the canonical form.
type genesisJSON struct {
	Name    string     `json:"name"`
	Epoch   qc.Epoch   `json:"epoch"`
	Leaders string     `json:"leaders"`
	Limits  limitsJSON `json:"limits"`
	Nodes   []nodeJSON `json:"nodes"`
}

type limitsJSON struct {
	BatchBytesMax      uint32    `json:"batch_bytes_max"`
	BlockBatchesMax    uint32    `json:"block_batches_max"`
	BlockBytesMax      uint64    `json:"block_bytes_max"`
	ExpiryDistanceMax  qc.Height `json:"expiry_distance_max"`
	ReputationWindow   uint32    `json:"reputation_window"`
	ClockSkewMax       string    `json:"clock_skew_max"` // with its unit
	CheckpointInterval qc.Height `json:"checkpoint_interval"`
	SessionsMax        uint32    `json:"sessions_max"`
	SessionBytesMax    uint64    `json:"session_bytes_max"`
}

type nodeJSON struct {
	ID       *int   `json:"id"`
	Address  string `json:"address"`
	Identity string `json:"identity"`  // hex
	BLS      string `json:"bls"`       // hex
	BLSProof string `json:"bls_proof"` // hex
}

func (g *Genesis) json() genesisJSON {
	doc := genesisJSON{Name: g.Name, Epoch: g.Epoch, Leaders: g.Leaders, Limits: limitsJSON{
		BatchBytesMax: g.Limits.BatchBytesMax, BlockBatchesMax: g.Limits.BlockBatchesMax, BlockBytesMax: g.Limits.BlockBytesMax,
		ExpiryDistanceMax: g.Limits.ExpiryDistanceMax, ReputationWindow: g.Limits.ReputationWindow, ClockSkewMax: g.Limits.ClockSkewMax.String(),
		CheckpointInterval: g.Limits.CheckpointInterval, SessionsMax: g.Limits.SessionsMax, SessionBytesMax: g.Limits.SessionBytesMax}}
	for id, m := range g.Nodes {
		doc.Nodes = append(doc.Nodes, nodeJSON{ID: &id, Address: m.Address, Identity: hex.EncodeToString(m.Identity),
			BLS: hex.EncodeToString(m.BLS), BLSProof: hex.EncodeToString(m.BLSProof)})
	}
	return doc
}

// genesis converts the document, and puts the nodes in the order of their ids, which must be 0 to n-1.
func (doc *genesisJSON) genesis() (*Genesis, error) {
	skew, err := parseDuration(doc.Limits.ClockSkewMax)
	if err != nil {
		return nil, fmt.Errorf("limits.clock_skew_max = %q: %w", doc.Limits.ClockSkewMax, err)
	}
	n := len(doc.Nodes)
	if n < 1 || n > qc.MaxCommittee {
		return nil, fmt.Errorf("nodes: %d listed, want 1 to %d", n, qc.MaxCommittee)
	}
	g := &Genesis{Name: doc.Name, Epoch: doc.Epoch, Leaders: doc.Leaders, Nodes: make([]Member, n), Limits: Limits{
		BatchBytesMax: doc.Limits.BatchBytesMax, BlockBatchesMax: doc.Limits.BlockBatchesMax, BlockBytesMax: doc.Limits.BlockBytesMax,
		ExpiryDistanceMax: doc.Limits.ExpiryDistanceMax, ReputationWindow: doc.Limits.ReputationWindow, ClockSkewMax: skew,
		CheckpointInterval: doc.Limits.CheckpointInterval, SessionsMax: doc.Limits.SessionsMax, SessionBytesMax: doc.Limits.SessionBytesMax}}
	seen := make([]bool, n)
	for i, node := range doc.Nodes {
		switch {
		case node.ID == nil:
			return nil, fmt.Errorf("nodes[%d]: no id, want one of 0 to %d", i, n-1)
		case *node.ID < 0 || *node.ID >= n:
			return nil, fmt.Errorf("nodes[%d].id = %d: want one of 0 to %d, each once", i, *node.ID, n-1)
		case seen[*node.ID]:
			return nil, fmt.Errorf("nodes[%d].id = %d: duplicate node id, give every node of 0 to %d once", i, *node.ID, n-1)
		}
		seen[*node.ID] = true
		if g.Nodes[*node.ID], err = node.member(); err != nil {
			return nil, fmt.Errorf("nodes[%d].%w", i, err)
		}
	}
	return g, nil
}

func (node *nodeJSON) member() (Member, error) {
	m := Member{Address: node.Address}
	for _, field := range []struct {
		name, text string
		size       int
		to         *[]byte
	}{
		{"identity", node.Identity, ed25519.PublicKeySize, (*[]byte)(&m.Identity)},
		{"bls", node.BLS, qc.PublicKeySize, &m.BLS},
		{"bls_proof", node.BLSProof, qc.SignatureSize, &m.BLSProof},
	} {
		raw, err := hex.DecodeString(field.text)
		if err != nil || len(raw) != field.size {
			return Member{}, fmt.Errorf("%s: want %d bytes in hex", field.name, field.size)
		}
		*field.to = raw
	}
	return m, nil
}

// readBounded reads a file of at most max bytes.
func readBounded(path string, max int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, Errorf("%s is not a file", path)
	}
	if info.Size() > max {
		return nil, Errorf("%s has %d bytes, at most %d are read", path, info.Size(), max)
	}
	return os.ReadFile(path)
}
