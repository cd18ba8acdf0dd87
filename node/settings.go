package node

import (
	"crypto/ed25519"
	"log/slog"
	"time"

	"github.com/hotstuffd/hotstuffd/api/wire"
	"github.com/hotstuffd/hotstuffd/config"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	hsnet "github.com/hotstuffd/hotstuffd/net"
	"github.com/hotstuffd/hotstuffd/pacemaker"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/store"
)

// From the settings of config to those of each part.

// CoreLimits returns the limits that the protocol core and its verifiers apply.
func CoreLimits(l config.Limits) hotstuff.Limits {
	return hotstuff.Limits{BlockBatchesMax: l.BlockBatchesMax, BlockBytesMax: l.BlockBytesMax, BatchBytesMax: l.BatchBytesMax,
		ExpiryDistanceMax: l.ExpiryDistanceMax, ClockSkewMax: int64(l.ClockSkewMax), CheckpointEvery: l.CheckpointInterval}
}

func timing(p config.Pacemaker) pacemaker.Config {
	return pacemaker.Config{Base: ticks(p.BaseTimeout), Max: ticks(p.MaxTimeout), Heartbeat: ticks(p.Heartbeat), MinView: ticks(p.MinView)}
}

func keeperConfig(s config.Storage) KeeperConfig {
	return KeeperConfig{Bytes: uint64(s.SnapshotBytes), Retain: qc.Height(s.RetainBlocks)}
}

// checkpointLag is for how many intervals without a certificate blocks still get payload.
const checkpointLag = 16

const (
	// fetchGrace is how long a named batch may still come by itself: batches and proposals use different streams.
	fetchGrace = 10 * time.Millisecond
	// fetchRetry is how long a peer has to answer before the next one is asked, beside what its answers are known to take.
	fetchRetry = 100 * time.Millisecond
	// fetchBytes of batches are under way from one peer: what 100 ms bring at 160 Mbit/s.
	fetchBytes = 2 << 20
	// backlogMax is the bytes of committed and not executed batches above which blocks get no payload.
	backlogMax = 64 << 20
	// resolveBytes of committed batches are loaded or fetched ahead of execution.
	resolveBytes = 32 << 20
	// heldLimitViews is for how many views an origin whose batch had to be fetched is held to what a quorum holds.
	heldLimitViews = 32
)

func poolConfig(p Parts) mempool.Config {
	l, m := p.Genesis.Limits, p.Config.Mempool
	return mempool.Config{
		Self: p.Self, Committee: p.Committee, Identity: p.Identity,
		BatchBytesMax: l.BatchBytesMax, BlockBatchesMax: l.BlockBatchesMax, BlockBytesMax: l.BlockBytesMax, ExpiryDistanceMax: l.ExpiryDistanceMax,
		BatchBytes: min(m.BatchBytes, int(l.BatchBytesMax)), BatchDelay: ticks(m.BatchDelay), PendingBytes: m.PendingBytes, PeerBytes: m.PeerBytes,
		FetchGrace: ticks(fetchGrace), FetchRetry: ticks(fetchRetry), FetchBytes: fetchBytes,
		BacklogBytes: backlogMax, ResolveBytes: resolveBytes, HeldLimitViews: heldLimitViews,
	}
}

// StoreIdentity returns whose store a replica's store must be.
func StoreIdentity(g *config.Genesis, id qc.NodeID) store.Identity {
	return store.Identity{Chain: g.Chain, Epoch: g.Epoch, Node: id, Limits: WireLimits(g)}
}

// WireLimits returns what a replica of a chain accepts on the wire and on disk.
func WireLimits(g *config.Genesis) wire.Limits {
	return wire.Limits{Nodes: len(g.Nodes), BlockBatchesMax: int(g.Limits.BlockBatchesMax), BatchBytesMax: int(g.Limits.BatchBytesMax),
		ResponseBlocksMax: hotstuff.ResponseBlocksMax, RequestDigestsMax: mempool.RequestDigestsMax}
}

// The parts of QueueLimits.
const (
	consensusQueueFrames, consensusQueueBytes = 1024, 4 << 20
	bulkQueueFrames, bulkQueueBytes           = 4096, 32 << 20
	syncQueueFrames, syncQueueBytes           = 1024, 32 << 20
)

func netConfig(o Options, c *qc.Committee, identities []ed25519.PublicKey, l wire.Limits, logger *slog.Logger) hsnet.Config {
	peers := make([]hsnet.Peer, len(o.Genesis.Nodes))
	for i, m := range o.Genesis.Nodes {
		peers[i] = hsnet.Peer{Address: m.Address, Identity: identities[i]}
	}
	return hsnet.Config{
		Self: o.Secrets.ID, Chain: c.Chain, Identity: o.Secrets.Identity, Peers: peers, Listen: o.Config.Net.Listen, Logger: logger,
		Limits: QueueLimits(l)}
}

// QueueLimits returns the bounds of what waits to be sent to one peer, by class.
func QueueLimits(l wire.Limits) [hsnet.Classes]hsnet.Limits {
	consensus, batch := l.ConsensusFrameBytesMax(), l.BatchFrameBytesMax()
	sync := max(batch, responseFrameBytesMax(consensus), l.SnapshotFrameBytesMax())
	return [hsnet.Classes]hsnet.Limits{
		hsnet.Consensus: {FrameBytesMax: consensus, QueueFrames: consensusQueueFrames, QueueBytes: max(consensus, consensusQueueBytes)},
		hsnet.Bulk:      {FrameBytesMax: batch, QueueFrames: bulkQueueFrames, QueueBytes: max(batch, bulkQueueBytes)},
		hsnet.Sync:      {FrameBytesMax: sync, QueueFrames: syncQueueFrames, QueueBytes: max(sync, syncQueueBytes)},
	}
}

// responseFrameBytesMax bounds a frame of blocks: a server stops adding blocks at responseBytes, so one more block of the
// largest size may come on top of twice that, the estimate of a block's size being rough.
func responseFrameBytesMax(largestBlock int) int { return 2*responseBytes + largestBlock }
