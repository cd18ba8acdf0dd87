package qc

import "errors"

// InvalidError says why a vote, a timeout or a certificate was refused. The values below are all there are: compare with
// errors.Is, count with Reason. Each means that whoever sent the message is faulty or speaks for another chain; none
// of them concerns this replica's own health.
type InvalidError struct {
	reason string
	text   string
}

// Error explains the refusal in one line.
func (e *InvalidError) Error() string { return "qc: " + e.text }

// What a Verifier refuses. An error about a certificate inside another message is wrapped and says where it was.
var (
	ErrEpoch       = &InvalidError{"epoch", "signed for another epoch"}
	ErrView        = &InvalidError{"view", "view is impossible for this message"}
	ErrHeight      = &InvalidError{"height", "height is impossible for a checkpoint"}
	ErrSigner      = &InvalidError{"signer", "signer is not in the committee"}
	ErrBitmap      = &InvalidError{"bitmap", "signer bitmap has a wrong length or set padding"}
	ErrQuorum      = &InvalidError{"quorum", "fewer signers than a quorum"}
	ErrGenesis     = &InvalidError{"genesis", "view 0 belongs to the genesis certificate alone"}
	ErrListedViews = &InvalidError{"listed-views", "listed views do not match the signers, or reach the timeout's own view"}
	ErrHighQC      = &InvalidError{"high-qc", "the certificate carried is not the highest that was signed for"}
	ErrEntry       = &InvalidError{"entry", "the certificate by which the view was entered is missing, superfluous or of another view"}
	ErrSignature   = &InvalidError{"signature", "signature does not verify"}
)

// Reason returns a short constant word for err, fit for the label of a metric: "epoch", "signature" and so on.
// An error that is not of this package gives "other".
func Reason(err error) string {
	var invalid *InvalidError
	if errors.As(err, &invalid) {
		return invalid.reason
	}
	return "other"
}

// Errors of foreign keys and proofs.
var (
	ErrPublicKey  = errors.New("qc: not a BLS public key: want the 96 bytes of a compressed G2 point in the right subgroup, not infinity")
	ErrSecretKey  = errors.New("qc: not a BLS secret key: want 32 bytes, a number from 1 to the group's order - 1")
	ErrPossession = errors.New("qc: proof of possession does not match the public key: make both anew from the same secret key")
)
