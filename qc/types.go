package qc

import (
	"encoding/hex"
	"fmt"
)

// View numbers the rounds of the protocol. Each view has one leader and certifies at most one block.
// Genesis has view 0, and nothing else has.
type View uint64

// Height is a block's distance from genesis, which has height 0.
type Height uint64

// Epoch numbers the committees of a chain. It is bound into every signature.
type Epoch uint32

// NodeID is a replica's index in the committee, from 0.
type NodeID uint16

// BlockID is the SHA-256 of a block's header (see blocktree.Block).
type BlockID [32]byte

// ChainID is the SHA-256 of the genesis document. It is bound into every signature.
type ChainID [32]byte

// SignatureSize is the size in bytes of a compressed BLS12-381 G1 point.
const SignatureSize = 48

// Signature is one signature or an aggregate of several, in compressed form.
type Signature [SignatureSize]byte

// String gives the first eight hex digits, which is what logs and golden files show.
func (id BlockID) String() string { return hex.EncodeToString(id[:4]) }

// Hex gives all 64 hex digits.
func (id BlockID) Hex() string { return hex.EncodeToString(id[:]) }

// IsZero tells whether id names no block.
func (id BlockID) IsZero() bool { return id == BlockID{} }

// Hex gives all 64 hex digits.
func (id ChainID) Hex() string { return hex.EncodeToString(id[:]) }

// String gives the replica's name in logs: n0, n1, ...
func (id NodeID) String() string { return fmt.Sprintf("n%d", uint16(id)) }

// Vote says that its signer accepts a block in a view: BLS over VoteMessage(chain, epoch, view, block).
type Vote struct {
	View      View
	Block     BlockID
	Signer    NodeID
	Signature Signature
}

// QuorumCertificate proves that a quorum of the committee voted for one block in one view.
// The genesis certificate is the constant GenesisQC; no other certificate has view 0.
type QuorumCertificate struct {
	Epoch     Epoch
	View      View
	Block     BlockID
	Signers   Bitmap
	Signature Signature // the sum of the signers' vote signatures
}

// Timeout says that its signer gave up on a view: BLS over TimeoutMessage(chain, epoch, view, HighQC.View).
type Timeout struct {
	Epoch  Epoch
	View   View
	HighQC QuorumCertificate
	// TC is TC(View-1). It is present exactly when HighQC.View != View-1.
	TC *TimeoutCertificate
	// Vote is the signer's vote in View, if it cast one. A bad one voids the vote, not the timeout.
	Vote      *Vote
	Signer    NodeID
	Signature Signature
}

// TimeoutCertificate proves that a quorum gave up on a view, and how far each of them had come.
type TimeoutCertificate struct {
	Epoch Epoch
	View  View
	// HighQCViews lists what each signer signed, in ascending order of signer: as long as Signers has set bits.
	HighQCViews []View
	// HighQC is a certificate whose view is exactly the largest of HighQCViews.
	HighQC    QuorumCertificate
	Signers   Bitmap
	Signature Signature // the sum of the signers' timeout signatures
}

// Ticks is the core's time: ticks since the node started. Time reaches the core only as a number in its inputs.
type Ticks uint64

// TicksPerSecond fixes the tick's length: 100 µs.
const TicksPerSecond Ticks = 10_000
