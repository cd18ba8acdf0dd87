package sim

import (
	"fmt"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
)

// typeOf numbers the kinds of messages, for the trace's hash.
func typeOf(message any) uint8 {
	switch message.(type) {
	case *hotstuff.Proposal:
		return 1
	case *hotstuff.VoteMessage:
		return 2
	case *hotstuff.TimeoutMessage:
		return 3
	case *hotstuff.CertificateMessage:
		return 4
	case *hotstuff.BlockRequest:
		return 5
	case *hotstuff.BlockResponse:
		return 6
	case *mempool.Batch:
		return 7
	case *mempool.BatchRequest:
		return 8
	case *hotstuff.RejoinRequest:
		return 9
	case *hotstuff.CheckpointMessage:
		return 10
	case *hotstuff.Pruned:
		return 11
	case *hotstuff.SnapshotRequest:
		return 12
	case *hotstuff.SnapshotOffer:
		return 13
	case *hotstuff.ChunkRequest:
		return 14
	case *hotstuff.Chunk:
		return 15
	}
	return 0
}

// describe words a message for a trace.
func describe(message any) string {
	switch m := message.(type) {
	case *hotstuff.Proposal:
		return "proposal " + describeBlock(m.Block)
	case *hotstuff.VoteMessage:
		return fmt.Sprintf("vote %d %v of %v", m.Vote.View, m.Vote.Block, m.Vote.Signer)
	case *hotstuff.TimeoutMessage:
		return describeTimeout(m.Timeout)
	case *hotstuff.CertificateMessage:
		if m.QC != nil {
			return "QC " + describeQC(m.QC)
		}
		if m.TC != nil {
			return fmt.Sprintf("TC %d with QC %s", m.TC.View, describeQC(&m.TC.HighQC))
		}
	case *hotstuff.BlockRequest:
		return fmt.Sprintf("wants %v from height %d", m.Target, m.From)
	case *hotstuff.BlockResponse:
		return fmt.Sprintf("%d blocks for %v", len(m.Blocks), m.Target)
	case *mempool.Batch:
		return fmt.Sprintf("batch %v of %v lane %d seq %d", m.Digest(), m.Origin, m.Incarnation.Starts, m.Seq)
	case *hotstuff.RejoinRequest:
		return fmt.Sprintf("rejoins with nonce %v", m.Nonce)
	case *hotstuff.CheckpointMessage:
		if m.Certificate != nil {
			return fmt.Sprintf("certificate of the state at height %d", m.Certificate.Checkpoint.Height)
		}
		return fmt.Sprintf("state at height %d is %x", m.Signed.Checkpoint.Height, m.Signed.Checkpoint.Digest[:4])
	case *mempool.BatchRequest:
		return fmt.Sprintf("wants batches %v", m.Digests)
	case *hotstuff.Pruned:
		return fmt.Sprintf("keeps nothing below height %d", m.Floor)
	case *hotstuff.SnapshotRequest:
		return fmt.Sprintf("wants a snapshot above height %d", m.Above)
	case *hotstuff.SnapshotOffer:
		return fmt.Sprintf("offers a snapshot at height %d, %d bytes", m.Certificate.Checkpoint.Height, m.Bytes)
	case *hotstuff.ChunkRequest:
		return fmt.Sprintf("wants chunk %d of the snapshot at height %d", m.Index, m.Height)
	case *hotstuff.Chunk:
		return fmt.Sprintf("chunk %d of the snapshot at height %d, %d bytes", m.Index, m.Height, len(m.Data))
	}
	return fmt.Sprintf("%T", message)
}

func describeBlock(b *blocktree.Block) string {
	s := fmt.Sprintf("%d %v height %d by %v on QC %s", b.View, b.ID(), b.Height, b.Proposer, describeQC(&b.Justify))
	if b.TC != nil {
		s += fmt.Sprintf(" with TC %d", b.TC.View)
	}
	if len(b.Payload) > 0 {
		s += fmt.Sprintf(" names %d", len(b.Payload))
	}
	return s
}

func describeQC(q *qc.QuorumCertificate) string { return fmt.Sprintf("%d %v", q.View, q.Block) }

func describeTimeout(t *qc.Timeout) string {
	if t == nil {
		return "timeout without content"
	}
	s := fmt.Sprintf("timeout %d of %v with QC %s", t.View, t.Signer, describeQC(&t.HighQC))
	if t.TC != nil {
		s += fmt.Sprintf(", TC %d", t.TC.View)
	}
	if t.Vote != nil {
		s += fmt.Sprintf(", vote %v", t.Vote.Block)
	}
	return s
}
