package qc

import (
	"fmt"

	bls12381 "github.com/consensys/gnark-crypto/ecc/bls12-381"
)

// lines are the coefficients of a pairing's Miller loop that depend on its G2 point alone, 24 KiB. With them a check
// costs a fifth less.
type lines = [2][len(bls12381.LoopCounter) - 1]bls12381.LineEvaluationAff

// Bounds of what a BLS remembers.
const (
	signerSetsMax = 64 // signer sets whose lines are kept: 1.5 MiB
	hashesMax     = 16 // messages whose point is kept
)

// BLS is the Scheme of production: BLS12-381, ciphersuite BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_.
// It belongs to one goroutine.
type BLS struct {
	keys       []bls12381.G2Affine
	all        bls12381.G2Jac // the sum of all keys
	negG2      bls12381.G2Affine
	negG2Lines lines

	sets    recent[*lines]            // by bitmap: lines of the sum of the signers' keys
	hashes  recent[bls12381.G1Affine] // by message
	shared  HashCache                 // nil: none
	scratch [2]lines
}

// HashPoint is H(m), a message hashed to the curve.
type HashPoint struct{ point bls12381.G1Affine }

// HashCache shares hashes between schemes of several goroutines: the implementation is the caller's, and safe for them
// all. A replica signs its vote with one scheme and checks the certificate over the same message with another.
type HashCache interface {
	Get(msg []byte) (HashPoint, bool)
	Add(msg []byte, p HashPoint)
}

// ShareHashes makes the scheme look for hashes in c too, and leave there what it makes.
func (b *BLS) ShareHashes(c HashCache) { b.shared = c }

var _ Scheme = (*BLS)(nil)

// NewBLS returns the scheme of a committee whose member i has keys[i]. It is the caller's duty to have checked a proof
// of possession for each (PublicKey.VerifyPossession).
// Expected errors: no keys or more than MaxCommittee, a zero PublicKey, the same key twice.
func NewBLS(keys []PublicKey) (*BLS, error) {
	if len(keys) == 0 || len(keys) > MaxCommittee {
		return nil, fmt.Errorf("qc: committee of %d keys: want 1 to %d", len(keys), MaxCommittee)
	}
	b := &BLS{negG2: negatedGenerator(), sets: recent[*lines]{max: signerSetsMax}, hashes: recent[bls12381.G1Affine]{max: hashesMax}}
	b.negG2Lines = bls12381.PrecomputeLines(b.negG2)
	owner := make(map[PublicKey]int, len(keys))
	for i, k := range keys {
		if k.point.IsInfinity() {
			return nil, fmt.Errorf("qc: key of %v is missing", NodeID(i))
		}
		if j, taken := owner[k]; taken {
			return nil, fmt.Errorf("qc: %v and %v have the same key: give each replica its own", NodeID(j), NodeID(i))
		}
		owner[k] = i
		b.keys = append(b.keys, k.point)
		b.all.AddMixed(&k.point)
	}
	return b, nil
}

// Signer returns a signer with key that shares the scheme's hashes: whoever signs a vote soon verifies others for the
// same block, and hashing the message to the curve is a tenth of that. It belongs to the scheme's goroutine.
func (b *BLS) Signer(key *SecretKey) Signer { return blsSigner{b, key} }

type blsSigner struct {
	scheme *BLS
	key    *SecretKey
}

func (s blsSigner) Sign(msg []byte) Signature { return s.key.signPoint(s.scheme.hash(msg)) }

// Sum implements Scheme.
func (b *BLS) Sum(sigs []Signature) (sum Signature, bad []int) {
	var total bls12381.G1Jac
	for i := range sigs {
		p, ok := parseSignature(&sigs[i])
		if !ok {
			bad = append(bad, i)
			continue
		}
		total.AddMixed(&p)
	}
	var p bls12381.G1Affine
	return p.FromJacobian(&total).Bytes(), bad
}

// VerifySame implements Scheme: one check of two pairings.
func (b *BLS) VerifySame(msg []byte, signers Bitmap, sig Signature) bool {
	p, ok := parseSignature(&sig)
	if !ok || !signers.Valid(len(b.keys)) {
		return false
	}
	set, kept := b.sets.get(signers)
	if !kept {
		key, ok := b.sumKeys(signers)
		if !ok {
			return false
		}
		fresh := bls12381.PrecomputeLines(key)
		set = &fresh
	}
	// Copies: the check overwrites the lines that it is given.
	b.scratch = [2]lines{*set, b.negG2Lines}
	ok, err := bls12381.PairingCheckFixedQ([]bls12381.G1Affine{b.hash(msg), p}, b.scratch[:])
	if err != nil || !ok {
		return false
	}
	// Only a set that has signed is worth remembering: made-up bitmaps would push out the sets in use.
	if !kept {
		b.sets.add(signers, set)
	}
	return true
}

// VerifyDistinct implements Scheme: one check of len(msgs)+1 pairings.
func (b *BLS) VerifyDistinct(msgs [][]byte, groups []Bitmap, sig Signature) bool {
	if len(msgs) == 1 && len(groups) == 1 {
		return b.VerifySame(msgs[0], groups[0], sig)
	}
	p, ok := parseSignature(&sig)
	if !ok || len(msgs) == 0 || len(msgs) != len(groups) {
		return false
	}
	g1 := append(make([]bls12381.G1Affine, 0, len(msgs)+1), p)
	g2 := append(make([]bls12381.G2Affine, 0, len(msgs)+1), b.negG2)
	for i, msg := range msgs {
		if !groups[i].Valid(len(b.keys)) {
			return false
		}
		key, ok := b.sumKeys(groups[i])
		if !ok {
			return false
		}
		g1, g2 = append(g1, b.hash(msg)), append(g2, key)
	}
	ok, err := bls12381.PairingCheck(g1, g2)
	return err == nil && ok
}

// sumKeys adds up the keys of signers, a valid bitmap. When more than half sign, it takes the others from the sum of all
// instead. ok is false when there is no key to verify with: no signers, or keys that cancel to infinity, under which an
// infinite signature would verify any message.
func (b *BLS) sumKeys(signers Bitmap) (key bls12381.G2Affine, ok bool) {
	var sum bls12381.G2Jac
	if 2*signers.Count() <= len(b.keys) {
		for id := range signers.All() {
			sum.AddMixed(&b.keys[id])
		}
	} else {
		sum = b.all
		for i := range b.keys {
			if !signers.Has(NodeID(i)) {
				var absent bls12381.G2Affine
				sum.AddMixed(absent.Neg(&b.keys[i]))
			}
		}
	}
	key.FromJacobian(&sum)
	return key, !key.IsInfinity()
}

// hash returns H(msg), from memory if it was asked for lately, here or by those who share their hashes.
func (b *BLS) hash(msg []byte) bls12381.G1Affine {
	if p, ok := b.hashes.get(msg); ok {
		return p
	}
	var p HashPoint
	known := false
	if b.shared != nil {
		p, known = b.shared.Get(msg)
	}
	if !known {
		p = HashPoint{hashToPoint(msg, signatureDST)}
		if b.shared != nil {
			b.shared.Add(msg, p)
		}
	}
	b.hashes.add(msg, p.point)
	return p.point
}
