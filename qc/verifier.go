package qc

import (
	"crypto/sha256"
	"fmt"
	"slices"
)

// Verifier decides whether foreign votes, timeouts and certificates are valid for one committee (PROTOCOL §1). Checks go
// from cheap to dear: form, then the cache, then pairings. It keeps nothing of what it is shown and changes none of it.
// It belongs to one goroutine, as its Scheme does; several of them may share a Cache.
//
// All errors are InvalidError values, or wrap one.
type Verifier struct {
	committee *Committee
	scheme    Scheme
	cache     Cache // may be nil
	genesis   QuorumCertificate
	layout    []byte // scratch
}

// NewVerifier returns a verifier that accepts genesis as the one certificate with view 0. cache may be nil: then every
// certificate is checked each time that it is seen.
func NewVerifier(c *Committee, s Scheme, cache Cache, genesis QuorumCertificate) *Verifier {
	genesis.Signers = genesis.Signers.Clone()
	return &Verifier{committee: c, scheme: s, cache: cache, genesis: genesis}
}

// QC checks a quorum certificate. The genesis certificate is valid by equality; another costs one pairing check, once.
// Expected errors: ErrEpoch, ErrBitmap, ErrGenesis, ErrQuorum, ErrSignature.
func (v *Verifier) QC(c *QuorumCertificate) error {
	if err := v.qcForm(c); err != nil || c.View == 0 {
		return err
	}
	key := v.qcKey(c)
	if v.known(key) {
		return nil
	}
	if !v.scheme.VerifySame(v.committee.VoteMessage(c.View, c.Block), c.Signers, c.Signature) {
		return ErrSignature
	}
	v.remember(key)
	return nil
}

// qcForm checks all of a quorum certificate but its signature. At view 0 nothing is left to check.
func (v *Verifier) qcForm(c *QuorumCertificate) error {
	switch {
	case c.Epoch != v.committee.Epoch:
		return ErrEpoch
	case !c.Signers.Valid(v.committee.Size()):
		return ErrBitmap
	case c.View == 0 && !c.Equal(&v.genesis):
		return ErrGenesis
	case c.View != 0 && c.Signers.Count() < v.committee.Quorum():
		return ErrQuorum
	}
	return nil
}

// TC checks a timeout certificate and the quorum certificate in it. It costs as many pairings as it lists distinct
// views, and one; once.
// Expected errors: ErrEpoch, ErrView, ErrBitmap, ErrQuorum, ErrListedViews, ErrHighQC, ErrSignature, and the errors of QC.
func (v *Verifier) TC(c *TimeoutCertificate) error {
	if err := v.tcForm(c); err != nil {
		return err
	}
	key := v.tcKey(c)
	if v.known(key) {
		return nil
	}
	if err := v.QC(&c.HighQC); err != nil {
		return fmt.Errorf("high QC of a timeout certificate: %w", err)
	}
	msgs, groups := v.timeoutGroups(c)
	if !v.scheme.VerifyDistinct(msgs, groups, c.Signature) {
		return ErrSignature
	}
	v.remember(key)
	return nil
}

// tcForm checks all of a timeout certificate but the two signatures.
func (v *Verifier) tcForm(c *TimeoutCertificate) error {
	switch {
	case c.Epoch != v.committee.Epoch:
		return ErrEpoch
	case c.View == 0: // genesis is certified from the start: nobody can give up on its view
		return ErrView
	case !c.Signers.Valid(v.committee.Size()):
		return ErrBitmap
	case c.Signers.Count() < v.committee.Quorum():
		return ErrQuorum
	case len(c.HighQCViews) != c.Signers.Count():
		return ErrListedViews
	}
	highest := slices.Max(c.HighQCViews)
	// Without this bound one Byzantine signer makes a certificate that no block can satisfy (L14).
	if highest >= c.View {
		return ErrListedViews
	}
	// Without equality a certificate could hide the highest block that its signers know of.
	if c.HighQC.View != highest {
		return ErrHighQC
	}
	if err := v.qcForm(&c.HighQC); err != nil {
		return fmt.Errorf("high QC of a timeout certificate: %w", err)
	}
	return nil
}

// timeoutGroups returns the distinct messages that c's signers signed, ascending by listed view, and who signed which.
func (v *Verifier) timeoutGroups(c *TimeoutCertificate) (msgs [][]byte, groups []Bitmap) {
	views := slices.Clone(c.HighQCViews)
	slices.Sort(views)
	views = slices.Compact(views)
	for _, view := range views {
		msgs = append(msgs, v.committee.TimeoutMessage(c.View, view))
		groups = append(groups, NewBitmap(v.committee.Size()))
	}
	listed := c.HighQCViews
	for id := range c.Signers.All() {
		i, _ := slices.BinarySearch(views, listed[0])
		groups[i].Set(id)
		listed = listed[1:]
	}
	return msgs, groups
}

// Vote checks a single vote. It costs a pairing check each time: whoever collects votes uses CollectVotes instead.
// Expected errors: ErrSigner, ErrView, ErrSignature.
func (v *Verifier) Vote(vote *Vote) error {
	switch {
	case !v.committee.Has(vote.Signer):
		return ErrSigner
	case vote.View == 0: // nobody votes for genesis
		return ErrView
	case !v.signedBy(vote.Signer, v.committee.VoteMessage(vote.View, vote.Block), vote.Signature):
		return ErrSignature
	}
	return nil
}

// Timeout checks a timeout and the certificates in it. It does not check the vote in it: a bad one voids the vote, not
// the timeout (see Timeout.OwnVote; votes are checked when they are summed).
// Expected errors: ErrEpoch, ErrView, ErrSigner, ErrHighQC, ErrEntry, ErrSignature, and those of QC and TC.
func (v *Verifier) Timeout(t *Timeout) error {
	if err := v.timeoutForm(t); err != nil {
		return err
	}
	if err := v.QC(&t.HighQC); err != nil {
		return fmt.Errorf("high QC of a timeout: %w", err)
	}
	if t.TC != nil {
		if err := v.TC(t.TC); err != nil {
			return fmt.Errorf("entry TC of a timeout: %w", err)
		}
	}
	if !v.signedBy(t.Signer, v.committee.TimeoutMessage(t.View, t.HighQC.View), t.Signature) {
		return ErrSignature
	}
	return nil
}

// timeoutForm checks how the parts of a timeout fit together.
func (v *Verifier) timeoutForm(t *Timeout) error {
	switch {
	case t.Epoch != v.committee.Epoch:
		return ErrEpoch
	case t.View == 0:
		return ErrView
	case !v.committee.Has(t.Signer):
		return ErrSigner
	case t.HighQC.View >= t.View: // who holds such a certificate has left the view by it
		return ErrHighQC
	}
	// A view is entered by a QC or a TC of the view before it: by which, the timeout must show (PROTOCOL §3).
	if enteredByQC := t.HighQC.View == t.View-1; enteredByQC != (t.TC == nil) {
		return ErrEntry
	}
	if t.TC == nil {
		return nil
	}
	if t.TC.View != t.View-1 {
		return ErrEntry
	}
	// Whoever entered by the TC has seen the QC in it.
	if t.HighQC.View < t.TC.HighQC.View {
		return ErrHighQC
	}
	return nil
}

// OwnVote returns the vote in t, if it is one by t's signer in t's view, else nil. Its signature is not checked.
func (t *Timeout) OwnVote() *Vote {
	if t.Vote == nil || t.Vote.Signer != t.Signer || t.Vote.View != t.View {
		return nil
	}
	return t.Vote
}

func (v *Verifier) signedBy(id NodeID, msg []byte, sig Signature) bool {
	signer := NewBitmap(v.committee.Size())
	signer.Set(id)
	return v.scheme.VerifySame(msg, signer, sig)
}

// Keys of the cache cover the chain and the whole certificate. A key without the bitmap or the signature would let a
// forged certificate pass as a valid one for the same block (S5).
const (
	domainQCKey = "hotstuffd/qc-known\x00\x01"
	domainTCKey = "hotstuffd/tc-known\x00\x01"
)

func (v *Verifier) qcKey(c *QuorumCertificate) [32]byte {
	v.layout = c.AppendLayout(v.keyPrefix(domainQCKey))
	return sha256.Sum256(v.layout)
}

func (v *Verifier) tcKey(c *TimeoutCertificate) [32]byte {
	v.layout = c.AppendLayout(v.keyPrefix(domainTCKey))
	return sha256.Sum256(v.layout)
}

func (v *Verifier) keyPrefix(domain string) []byte {
	return append(append(v.layout[:0], domain...), v.committee.Chain[:]...)
}

func (v *Verifier) known(key [32]byte) bool { return v.cache != nil && v.cache.Has(key) }

func (v *Verifier) remember(key [32]byte) {
	if v.cache != nil {
		v.cache.Add(key)
	}
}
