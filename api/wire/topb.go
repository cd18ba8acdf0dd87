package wire

import (
	"github.com/hotstuffd/hotstuffd/api/wire/internal/pb"
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
)

// From the core's types to the generated ones. The results share memory with their sources and live for one marshal.

func qcToPB(c *qc.QuorumCertificate) *pb.QuorumCertificate {
	return &pb.QuorumCertificate{Epoch: uint32(c.Epoch), View: uint64(c.View), Block: c.Block[:], Signers: c.Signers,
		Signature: c.Signature[:]}
}

func tcToPB(c *qc.TimeoutCertificate) *pb.TimeoutCertificate {
	if c == nil {
		return nil
	}
	views := make([]uint64, len(c.HighQCViews))
	for i, v := range c.HighQCViews {
		views[i] = uint64(v)
	}
	return &pb.TimeoutCertificate{Epoch: uint32(c.Epoch), View: uint64(c.View), HighQcViews: views, HighQc: qcToPB(&c.HighQC),
		Signers: c.Signers, Signature: c.Signature[:]}
}

func voteToPB(v *qc.Vote) *pb.Vote {
	if v == nil {
		return nil
	}
	return &pb.Vote{View: uint64(v.View), Block: v.Block[:], Signer: uint32(v.Signer), Signature: v.Signature[:]}
}

func timeoutToPB(t *qc.Timeout) *pb.Timeout {
	if t == nil {
		return nil
	}
	return &pb.Timeout{Epoch: uint32(t.Epoch), View: uint64(t.View), HighQc: qcToPB(&t.HighQC), Tc: tcToPB(t.TC),
		Vote: voteToPB(t.Vote), Signer: uint32(t.Signer), Signature: t.Signature[:]}
}

func blockToPB(b *blocktree.Block) *pb.Block {
	if b == nil {
		return nil
	}
	m := &pb.Block{Epoch: uint32(b.Epoch), View: uint64(b.View), Height: uint64(b.Height), Parent: b.Parent[:],
		Justify: qcToPB(&b.Justify), Tc: tcToPB(b.TC), Proposer: uint32(b.Proposer), Time: b.Time, Signature: b.Signature[:]}
	if len(b.Payload) > 0 {
		m.Payload = make([]*pb.BatchRef, len(b.Payload))
		refs := make([]pb.BatchRef, len(b.Payload))
		for i := range b.Payload {
			r := &b.Payload[i]
			refs[i].Origin = uint32(r.Origin)
			refs[i].IncarnationRejoin, refs[i].IncarnationStarts = uint64(r.Incarnation.Rejoin), r.Incarnation.Starts
			refs[i].Seq, refs[i].Digest, refs[i].Bytes, refs[i].Expiry = r.Seq, r.Digest[:], r.Bytes, uint64(r.Expiry)
			m.Payload[i] = &refs[i]
		}
	}
	return m
}

func checkpointToPB(c *qc.Checkpoint) *pb.Checkpoint {
	return &pb.Checkpoint{Height: uint64(c.Height), Block: c.Block[:], Digest: c.Digest[:]}
}

func signedCheckpointToPB(s *qc.SignedCheckpoint) *pb.SignedCheckpoint {
	return &pb.SignedCheckpoint{Checkpoint: checkpointToPB(&s.Checkpoint), Signer: uint32(s.Signer), Signature: s.Signature[:]}
}

func checkpointCertificateToPB(c *qc.CheckpointCertificate) *pb.CheckpointCertificate {
	return &pb.CheckpointCertificate{Epoch: uint32(c.Epoch), Checkpoint: checkpointToPB(&c.Checkpoint), Signers: c.Signers, Signature: c.Signature[:]}
}

func lanesToPB(lanes blocktree.Lanes) []*pb.Cursor {
	list, cursors := make([]*pb.Cursor, len(lanes)), make([]pb.Cursor, len(lanes))
	for i := range lanes {
		c := &lanes[i]
		cursors[i].IncarnationRejoin, cursors[i].IncarnationStarts = uint64(c.Incarnation.Rejoin), c.Incarnation.Starts
		cursors[i].Seq, cursors[i].Last = c.Seq, c.Last[:]
		list[i] = &cursors[i]
	}
	return list
}

func batchToPB(b *mempool.Batch) *pb.Batch {
	return &pb.Batch{Origin: uint32(b.Origin), IncarnationRejoin: uint64(b.Incarnation.Rejoin),
		IncarnationStarts: b.Incarnation.Starts, Seq: b.Seq, Prev: b.Prev[:], Expiry: uint64(b.Expiry), Count: b.Count,
		Blob: b.Blob, Signature: b.Signature[:]}
}

func stateToPB(s *hotstuff.SafetyState) *pb.SafetyState {
	m := &pb.SafetyState{Sequence: s.Sequence, Epoch: uint32(s.Epoch), LastVoted: voteToPB(s.LastVoted),
		LockView: uint64(s.LockView), LockBlock: s.LockBlock[:], HighQc: qcToPB(&s.HighQC), LastTc: tcToPB(s.LastTC),
		LastTimeout: timeoutToPB(s.LastTimeout), LastProposal: blockToPB(s.LastProposal),
		IncarnationRejoin: uint64(s.Incarnation.Rejoin), IncarnationStarts: s.Incarnation.Starts, Floor: uint64(s.Floor), Reserved: uint64(s.Reserved)}
	if !s.Nonce.IsZero() {
		m.Nonce = s.Nonce[:]
	}
	return m
}

func commitToPB(c *hotstuff.CommitRecord) *pb.CommitRecord {
	return &pb.CommitRecord{Height: uint64(c.Height), Block: c.Block[:], Lanes: lanesToPB(c.Lanes)}
}
