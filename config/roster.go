package config

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/hotstuffd/hotstuffd/qc"
)

// Validate checks the document's values: names, limits, and every member's address and keys. It costs a pairing check for
// every member, for its proof of possession: without one, a key could be made of others' keys to forge their quorum (S7).
func (g *Genesis) Validate() error {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
	if g.Name == "" || len(g.Name) > 64 || strings.Trim(g.Name, letters) != "" {
		return fmt.Errorf("name = %q: want 1 to 64 letters, digits, dots, dashes", g.Name)
	}
	switch g.Leaders {
	case LeadersReputation, LeadersRoundRobin, LeadersFixed:
	default:
		return fmt.Errorf("leaders = %q: want %s, %s or %s", g.Leaders, LeadersReputation, LeadersRoundRobin, LeadersFixed)
	}
	if n := len(g.Nodes); n < 1 || n > qc.MaxCommittee {
		return fmt.Errorf("nodes: %d listed, want 1 to %d", n, qc.MaxCommittee)
	}
	if err := g.Limits.validate(); err != nil {
		return fmt.Errorf("limits.%w", err)
	}
	if err := g.distinct(); err != nil {
		return err
	}
	for id, m := range g.Nodes {
		if err := m.validate(); err != nil {
			return fmt.Errorf("node %d: %w", id, err)
		}
	}
	return nil
}

// validate checks each limit: a chain outside these bounds could not run, or its replicas could be made to run out of memory.
func (l Limits) validate() error {
	for _, limit := range []struct {
		name             string
		value, low, high uint64
	}{
		{"batch_bytes_max", uint64(l.BatchBytesMax), 128 << 10, 64 << 20},
		{"block_batches_max", uint64(l.BlockBatchesMax), 1, 1 << 16},
		{"block_bytes_max", l.BlockBytesMax, uint64(l.BatchBytesMax), 1 << 30},
		{"expiry_distance_max", uint64(l.ExpiryDistanceMax), 16, 1 << 20},
		{"reputation_window", uint64(l.ReputationWindow), 1, 1 << 13},
		{"checkpoint_interval", uint64(l.CheckpointInterval), 1, 1 << 20},
		{"sessions_max", uint64(l.SessionsMax), 1, 1 << 24},
		{"session_bytes_max", l.SessionBytesMax, 1 << 20, 1 << 32},
	} {
		if limit.value < limit.low || limit.value > limit.high {
			return fmt.Errorf("%s = %d: want %d to %d", limit.name, limit.value, limit.low, limit.high)
		}
	}
	if l.ClockSkewMax < time.Millisecond || l.ClockSkewMax > time.Hour {
		return fmt.Errorf("clock_skew_max = %q: want 1ms to 1h", l.ClockSkewMax)
	}
	return nil
}

// distinct tells whether no two members share an address or a key: one machine or key with two seats is one fault that
// counts twice.
func (g *Genesis) distinct() error {
	type value struct{ field, text string }
	seen := map[value]int{}
	for id, m := range g.Nodes {
		for _, v := range []value{{"address", m.Address}, {"identity", string(m.Identity)}, {"bls", string(m.BLS)}} {
			if first, twice := seen[v]; twice {
				shown := ""
				if v.field == "address" {
					shown = " " + v.text
				}
				return fmt.Errorf("node %d: duplicate %s%s, it is node %d's too: give every node its own", id, v.field, shown, first)
			}
			seen[v] = id
		}
	}
	return nil
}

func (m *Member) validate() error {
	if err := checkAddress(m.Address); err != nil {
		return fmt.Errorf("address = %q: %w", m.Address, err)
	}
	if ap, err := netip.ParseAddrPort(m.Address); err == nil && (ap.Addr().IsUnspecified() || ap.Addr().IsMulticast()) {
		return fmt.Errorf("address = %q: write the address at which other nodes reach it", m.Address)
	}
	key, err := qc.ParsePublicKey(m.BLS)
	if err != nil {
		return fmt.Errorf("bls: %w", err)
	}
	if err := key.VerifyPossession(m.BLSProof); err != nil {
		return fmt.Errorf("bls_proof: %w", err)
	}
	return nil
}
