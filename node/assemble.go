package node

import (
	"github.com/hotstuffd/hotstuffd/app/session"
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/config"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/pacemaker"
	"github.com/hotstuffd/hotstuffd/qc"
)

// Parts is what core and mempool of a replica are assembled from, whatever its edges are.
type Parts struct {
	Config    config.Config
	Genesis   *config.Genesis
	Committee *qc.Committee
	Self      qc.NodeID
	Identity  qc.Identity
	Signer    qc.Signer
	Certs     *qc.Verifier // the core's own
	Store     Stored
}

// Assembled is a replica's core and mempool, standing where its disk left them.
type Assembled struct {
	Core *hotstuff.Core
	Pool *mempool.Pool
	// The application is to be brought up to block ReplayTo, from the snapshot of block Base and the log above it, before it
	// takes what the driver gives it (Begin).
	Base, ReplayTo qc.Height
}

// Assemble reads the disk and makes core and mempool. Nothing that they have to say leaves before the driver's first turn,
// which syncs the incarnation of the lane that every start opens.
// Expected errors: the disk's; a disk whose facts do not fit together; settings that cannot work.
func Assemble(p Parts, at hotstuff.Tick) (Assembled, error) {
	leaders, err := leaderRule(p.Genesis, p.Committee)
	if err != nil {
		return Assembled{}, err
	}
	size := p.Committee.Size()
	limits := CoreLimits(p.Genesis.Limits)
	genesis := blocktree.Genesis(p.Committee.Chain, p.Committee.Epoch, size)
	rec, err := recoverState(p.Store, genesis, WireLimits(p.Genesis), qc.Height(leaders.Depth()), limits.ExpiryDistanceMax)
	if err != nil {
		return Assembled{}, err
	}
	core, err := hotstuff.New(hotstuff.Config{
		Self: p.Self, Committee: p.Committee, Signer: p.Signer, Certs: p.Certs, Identity: p.Identity,
		Leaders: leaders, Limits: limits, Timing: timing(p.Config.Pacemaker),
		CheckpointLag: checkpointLag * limits.CheckpointEvery,
	}, rec.core, at)
	if err != nil {
		return Assembled{}, err
	}
	if err := core.Step(hotstuff.OpenLane{}); err != nil {
		return Assembled{}, err
	}
	pool, err := mempool.New(poolConfig(p), mempool.Recovered{
		Incarnation: core.Safety().Incarnation, Height: rec.replayTo, Lanes: rec.lanes, Held: rec.held,
	})
	if err != nil {
		return Assembled{}, err
	}
	for _, c := range rec.unplayed {
		pool.Committed(c.Block, c.Lanes)
	}
	return Assembled{Core: core, Pool: pool, Base: rec.base, ReplayTo: rec.replayTo}, nil
}

// leaderRule returns the leader function of a chain.
func leaderRule(g *config.Genesis, c *qc.Committee) (pacemaker.LeaderRule, error) {
	schedule, err := pacemaker.ParseSchedule(g.Leaders)
	return pacemaker.LeaderRule{Schedule: schedule, Size: c.Size(), Faults: c.Faults(), Window: int(g.Limits.ReputationWindow)}, err
}

// MachineOf returns what a chain's state depends on beside its log.
// Expected errors: an unknown leader schedule.
func MachineOf(g *config.Genesis, c *qc.Committee) (MachineConfig, error) {
	leaders, err := leaderRule(g, c)
	return MachineConfig{Nodes: c.Size(), Depth: leaders.Depth(), CheckpointEvery: g.Limits.CheckpointInterval,
		Sessions: session.Limits{Sessions: int(g.Limits.SessionsMax), Bytes: int(g.Limits.SessionBytesMax)}}, err
}
