package wire

import (
	"github.com/hotstuffd/hotstuffd/api/wire/internal/pb"
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
)

// From the generated types to the core's. None of these can fail: what they are given has passed shape.check, so
// required messages are there, fields of bytes have their sizes and replica numbers fit.

func qcFromPB(m *pb.QuorumCertificate) qc.QuorumCertificate {
	return qc.QuorumCertificate{Epoch: qc.Epoch(m.Epoch), View: qc.View(m.View), Block: qc.BlockID(m.Block), Signers: m.Signers,
		Signature: qc.Signature(m.Signature)}
}

func tcFromPB(m *pb.TimeoutCertificate) *qc.TimeoutCertificate {
	if m == nil {
		return nil
	}
	c := &qc.TimeoutCertificate{Epoch: qc.Epoch(m.Epoch), View: qc.View(m.View), HighQC: qcFromPB(m.HighQc), Signers: m.Signers,
		Signature: qc.Signature(m.Signature)}
	if len(m.HighQcViews) > 0 {
		c.HighQCViews = make([]qc.View, len(m.HighQcViews))
		for i, v := range m.HighQcViews {
			c.HighQCViews[i] = qc.View(v)
		}
	}
	return c
}

func voteFromPB(m *pb.Vote) *qc.Vote {
	if m == nil {
		return nil
	}
	return &qc.Vote{View: qc.View(m.View), Block: qc.BlockID(m.Block), Signer: qc.NodeID(m.Signer),
		Signature: qc.Signature(m.Signature)}
}

func timeoutFromPB(m *pb.Timeout) *qc.Timeout {
	if m == nil {
		return nil
	}
	return &qc.Timeout{Epoch: qc.Epoch(m.Epoch), View: qc.View(m.View), HighQC: qcFromPB(m.HighQc), TC: tcFromPB(m.Tc),
		Vote: voteFromPB(m.Vote), Signer: qc.NodeID(m.Signer), Signature: qc.Signature(m.Signature)}
}

// blockFromPB also computes the block's ID: from then on the block is immutable and goroutines may share it.
func blockFromPB(m *pb.Block) *blocktree.Block {
	if m == nil {
		return nil
	}
	b := &blocktree.Block{Epoch: qc.Epoch(m.Epoch), View: qc.View(m.View), Height: qc.Height(m.Height),
		Parent: qc.BlockID(m.Parent), Justify: qcFromPB(m.Justify), TC: tcFromPB(m.Tc), Proposer: qc.NodeID(m.Proposer),
		Time: m.Time, Signature: [64]byte(m.Signature)}
	if len(m.Payload) > 0 {
		b.Payload = make([]blocktree.BatchRef, len(m.Payload))
		for i, r := range m.Payload {
			b.Payload[i] = blocktree.BatchRef{Origin: qc.NodeID(r.Origin),
				Incarnation: blocktree.Incarnation{Rejoin: qc.View(r.IncarnationRejoin), Starts: r.IncarnationStarts},
				Seq:         r.Seq, Digest: blocktree.Digest(r.Digest), Bytes: r.Bytes, Expiry: qc.Height(r.Expiry)}
		}
	}
	b.ID()
	return b
}

func checkpointFromPB(m *pb.Checkpoint) qc.Checkpoint {
	return qc.Checkpoint{Height: qc.Height(m.Height), Block: qc.BlockID(m.Block), Digest: [32]byte(m.Digest)}
}

func signedCheckpointFromPB(m *pb.SignedCheckpoint) *qc.SignedCheckpoint {
	return &qc.SignedCheckpoint{Checkpoint: checkpointFromPB(m.Checkpoint), Signer: qc.NodeID(m.Signer), Signature: qc.Signature(m.Signature)}
}

func checkpointCertificateFromPB(m *pb.CheckpointCertificate) *qc.CheckpointCertificate {
	return &qc.CheckpointCertificate{Epoch: qc.Epoch(m.Epoch), Checkpoint: checkpointFromPB(m.Checkpoint), Signers: m.Signers,
		Signature: qc.Signature(m.Signature)}
}

func lanesFromPB(list []*pb.Cursor) blocktree.Lanes {
	if len(list) == 0 {
		return nil
	}
	lanes := make(blocktree.Lanes, len(list))
	for i, m := range list {
		lanes[i] = blocktree.Cursor{
			Incarnation: blocktree.Incarnation{Rejoin: qc.View(m.IncarnationRejoin), Starts: m.IncarnationStarts},
			Seq:         m.Seq, Last: blocktree.Digest(m.Last)}
	}
	return lanes
}

// batchFromPB leaves the digest to whoever needs it first: it costs a pass over the blob.
func batchFromPB(m *pb.Batch) *mempool.Batch {
	return &mempool.Batch{Origin: qc.NodeID(m.Origin),
		Incarnation: blocktree.Incarnation{Rejoin: qc.View(m.IncarnationRejoin), Starts: m.IncarnationStarts},
		Seq:         m.Seq, Prev: blocktree.Digest(m.Prev), Expiry: qc.Height(m.Expiry), Count: m.Count, Blob: m.Blob,
		Signature: [64]byte(m.Signature)}
}

func stateFromPB(m *pb.SafetyState) hotstuff.SafetyState {
	s := hotstuff.SafetyState{Sequence: m.Sequence, Epoch: qc.Epoch(m.Epoch), LastVoted: voteFromPB(m.LastVoted),
		LockView: qc.View(m.LockView), LockBlock: qc.BlockID(m.LockBlock), HighQC: qcFromPB(m.HighQc), LastTC: tcFromPB(m.LastTc),
		LastTimeout: timeoutFromPB(m.LastTimeout), LastProposal: blockFromPB(m.LastProposal),
		Incarnation: blocktree.Incarnation{Rejoin: qc.View(m.IncarnationRejoin), Starts: m.IncarnationStarts},
		Floor:       qc.View(m.Floor), Reserved: qc.View(m.Reserved)}
	if len(m.Nonce) > 0 {
		s.Nonce = hotstuff.Nonce(m.Nonce)
	}
	return s
}

func commitFromPB(m *pb.CommitRecord) hotstuff.CommitRecord {
	return hotstuff.CommitRecord{Height: qc.Height(m.Height), Block: qc.BlockID(m.Block), Lanes: lanesFromPB(m.Lanes)}
}
