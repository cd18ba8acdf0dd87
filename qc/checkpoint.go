package qc

// Checkpoint names the state of the replicated machine after one block. Two of one height are equal on any two correct
// replicas.
type Checkpoint struct {
	Height Height
	Block  BlockID
	Digest [32]byte // of the whole state: the engine's and the application's
}

// SignedCheckpoint says that its signer has come to a state: BLS over CheckpointMessage(chain, epoch, checkpoint).
type SignedCheckpoint struct {
	Checkpoint Checkpoint
	Signer     NodeID
	Signature  Signature
}

// CheckpointCertificate proves that a quorum of the committee came to one state, so that at least one correct replica
// did, and with it all.
type CheckpointCertificate struct {
	Epoch      Epoch
	Checkpoint Checkpoint
	Signers    Bitmap
	Signature  Signature // the sum of the signers' signatures
}

// CheckpointMessage returns the bytes that a checkpoint signs.
func (c *Committee) CheckpointMessage(cp Checkpoint) []byte {
	m := c.message(domainCheckpoint, uint64(cp.Height), 64)
	m = append(m, cp.Block[:]...)
	return append(m, cp.Digest[:]...)
}

// Checkpoint checks a checkpoint certificate. It costs one pairing check each time.
// Expected errors: ErrEpoch, ErrHeight, ErrBitmap, ErrQuorum, ErrSignature.
func (v *Verifier) Checkpoint(c *CheckpointCertificate) error {
	switch {
	case c.Epoch != v.committee.Epoch:
		return ErrEpoch
	case c.Checkpoint.Height == 0: // the state of genesis is given
		return ErrHeight
	case !c.Signers.Valid(v.committee.Size()):
		return ErrBitmap
	case c.Signers.Count() < v.committee.Quorum():
		return ErrQuorum
	case !v.scheme.VerifySame(v.committee.CheckpointMessage(c.Checkpoint), c.Signers, c.Signature):
		return ErrSignature
	}
	return nil
}

// CollectCheckpoints makes a certificate of signatures of cp, as CollectVotes does of votes: sum first, check once, name
// the bad signers only if that fails.
func (v *Verifier) CollectCheckpoints(cp Checkpoint, signed []SignedCheckpoint) (cert *CheckpointCertificate, bad []NodeID) {
	c := v.collection(v.committee.CheckpointMessage(cp), len(signed))
	seen := NewBitmap(v.committee.Size())
	for i := range signed {
		if s := &signed[i]; s.Checkpoint == cp {
			c.add(s.Signer, s.Signature, seen)
		}
	}
	sum, ok, bad := c.collect()
	if ok {
		cert = &CheckpointCertificate{Epoch: v.committee.Epoch, Checkpoint: cp, Signers: c.bitmap(0, len(c.signers)), Signature: sum}
	}
	return cert, bad
}
