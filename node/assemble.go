package node

import (
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
	// The application is to be brought up to this block, from disk, before it takes what the driver gives it.
	ReplayTo qc.Height
}

// Assemble reads the disk and makes core and mempool. Nothing that they have to say leaves before the driver's first turn,
// which syncs the incarnation of the lane that every start opens.
// Expected errors: the disk's; a disk whose facts do not fit together; settings that cannot work.
func Assemble(p Parts, at hotstuff.Tick) (Assembled, error) {
	schedule, err := pacemaker.ParseSchedule(p.Genesis.Leaders)
	if err != nil {
		return Assembled{}, err
	}
	size := p.Committee.Size()
	limits := CoreLimits(p.Genesis.Limits)
	leaders := pacemaker.LeaderRule{Schedule: schedule, Size: size, Faults: p.Committee.Faults(), Window: int(p.Genesis.Limits.ReputationWindow)}
	genesis := blocktree.Genesis(p.Committee.Chain, p.Committee.Epoch, size)
	rec, err := recoverState(p.Store, genesis, size, qc.Height(leaders.Depth()), limits.ExpiryDistanceMax)
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
	return Assembled{Core: core, Pool: pool, ReplayTo: rec.replayTo}, nil
}
