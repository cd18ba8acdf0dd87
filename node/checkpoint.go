package node

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
)

// Checkpointed tells that the application has executed the block of a checkpoint's height, be it again after a start.
type Checkpointed struct{ Checkpoint qc.Checkpoint }

func (Checkpointed) event() {}

// checkpointing is the part of a Machine that names its states.
type checkpointing struct {
	every  qc.Height // blocks from one checkpoint to the next; 0: none
	report func(Checkpointed)
	lanes  []blocktree.Cursor // by origin, as far as one has had a batch
}

// Checkpoint has report called with the state after each block whose height is a multiple of every, by the goroutine that
// applies. Call it before the first block.
func (m *Machine) Checkpoint(every qc.Height, report func(Checkpointed)) {
	m.checkpoints.every, m.checkpoints.report = every, report
}

// follow moves the lanes past the batches of a committed block.
func (c *checkpointing) follow(batches []*mempool.Batch) {
	for _, b := range batches {
		for int(b.Origin) >= len(c.lanes) {
			c.lanes = append(c.lanes, blocktree.Cursor{})
		}
		c.lanes[b.Origin] = blocktree.Cursor{Incarnation: b.Incarnation, Seq: b.Seq + 1, Last: b.Digest()}
	}
}

// checkpoint reports the state if one is due at the present height.
func (m *Machine) checkpoint() {
	if c := &m.checkpoints; c.every > 0 && m.height%c.every == 0 {
		c.report(Checkpointed{qc.Checkpoint{Height: m.height, Block: m.block, Digest: m.digest()}})
	}
}

// digest returns the digest of the whole state: the engine's and the application's.
func (m *Machine) digest() [32]byte {
	return m.checkpoints.digest(m.sessions.Digest(), m.app.Digest())
}

// digest is H(engine state ‖ application digest) (PROTOCOL §9). What the leader function reads is bound by the block's name,
// which the checkpoint holds beside the digest.
func (c *checkpointing) digest(sessions, application [32]byte) [32]byte {
	b := append(make([]byte, 0, 64+64*len(c.lanes)), "hotstuffd/engine\x00\x01"...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(c.lanes)))
	for i := range c.lanes {
		l := &c.lanes[i]
		b = binary.BigEndian.AppendUint64(b, uint64(l.Incarnation.Rejoin))
		b = binary.BigEndian.AppendUint64(b, l.Incarnation.Starts)
		b = binary.BigEndian.AppendUint64(b, l.Seq)
		b = append(b, l.Last[:]...)
	}
	b = append(b, sessions[:]...)
	return sha256.Sum256(append(b, application[:]...))
}

// tellStall tells the operator when blocks stop getting payload, and again when others differ; and when it is over.
func (n *Node) tellStall(before, now *hotstuff.CheckpointStatus) {
	switch {
	case now == nil:
		if before != nil {
			n.logger.Info("states are certified again: blocks get payload")
		}
	case len(now.Differ) > 0:
		if before == nil || !slices.Equal(before.Differ, now.Differ) {
			n.logger.Error("states differ and no quorum agrees: blocks get no payload; see \"When states differ\" in docs/operations.md",
				"certified", now.Certified, "executed", now.Executed, "differ", now.Differ)
		}
	case before == nil:
		n.logger.Warn("back-pressure: no state was certified for too many blocks, so they get no payload for now",
			"certified", now.Certified, "executed", now.Executed, "silent", now.Silent)
	}
}
