package qc_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/hotstuffd/hotstuffd/qc"
)

var state = qc.Checkpoint{Height: 64, Block: blockA, Digest: [32]byte{0xd}}

func (w *world) checkpoint(id qc.NodeID, cp qc.Checkpoint) qc.SignedCheckpoint {
	return qc.SignedCheckpoint{Checkpoint: cp, Signer: id, Signature: w.signers[id].Sign(w.committee.CheckpointMessage(cp))}
}

// A quorum of equal checkpoints makes a certificate; what differs, is signed badly or comes twice is not part of it.
func TestCollectCheckpoints(t *testing.T) {
	forEachScheme(t, 7, func(t *testing.T, w *world) {
		other := state
		other.Digest[0]++
		var signed []qc.SignedCheckpoint
		for id := range qc.NodeID(4) {
			signed = append(signed, w.checkpoint(id, state))
		}
		short := append(slices.Clone(signed), signed[0], w.checkpoint(4, other), w.checkpoint(5, other))
		if cert, bad := w.verifier().CollectCheckpoints(state, short); cert != nil || len(bad) > 0 {
			t.Errorf("four of seven make a certificate: %v, bad %v", cert, bad)
		}
		forged := w.checkpoint(5, other)
		forged.Checkpoint = state
		whole := append(slices.Clone(signed), forged, w.checkpoint(6, state))
		cert, bad := w.verifier().CollectCheckpoints(state, whole)
		if cert == nil || !slices.Equal(bad, []qc.NodeID{5}) || !slices.Equal(cert.Signers, bitmap(7, 0, 1, 2, 3, 6)) {
			t.Fatalf("certificate %v, bad %v; want one by 0, 1, 2, 3 and 6", cert, bad)
		}
		if err := w.verifier().Checkpoint(cert); err != nil {
			t.Errorf("the certificate: %v", err)
		}
	})
}

// A checkpoint certificate is refused with any change, and so is a certificate for something else in its place.
func TestCheckpointCertificate(t *testing.T) {
	forEachScheme(t, 4, func(t *testing.T, w *world) {
		signed := []qc.SignedCheckpoint{w.checkpoint(0, state), w.checkpoint(1, state), w.checkpoint(3, state)}
		good, _ := w.verifier().CollectCheckpoints(state, signed)
		votes := w.qc(t, 64, blockA, 0, 1, 3)
		for name, tt := range map[string]struct {
			change func(c *qc.CheckpointCertificate)
			want   error
		}{
			"none":           {func(*qc.CheckpointCertificate) {}, nil},
			"digest":         {func(c *qc.CheckpointCertificate) { c.Checkpoint.Digest[5]++ }, qc.ErrSignature},
			"height":         {func(c *qc.CheckpointCertificate) { c.Checkpoint.Height++ }, qc.ErrSignature},
			"block":          {func(c *qc.CheckpointCertificate) { c.Checkpoint.Block = blockB }, qc.ErrSignature},
			"another signer": {func(c *qc.CheckpointCertificate) { c.Signers = bitmap(4, 0, 1, 2) }, qc.ErrSignature},
			"too few":        {func(c *qc.CheckpointCertificate) { c.Signers = bitmap(4, 0, 1) }, qc.ErrQuorum},
			"padding":        {func(c *qc.CheckpointCertificate) { c.Signers = qc.Bitmap{0x1b} }, qc.ErrBitmap},
			"epoch":          {func(c *qc.CheckpointCertificate) { c.Epoch++ }, qc.ErrEpoch},
			"genesis":        {func(c *qc.CheckpointCertificate) { c.Checkpoint.Height = 0 }, qc.ErrHeight},
			"a QC":           {func(c *qc.CheckpointCertificate) { c.Signature = votes.Signature }, qc.ErrSignature},
		} {
			c := *good
			c.Signers = c.Signers.Clone()
			tt.change(&c)
			if err := w.verifier().Checkpoint(&c); !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Errorf("%s changed: error %v, want %v", name, err, tt.want)
			}
		}
	})
}
