package qc

import (
	"cmp"
	"slices"
)

// CollectVotes makes a certificate of votes for block in view: sum first, check once. Only when the check fails are the
// bad votes searched for, by halves, and dropped. bad names their signers, ascending. cert is nil unless a quorum
// remains; it lists exactly the signers whose sum was verified, so that it verifies everywhere, colluders or not (S6).
//
// Of several votes by one signer the first counts: admit a vote only from its signer, or another could fill its place.
// Votes for something else and by strangers are passed over. Below a quorum nothing is checked.
func (v *Verifier) CollectVotes(view View, block BlockID, votes []Vote) (cert *QuorumCertificate, bad []NodeID) {
	s := v.AddVotes(view, block, votes)
	return s.Check()
}

// VoteSum is votes for one block that are added up: what CollectVotes does in two steps, of which the first takes a fifth of
// the time.
type VoteSum struct {
	view  View
	block BlockID
	votes collection
}

// AddVotes adds up votes as CollectVotes does, and checks nothing.
func (v *Verifier) AddVotes(view View, block BlockID, votes []Vote) VoteSum {
	s := VoteSum{view, block, v.collection(v.committee.VoteMessage(view, block), len(votes))}
	if view == 0 {
		return s // genesis is not voted for
	}
	seen := NewBitmap(v.committee.Size())
	for i := range votes {
		if vote := &votes[i]; vote.View == view && vote.Block == block {
			s.votes.add(vote.Signer, vote.Signature, seen)
		}
	}
	if s.votes.quorum() {
		s.votes.addUp()
	}
	return s
}

// Unchecked returns what the votes make a certificate of if all of them are good, which nobody has checked; nil if they are
// no quorum, or one of them is no signature at all.
func (s *VoteSum) Unchecked() *QuorumCertificate {
	if !s.votes.quorum() || len(s.votes.malformed) > 0 {
		return nil
	}
	return s.certificate(s.votes.sum)
}

// Check checks the sum and returns what CollectVotes does. It may be called once.
func (s *VoteSum) Check() (cert *QuorumCertificate, bad []NodeID) {
	sum, ok, bad := s.votes.collect()
	if ok {
		cert = s.certificate(sum)
		s.votes.v.remember(s.votes.v.qcKey(cert))
	}
	return cert, bad
}

func (s *VoteSum) certificate(sum Signature) *QuorumCertificate {
	c := &s.votes
	return &QuorumCertificate{Epoch: c.v.committee.Epoch, View: s.view, Block: s.block, Signers: c.bitmap(0, len(c.signers)), Signature: sum}
}

// collection is a set of signatures of one message, by distinct signers.
type collection struct {
	v       *Verifier
	msg     []byte
	signers []NodeID
	sigs    []Signature // of signers, in their order

	sum       Signature // of all, if added: it need not be made again
	malformed []int     // those among sigs that are none
	added     bool
}

// collection returns an empty one, with room for as many signatures as the committee and those given may add.
func (v *Verifier) collection(msg []byte, given int) collection {
	room := min(given, v.committee.Size())
	return collection{v: v, msg: msg, signers: make([]NodeID, 0, room), sigs: make([]Signature, 0, room)}
}

// add takes a signature by a member that is not seen yet.
func (c *collection) add(signer NodeID, sig Signature, seen Bitmap) {
	if !c.v.committee.Has(signer) || seen.Has(signer) {
		return
	}
	seen.Set(signer)
	c.signers = append(c.signers, signer)
	c.sigs = append(c.sigs, sig)
}

// collect drops faulty signatures until the sum of the rest verifies, and names their signers, ascending. ok is false if
// less than a quorum remains.
func (c *collection) collect() (sum Signature, ok bool, bad []NodeID) {
	for c.quorum() && !ok {
		c.addUp()
		sum, ok = c.sum, len(c.malformed) == 0 && c.v.scheme.VerifySame(c.msg, c.bitmap(0, len(c.signers)), c.sum)
		if !ok {
			bad = append(bad, c.expel()...)
		}
	}
	slices.Sort(bad)
	return sum, ok, bad
}

func (c *collection) quorum() bool { return len(c.signers) >= c.v.committee.Quorum() }

// addUp adds up all signatures, unless that is done.
func (c *collection) addUp() {
	if !c.added {
		c.sum, c.malformed = c.v.scheme.Sum(c.sigs)
		c.added = true
	}
}

// check sums the signatures from lo up to hi, all of them well formed, and verifies the sum.
func (c *collection) check(lo, hi int) bool {
	sum, bad := c.v.scheme.Sum(c.sigs[lo:hi])
	return len(bad) == 0 && c.v.scheme.VerifySame(c.msg, c.bitmap(lo, hi), sum)
}

// expel drops at least one faulty signature from a collection whose check has failed, and returns whose. Malformed ones go
// first: they cost no pairing.
func (c *collection) expel() []NodeID {
	faulty := NewBitmap(c.v.committee.Size())
	if len(c.malformed) > 0 {
		for _, i := range c.malformed {
			faulty.Set(c.signers[i])
		}
	} else {
		c.search(0, len(c.signers), faulty)
	}
	kept := 0
	for i, id := range c.signers {
		if !faulty.Has(id) {
			c.signers[kept], c.sigs[kept] = id, c.sigs[i]
			kept++
		}
	}
	c.signers, c.sigs, c.added = c.signers[:kept], c.sigs[:kept], false
	return faulty.Members()
}

// search marks the faulty among the signatures from lo up to hi, whose check has failed: k of n cost about 2k·log₂(n)
// checks. Signatures of colluders that are wrong apart and right together stay unmarked if no cut separates them: their
// sum is right, and so is a certificate over it.
func (c *collection) search(lo, hi int, faulty Bitmap) {
	if hi-lo == 1 {
		faulty.Set(c.signers[lo])
		return
	}
	mid := (lo + hi) / 2
	left := c.check(lo, mid)
	if !left {
		c.search(lo, mid, faulty)
	}
	// Two good halves have a good sum, and this one failed: a good left half spares the check of the right one.
	if left {
		c.search(mid, hi, faulty)
	} else if !c.check(mid, hi) {
		c.search(mid, hi, faulty)
	}
}

func (c *collection) bitmap(lo, hi int) Bitmap {
	b := NewBitmap(c.v.committee.Size())
	for _, id := range c.signers[lo:hi] {
		b.Set(id)
	}
	return b
}

// SumTimeouts makes a certificate of timeouts of view, each of which Timeout has accepted: nothing is paired here. Of
// several by one signer the first counts. The certificate carries the highest quorum certificate among them, of equal
// views that of the lowest signer, and shares its memory.
// Expected errors: ErrView (a timeout of another view), ErrSigner, ErrQuorum, ErrSignature (one was not accepted).
func (v *Verifier) SumTimeouts(view View, timeouts []*Timeout) (*TimeoutCertificate, error) {
	signers := NewBitmap(v.committee.Size())
	var chosen []*Timeout
	for _, t := range timeouts {
		switch {
		case t.View != view || view == 0:
			return nil, ErrView
		case !v.committee.Has(t.Signer):
			return nil, ErrSigner
		case !signers.Has(t.Signer):
			signers.Set(t.Signer)
			chosen = append(chosen, t)
		}
	}
	if len(chosen) < v.committee.Quorum() {
		return nil, ErrQuorum
	}
	slices.SortFunc(chosen, func(a, b *Timeout) int { return cmp.Compare(a.Signer, b.Signer) })
	tc := &TimeoutCertificate{Epoch: v.committee.Epoch, View: view, HighQC: chosen[0].HighQC, Signers: signers}
	sigs := make([]Signature, len(chosen))
	for i, t := range chosen {
		sigs[i] = t.Signature
		tc.HighQCViews = append(tc.HighQCViews, t.HighQC.View)
		if t.HighQC.View > tc.HighQC.View {
			tc.HighQC = t.HighQC
		}
	}
	sum, bad := v.scheme.Sum(sigs)
	if len(bad) > 0 {
		return nil, ErrSignature
	}
	tc.Signature = sum
	return tc, nil
}
