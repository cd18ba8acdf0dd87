package wire

import (
	"github.com/hotstuffd/hotstuffd/api/wire/internal/pb"
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
	"google.golang.org/protobuf/proto"
)

// Snapshot describes a snapshot. What it says of its size is not compared: the size of a chunk is the store's.
type Snapshot struct {
	Certificate *qc.CheckpointCertificate
	Bytes       int64
	Chunks      [][32]byte
}

// The Append functions append the bytes of a record, as it is stored, to dst. The records must be complete.
// They fail only on a record above 2 GiB.

// AppendBlock appends a block.
func AppendBlock(dst []byte, b *blocktree.Block) ([]byte, error) { return marshal(dst, blockToPB(b)) }

// AppendBatch appends a batch; its blob is copied once.
func AppendBatch(dst []byte, b *mempool.Batch) ([]byte, error) { return marshal(dst, batchToPB(b)) }

// AppendSafetyState appends a safety state.
func AppendSafetyState(dst []byte, s *hotstuff.SafetyState) ([]byte, error) {
	return marshal(dst, stateToPB(s))
}

// AppendCommitRecord appends a commit record.
func AppendCommitRecord(dst []byte, c *hotstuff.CommitRecord) ([]byte, error) {
	return marshal(dst, commitToPB(c))
}

// AppendCheckpoint appends a checkpoint certificate.
func AppendCheckpoint(dst []byte, c *qc.CheckpointCertificate) ([]byte, error) {
	return marshal(dst, checkpointCertificateToPB(c))
}

// AppendSnapshot appends the description of a snapshot.
func AppendSnapshot(dst []byte, s *Snapshot) ([]byte, error) {
	chunks := make([][]byte, len(s.Chunks))
	for i := range chunks {
		chunks[i] = s.Chunks[i][:]
	}
	return marshal(dst, &pb.SnapshotRecord{Certificate: checkpointCertificateToPB(s.Certificate), Bytes: uint64(s.Bytes), Chunks: chunks})
}

func marshal(dst []byte, m proto.Message) ([]byte, error) {
	return proto.MarshalOptions{}.MarshalAppend(dst, m)
}

// The Parse functions read what the Append functions wrote, and are as strict as Decode: a disk is a stranger too.
// The results share no memory with data. Expected errors: ErrMalformed.

// ParseBlock reads a block and computes its ID.
func ParseBlock(data []byte, l Limits) (*blocktree.Block, error) {
	m := &pb.Block{}
	if err := unmarshal(data, l, m); err != nil {
		return nil, err
	}
	return blockFromPB(m), nil
}

// ParseBatch reads a batch; its blob is copied once. The digest is not computed.
func ParseBatch(data []byte, l Limits) (*mempool.Batch, error) {
	m := &pb.Batch{}
	if err := unmarshal(data, l, m); err != nil {
		return nil, err
	}
	return batchFromPB(m), nil
}

// ParseSafetyState reads a safety state.
func ParseSafetyState(data []byte, l Limits) (hotstuff.SafetyState, error) {
	m := &pb.SafetyState{}
	if err := unmarshal(data, l, m); err != nil {
		return hotstuff.SafetyState{}, err
	}
	return stateFromPB(m), nil
}

// ParseCheckpoint reads a checkpoint certificate.
func ParseCheckpoint(data []byte, l Limits) (*qc.CheckpointCertificate, error) {
	m := &pb.CheckpointCertificate{}
	if err := unmarshal(data, l, m); err != nil {
		return nil, err
	}
	return checkpointCertificateFromPB(m), nil
}

// ParseCommitRecord reads a commit record.
func ParseCommitRecord(data []byte, l Limits) (hotstuff.CommitRecord, error) {
	m := &pb.CommitRecord{}
	if err := unmarshal(data, l, m); err != nil {
		return hotstuff.CommitRecord{}, err
	}
	return commitFromPB(m), nil
}

// ParseSnapshot reads the description of a snapshot.
func ParseSnapshot(data []byte, l Limits) (*Snapshot, error) {
	m := &pb.SnapshotRecord{}
	if err := unmarshal(data, l, m); err != nil {
		return nil, err
	}
	s := &Snapshot{Certificate: checkpointCertificateFromPB(m.Certificate), Bytes: int64(m.Bytes), Chunks: make([][32]byte, len(m.Chunks))}
	for i, sum := range m.Chunks {
		s.Chunks[i] = [32]byte(sum)
	}
	return s, nil
}
