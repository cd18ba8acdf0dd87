package blocktree

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"

	"github.com/hotstuffd/hotstuffd/qc"
)

// Block is one proposal: a header, and the batches that it names. A block is immutable once ID was called.
type Block struct {
	Epoch    qc.Epoch
	View     qc.View
	Height   qc.Height
	Parent   qc.BlockID // equals Justify.Block
	Justify  qc.QuorumCertificate
	TC       *qc.TimeoutCertificate // TC(View-1), exactly when Justify.View != View-1
	Proposer qc.NodeID
	Time     int64 // nanoseconds since the Unix epoch, by the proposer's clock; greater than the parent's
	Payload  []BatchRef

	// Signature is the proposer's Ed25519 over SigningMessage: proposals can be relayed, and are evidence.
	Signature [ed25519.SignatureSize]byte

	id qc.BlockID // cached; zero until computed
}

// ID returns the SHA-256 of the header's fixed layout. It covers everything but the proposer's signature: the justify's
// bitmap and signature and the TC included, for two certificates of one block may differ in signers, and the leader
// function reads them. The layout is independent of the wire format.
func (b *Block) ID() qc.BlockID {
	if b.id.IsZero() {
		b.id = sha256.Sum256(b.header())
	}
	return b.id
}

// SigningMessage returns the bytes that the proposer signs with its identity key.
func SigningMessage(chain qc.ChainID, id qc.BlockID) []byte {
	m := append(make([]byte, 0, 96), "hotstuffd/block\x00\x01"...)
	m = append(m, chain[:]...)
	return append(m, id[:]...)
}

func (b *Block) header() []byte {
	root := PayloadRoot(b.Payload)
	h := make([]byte, 0, 512)
	h = append(h, "hotstuffd/header\x00\x01"...)
	h = binary.BigEndian.AppendUint32(h, uint32(b.Epoch))
	h = binary.BigEndian.AppendUint64(h, uint64(b.View))
	h = binary.BigEndian.AppendUint64(h, uint64(b.Height))
	h = append(h, b.Parent[:]...)
	h = b.Justify.AppendLayout(h)
	h = b.TC.AppendLayout(h)
	h = binary.BigEndian.AppendUint16(h, uint16(b.Proposer))
	h = binary.BigEndian.AppendUint64(h, uint64(b.Time))
	h = binary.BigEndian.AppendUint32(h, uint32(len(b.Payload)))
	return append(h, root[:]...)
}

// PayloadRoot is the root of a binary Merkle tree over the batch references, with distinct prefixes for leaves and
// inner nodes; an odd node is promoted. The root of no references is the zero digest.
func PayloadRoot(refs []BatchRef) [32]byte {
	if len(refs) == 0 {
		return [32]byte{}
	}
	level := make([][32]byte, len(refs))
	leaf := make([]byte, 0, 128)
	for i := range refs {
		leaf = append(leaf[:0], 0)
		leaf = appendRef(leaf, &refs[i])
		level[i] = sha256.Sum256(leaf)
	}
	var inner [65]byte
	inner[0] = 1
	for len(level) > 1 {
		half := level[:0]
		for i := 0; i < len(level); i += 2 {
			if i+1 == len(level) {
				half = append(half, level[i])
				break
			}
			copy(inner[1:33], level[i][:])
			copy(inner[33:], level[i+1][:])
			half = append(half, sha256.Sum256(inner[:]))
		}
		level = half
	}
	return level[0]
}

func appendRef(h []byte, r *BatchRef) []byte {
	h = binary.BigEndian.AppendUint16(h, uint16(r.Origin))
	h = binary.BigEndian.AppendUint64(h, uint64(r.Incarnation.Rejoin))
	h = binary.BigEndian.AppendUint64(h, r.Incarnation.Starts)
	h = binary.BigEndian.AppendUint64(h, r.Seq)
	h = append(h, r.Digest[:]...)
	h = binary.BigEndian.AppendUint32(h, r.Bytes)
	return binary.BigEndian.AppendUint64(h, uint64(r.Expiry))
}

// Genesis returns the block of height and view 0: a pure function of the chain and the epoch.
func Genesis(chain qc.ChainID, epoch qc.Epoch, n int) *Block {
	return &Block{Epoch: epoch, Parent: qc.BlockID(chain), Justify: qc.QuorumCertificate{Epoch: epoch, Signers: qc.NewBitmap(n)}}
}

// GenesisQC returns the one certificate with view 0. Its signature is zero and its bitmap empty; it is accepted by
// equality with this constant alone.
func GenesisQC(genesis *Block, n int) qc.QuorumCertificate {
	return qc.QuorumCertificate{Epoch: genesis.Epoch, Block: genesis.ID(), Signers: qc.NewBitmap(n)}
}
