package qc_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"

	bls12381 "github.com/consensys/gnark-crypto/ecc/bls12-381"
	"github.com/consensys/gnark-crypto/ecc/bls12-381/fp"
	"github.com/consensys/gnark-crypto/ecc/bls12-381/fr"

	"github.com/hotstuffd/hotstuffd/qc"
)

// The known answers of EIP-2333, second case (KeyGen), and of an independent implementation (cloudflare/circl v1.6.1)
// for that key, this ciphersuite and the message "hotstuff".
const (
	answerSeed      = "3141592653589793238462643383279502884197169399375105820974944592"
	answerSecret    = "29757020647961307431480504535336562678282505419141012933316116377660817309383"
	answerPublic    = "90bb1fe1afd621c521cb5df78b9914457cacd979105b9d23983bc18ed21c212e844af37ea15a27f33e07bab3123d3b5607ffcfc0f7c6bd222f510c6f57d84d66a11fa227c673c7d2c66339f1ee8b5c722818f10e05df64d1d279c959ce4dfa6d"
	answerSignature = "b41d5d41d8cf807ef8da0d5f774c1b705dd72f5ac91811c3ac2da71096aefd7b76ed132abae6d7094800a0ca86f9b4f1"
	answerProof     = "b515b1bac04af4f9db2c4bde947b6bdc61e67b77b6c37a5dd83eab942a6a0710f08d66f18d9dc9bba9f53939c9c0d961"
)

// Keys, signatures and proofs are those of the ciphersuite, byte for byte: any library that speaks it can check them.
func TestCiphersuiteKnownAnswers(t *testing.T) {
	key, err := qc.GenerateKey(bytes.NewReader(unhex(t, answerSeed)))
	if err != nil {
		t.Fatal(err)
	}
	signature, proof := key.Sign([]byte("hotstuff")), key.ProvePossession()
	for _, c := range []struct{ name, got, want string }{
		{"secret key", new(big.Int).SetBytes(key.Marshal()).String(), answerSecret},
		{"public key", hex.EncodeToString(key.Public().Marshal()), answerPublic},
		{"signature", hex.EncodeToString(signature[:]), answerSignature},
		{"proof of possession", hex.EncodeToString(proof[:]), answerProof},
	} {
		if c.got != c.want {
			t.Errorf("%s %s, want %s", c.name, c.got, c.want)
		}
	}
}

// The random oracle beneath is that of RFC 9380, J.9.1 (BLS12381G1_XMD:SHA-256_SSWU_RO_).
func TestHashToCurveVectors(t *testing.T) {
	for msg, want := range map[string]string{
		"":    "052926add2207b76ca4fa57a8734416c8dc95e24501772c814278700eed6d1e4e8cf62d9c09db0fac349612b759e79a108ba738453bfed09cb546dbb0783dbb3a5f1f566ed67bb6be0e8c67e2e81a4cc68ee29813bb7994998f3eae0c9c6a265",
		"abc": "03567bc5ef9c690c2ab2ecdf6a96ef1c139cc0b2f284dca0a9a7943388a49a3aee664ba5379a7655d3c68900be2f69030b9c15f3fe6e5cf4211f346271d7b01c8f3b28be689c8429c85b67af215533311f0b8dfaaa154fa6b88176c229f2885d",
	} {
		p, err := bls12381.HashToG1([]byte(msg), []byte("QUUX-V01-CS02-with-BLS12381G1_XMD:SHA-256_SSWU_RO_"))
		if err != nil {
			t.Fatal(err)
		}
		if got := p.RawBytes(); hex.EncodeToString(got[:]) != want {
			t.Errorf("H(%q) = %x, want %s", msg, got, want)
		}
	}
}

func TestSecretKeyRoundTrip(t *testing.T) {
	key := secretKey(t, 0)
	again, err := qc.ParseSecretKey(key.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	if again.Public() != key.Public() || again.Sign([]byte("m")) != key.Sign([]byte("m")) {
		t.Error("a key changes on its way through Marshal and ParseSecretKey")
	}
	for name, b := range map[string][]byte{
		"zero":      make([]byte, 32),
		"the order": fr.Modulus().FillBytes(make([]byte, 32)),
		"short":     key.Marshal()[1:],
		"long":      append([]byte{0}, key.Marshal()...),
		"empty":     nil,
	} {
		if _, err := qc.ParseSecretKey(b); !errors.Is(err, qc.ErrSecretKey) {
			t.Errorf("%s: error %v, want ErrSecretKey", name, err)
		}
	}
}

func TestGenerateKeyNeedsRandomness(t *testing.T) {
	if _, err := qc.GenerateKey(bytes.NewReader(make([]byte, 31))); err == nil {
		t.Error("a key was made of 31 bytes")
	}
}

// A secret key that ends up in a log line shows nothing of itself.
func TestSecretKeyIsNotPrinted(t *testing.T) {
	key := secretKey(t, 0)
	secret := new(big.Int).SetBytes(key.Marshal())
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x"} {
		printed := fmt.Sprintf(verb, key)
		if strings.Contains(printed, secret.String()) || strings.Contains(printed, secret.Text(16)) {
			t.Errorf("%s prints the key", verb)
		}
	}
}

// Public keys have one form: 96 bytes, compressed, on the curve, in the subgroup, not infinity (S7).
func TestParsePublicKeyIsStrict(t *testing.T) {
	good := secretKey(t, 0).Public()
	if again, err := qc.ParsePublicKey(good.Marshal()); err != nil || again != good {
		t.Fatalf("a key changes on its way through Marshal and ParsePublicKey: %v", err)
	}

	var point, outside bls12381.G2Affine
	if _, err := point.SetBytes(good.Marshal()); err != nil {
		t.Fatal(err)
	}
	uncompressed := point.RawBytes()
	jac := bls12381.GeneratePointNotInG2(bls12381.E2{A0: fp.NewElement(5)})
	outside.FromJacobian(&jac)
	if !outside.IsOnCurve() || outside.IsInSubGroup() {
		t.Fatal("the point outside the subgroup is not one")
	}
	notInSubgroup := outside.Bytes()
	infinity := append([]byte{0xc0}, make([]byte, 95)...)
	infinityUncompressed := append([]byte{0x40}, make([]byte, 191)...)
	notCanonical := good.Marshal()
	copy(notCanonical, bytes.Repeat([]byte{0xff}, 48))
	notCanonical[0] = 0x9f // a coordinate above the field's order
	for name, b := range map[string][]byte{
		"uncompressed":             uncompressed[:],
		"uncompressed, 96 bytes":   uncompressed[:96],
		"not in the subgroup":      notInSubgroup[:],
		"infinity":                 infinity,
		"infinity, uncompressed":   infinityUncompressed,
		"infinity, 96 bytes of it": infinityUncompressed[:96],
		"coordinate too large":     notCanonical,
		"not on the curve":         notOnCurve(t, good.Marshal()),
		"short":                    good.Marshal()[:95],
		"long":                     append(good.Marshal(), 0),
		"empty":                    nil,
	} {
		if _, err := qc.ParsePublicKey(b); !errors.Is(err, qc.ErrPublicKey) {
			t.Errorf("%s: error %v, want ErrPublicKey", name, err)
		}
	}
}

// notOnCurve counts b up until no point has that coordinate.
func notOnCurve(t *testing.T, b []byte) []byte {
	for range 64 {
		b[len(b)-1]++
		var p bls12381.G2Affine
		if _, err := p.SetBytes(b); err != nil && strings.Contains(err.Error(), "square root") {
			return b
		}
	}
	t.Fatal("64 coordinates in a row have points")
	return nil
}

func TestPossession(t *testing.T) {
	key, other := secretKey(t, 0), secretKey(t, 1)
	proof, foreign := key.ProvePossession(), other.ProvePossession()
	if err := key.Public().VerifyPossession(proof[:]); err != nil {
		t.Fatalf("a genuine proof: %v", err)
	}
	// A vote's signature over the same bytes must not do: the proof has a tag of its own.
	signed := key.Sign(key.Public().Marshal())
	infinity := append([]byte{0xc0}, make([]byte, 47)...)
	for name, proof := range map[string][]byte{
		"another key's proof":                  foreign[:],
		"an ordinary signature of the key":     signed[:],
		"infinity":                             infinity,
		"zero bytes":                           make([]byte, 48),
		"short":                                proof[:47],
		"long":                                 append(proof[:], 0),
		"empty":                                nil,
		"a signature outside the subgroup too": signatureOutsideSubgroup(t),
	} {
		if err := key.Public().VerifyPossession(proof); !errors.Is(err, qc.ErrPossession) {
			t.Errorf("%s: error %v, want ErrPossession", name, err)
		}
	}
	if err := (qc.PublicKey{}).VerifyPossession(infinity); !errors.Is(err, qc.ErrPossession) {
		t.Errorf("no key and an infinite proof: error %v, want ErrPossession", err)
	}
}

func signatureOutsideSubgroup(t testing.TB) []byte {
	jac := bls12381.GeneratePointNotInG1(fp.NewElement(5))
	var p bls12381.G1Affine
	p.FromJacobian(&jac)
	if !p.IsOnCurve() || p.IsInSubGroup() {
		t.Fatal("the point outside the subgroup is not one")
	}
	b := p.Bytes()
	return b[:]
}

// An attacker who announces (its key) − (a victim's key) signs alone for both. The first half of the story shows that
// nothing else stops it; the proof of possession does (S7).
func TestRogueKeyIsStoppedByPossession(t *testing.T) {
	attacker, victim := secretKey(t, 0), secretKey(t, 1).Public()
	var point, victimPoint bls12381.G2Affine
	if _, err := point.SetBytes(attacker.Public().Marshal()); err != nil {
		t.Fatal(err)
	}
	if _, err := victimPoint.SetBytes(victim.Marshal()); err != nil {
		t.Fatal(err)
	}
	point.Sub(&point, &victimPoint)
	b := point.Bytes()
	rogue, err := qc.ParsePublicKey(b[:])
	if err != nil {
		t.Fatal(err)
	}

	unchecked, err := qc.NewBLS([]qc.PublicKey{rogue, victim})
	if err != nil {
		t.Fatal(err)
	}
	msg := []byte("signed by the attacker alone")
	if !unchecked.VerifySame(msg, bitmap(2, 0, 1), attacker.Sign(msg)) {
		t.Fatal("the attack fails by itself, so this test shows nothing")
	}

	own, asRogue := attacker.ProvePossession(), attacker.Sign(rogue.Marshal())
	for name, proof := range map[string]qc.Signature{"its own proof": own, "a signature of the rogue key": asRogue} {
		if err := rogue.VerifyPossession(proof[:]); !errors.Is(err, qc.ErrPossession) {
			t.Errorf("rogue key with %s: error %v, want ErrPossession", name, err)
		}
	}
}

func unhex(t testing.TB, s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
