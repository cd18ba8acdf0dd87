package qc

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
)

// mockIdentity is the secret of one replica.
type mockIdentity [sha256.Size]byte

// mockIdentities verifies by computing signatures again.
type mockIdentities []mockIdentity

var (
	_ Identity   = mockIdentity{}
	_ Identities = mockIdentities{}
)

// NewMockIdentities returns identities of n replicas for simulations, by NodeID, and what verifies them: keyed hashes, a
// hundred times cheaper than Ed25519. The secrets are a function of seed. What holds of Mock holds of them: whoever has
// one Identity and the verifier can replay what it has seen and forge nothing, and they never guard anything real.
func NewMockIdentities(seed uint64, n int) ([]Identity, Identities) {
	signers, all := make([]Identity, n), make(mockIdentities, n)
	for i := range n {
		material := binary.BigEndian.AppendUint64([]byte("hotstuffd/mock-identity\x00\x01"), seed)
		all[i] = sha256.Sum256(binary.BigEndian.AppendUint16(material, uint16(i)))
		signers[i] = all[i]
	}
	return signers, all
}

// Sign implements Identity.
func (k mockIdentity) Sign(message []byte) [ed25519.SignatureSize]byte { return k.hash(message) }

// hash returns SHA-256(secret ‖ message), twice.
func (k mockIdentity) hash(message []byte) (s [ed25519.SignatureSize]byte) {
	h := sha256.Sum256(append(append(make([]byte, 0, 128), k[:]...), message...))
	copy(s[copy(s[:], h[:]):], h[:])
	return s
}

// Verify implements Identities.
func (m mockIdentities) Verify(member NodeID, message, signature []byte) bool {
	s := m[member].hash(message)
	return string(s[:]) == string(signature)
}
