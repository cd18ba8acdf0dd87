package node

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
)

// Checkpointed tells that the application has executed the block of a checkpoint's height, be it again after a start.
type Checkpointed struct{ Checkpoint qc.Checkpoint }

func (Checkpointed) event() {}

// digestOf is H(engine state ‖ application digest) (PROTOCOL §9). What the leader function reads is bound by the block's name,
// which the checkpoint holds beside the digest.
func digestOf(h *stateHead, sessions, application [32]byte) [32]byte {
	b := append(make([]byte, 0, 128+cursorBytes*len(h.lanes)), "hotstuffd/engine\x00\x02"...)
	b = binary.BigEndian.AppendUint64(b, h.commands)
	b = binary.BigEndian.AppendUint64(b, h.weight)
	b = binary.BigEndian.AppendUint16(b, uint16(len(h.lanes)))
	for i := range h.lanes {
		b = appendCursor(b, &h.lanes[i])
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
