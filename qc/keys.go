package qc

import (
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"io"
	"math/big"

	bls12381 "github.com/consensys/gnark-crypto/ecc/bls12-381"
	"github.com/consensys/gnark-crypto/ecc/bls12-381/fr"
)

// The ciphersuite of the IETF draft "BLS Signatures" (draft-irtf-cfrg-bls-signature): signatures in G1, public keys in
// G2, proof of possession against rogue keys.
const (
	signatureDST  = "BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_"
	possessionDST = "BLS_POP_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_"
)

// PublicKeySize and SecretKeySize are the sizes in bytes of marshalled keys.
const (
	PublicKeySize = bls12381.SizeOfG2AffineCompressed // 96
	SecretKeySize = fr.Bytes                          // 32
)

// SecretKey signs a replica's votes and timeouts. It is a Signer. The arithmetic beneath is not constant in time: a key
// belongs on a machine that runs nobody else's code.
type SecretKey struct{ scalar *big.Int } // 0 < scalar < order of the group

var _ Signer = (*SecretKey)(nil)

// GenerateKey draws 32 bytes from random, which must be crypto/rand's Reader unless the key is a test's, and derives a
// key from them by the draft's KeyGen.
// Expected errors: those of random.
func GenerateKey(random io.Reader) (*SecretKey, error) {
	seed := make([]byte, 32, 33)
	if _, err := io.ReadFull(random, seed); err != nil {
		return nil, fmt.Errorf("qc: reading randomness for a BLS key: %w", err)
	}
	// 48 bytes are reduced modulo a 255-bit order: the bias is below 2^-128.
	const size = 48
	ikm := append(seed, 0)
	salt := []byte("BLS-SIG-KEYGEN-SALT-")
	for {
		digest := sha256.Sum256(salt)
		salt = digest[:]
		prk, err := hkdf.Extract(sha256.New, ikm, salt)
		if err != nil {
			return nil, fmt.Errorf("qc: deriving a BLS key: %w", err)
		}
		okm, err := hkdf.Expand(sha256.New, prk, string([]byte{0, size}), size)
		if err != nil {
			return nil, fmt.Errorf("qc: deriving a BLS key: %w", err)
		}
		scalar := new(big.Int).SetBytes(okm)
		if scalar.Mod(scalar, fr.Modulus()); scalar.Sign() != 0 {
			return &SecretKey{scalar}, nil
		}
	}
}

// ParseSecretKey reads what Marshal wrote.
// Expected errors: ErrSecretKey.
func ParseSecretKey(b []byte) (*SecretKey, error) {
	if len(b) != SecretKeySize {
		return nil, ErrSecretKey
	}
	scalar := new(big.Int).SetBytes(b)
	if scalar.Sign() == 0 || scalar.Cmp(fr.Modulus()) >= 0 {
		return nil, ErrSecretKey
	}
	return &SecretKey{scalar}, nil
}

// Marshal returns the key as 32 bytes, big-endian.
func (k *SecretKey) Marshal() []byte { return k.scalar.FillBytes(make([]byte, SecretKeySize)) }

// Public returns the public key.
func (k *SecretKey) Public() PublicKey {
	var pk PublicKey
	pk.point.ScalarMultiplicationBase(k.scalar)
	return pk
}

// Sign returns the signature of msg.
func (k *SecretKey) Sign(msg []byte) Signature {
	return k.signPoint(hashToPoint(msg, signatureDST))
}

func (k *SecretKey) signPoint(p bls12381.G1Affine) Signature {
	return p.ScalarMultiplication(&p, k.scalar).Bytes()
}

// Format keeps the key out of logs, whatever the verb.
func (k *SecretKey) Format(f fmt.State, _ rune) { io.WriteString(f, "[BLS secret key]") }

// PublicKey is a replica's key in the genesis document. It is comparable. The zero PublicKey is not a key, and nothing
// accepts it.
type PublicKey struct{ point bls12381.G2Affine }

// ParsePublicKey reads the 96 bytes of a compressed G2 point. It refuses what is not on the curve or not in the subgroup
// (its part of small order would make signatures malleable), and infinity, which verifies anything (S7).
// Expected errors: ErrPublicKey.
func ParsePublicKey(b []byte) (PublicKey, error) {
	var pk PublicKey
	// The length alone rules out the uncompressed form: SetBytes reads 192 bytes for it.
	if len(b) != PublicKeySize {
		return PublicKey{}, ErrPublicKey
	}
	if _, err := pk.point.SetBytes(b); err != nil || pk.point.IsInfinity() {
		return PublicKey{}, ErrPublicKey
	}
	return pk, nil
}

// Marshal returns the key as 96 bytes.
func (k PublicKey) Marshal() []byte {
	b := k.point.Bytes()
	return b[:]
}

// parseSignature decodes a foreign signature: the compressed form of a point in the subgroup, not infinity (S7).
func parseSignature(sig *Signature) (p bls12381.G1Affine, ok bool) {
	// As with keys, 48 bytes are too few for the uncompressed form, and SetBytes says so.
	_, err := p.SetBytes(sig[:])
	return p, err == nil && !p.IsInfinity()
}

// hashToPoint is the random oracle of RFC 9380 onto G1.
func hashToPoint(msg []byte, dst string) bls12381.G1Affine {
	p, err := bls12381.HashToG1(msg, []byte(dst))
	if err != nil {
		panic("qc: domain separation tag too long: " + dst) // a constant of this file, not input
	}
	return p
}
