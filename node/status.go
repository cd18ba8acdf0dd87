package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hotstuffd/hotstuffd/api/server"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
)

// errStopped is what callers get who wait for a node that stops.
var errStopped = errors.New("node is stopping")

// progress is the loop's view of itself, published once a turn for everybody else.
type progress struct {
	view      qc.View
	leader    qc.NodeID
	committed qc.Height
	voted     qc.View       // newest view voted in
	votes     uint64        // cast since the start
	base      time.Duration // the present base timeout
	synced    bool          // the block of the high QC is held
	rejoining bool          // nothing is signed until the nonce is committed
	pool      mempool.Stats
	certified qc.Height                  // the highest certified state
	stall     *hotstuff.CheckpointStatus // set while blocks get no payload for want of a certificate
	reached   qc.Height                  // the highest state that f+1 peers say they have come to
	transfer  TransferStatus
}

// published is a progress that one goroutine writes and others read.
type published struct {
	mu    sync.Mutex
	value progress
}

func (p *published) set(v progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.value = v
}

func (p *published) read() progress {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.value
}

// statusWait is how long a status waits for the executor to come to the end of a block, before the last digest is shown.
const statusWait = 500 * time.Millisecond

// behindMax is how many blocks the application may be behind for the replica to count as caught up.
const behindMax = 16

// Status implements server.Node. Height, block, commands and digest belong together: they are taken between two blocks.
func (n *Node) Status() server.Status {
	applied := n.applied()
	p := n.progress.read()
	s := server.Status{
		ID: uint16(n.self), View: uint64(p.view), Leader: uint16(p.leader), CommittedHeight: uint64(max(p.committed, applied.Height)),
		AppliedHeight: uint64(applied.Height), CommittedCommands: applied.Commands, LastBlock: applied.Block.Hex(),
		StateDigest: fmt.Sprintf("%x", applied.Digest), PeersConnected: n.network.Connected(),
		BaseTimeoutMs: float64(p.base) / float64(time.Millisecond),
		Chain:         n.committee.Chain.Hex(), Nodes: n.committee.Size(), Rejoining: p.rejoining,
		CheckpointHeight: uint64(p.certified), DiskFull: n.store.Full(),
	}
	if p.stall != nil {
		s.CheckpointStalled = true
		for _, id := range p.stall.Differ {
			s.CheckpointDiffer = append(s.CheckpointDiffer, uint16(id))
		}
	}
	n.tellProgress(&s)
	return s
}

// applied asks the executor where it stands, and remembers its answer for when it is busy. An answer to a question of
// earlier on, which nobody waited for any more, is not taken for where it stands now.
func (n *Node) applied() Applied {
	least, _ := n.executor.progress.get()
	n.lastApplied.mu.Lock()
	defer n.lastApplied.mu.Unlock()
	timer := time.NewTimer(statusWait)
	defer timer.Stop()
	for {
		if n.lastApplied.asked == nil {
			n.lastApplied.asked = n.executor.ask()
		}
		select {
		case n.lastApplied.value = <-n.lastApplied.asked:
			if n.lastApplied.asked = nil; uint64(n.lastApplied.value.Height) >= least {
				return n.lastApplied.value
			}
		case <-timer.C:
			return n.lastApplied.value
		case <-n.stopped:
			return n.lastApplied.value
		}
	}
}

// Ready implements server.Node.
func (n *Node) Ready() (ok bool, reason string) {
	if n.store.Full() {
		return false, n.disk.why()
	}
	// This replica counts for the quorum too.
	if have, want := n.network.Connected()+1, n.committee.Quorum(); have < want {
		return false, fmt.Sprintf("in touch with %d of %d replicas, a quorum is %d", have, n.committee.Size(), want)
	}
	applied, _ := n.executor.progress.get()
	p := n.progress.read()
	if applied+behindMax < uint64(p.committed) {
		return false, fmt.Sprintf("%s: applied %d of %d blocks", behind(p.rejoining), applied, p.committed)
	}
	if p.rejoining {
		return false, "rejoining: signs nothing until its nonce is committed"
	}
	if !p.synced {
		return false, "catching up: fetching blocks"
	}
	return true, ""
}

// behind says why a replica is behind.
func behind(rejoining bool) string {
	if rejoining {
		return "rejoining, catching up"
	}
	return "catching up"
}

// Await implements server.Node.
func (n *Node) Await(ctx context.Context, height uint64) error {
	return n.executor.progress.await(ctx, n.stopped, height)
}
