package qc_test

import (
	"bytes"
	"testing"

	"github.com/hotstuffd/hotstuffd/qc"
)

// hashes is a HashCache that counts.
type hashes struct {
	known     map[string]qc.HashPoint
	got, made int
}

func (h *hashes) Get(msg []byte) (qc.HashPoint, bool) {
	p, ok := h.known[string(msg)]
	if ok {
		h.got++
	}
	return p, ok
}

func (h *hashes) Add(msg []byte, p qc.HashPoint) {
	h.known[string(msg)] = p
	h.made++
}

// TestSharedHashes: a scheme verifies with the hash that another has made when it signed, and makes none of its own; each
// message has its own hash.
func TestSharedHashes(t *testing.T) {
	key, err := qc.GenerateKey(bytes.NewReader(bytes.Repeat([]byte{7}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	shared := &hashes{known: map[string]qc.HashPoint{}}
	scheme := func() *qc.BLS {
		s, err := qc.NewBLS([]qc.PublicKey{key.Public()})
		if err != nil {
			t.Fatal(err)
		}
		s.ShareHashes(shared)
		return s
	}
	signer := qc.NewBitmap(1)
	signer.Set(0)
	sig := scheme().Signer(key).Sign([]byte("one"))
	verifier := scheme()
	if !verifier.VerifySame([]byte("one"), signer, sig) {
		t.Error("a good signature is refused")
	}
	if shared.got != 1 || shared.made != 1 {
		t.Errorf("%d hashes shared and %d made, want 1 and 1", shared.got, shared.made)
	}
	if verifier.VerifySame([]byte("two"), signer, sig) {
		t.Error("a signature passes for another message")
	}
}
