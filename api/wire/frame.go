package wire

import (
	"errors"
	"fmt"

	"github.com/hotstuffd/hotstuffd/api/wire/internal/pb"
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
	"google.golang.org/protobuf/proto"
)

// ErrNotMessage is wrapped by every error of Encode: the program, not a peer, is at fault.
var ErrNotMessage = errors.New("wire: not a complete message")

// Encode returns the frame of a message: a *hotstuff.Proposal, *VoteMessage, *TimeoutMessage, *CertificateMessage,
// *BlockRequest, *BlockResponse, *RejoinRequest, *CheckpointMessage, *Pruned, *SnapshotRequest, *SnapshotOffer, *ChunkRequest,
// *Chunk, *mempool.Batch or *mempool.BatchRequest. The frame shares no memory with it.
// Expected errors: ErrNotMessage, for another type or a part that is nil.
func Encode(msg any) ([]byte, error) {
	envelope := &pb.Envelope{}
	switch m := msg.(type) {
	case *hotstuff.Proposal:
		if m.Block == nil {
			return nil, incomplete(msg)
		}
		envelope.Message = &pb.Envelope_Proposal{Proposal: &pb.Proposal{Block: blockToPB(m.Block)}}
	case *hotstuff.VoteMessage:
		envelope.Message = &pb.Envelope_Vote{Vote: &pb.VoteMessage{Vote: voteToPB(&m.Vote), Held: lanesToPB(m.Held)}}
	case *hotstuff.TimeoutMessage:
		if m.Timeout == nil {
			return nil, incomplete(msg)
		}
		envelope.Message = &pb.Envelope_Timeout{Timeout: &pb.TimeoutMessage{Timeout: timeoutToPB(m.Timeout), Held: lanesToPB(m.Held)}}
	case *hotstuff.CertificateMessage:
		c, err := certificateToPB(m)
		if err != nil {
			return nil, err
		}
		envelope.Message = &pb.Envelope_Certificate{Certificate: c}
	case *hotstuff.BlockRequest:
		envelope.Message = &pb.Envelope_BlockRequest{BlockRequest: &pb.BlockRequest{Target: m.Target[:], From: uint64(m.From)}}
	case *hotstuff.BlockResponse:
		blocks := make([]*pb.Block, len(m.Blocks))
		for i, b := range m.Blocks {
			if b == nil {
				return nil, incomplete(msg)
			}
			blocks[i] = blockToPB(b)
		}
		envelope.Message = &pb.Envelope_BlockResponse{BlockResponse: &pb.BlockResponse{Target: m.Target[:], Blocks: blocks}}
	case *hotstuff.RejoinRequest:
		envelope.Message = &pb.Envelope_RejoinRequest{RejoinRequest: &pb.RejoinRequest{Nonce: m.Nonce[:]}}
	case *hotstuff.CheckpointMessage:
		c, err := checkpointMessageToPB(m)
		if err != nil {
			return nil, err
		}
		envelope.Message = &pb.Envelope_Checkpoint{Checkpoint: c}
	case *hotstuff.Pruned:
		envelope.Message = &pb.Envelope_Pruned{Pruned: &pb.Pruned{Floor: uint64(m.Floor)}}
	case *hotstuff.SnapshotRequest:
		envelope.Message = &pb.Envelope_SnapshotRequest{SnapshotRequest: &pb.SnapshotRequest{Above: uint64(m.Above)}}
	case *hotstuff.SnapshotOffer:
		if m.Certificate == nil {
			return nil, incomplete(msg)
		}
		envelope.Message = &pb.Envelope_SnapshotOffer{SnapshotOffer: snapshotOfferToPB(m)}
	case *hotstuff.ChunkRequest:
		envelope.Message = &pb.Envelope_ChunkRequest{ChunkRequest: &pb.ChunkRequest{Height: uint64(m.Height), Index: m.Index}}
	case *hotstuff.Chunk:
		envelope.Message = &pb.Envelope_Chunk{Chunk: &pb.Chunk{Height: uint64(m.Height), Index: m.Index, Data: m.Data}}
	case *mempool.Batch:
		envelope.Message = &pb.Envelope_Batch{Batch: batchToPB(m)}
	case *mempool.BatchRequest:
		digests := make([][]byte, len(m.Digests))
		for i := range m.Digests {
			digests[i] = m.Digests[i][:]
		}
		envelope.Message = &pb.Envelope_BatchRequest{BatchRequest: &pb.BatchRequest{Digests: digests}}
	default:
		return nil, incomplete(msg)
	}
	return proto.Marshal(envelope)
}

func incomplete(msg any) error { return fmt.Errorf("%w: %T", ErrNotMessage, msg) }

func certificateToPB(m *hotstuff.CertificateMessage) (*pb.CertificateMessage, error) {
	switch {
	case m.QC != nil && m.TC == nil:
		return &pb.CertificateMessage{Certificate: &pb.CertificateMessage_Qc{Qc: qcToPB(m.QC)}}, nil
	case m.QC == nil && m.TC != nil:
		return &pb.CertificateMessage{Certificate: &pb.CertificateMessage_Tc{Tc: tcToPB(m.TC)}}, nil
	}
	return nil, incomplete(m)
}

// Decode returns the message of a frame, one of the types that Encode takes. It shares no memory with the frame; a
// batch's blob is copied once. Blocks come with their ID computed, batches without their digest.
// Expected errors: ErrMalformed.
func Decode(frame []byte, l Limits) (any, error) {
	envelope := &pb.Envelope{}
	if err := unmarshal(frame, l, envelope); err != nil {
		return nil, err
	}
	switch m := envelope.Message.(type) {
	case *pb.Envelope_Proposal:
		return &hotstuff.Proposal{Block: blockFromPB(m.Proposal.Block)}, nil
	case *pb.Envelope_Vote:
		return &hotstuff.VoteMessage{Vote: *voteFromPB(m.Vote.Vote), Held: lanesFromPB(m.Vote.Held)}, nil
	case *pb.Envelope_Timeout:
		return &hotstuff.TimeoutMessage{Timeout: timeoutFromPB(m.Timeout.Timeout), Held: lanesFromPB(m.Timeout.Held)}, nil
	case *pb.Envelope_Certificate:
		return certificateFromPB(m.Certificate), nil
	case *pb.Envelope_BlockRequest:
		return blockRequestFromPB(m.BlockRequest), nil
	case *pb.Envelope_BlockResponse:
		return blockResponseFromPB(m.BlockResponse), nil
	case *pb.Envelope_RejoinRequest:
		return &hotstuff.RejoinRequest{Nonce: hotstuff.Nonce(m.RejoinRequest.Nonce)}, nil
	case *pb.Envelope_Checkpoint:
		return checkpointMessageFromPB(m.Checkpoint), nil
	case *pb.Envelope_Pruned:
		return &hotstuff.Pruned{Floor: qc.Height(m.Pruned.Floor)}, nil
	case *pb.Envelope_SnapshotRequest:
		return &hotstuff.SnapshotRequest{Above: qc.Height(m.SnapshotRequest.Above)}, nil
	case *pb.Envelope_SnapshotOffer:
		return snapshotOfferFromPB(m.SnapshotOffer), nil
	case *pb.Envelope_ChunkRequest:
		return &hotstuff.ChunkRequest{Height: qc.Height(m.ChunkRequest.Height), Index: m.ChunkRequest.Index}, nil
	case *pb.Envelope_Chunk:
		return &hotstuff.Chunk{Height: qc.Height(m.Chunk.Height), Index: m.Chunk.Index, Data: m.Chunk.Data}, nil
	case *pb.Envelope_Batch:
		return batchFromPB(m.Batch), nil
	case *pb.Envelope_BatchRequest:
		return batchRequestFromPB(m.BatchRequest), nil
	}
	return nil, fmt.Errorf("%w: unknown message", ErrMalformed)
}

// unmarshal checks the bytes against the rules first: only what passes is allocated.
func unmarshal(data []byte, l Limits, m proto.Message) error {
	if err := shapeOf(m).check(data, &l); err != nil {
		return err
	}
	if err := proto.Unmarshal(data, m); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return nil
}

func certificateFromPB(m *pb.CertificateMessage) *hotstuff.CertificateMessage {
	if m.GetQc() != nil {
		c := qcFromPB(m.GetQc())
		return &hotstuff.CertificateMessage{QC: &c}
	}
	return &hotstuff.CertificateMessage{TC: tcFromPB(m.GetTc())}
}

func checkpointMessageToPB(m *hotstuff.CheckpointMessage) (*pb.CheckpointMessage, error) {
	switch {
	case m.Signed != nil && m.Certificate == nil:
		return &pb.CheckpointMessage{Checkpoint: &pb.CheckpointMessage_Signed{Signed: signedCheckpointToPB(m.Signed)}}, nil
	case m.Signed == nil && m.Certificate != nil:
		return &pb.CheckpointMessage{Checkpoint: &pb.CheckpointMessage_Certificate{Certificate: checkpointCertificateToPB(m.Certificate)}}, nil
	}
	return nil, incomplete(m)
}

func checkpointMessageFromPB(m *pb.CheckpointMessage) *hotstuff.CheckpointMessage {
	if m.GetSigned() != nil {
		return &hotstuff.CheckpointMessage{Signed: signedCheckpointFromPB(m.GetSigned())}
	}
	return &hotstuff.CheckpointMessage{Certificate: checkpointCertificateFromPB(m.GetCertificate())}
}

func blockRequestFromPB(m *pb.BlockRequest) *hotstuff.BlockRequest {
	return &hotstuff.BlockRequest{Target: [32]byte(m.Target), From: qc.Height(m.From)}
}

func blockResponseFromPB(m *pb.BlockResponse) *hotstuff.BlockResponse {
	r := &hotstuff.BlockResponse{Target: [32]byte(m.Target)}
	for _, b := range m.Blocks {
		r.Blocks = append(r.Blocks, blockFromPB(b))
	}
	return r
}

func batchRequestFromPB(m *pb.BatchRequest) *mempool.BatchRequest {
	r := &mempool.BatchRequest{}
	for _, d := range m.Digests {
		r.Digests = append(r.Digests, blocktree.Digest(d))
	}
	return r
}

func snapshotOfferToPB(m *hotstuff.SnapshotOffer) *pb.SnapshotOffer {
	chunks := make([][]byte, len(m.Chunks))
	for i := range m.Chunks {
		chunks[i] = m.Chunks[i][:]
	}
	return &pb.SnapshotOffer{Certificate: checkpointCertificateToPB(m.Certificate), Bytes: m.Bytes, Chunks: chunks}
}

func snapshotOfferFromPB(m *pb.SnapshotOffer) *hotstuff.SnapshotOffer {
	o := &hotstuff.SnapshotOffer{Certificate: checkpointCertificateFromPB(m.Certificate), Bytes: m.Bytes}
	for _, c := range m.Chunks {
		o.Chunks = append(o.Chunks, [32]byte(c))
	}
	return o
}
