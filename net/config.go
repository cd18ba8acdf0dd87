package hsnet

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"

	"github.com/hotstuffd/hotstuffd/qc"
)

// Class is the purpose of a frame. Each class has a stream of its own in each direction of a connection.
type Class uint8

const (
	// Consensus is proposals, votes, timeouts and certificates: small, and never behind anything else. A full queue drops
	// its oldest frame, because a newer message of a replica makes its older ones pointless.
	Consensus Class = iota
	// Bulk is batches. A full queue refuses the newest frame: batches of a lane are useless without those before
	// them, so what is dropped must be the end of the lane, which its holder fetches.
	Bulk
	// Sync is requests for blocks, batches and snapshots, and their answers. A full queue refuses the newest frame,
	// which tells the sender to slow down; whoever asked asks again.
	Sync
)

// Classes is the number of classes.
const Classes = 3

// String gives the name that logs and metrics use.
func (c Class) String() string {
	switch c {
	case Consensus:
		return "consensus"
	case Bulk:
		return "bulk"
	case Sync:
		return "sync"
	}
	return fmt.Sprintf("class %d", uint8(c))
}

// Limits bound what one peer can cost in one class.
type Limits struct {
	FrameBytesMax int // the largest frame sent or received; a peer that declares a larger one is disconnected
	QueueFrames   int // frames waiting to be sent to one peer
	QueueBytes    int // their bytes; at least FrameBytesMax
}

// Peer is one replica of the roster.
type Peer struct {
	Address  string            // UDP host:port that it listens on and dials from
	Identity ed25519.PublicKey // the key that its certificate must carry
}

// Config is all a Network needs to know.
type Config struct {
	Self     qc.NodeID
	Chain    qc.ChainID         // a peer of another chain is refused
	Identity ed25519.PrivateKey // this replica's; its public half stands in Peers[Self]
	Peers    []Peer             // the roster: the index is the NodeID; the own entry is not dialed
	Listen   string             // UDP host:port to bind; all connections, in and out, use this one socket
	Limits   [Classes]Limits    // by class
	Logger   *slog.Logger       // nil: slog.Default()
}

// validate says in one line what is wrong with the configuration.
func (c *Config) validate() error {
	if int(c.Self) >= len(c.Peers) {
		return fmt.Errorf("net: own id %v is outside the roster of %d replicas", c.Self, len(c.Peers))
	}
	if len(c.Identity) != ed25519.PrivateKeySize {
		return errors.New("net: the identity key is not an Ed25519 private key of 64 bytes")
	}
	if !c.Identity.Public().(ed25519.PublicKey).Equal(c.Peers[c.Self].Identity) {
		return fmt.Errorf("net: the identity key is not the one the genesis roster lists for %v", c.Self)
	}
	for class, l := range c.Limits {
		if l.FrameBytesMax < 1 || int64(l.FrameBytesMax) > frameBytesCap || l.QueueFrames < 1 || l.QueueBytes < l.FrameBytesMax {
			return fmt.Errorf("net: limits of %v frames: want a frame of 1 to %d bytes, room for one frame and its bytes; have %+v",
				Class(class), int64(frameBytesCap), l)
		}
	}
	seen := make(map[identityKey]int, len(c.Peers))
	for i, p := range c.Peers {
		key, ok := keyOf(p.Identity)
		if !ok {
			return fmt.Errorf("net: the identity of n%d is not an Ed25519 public key of 32 bytes", i)
		}
		if j, twice := seen[key]; twice {
			return fmt.Errorf("net: n%d and n%d have the same identity", j, i)
		}
		seen[key] = i
	}
	return nil
}
