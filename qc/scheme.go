package qc

// Signer signs with one replica's key. Only hotstuff.Core holds one: nothing is signed outside its rules (S10).
type Signer interface {
	// Sign returns the signature of msg. It is deterministic.
	Sign(msg []byte) Signature
}

// Scheme is an aggregatable signature scheme over a committee's keys: BLS12-381 in production (NewBLS),
// a cheap keyed hash in most simulations (NewMock). A Scheme belongs to one goroutine: it may cache.
type Scheme interface {
	// Sum adds up signatures. It checks each for form and subgroup; bad lists the indexes that fail.
	// The sum is meaningful only when bad is empty.
	Sum(sigs []Signature) (sum Signature, bad []int)
	// VerifySame tells whether sig is the sum of signatures by all of signers over one message.
	VerifySame(msg []byte, signers Bitmap, sig Signature) bool
	// VerifyDistinct tells whether sig is the sum of signatures in which groups[i] all signed msgs[i].
	// The messages are distinct, and the groups are disjoint and not empty.
	VerifyDistinct(msgs [][]byte, groups []Bitmap, sig Signature) bool
}

// Cache remembers certificates that have been verified, by the hash of their whole encoding:
// message, bitmap and signature (S5). The implementation may be shared by goroutines; it is the caller's.
type Cache interface {
	Has(key [32]byte) bool
	Add(key [32]byte)
}
