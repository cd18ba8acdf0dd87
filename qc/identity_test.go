package qc_test

import (
	"crypto/ed25519"
	"testing"

	"github.com/hotstuffd/hotstuffd/qc"
)

// TestIdentities: a signature is good for its member and its message, and for nothing else, under Ed25519 as under the mock.
func TestIdentities(t *testing.T) {
	var keys []qc.Identity
	var roster qc.Roster
	for i := range 4 {
		key := ed25519.NewKeyFromSeed(append(make([]byte, 31), byte(i)))
		keys, roster = append(keys, qc.IdentityKey(key)), append(roster, key.Public().(ed25519.PublicKey))
	}
	mock, mocks := qc.NewMockIdentities(1, 4)
	others, _ := qc.NewMockIdentities(2, 4)
	for name, c := range map[string]struct {
		signers  []qc.Identity
		verifier qc.Identities
		stranger qc.Identity
	}{"Ed25519": {keys, roster, mock[1]}, "mock": {mock, mocks, others[1]}} {
		message := []byte("message")
		good := c.signers[1].Sign(message)
		if good != c.signers[1].Sign(message) {
			t.Errorf("%s: two signatures of one message differ", name)
		}
		if !c.verifier.Verify(1, message, good[:]) {
			t.Errorf("%s: a good signature is refused", name)
		}
		for i := range good {
			bad := good
			bad[i] ^= 1
			if c.verifier.Verify(1, message, bad[:]) {
				t.Errorf("%s: accepted with byte %d changed", name, i)
			}
		}
		foreign := c.stranger.Sign(message)
		if c.verifier.Verify(2, message, good[:]) || c.verifier.Verify(1, []byte("messagf"), good[:]) ||
			c.verifier.Verify(1, message, good[:32]) || c.verifier.Verify(1, message, foreign[:]) {
			t.Errorf("%s: accepted for another member, message, length or key", name)
		}
	}
}
