package sim

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"sync"

	"github.com/hotstuffd/hotstuffd/qc"
)

// keys are all replicas' keys. They are the same in every run.
type keys struct {
	identities []ed25519.PrivateKey
	signers    []qc.Signer
	scheme     func() qc.Scheme // for one replica; all may share a mock
}

var identityKeys = sync.OnceValue(func() []ed25519.PrivateKey {
	out := make([]ed25519.PrivateKey, nodesMax)
	for i := range out {
		seed := sha256.Sum256(binary.BigEndian.AppendUint16([]byte("identity"), uint16(i)))
		out[i] = ed25519.NewKeyFromSeed(seed[:])
	}
	return out
})

func newKeys(n int, bls bool) keys {
	k := keys{identities: identityKeys()[:n]}
	if !bls {
		mock, signers := qc.NewMock(1, n)
		k.signers, k.scheme = signers, func() qc.Scheme { return mock }
		return k
	}
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
