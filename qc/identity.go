package qc

import "crypto/ed25519"

// Identity signs with one replica's identity key what must be attributable by itself and is never summed: proposals and
// batches. Ed25519 in production (IdentityKey), a cheap keyed hash in most simulations.
type Identity interface {
	// Sign returns the signature of message. It is deterministic.
	Sign(message []byte) [ed25519.SignatureSize]byte
}

// Identities checks what members sign with their identity keys. It may be shared by goroutines if it is a Roster.
type Identities interface {
	// Verify tells whether signature is member's under message. member is in the committee.
	Verify(member NodeID, message, signature []byte) bool
}

// IdentityKey is an Ed25519 private key of ed25519.PrivateKeySize bytes.
type IdentityKey ed25519.PrivateKey

// Sign implements Identity.
func (k IdentityKey) Sign(message []byte) (s [ed25519.SignatureSize]byte) {
	copy(s[:], ed25519.Sign(ed25519.PrivateKey(k), message))
	return s
}

// Roster is the members' Ed25519 public keys by NodeID.
type Roster []ed25519.PublicKey

// Verify implements Identities.
func (r Roster) Verify(member NodeID, message, signature []byte) bool {
	return ed25519.Verify(r[member], message, signature)
}
