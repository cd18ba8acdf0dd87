package node

import (
	"github.com/hotstuffd/hotstuffd/app"
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/config"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
)

// A replica that has lost its safety state signs nothing, so others order its nonce for it (PROTOCOL §7). It asks all
// of them, for f may be faulty; that the command is executed several times harms nothing.

// rejoinEvery is the least time between two rejoins that one peer can make this replica order: 500 ms. A correct peer
// asks less often.
const rejoinEvery = qc.TicksPerSecond / 2

// rejoins holds when each peer's last rejoin was ordered here.
type rejoins map[qc.NodeID]qc.Ticks

// orderRejoin puts a peer's nonce into the own lane. The connection says whose it is, so nobody can ask for another. If
// it cannot be taken in now, the peer asks again.
func (d *Driver) orderRejoin(at qc.Ticks, from qc.NodeID, nonce hotstuff.Nonce) {
	if last, ok := d.rejoins[from]; ok && at < last+rejoinEvery {
		return
	}
	r := &app.Request{Blob: mempool.AppendRejoin(nil, mempool.Rejoin{Node: from, Nonce: nonce}), Count: 1,
		Complete: func(*app.Request, []byte, error) {}} // the peer sees it committed
	if d.pool.Submit(r.Blob, r.Count, r, 0) == nil {
		d.rejoins[from] = at
	}
}

// onNonceSeen ends the rejoin: the core may sign again, above the view of its highest certificate, and the first own
// lane is opened. Both are in one write.
func (d *Driver) onNonceSeen(nonce hotstuff.Nonce) error {
	if !d.core.Rejoining() {
		return nil
	}
	if err := d.core.Step(hotstuff.Rejoined{Nonce: nonce}); err != nil || d.core.Rejoining() {
		return err
	}
	first := d.core.Safety().Incarnation
	first.Starts++
	d.out.OpenLane = first
	return nil
}

// WatchNonce has seen called when the machine applies this replica's rejoin, if its core waits for one. The driver is
// to be given what seen is. Call it before the machine applies its first block.
func WatchNonce(m *Machine, core *hotstuff.Core, self qc.NodeID, seen func(NonceSeen)) {
	if !core.Rejoining() {
		return
	}
	nonce := core.Safety().Nonce
	m.Watch(mempool.Rejoin{Node: self, Nonce: nonce}, func() { seen(NonceSeen{Nonce: nonce}) })
}

// CheckStored tells whether a replica could start from its store, whose safety state is whole: whether the facts in it
// fit together. It changes nothing.
func CheckStored(s Stored, g *config.Genesis) error {
	n := len(g.Nodes)
	const depth = 1 // of the leader function, which is not asked
	_, err := recoverState(s, blocktree.Genesis(g.Chain, g.Epoch, n), WireLimits(g), depth, g.Limits.ExpiryDistanceMax)
	return err
}
