package qc

import (
	"crypto/sha256"
	"encoding/binary"
)

// Mock is the Scheme of simulations: a keyed hash for each replica, hundreds of times cheaper than BLS. Sums are XOR, so
// it is linear like BLS: aggregates of subsets add up, colluders can cancel each other's errors, and distinct messages
// work.
//
// It verifies by recomputing, that is, it knows all secrets; but it gives none away. A simulated Byzantine replica that
// holds its own Signer and the Scheme can replay and add up what it has seen, and forge nothing. It never guards
// anything real. A Mock and its signers belong to one goroutine, and may serve every replica that runs on it.
type Mock struct {
	secrets [][sha256.Size]byte
	buf     []byte
}

var _ Scheme = (*Mock)(nil)

// NewMock returns a scheme for n replicas, and their signers by NodeID. The secrets are a function of seed.
func NewMock(seed uint64, n int) (*Mock, []Signer) {
	m := &Mock{secrets: make([][sha256.Size]byte, n)}
	signers := make([]Signer, n)
	for i := range n {
		material := binary.BigEndian.AppendUint64([]byte("hotstuffd/mock\x00\x01"), seed)
		m.secrets[i] = sha256.Sum256(binary.BigEndian.AppendUint16(material, uint16(i)))
		signers[i] = mockSigner{m, NodeID(i)}
	}
	return m, signers
}

type mockSigner struct {
	mock *Mock
	id   NodeID
}

func (s mockSigner) Sign(msg []byte) Signature { return s.mock.sign(s.id, msg) }

// sign returns the 32 bytes of SHA-256(secret ‖ msg), and the first 16 of them once more: a signature has a form that
// garbage lacks, as a curve point has, and sums keep it.
func (m *Mock) sign(id NodeID, msg []byte) (sig Signature) {
	m.buf = append(m.buf[:0], m.secrets[id][:]...)
	m.buf = append(m.buf, msg...)
	h := sha256.Sum256(m.buf)
	copy(sig[copy(sig[:], h[:]):], h[:])
	return sig
}

func (m *Mock) wellFormed(sig *Signature) bool {
	return *sig != Signature{} && [16]byte(sig[:16]) == [16]byte(sig[32:])
}

// Sum implements Scheme.
func (m *Mock) Sum(sigs []Signature) (sum Signature, bad []int) {
	for i := range sigs {
		if !m.wellFormed(&sigs[i]) {
			bad = append(bad, i)
			continue
		}
		xor(&sum, &sigs[i])
	}
	return sum, bad
}

// VerifySame implements Scheme.
func (m *Mock) VerifySame(msg []byte, signers Bitmap, sig Signature) bool {
	return m.wellFormed(&sig) && m.subtract(&sig, msg, signers) && sig == Signature{}
}

// VerifyDistinct implements Scheme.
func (m *Mock) VerifyDistinct(msgs [][]byte, groups []Bitmap, sig Signature) bool {
	if len(msgs) != len(groups) || !m.wellFormed(&sig) {
		return false
	}
	for i := range msgs {
		if !m.subtract(&sig, msgs[i], groups[i]) {
			return false
		}
	}
	return sig == Signature{}
}

// subtract takes the signatures of msg by all of signers out of sum. It is false when signers are not a set of signers.
func (m *Mock) subtract(sum *Signature, msg []byte, signers Bitmap) bool {
	if !signers.Valid(len(m.secrets)) || signers.Count() == 0 {
		return false
	}
	for id := range signers.All() {
		sig := m.sign(id, msg)
		xor(sum, &sig)
	}
	return true
}

func xor(sum, sig *Signature) {
	for i := range sum {
		sum[i] ^= sig[i]
	}
}
