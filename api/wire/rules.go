package wire

import (
	"crypto/ed25519"
	"crypto/sha256"

	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// rule says what a field may hold, beyond its type.
type rule struct {
	size     span              // of a field of bytes
	empty    bool              // a field of bytes that may be left out, which is how an empty one is written
	count    func(*Limits) int // of a repeated field: the greatest number of elements
	node     bool              // the number of a replica: below n
	required bool              // a message that must be present
}

// span gives the least and the greatest size in bytes.
type span func(*Limits) (least, most int)

func exactly(n int) span { return func(*Limits) (int, int) { return n, n } }

// Sizes of the schema's fields of bytes.
var (
	hash     = exactly(sha256.Size)
	blsSig   = exactly(qc.SignatureSize)
	identSig = exactly(ed25519.SignatureSize)
	bitmap   = span(func(l *Limits) (int, int) { n := len(qc.NewBitmap(l.Nodes)); return n, n })
	blob     = span(func(l *Limits) (int, int) { return 0, l.BatchBytesMax })
	chunk    = span(func(*Limits) (int, int) { return 0, hotstuff.SnapshotChunkBytes })
)

func nodes(l *Limits) int          { return l.Nodes }
func blockBatches(l *Limits) int   { return l.BlockBatchesMax }
func responseBlocks(l *Limits) int { return l.ResponseBlocksMax }
func requestDigests(l *Limits) int { return l.RequestDigestsMax }
func snapshotChunks(*Limits) int   { return hotstuff.SnapshotChunksMax }

// rules is what the schema's comments say, in force. Every field of bytes and every repeated field has a rule, or the
// package does not start; a oneof needs none: exactly one of its fields must be set.
var rules = map[protoreflect.FullName]rule{
	"QuorumCertificate.block":     {size: hash},
	"QuorumCertificate.signers":   {size: bitmap},
	"QuorumCertificate.signature": {size: blsSig},

	"TimeoutCertificate.high_qc_views": {count: nodes},
	"TimeoutCertificate.high_qc":       {required: true},
	"TimeoutCertificate.signers":       {size: bitmap},
	"TimeoutCertificate.signature":     {size: blsSig},

	"Vote.block":     {size: hash},
	"Vote.signer":    {node: true},
	"Vote.signature": {size: blsSig},

	"Timeout.high_qc":   {required: true},
	"Timeout.signer":    {node: true},
	"Timeout.signature": {size: blsSig},

	"Checkpoint.block":                 {size: hash},
	"Checkpoint.digest":                {size: hash},
	"SignedCheckpoint.checkpoint":      {required: true},
	"SignedCheckpoint.signer":          {node: true},
	"SignedCheckpoint.signature":       {size: blsSig},
	"CheckpointCertificate.checkpoint": {required: true},
	"CheckpointCertificate.signers":    {size: bitmap},
	"CheckpointCertificate.signature":  {size: blsSig},

	"BatchRef.origin": {node: true},
	"BatchRef.digest": {size: hash},

	"Cursor.last": {size: hash},

	"Block.parent":    {size: hash},
	"Block.justify":   {required: true},
	"Block.proposer":  {node: true},
	"Block.payload":   {count: blockBatches},
	"Block.signature": {size: identSig},

	"Batch.origin":    {node: true},
	"Batch.prev":      {size: hash},
	"Batch.blob":      {size: blob, empty: true},
	"Batch.signature": {size: identSig},

	"Proposal.block":         {required: true},
	"VoteMessage.vote":       {required: true},
	"VoteMessage.held":       {count: nodes},
	"TimeoutMessage.timeout": {required: true},
	"TimeoutMessage.held":    {count: nodes},
	"BlockRequest.target":    {size: hash},
	"BlockResponse.target":   {size: hash},
	"BlockResponse.blocks":   {count: responseBlocks},
	"BatchRequest.digests":   {count: requestDigests, size: hash},
	"RejoinRequest.nonce":    {size: hash},

	"SnapshotOffer.certificate": {required: true},
	"SnapshotOffer.chunks":      {count: snapshotChunks, size: hash},
	"Chunk.data":                {size: chunk, empty: true},

	"SafetyState.lock_block": {size: hash},
	"SafetyState.high_qc":    {required: true},
	"SafetyState.nonce":      {size: hash, empty: true},
	"CommitRecord.block":     {size: hash},
	"CommitRecord.lanes":     {count: nodes},

	"SnapshotRecord.certificate": {required: true},
	"SnapshotRecord.chunks":      {count: snapshotChunks, size: hash},
}
