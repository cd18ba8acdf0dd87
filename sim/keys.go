package sim

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"

	"github.com/hotstuffd/hotstuffd/qc"
)

// keys are all replicas' keys. They are the same in every run.
type keys struct {
	identities []qc.Identity
	roster     qc.Identities // verifies what they sign
	signers    []qc.Signer
	scheme     func() qc.Scheme // for one replica; all may share a mock
}

func newKeys(n int, bls bool) keys {
	var k keys
	if !bls {
		k.identities, k.roster = qc.NewMockIdentities(1, n)
		mock, signers := qc.NewMock(1, n)
		k.signers, k.scheme = signers, func() qc.Scheme { return mock }
		return k
	}
	k.identities, k.roster = ed25519Keys(n)
	secrets, public := blsKeys(n)
	newScheme := func() *qc.BLS {
		s, err := qc.NewBLS(public)
		if err != nil {
			panic(err) // keys of this package's own making
		}
		return s
	}
	one := newScheme()
	for _, s := range secrets {
		k.signers = append(k.signers, one.Signer(s))
	}
	k.scheme = func() qc.Scheme { return newScheme() }
	return k
}

func ed25519Keys(n int) (private []qc.Identity, public qc.Roster) {
	for id := range n {
		seed := sha256.Sum256(binary.BigEndian.AppendUint16([]byte("identity"), uint16(id)))
		key := ed25519.NewKeyFromSeed(seed[:])
		private, public = append(private, qc.IdentityKey(key)), append(public, key.Public().(ed25519.PublicKey))
	}
	return private, public
}

func blsKeys(n int) (secrets []*qc.SecretKey, public []qc.PublicKey) {
	source := rand.NewChaCha8(sha256.Sum256([]byte("bls")))
	for range n {
		s, err := qc.GenerateKey(source)
		if err != nil {
			panic(err) // the source never fails
		}
		secrets, public = append(secrets, s), append(public, s.Public())
	}
	return secrets, public
}
