package qc_test

import (
	"bytes"
	"slices"
	"testing"

	bls12381 "github.com/consensys/gnark-crypto/ecc/bls12-381"

	"github.com/hotstuffd/hotstuffd/qc"
)

// A sum verifies for exactly its signers and its message. Every set of signers is tried: small ones add keys up, large
// ones take the absent from the sum of all.
func TestVerifySameForEverySet(t *testing.T) {
	const n = 4
	forEachScheme(t, n, func(t *testing.T, w *world) {
		msg, other := []byte("message"), []byte("another")
		for set := byte(1); set < 1<<n; set++ {
			signers := qc.Bitmap{set}
			var sigs []qc.Signature
			for id := range signers.All() {
				sigs = append(sigs, w.signers[id].Sign(msg))
			}
			sum := w.add(t, sigs...)
			for claimed := byte(0); claimed < 1<<n; claimed++ {
				if got := w.scheme.VerifySame(msg, qc.Bitmap{claimed}, sum); got != (claimed == set) {
					t.Errorf("signed by %04b, claimed %04b: verifies=%v", set, claimed, got)
				}
			}
			// Once more, with what the scheme has remembered of the set.
			if !w.scheme.VerifySame(msg, signers, sum) {
				t.Errorf("signed by %04b: does not verify twice", set)
			}
			for _, b := range []qc.Bitmap{{}, {set | 0x80}, {set, 0}, {set, 1}} {
				if w.scheme.VerifySame(msg, b, sum) {
					t.Errorf("signed by %04b: verifies with the bitmap %x", set, []byte(b))
				}
			}
			if w.scheme.VerifySame(other, signers, sum) {
				t.Errorf("signed by %04b: verifies for another message", set)
			}
		}
	})
}

// What a scheme remembers is bounded, and what it has forgotten still verifies: 128 sets in turn, then all again.
func TestVerifySameBeyondTheCache(t *testing.T) {
	w := blsWorld(t, 7)
	msg := []byte("message")
	var sigs []qc.Signature
	for _, s := range w.signers {
		sigs = append(sigs, s.Sign(msg))
	}
	for range 2 {
		for set := byte(1); set < 1<<7; set++ {
			var chosen []qc.Signature
			for id := range (qc.Bitmap{set}).All() {
				chosen = append(chosen, sigs[id])
			}
			if !w.scheme.VerifySame(msg, qc.Bitmap{set}, w.add(t, chosen...)) {
				t.Fatalf("signed by %07b: does not verify", set)
			}
		}
	}
}

func TestVerifyDistinct(t *testing.T) {
	const n = 4
	forEachScheme(t, n, func(t *testing.T, w *world) {
		a, b, c := []byte("a"), []byte("b"), []byte("c")
		sum := w.add(t, w.signers[0].Sign(a), w.signers[1].Sign(b), w.signers[2].Sign(b))
		group := func(ids ...qc.NodeID) qc.Bitmap { return bitmap(n, ids...) }
		for _, tt := range []struct {
			name   string
			msgs   [][]byte
			groups []qc.Bitmap
			want   bool
		}{
			{"as signed", [][]byte{a, b}, []qc.Bitmap{group(0), group(1, 2)}, true},
			{"in another order", [][]byte{b, a}, []qc.Bitmap{group(2, 1), group(0)}, true},
			{"messages exchanged", [][]byte{b, a}, []qc.Bitmap{group(0), group(1, 2)}, false},
			{"another message", [][]byte{a, c}, []qc.Bitmap{group(0), group(1, 2)}, false},
			{"signer missing", [][]byte{a, b}, []qc.Bitmap{group(0), group(1)}, false},
			{"signer added", [][]byte{a, b}, []qc.Bitmap{group(0, 3), group(1, 2)}, false},
			{"message added, signed by none", [][]byte{a, b, c}, []qc.Bitmap{group(0), group(1, 2), group()}, false},
			{"message dropped", [][]byte{b}, []qc.Bitmap{group(1, 2)}, false},
			{"groups missing", [][]byte{a, b}, []qc.Bitmap{group(0)}, false},
			{"bitmap too short", [][]byte{a, b}, []qc.Bitmap{group(0), {}}, false},
			{"bitmap padded", [][]byte{a, b}, []qc.Bitmap{group(0), {0x86}}, false},
			{"bitmap too long", [][]byte{a, b}, []qc.Bitmap{group(0), {0x06, 0}}, false},
			{"nothing", nil, nil, false},
		} {
			if got := w.scheme.VerifyDistinct(tt.msgs, tt.groups, sum); got != tt.want {
				t.Errorf("%s: verifies=%v, want %v", tt.name, got, tt.want)
			}
		}
		if same := w.add(t, w.signers[0].Sign(a), w.signers[3].Sign(a)); !w.scheme.VerifyDistinct([][]byte{a}, []qc.Bitmap{group(0, 3)}, same) {
			t.Error("one message signed by two: does not verify")
		}
	})
}

// Malformed signatures are named by Sum and refused by both checks (S7).
func TestMalformedSignatures(t *testing.T) {
	forEachScheme(t, 4, func(t *testing.T, w *world) {
		msg := []byte("message")
		good := w.signers[0].Sign(msg)
		malformed := map[string]qc.Signature{"zero bytes": {}}
		if _, ok := w.scheme.(*qc.BLS); ok {
			malformed["all ones"] = qc.Signature(bytes.Repeat([]byte{0xff}, qc.SignatureSize))
			malformed["infinity"] = qc.Signature{0xc0}
			malformed["infinity, uncompressed"] = qc.Signature{0x40}
			malformed["not in the subgroup"] = qc.Signature(signatureOutsideSubgroup(t))
			malformed["half of the uncompressed form"] = halfUncompressed(t, good)
		} else {
			damaged := good
			damaged[40] ^= 1
			malformed["damaged"] = damaged
		}
		for name, sig := range malformed {
			if _, bad := w.scheme.Sum([]qc.Signature{good, sig, good}); !slices.Equal(bad, []int{1}) {
				t.Errorf("%s: Sum names %v, want [1]", name, bad)
			}
			if w.scheme.VerifySame(msg, bitmap(4, 0), sig) {
				t.Errorf("%s: verifies", name)
			}
			if w.scheme.VerifyDistinct([][]byte{msg, []byte("m2")}, []qc.Bitmap{bitmap(4, 0), bitmap(4, 1)}, sig) {
				t.Errorf("%s: verifies over distinct messages", name)
			}
		}
	})
}

func halfUncompressed(t *testing.T, sig qc.Signature) qc.Signature {
	var p bls12381.G1Affine
	if _, err := p.SetBytes(sig[:]); err != nil {
		t.Fatal(err)
	}
	raw := p.RawBytes()
	return qc.Signature(raw[:qc.SignatureSize])
}

// Two colluders with opposite keys add up to no key at all, under which the infinite signature would verify any message.
func TestIdentityAggregateVerifiesNothing(t *testing.T) {
	key := secretKey(t, 0).Public()
	mirrored := key.Marshal()
	mirrored[0] ^= 0x20
	opposite, err := qc.ParsePublicKey(mirrored)
	if err != nil {
		t.Fatal(err)
	}
	keys := []qc.PublicKey{key, opposite}
	for i := 1; i <= 3; i++ {
		keys = append(keys, secretKey(t, i).Public())
	}
	scheme, err := qc.NewBLS(keys)
	if err != nil {
		t.Fatal(err)
	}
	msg, both := []byte("never signed"), bitmap(5, 0, 1)
	infinity := qc.Signature{0xc0}
	if scheme.VerifySame(msg, both, infinity) {
		t.Error("no key and the infinite signature verify")
	}
	// In a group of its own beside an honest signer, the sum is a good point: only the group's key gives it away.
	other := []byte("signed by one")
	if scheme.VerifyDistinct([][]byte{msg, other}, []qc.Bitmap{both, bitmap(5, 2)}, secretKey(t, 1).Sign(other)) {
		t.Error("a group without a key counts as having signed")
	}
}

func TestNewBLSRefuses(t *testing.T) {
	a, b := secretKey(t, 0).Public(), secretKey(t, 1).Public()
	for name, keys := range map[string][]qc.PublicKey{
		"no keys":         nil,
		"a duplicate key": {a, b, a},
		"a missing key":   {a, {}},
		"too many keys":   make([]qc.PublicKey, qc.MaxCommittee+1),
	} {
		if _, err := qc.NewBLS(keys); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// A signer that shares the scheme's hashes signs the same as the key alone.
func TestSchemeSignerIsTheKey(t *testing.T) {
	key := secretKey(t, 0)
	scheme, err := qc.NewBLS([]qc.PublicKey{key.Public()})
	if err != nil {
		t.Fatal(err)
	}
	signer := scheme.Signer(key)
	for range 2 { // the second time from memory
		for _, msg := range []string{"a", "b"} {
			sig := signer.Sign([]byte(msg))
			if sig != key.Sign([]byte(msg)) {
				t.Errorf("%q: another signature than the key's", msg)
			}
			if !scheme.VerifySame([]byte(msg), bitmap(1, 0), sig) {
				t.Errorf("%q: does not verify", msg)
			}
		}
	}
}

// Mock signatures are a function of the seed: a simulation replays. Another seed has other secrets.
func TestMockIsDeterministic(t *testing.T) {
	msg := []byte("message")
	_, a := qc.NewMock(1, 4)
	_, b := qc.NewMock(1, 4)
	_, c := qc.NewMock(2, 4)
	if a[2].Sign(msg) != b[2].Sign(msg) {
		t.Error("the same seed gives other signatures")
	}
	if a[2].Sign(msg) == c[2].Sign(msg) || a[2].Sign(msg) == a[1].Sign(msg) {
		t.Error("two replicas, or two seeds, share a secret")
	}
}
