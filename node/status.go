package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hotstuffd/hotstuffd/api/server"
	"github.com/hotstuffd/hotstuffd/app"
	"github.com/hotstuffd/hotstuffd/blocktree"
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
	voted     qc.View // newest view voted in
	votes     uint64  // cast since the start
	synced    bool    // the block of the high QC is held
	rejoining bool    // nothing is signed until the nonce is committed
	pool      mempool.Stats
	certified qc.Height                  // the highest certified state
	stall     *hotstuff.CheckpointStatus // set while blocks get no payload for want of a certificate
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
		Chain: n.committee.Chain.Hex(), Nodes: n.committee.Size(), Rejoining: p.rejoining,
		CheckpointHeight: uint64(p.certified), DiskFull: n.store.Full(),
	}
	if p.stall != nil {
		s.CheckpointStalled = true
		for _, id := range p.stall.Differ {
			s.CheckpointDiffer = append(s.CheckpointDiffer, uint16(id))
		}
	}
	return s
}

// applied asks the executor where it stands, and remembers its answer for when it is busy.
func (n *Node) applied() Applied {
	n.lastApplied.mu.Lock()
	defer n.lastApplied.mu.Unlock()
	timer := time.NewTimer(statusWait)
	defer timer.Stop()
	if n.lastApplied.asked == nil {
		n.lastApplied.asked = n.executor.ask()
	}
	select {
	case n.lastApplied.value = <-n.lastApplied.asked:
		n.lastApplied.asked = nil
	case <-timer.C:
	case <-n.stopped:
	}
	return n.lastApplied.value
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

// Log implements server.Node. It reads the store, never the loop.
func (n *Node) Log(ctx context.Context, from uint64, follow bool, yield func([]server.Entry) error) error {
	describe := describer(n.application)
	for h := max(from, 1); ; h++ {
		if applied, _ := n.executor.progress.get(); h > applied && !follow {
			return nil
		}
		if err := n.Await(ctx, h); err != nil {
			return err
		}
		entries, err := n.entries(qc.Height(h), describe)
		if err != nil {
			return err
		}
		if len(entries) > 0 {
			if err := yield(entries); err != nil {
				return err
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// appliedBlock returns the block of a height that was applied. That a block is committed is noted on disk only with the
// next vote; until then the executor knows which one it is.
func (n *Node) appliedBlock(h qc.Height) (*blocktree.Block, error) {
	if id, ok := n.executor.recent(h); ok {
		return n.store.Block(id)
	}
	return committedBlock(n.store, h)
}

// describer returns how a command is shown to a person, in one printable line.
func describer(a app.Application) func(mempool.Command) string {
	ofApplication := func(command []byte) string { return fmt.Sprintf("%d bytes", len(command)) }
	if d, ok := a.(app.Describer); ok {
		ofApplication = d.Describe
	}
	return func(c mempool.Command) string {
		if c.Engine {
			return describeEngine(c.Body, ofApplication)
		}
		return ofApplication(c.Body)
	}
}

func (n *Node) entries(h qc.Height, describe func(mempool.Command) string) ([]server.Entry, error) {
	b, err := n.appliedBlock(h)
	if err != nil {
		return nil, err
	}
	var entries []server.Entry
	for i := range b.Payload {
		batch, err := n.store.Batch(b.Payload[i].Digest)
		if err != nil {
			return nil, err
		}
		for command, rest, ok := mempool.NextCommand(batch.Blob); ok; command, rest, ok = mempool.NextCommand(rest) {
			entries = append(entries, server.Entry{Height: uint64(h), Index: uint32(len(entries)), Origin: uint16(batch.Origin),
				Command: describe(command)})
		}
	}
	return entries, nil
}
