package node

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/hotstuffd/hotstuffd/api/wire"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	hsnet "github.com/hotstuffd/hotstuffd/net"
	"github.com/hotstuffd/hotstuffd/qc"
)

// peers takes frames from the network: it decodes and verifies them on the peer's own reader, and puts what passes into
// the inbox. Requests for blocks and batches never reach the loop: they are served from the store right here.
type peers struct {
	inbox      *inbox
	verifiers  verifiers
	committee  *qc.Committee
	identities qc.Roster
	limits     wire.Limits
	view       atomic.Uint64 // hotstuff.Window, published by the loop
	highQC     atomic.Uint64
	checkpoint atomic.Uint64
	server     *Server
	full       func() bool // the disk is full: the loop takes nothing in
	stages     *stages
	dropped    *dropCounter
	logger     *slog.Logger
}

func (p *peers) publish(w hotstuff.Window) {
	p.view.Store(uint64(w.View))
	p.highQC.Store(uint64(w.HighQC))
	p.checkpoint.Store(uint64(w.Checkpoint))
}

func (p *peers) window() hotstuff.Window {
	return hotstuff.Window{View: qc.View(p.view.Load()), HighQC: qc.View(p.highQC.Load()),
		Checkpoint: qc.Height(p.checkpoint.Load())}
}

// Frame implements hsnet.Handler.
func (p *peers) Frame(from qc.NodeID, class hsnet.Class, frame []byte) {
	message, err := wire.Decode(frame, p.limits)
	if err != nil {
		p.dropped.add(from, err)
		return
	}
	switch m := message.(type) {
	case *mempool.BatchRequest:
		p.server.Batches(from, m)
		return
	case *hotstuff.BlockRequest:
		p.server.Blocks(from, m)
		return
	case *hotstuff.SnapshotRequest:
		p.server.Snapshots(from, m)
		return
	case *hotstuff.ChunkRequest:
		p.server.Chunk(from, m)
		return
	}
	// The loop waits. Readers who wait for it would stop serving, and their streams would be given up.
	if p.full() {
		return
	}
	switch m := message.(type) {
	case *mempool.Batch:
		batch, err := mempool.Verify(p.committee, p.identities, m)
		if err != nil {
			p.dropped.add(from, err)
			return
		}
		p.inbox.put(ReceivedBatch{From: from, Batch: batch}, len(m.Blob))
	case hotstuff.Message:
		verified, err := p.verify(from, m)
		if err != nil {
			p.dropped.add(from, err)
			return
		}
		p.inbox.put(Received{verified}, weightOf(m))
	}
}

// verify checks a message, and observes how long a proposal's check took.
func (p *peers) verify(from qc.NodeID, m hotstuff.Message) (hotstuff.Verified, error) {
	proposal, ok := m.(*hotstuff.Proposal)
	if !ok {
		return p.verifiers.verify(p.window(), from, m)
	}
	began := time.Now()
	verified, err := p.verifiers.verify(p.window(), from, m)
	if err == nil {
		p.stages.verified(proposal.Block, began)
	}
	return verified, err
}

// weightOf is what the large ones among messages count for the bound of the inbox: they come whether they were asked for or not.
func weightOf(m hotstuff.Message) int {
	switch m := m.(type) {
	case *hotstuff.Chunk:
		return len(m.Data)
	case *hotstuff.SnapshotOffer:
		return len(m.Chunks) * len(m.Chunks[0])
	}
	return 0
}

// PeerUp implements hsnet.Handler.
func (p *peers) PeerUp(id qc.NodeID) { p.inbox.answer(PeerChange{ID: id, Up: true}) }

// PeerDown implements hsnet.Handler.
func (p *peers) PeerDown(id qc.NodeID) { p.inbox.answer(PeerChange{ID: id}) }
