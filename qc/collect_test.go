package qc_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/hotstuffd/hotstuffd/qc"
)

// Honest votes cost one check, however many they are.
func TestCollectVotesOnce(t *testing.T) {
	forEachScheme(t, 7, func(t *testing.T, w *world) {
		counting := &countingScheme{Scheme: w.scheme}
		v := qc.NewVerifier(w.committee, counting, nil, w.genesis)
		cert, bad := v.CollectVotes(5, blockA, w.votes(5, blockA, 6, 4, 2, 0, 1))
		if cert == nil || len(bad) > 0 || counting.checks != 1 {
			t.Fatalf("cert %v, bad %v, %d checks, want a certificate by one check", cert, bad, counting.checks)
		}
		if want := bitmap(7, 0, 1, 2, 4, 6); !slices.Equal(cert.Signers, want) {
			t.Errorf("signers %v, want %v", cert.Signers.Members(), want.Members())
		}
		if err := w.verifier().QC(cert); err != nil {
			t.Errorf("the certificate: %v", err)
		}
	})
}

// A sum is there before it is checked, and is the certificate's if it is good. What is no quorum, or no signature, is no sum.
func TestSumBeforeItsCheck(t *testing.T) {
	forEachScheme(t, 4, func(t *testing.T, w *world) {
		counting := &countingScheme{Scheme: w.scheme}
		v := qc.NewVerifier(w.committee, counting, nil, w.genesis)
		s := v.AddVotes(5, blockA, w.votes(5, blockA, 0, 1, 3))
		unchecked := s.Unchecked()
		if unchecked == nil || counting.checks != 0 {
			t.Fatalf("sum %v after %d checks", unchecked, counting.checks)
		}
		cert, bad := s.Check()
		if cert == nil || len(bad) > 0 || cert.Signature != unchecked.Signature || !slices.Equal(cert.Signers, unchecked.Signers) {
			t.Errorf("checked: %v, bad %v; unchecked: %v", cert, bad, unchecked)
		}
		malformed := w.votes(5, blockA, 0, 1, 3)
		malformed[1].Signature = qc.Signature{}
		for name, votes := range map[string][]qc.Vote{"too few": w.votes(5, blockA, 0, 1), "malformed": malformed} {
			if s := v.AddVotes(5, blockA, votes); s.Unchecked() != nil {
				t.Errorf("%s: a sum", name)
			}
		}
		if s := v.AddVotes(0, blockA, w.votes(0, blockA, 0, 1, 3)); s.Unchecked() != nil {
			t.Error("a sum of votes for genesis")
		}
	})
}

// Whatever is wrong with some votes, they are named, and what is published verifies as its signers (S6).
func TestCollectVotesDropsTheBad(t *testing.T) {
	const n = 10 // f = 3, quorum 7
	all := []qc.NodeID{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
	forEachScheme(t, n, func(t *testing.T, w *world) {
		// d is any well-formed signature: colluders add it to one vote and take it from another.
		d := w.signers[9].Sign([]byte("anything"))
		addTo := func(votes []qc.Vote, id qc.NodeID, sig qc.Signature) {
			votes[id].Signature = w.add(t, votes[id].Signature, sig)
		}
		for _, tt := range []struct {
			name   string
			spoil  func(votes []qc.Vote) []qc.Vote
			bad    []qc.NodeID
			signed []qc.NodeID // nil: no certificate
		}{
			{"malformed", func(v []qc.Vote) []qc.Vote {
				v[3].Signature = qc.Signature{}
				return v
			}, []qc.NodeID{3}, []qc.NodeID{0, 1, 2, 4, 5, 6, 7, 8, 9}},
			{"for another block", func(v []qc.Vote) []qc.Vote {
				v[0].Signature = w.vote(0, 5, blockB).Signature
				return v
			}, []qc.NodeID{0}, []qc.NodeID{1, 2, 3, 4, 5, 6, 7, 8, 9}},
			{"malformed and wrong ones, f in all", func(v []qc.Vote) []qc.Vote {
				v[9].Signature = qc.Signature{}
				v[0].Signature, v[4].Signature = d, d
				return v
			}, []qc.NodeID{0, 4, 9}, []qc.NodeID{1, 2, 3, 5, 6, 7, 8}},
			{"too many for a quorum", func(v []qc.Vote) []qc.Vote {
				v[1].Signature, v[2].Signature, v[6].Signature, v[7].Signature = d, d, d, d
				return v
			}, []qc.NodeID{1, 2, 6, 7}, nil},
			{"colluders cancel: the sum is right", func(v []qc.Vote) []qc.Vote {
				addTo(v, 0, d)
				addTo(v, 1, w.negate(d))
				return v
			}, nil, all},
			{"colluders cancel, beside a bad vote", func(v []qc.Vote) []qc.Vote {
				addTo(v, 0, d)
				addTo(v, 1, w.negate(d))
				v[9].Signature = d
				return v
			}, []qc.NodeID{9}, []qc.NodeID{0, 1, 2, 3, 4, 5, 6, 7, 8}},
			{"colluders cancel across the search's cut", func(v []qc.Vote) []qc.Vote {
				addTo(v, 0, d)
				addTo(v, 8, w.negate(d))
				v[9].Signature = d
				return v
			}, []qc.NodeID{0, 8, 9}, []qc.NodeID{1, 2, 3, 4, 5, 6, 7}},
			{"half of a colluding pair", func(v []qc.Vote) []qc.Vote {
				addTo(v, 0, d)
				addTo(v, 1, w.negate(d))
				return v[1:]
			}, []qc.NodeID{1}, []qc.NodeID{2, 3, 4, 5, 6, 7, 8, 9}},
			{"two exchange their signatures: the sum is right", func(v []qc.Vote) []qc.Vote {
				v[2].Signature, v[3].Signature = v[3].Signature, v[2].Signature
				return v
			}, nil, all},
			{"duplicates count once", func(v []qc.Vote) []qc.Vote {
				return []qc.Vote{v[0], v[0], v[1], v[2], v[3], v[4], v[5], v[0], v[1]}
			}, nil, nil},
			{"duplicates beside a quorum", func(v []qc.Vote) []qc.Vote {
				return append(v[:7], v[0], v[3])
			}, nil, all[:7]},
			{"strangers, other views and other blocks are passed over", func(v []qc.Vote) []qc.Vote {
				stranger := v[0]
				stranger.Signer = n
				return append(v[:7], stranger, w.vote(8, 6, blockA), w.vote(9, 5, blockB))
			}, nil, all[:7]},
		} {
			cert, bad := w.verifier().CollectVotes(5, blockA, tt.spoil(w.votes(5, blockA, all...)))
			if !slices.Equal(bad, tt.bad) {
				t.Errorf("%s: bad %v, want %v", tt.name, bad, tt.bad)
			}
			if (cert == nil) != (tt.signed == nil) {
				t.Errorf("%s: certificate %v, want one: %v", tt.name, cert, tt.signed != nil)
				continue
			}
			if cert == nil {
				continue
			}
			if !slices.Equal(cert.Signers.Members(), tt.signed) {
				t.Errorf("%s: published as signed by %v, want %v", tt.name, cert.Signers.Members(), tt.signed)
			}
			// Checked by somebody who has seen none of the votes.
			if err := w.verifier().QC(cert); err != nil {
				t.Errorf("%s: the published certificate: %v", tt.name, err)
			}
		}
	})
}

// One bad vote costs a leader a logarithm of checks, wherever it stands, and a malformed one none beyond the last.
func TestCollectVotesSearchIsShort(t *testing.T) {
	const n = 31
	w := mockWorld(t, n)
	collect := func(spoiled qc.NodeID, sig qc.Signature) (checks int) {
		votes := make([]qc.Vote, n)
		for id := range qc.NodeID(n) {
			votes[id] = w.vote(id, 5, blockA)
		}
		votes[spoiled].Signature = sig
		counting := &countingScheme{Scheme: w.scheme}
		cert, bad := qc.NewVerifier(w.committee, counting, nil, w.genesis).CollectVotes(5, blockA, votes)
		if cert == nil || !slices.Equal(bad, []qc.NodeID{spoiled}) {
			t.Fatalf("bad vote by %v: certificate %v, bad %v", spoiled, cert, bad)
		}
		return counting.checks
	}
	wrong := w.signers[0].Sign([]byte("anything"))
	for id := range qc.NodeID(n) {
		if checks := collect(id, wrong); checks > 2+2*5 { // the whole twice, two halves for each of five cuts
			t.Errorf("wrong vote by %v costs %d checks, want at most 12", id, checks)
		}
	}
	if checks := collect(n-1, wrong); checks > 2+5 { // its left neighbours are good, which tells that it is not
		t.Errorf("wrong last vote costs %d checks, want at most 7", checks)
	}
	if checks := collect(3, qc.Signature{}); checks != 1 {
		t.Errorf("malformed vote costs %d checks, want 1", checks)
	}
}

// Votes for the genesis view make no certificate, even by all.
func TestCollectVotesRefusesViewZero(t *testing.T) {
	w := mockWorld(t, 4)
	if cert, bad := w.verifier().CollectVotes(0, blockA, w.votes(0, blockA, 0, 1, 2, 3)); cert != nil || bad != nil {
		t.Errorf("cert %v, bad %v", cert, bad)
	}
}

// Timeouts sum up to a certificate that lists each signer's view in the order of signers, with the highest QC of them.
func TestSumTimeouts(t *testing.T) {
	forEachScheme(t, 4, func(t *testing.T, w *world) {
		qc3, qc4 := w.qc(t, 3, blockA, 0, 1, 2), w.qc(t, 4, blockB, 1, 2, 3)
		tc4 := w.tc(t, 4, w.timeouts(t, 4, qc3)...)
		timeouts := []*qc.Timeout{w.timeout(3, 5, qc4, nil), w.timeout(1, 5, qc3, tc4), w.timeout(3, 5, qc4, nil), w.timeout(0, 5, qc3, tc4)}
		v := w.verifier()
		for _, tm := range timeouts {
			if err := v.Timeout(tm); err != nil {
				t.Fatal(err)
			}
		}
		tc, err := v.SumTimeouts(5, timeouts)
		if err != nil {
			t.Fatal(err)
		}
		if want := []qc.View{3, 3, 4}; !slices.Equal(tc.HighQCViews, want) || !slices.Equal(tc.Signers, bitmap(4, 0, 1, 3)) {
			t.Errorf("lists %v by %v, want %v by [n0 n1 n3]", tc.HighQCViews, tc.Signers.Members(), want)
		}
		if !tc.HighQC.Equal(&qc4) {
			t.Errorf("carries the QC of view %d, want 4", tc.HighQC.View)
		}
		if err := w.verifier().TC(tc); err != nil {
			t.Errorf("the certificate: %v", err)
		}

		stranger := *timeouts[0]
		stranger.Signer = 4
		malformed := *timeouts[0]
		malformed.Signature = qc.Signature{}
		for _, tt := range []struct {
			name     string
			view     qc.View
			timeouts []*qc.Timeout
			want     error
		}{
			{"too few", 5, timeouts[:2], qc.ErrQuorum},
			{"too few but for a duplicate", 5, timeouts[:3], qc.ErrQuorum},
			{"none", 5, nil, qc.ErrQuorum},
			{"another view", 6, timeouts, qc.ErrView},
			{"a stranger", 5, append([]*qc.Timeout{&stranger}, timeouts...), qc.ErrSigner},
			{"malformed", 5, append([]*qc.Timeout{&malformed}, timeouts[1], timeouts[3]), qc.ErrSignature},
		} {
			if _, err := v.SumTimeouts(tt.view, tt.timeouts); !errors.Is(err, tt.want) {
				t.Errorf("%s: error %v, want %v", tt.name, err, tt.want)
			}
		}
	})
}
