package qc

import bls12381 "github.com/consensys/gnark-crypto/ecc/bls12-381"

// ProvePossession returns a proof that the holder of k's public key knows k: a signature of the public key itself under
// a tag of its own, so that no signature of a message can serve as a proof.
func (k *SecretKey) ProvePossession() Signature {
	return k.signPoint(hashToPoint(k.Public().Marshal(), possessionDST))
}

// VerifyPossession checks a proof that ProvePossession made. Whoever assembles a committee must check every member's:
// an attacker who may announce (its key) − (a victim's key) signs alone for both.
// Expected errors: ErrPossession.
func (k PublicKey) VerifyPossession(proof []byte) error {
	if len(proof) != SignatureSize {
		return ErrPossession
	}
	sig, ok := parseSignature((*Signature)(proof))
	if !ok {
		return ErrPossession
	}
	// The zero PublicKey has no proof: only the infinite signature would do, and parseSignature refuses it.
	msg := hashToPoint(k.Marshal(), possessionDST)
	ok, err := bls12381.PairingCheck([]bls12381.G1Affine{msg, sig}, []bls12381.G2Affine{k.point, negatedGenerator()})
	if err != nil || !ok {
		return ErrPossession
	}
	return nil
}

// negatedGenerator returns −G2: a signature verifies when e(H(m), key) · e(signature, −G2) = 1.
func negatedGenerator() bls12381.G2Affine {
	_, _, _, g2 := bls12381.Generators()
	g2.Neg(&g2)
	return g2
}
