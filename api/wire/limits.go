package wire

import (
	"github.com/hotstuffd/hotstuffd/api/wire/internal/pb"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Limits bound what a reader accepts. All of them count; a reader that knows the genesis document knows them all.
type Limits struct {
	Nodes             int // size of the committee, n
	BlockBatchesMax   int // batches named by one block
	BatchBytesMax     int // blob of one batch, bytes
	ResponseBlocksMax int // blocks in one BlockResponse
	RequestDigestsMax int // digests in one BatchRequest
}

// SafetyStateBytesMax returns the size of the largest safety state within the limits, so that a place of fixed size can
// be set aside for it.
func (l Limits) SafetyStateBytesMax() int { return l.bytesMax((*pb.SafetyState)(nil)) }

// ConsensusFrameBytesMax returns the size of the largest frame with a proposal, vote, timeout, certificate or block
// request: what a reader of consensus messages needs to buffer at most.
func (l Limits) ConsensusFrameBytesMax() int {
	largest := 0
	for _, m := range []protoreflect.ProtoMessage{(*pb.Proposal)(nil), (*pb.VoteMessage)(nil), (*pb.TimeoutMessage)(nil),
		(*pb.CertificateMessage)(nil), (*pb.BlockRequest)(nil)} {
		largest = max(largest, l.bytesMax(m))
	}
	return framed(largest)
}

// BatchFrameBytesMax returns the size of the largest frame with a batch or a batch request.
func (l Limits) BatchFrameBytesMax() int {
	return framed(max(l.bytesMax((*pb.Batch)(nil)), l.bytesMax((*pb.BatchRequest)(nil))))
}

// SnapshotFrameBytesMax returns the size of the largest frame about snapshots.
func (l Limits) SnapshotFrameBytesMax() int {
	return framed(max(l.bytesMax((*pb.SnapshotOffer)(nil)), l.bytesMax((*pb.Chunk)(nil))))
}

func (l Limits) bytesMax(m protoreflect.ProtoMessage) int {
	return shapeOf(m).bytesMax(&l)
}

// framed returns the size of an envelope around a message of n bytes.
func framed(n int) int { return 1 + protowire.SizeBytes(n) }
