package mempool

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/qc"
)

// Batch is a run of commands that one replica, its origin, took in: the unit that is pushed, stored and named by blocks.
// A batch is immutable once Digest was called. Blob is shared, never copied, from the stream to the application.
type Batch struct {
	Origin      qc.NodeID
	Incarnation blocktree.Incarnation
	Seq         uint64           // counts from 0 in each incarnation
	Prev        blocktree.Digest // the digest of the batch before it in its lane; zero for Seq 0
	Expiry      qc.Height
	Count       uint32 // commands in Blob; 0 for a batch that only gives reads their position
	Blob        []byte // Count commands, framed as AppendCommand does
	Signature   [ed25519.SignatureSize]byte

	digest blocktree.Digest
}

// Digest returns the SHA-256 of the batch's fixed layout: header and blob, all but the signature.
func (b *Batch) Digest() blocktree.Digest {
	if b.digest == (blocktree.Digest{}) {
		h := sha256.New()
		head := append(make([]byte, 0, 128), "hotstuffd/batch\x00\x01"...)
		head = binary.BigEndian.AppendUint16(head, uint16(b.Origin))
		head = binary.BigEndian.AppendUint64(head, uint64(b.Incarnation.Rejoin))
		head = binary.BigEndian.AppendUint64(head, b.Incarnation.Starts)
		head = binary.BigEndian.AppendUint64(head, b.Seq)
		head = append(head, b.Prev[:]...)
		head = binary.BigEndian.AppendUint64(head, uint64(b.Expiry))
		head = binary.BigEndian.AppendUint32(head, b.Count)
		head = binary.BigEndian.AppendUint32(head, uint32(len(b.Blob)))
		h.Write(head)
		h.Write(b.Blob)
		h.Sum(b.digest[:0])
	}
	return b.digest
}

// Ref returns how a block names b.
func (b *Batch) Ref() blocktree.BatchRef {
	return blocktree.BatchRef{Origin: b.Origin, Incarnation: b.Incarnation, Seq: b.Seq, Digest: b.Digest(),
		Bytes: uint32(len(b.Blob)), Expiry: b.Expiry}
}

// SigningMessage returns the bytes that the origin signs with its identity key.
func SigningMessage(chain qc.ChainID, epoch qc.Epoch, digest blocktree.Digest) []byte {
	m := append(make([]byte, 0, 96), "hotstuffd/lane\x00\x00\x01"...)
	m = append(m, chain[:]...)
	m = binary.BigEndian.AppendUint32(m, uint32(epoch))
	return append(m, digest[:]...)
}

// Errors of batch verification: the batch is dropped and its sender is at fault.
var (
	ErrBatchOrigin    = errors.New("batch: origin outside the committee")
	ErrBatchForm      = errors.New("batch: commands do not fill the blob")
	ErrBatchLink      = errors.New("batch: first of a lane names a predecessor, or a later one names none")
	ErrBatchSignature = errors.New("batch: signature is not its origin's")
)

// Verified is a batch whose form and signature were checked. Only Verify makes one that is not empty.
type Verified struct{ batch *Batch }

// Batch returns the checked batch.
func (v Verified) Batch() *Batch { return v.batch }

// Verify checks a batch's form, its link and its origin's signature.
// Expected errors: the ErrBatch values.
func Verify(c *qc.Committee, identities qc.Identities, b *Batch) (Verified, error) {
	if !c.Has(b.Origin) {
		return Verified{}, ErrBatchOrigin
	}
	if (b.Seq == 0) != (b.Prev == blocktree.Digest{}) {
		return Verified{}, ErrBatchLink
	}
	rest, ok := b.Blob, true
	for range b.Count {
		if _, rest, ok = NextCommand(rest); !ok {
			return Verified{}, ErrBatchForm
		}
	}
	if len(rest) != 0 {
		return Verified{}, ErrBatchForm
	}
	if !identities.Verify(b.Origin, SigningMessage(c.Chain, c.Epoch, b.Digest()), b.Signature[:]) {
		return Verified{}, ErrBatchSignature
	}
	return Verified{b}, nil
}
