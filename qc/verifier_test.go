package qc_test

import (
	"errors"
	"testing"

	"github.com/hotstuffd/hotstuffd/qc"
)

// A certificate is valid as it was made, and in no other way.
func TestQC(t *testing.T) {
	const n = 7 // f = 2, quorum 5
	forEachScheme(t, n, func(t *testing.T, w *world) {
		good := w.qc(t, 5, blockA, 0, 1, 2, 3, 4)
		single := w.vote(0, 5, blockA).Signature
		for _, tt := range []struct {
			name   string
			change func(c *qc.QuorumCertificate)
			want   error
		}{
			{"as made", func(c *qc.QuorumCertificate) {}, nil},
			{"other epoch", func(c *qc.QuorumCertificate) { c.Epoch++ }, qc.ErrEpoch},
			{"other view", func(c *qc.QuorumCertificate) { c.View++ }, qc.ErrSignature},
			{"inflated view", func(c *qc.QuorumCertificate) { c.View = 1 << 63 }, qc.ErrSignature},
			{"view 0", func(c *qc.QuorumCertificate) { c.View = 0 }, qc.ErrGenesis},
			{"other block", func(c *qc.QuorumCertificate) { c.Block = blockB }, qc.ErrSignature},
			{"signer added", func(c *qc.QuorumCertificate) { c.Signers.Set(6) }, qc.ErrSignature},
			{"signer exchanged", func(c *qc.QuorumCertificate) { c.Signers = bitmap(n, 0, 1, 2, 3, 5) }, qc.ErrSignature},
			{"signer dropped", func(c *qc.QuorumCertificate) { c.Signers = bitmap(n, 0, 1, 2, 3) }, qc.ErrQuorum},
			{"no signers", func(c *qc.QuorumCertificate) { c.Signers = bitmap(n) }, qc.ErrQuorum},
			{"bitmap padded with a member beyond the end", func(c *qc.QuorumCertificate) { c.Signers[0] |= 0x80 }, qc.ErrBitmap},
			{"bitmap too long", func(c *qc.QuorumCertificate) { c.Signers = append(c.Signers, 0) }, qc.ErrBitmap},
			{"bitmap too short", func(c *qc.QuorumCertificate) { c.Signers = nil }, qc.ErrBitmap},
			{"one vote's signature for a quorum", func(c *qc.QuorumCertificate) { c.Signature = single }, qc.ErrSignature},
			{"zero signature", func(c *qc.QuorumCertificate) { c.Signature = qc.Signature{} }, qc.ErrSignature},
			{"mirrored or damaged signature", func(c *qc.QuorumCertificate) { c.Signature[0] ^= 0x20 }, qc.ErrSignature},
		} {
			// With a cold cache, and with one that knows the good certificate: no change may pass for it (S5).
			for _, warm := range []bool{false, true} {
				v := qc.NewVerifier(w.committee, w.scheme, memory{}, w.genesis)
				if warm {
					if err := v.QC(&good); err != nil {
						t.Fatal(err)
					}
				}
				changed := good
				changed.Signers = good.Signers.Clone()
				tt.change(&changed)
				if err := v.QC(&changed); !errors.Is(err, tt.want) {
					t.Errorf("%s (warm cache: %v): error %v, want %v", tt.name, warm, err, tt.want)
				}
			}
		}
	})
}

// The genesis certificate is a constant: it is accepted bit for bit, with nothing else of view 0.
func TestGenesisQC(t *testing.T) {
	forEachScheme(t, 4, func(t *testing.T, w *world) {
		counting := &countingScheme{Scheme: w.scheme}
		v := qc.NewVerifier(w.committee, counting, nil, w.genesis)
		genesis := w.genesis
		if err := v.QC(&genesis); err != nil {
			t.Errorf("genesis certificate: %v", err)
		}
		for name, change := range map[string]func(c *qc.QuorumCertificate){
			"other block": func(c *qc.QuorumCertificate) { c.Block = blockA },
			"a signer":    func(c *qc.QuorumCertificate) { c.Signers = bitmap(4, 0) },
			"all signers": func(c *qc.QuorumCertificate) { c.Signers = bitmap(4, 0, 1, 2, 3) },
			"a signature": func(c *qc.QuorumCertificate) { c.Signature[47] = 1 },
		} {
			c := w.genesis
			change(&c)
			if err := v.QC(&c); !errors.Is(err, qc.ErrGenesis) {
				t.Errorf("genesis certificate with %s: error %v, want ErrGenesis", name, err)
			}
		}
		if counting.checks > 0 {
			t.Errorf("%d signature checks for view 0, want none", counting.checks)
		}
		later := w.genesis
		later.View = 1
		if err := v.QC(&later); !errors.Is(err, qc.ErrQuorum) {
			t.Errorf("genesis certificate in view 1: error %v, want ErrQuorum", err)
		}
	})
}

// A certificate is checked once, and malformed ones never: what is cheap to refuse costs no pairing.
func TestVerifyOnce(t *testing.T) {
	forEachScheme(t, 4, func(t *testing.T, w *world) {
		high := w.qc(t, 3, blockA, 0, 1, 2)
		tc := w.tc(t, 5, w.timeouts(t, 5, high)...)
		counting := &countingScheme{Scheme: w.scheme}
		v := qc.NewVerifier(w.committee, counting, memory{}, w.genesis)

		foreign := high
		foreign.Epoch++
		short := *tc
		short.HighQCViews = short.HighQCViews[1:]
		tc4 := *tc
		tc4.View = 3
		if v.QC(&foreign) == nil || v.TC(&short) == nil || v.TC(&tc4) == nil {
			t.Fatal("a malformed certificate is accepted")
		}
		if counting.checks != 0 {
			t.Errorf("malformed certificates cost %d signature checks, want none", counting.checks)
		}
		for range 3 {
			if err := errors.Join(v.QC(&high), v.TC(tc)); err != nil {
				t.Fatal(err)
			}
		}
		if counting.checks != 2 {
			t.Errorf("one QC and one TC, seen three times, cost %d signature checks, want 2", counting.checks)
		}
		// A certificate that this replica made needs no check of its own.
		made, _ := v.CollectVotes(6, blockB, w.votes(6, blockB, 1, 2, 3))
		checks := counting.checks
		if err := v.QC(made); err != nil || counting.checks != checks {
			t.Errorf("own certificate: error %v, %d more checks, want none", err, counting.checks-checks)
		}
	})
}

// timeouts returns a quorum's timeouts of view, all with the same highest certificate, entered by a TC where it needs one.
func (w *world) timeouts(t testing.TB, view qc.View, high qc.QuorumCertificate) []*qc.Timeout {
	var entry *qc.TimeoutCertificate
	if high.View != view-1 {
		entry = w.tc(t, view-1, w.timeouts(t, view-1, high)...)
	}
	var ts []*qc.Timeout
	for id := range qc.NodeID(w.committee.Quorum()) {
		ts = append(ts, w.timeout(id, view, high, entry))
	}
	return ts
}

// A timeout certificate is valid exactly as PROTOCOL §1 says. Its signers' views differ, so that it is checked over
// distinct messages.
func TestTC(t *testing.T) {
	const n = 4
	forEachScheme(t, n, func(t *testing.T, w *world) {
		old, high := w.qc(t, 2, blockA, 0, 1, 2), w.qc(t, 4, blockB, 1, 2, 3)
		listed := func(views ...qc.View) map[qc.NodeID]qc.View {
			m := map[qc.NodeID]qc.View{}
			for i, v := range views {
				m[qc.NodeID(i)] = v
			}
			return m
		}
		good := w.rawTC(t, 6, high, listed(2, 4, 0))
		forgedQC := high
		forgedQC.View = 5
		for _, tt := range []struct {
			name string
			tc   *qc.TimeoutCertificate
			want error
		}{
			{"as made", good, nil},
			{"all views equal", w.rawTC(t, 6, high, listed(4, 4, 4, 4)), nil},
			{"only genesis known", w.rawTC(t, 1, w.genesis, listed(0, 0, 0)), nil},
			{"too few signers", w.rawTC(t, 6, high, listed(2, 4)), qc.ErrQuorum},
			{"view 0", w.rawTC(t, 0, w.genesis, listed(0, 0, 0)), qc.ErrView},
			// One Byzantine signer signs for a certificate that cannot exist yet (L14).
			{"listed view is the TC's own", w.rawTC(t, 6, high, listed(2, 4, 6)), qc.ErrListedViews},
			{"listed view above the TC's own", w.rawTC(t, 6, high, listed(2, 4, 1<<62)), qc.ErrListedViews},
			{"QC below the largest listed", w.rawTC(t, 6, old, listed(2, 4, 0)), qc.ErrHighQC},
			{"QC above the largest listed", w.rawTC(t, 6, high, listed(2, 3, 0)), qc.ErrHighQC},
			{"largest listed, with a QC whose view is forged", w.rawTC(t, 6, forgedQC, listed(2, 5, 0)), qc.ErrSignature},
			{"other epoch", changedTC(good, func(c *qc.TimeoutCertificate) { c.Epoch++ }), qc.ErrEpoch},
			{"QC of another epoch", changedTC(good, func(c *qc.TimeoutCertificate) { c.HighQC.Epoch++ }), qc.ErrEpoch},
			{"QC with a short bitmap", changedTC(good, func(c *qc.TimeoutCertificate) { c.HighQC.Signers = nil }), qc.ErrBitmap},
			{"other view", changedTC(good, func(c *qc.TimeoutCertificate) { c.View++ }), qc.ErrSignature},
			{"listed views exchanged", changedTC(good, func(c *qc.TimeoutCertificate) { c.HighQCViews = []qc.View{4, 2, 0} }), qc.ErrSignature},
			{"listed view lowered", changedTC(good, func(c *qc.TimeoutCertificate) { c.HighQCViews = []qc.View{1, 4, 0} }), qc.ErrSignature},
			{"fewer views than signers", changedTC(good, func(c *qc.TimeoutCertificate) { c.HighQCViews = []qc.View{2, 4} }), qc.ErrListedViews},
			{"more views than signers", changedTC(good, func(c *qc.TimeoutCertificate) { c.HighQCViews = make([]qc.View, 1<<20) }), qc.ErrListedViews},
			{"no views", changedTC(good, func(c *qc.TimeoutCertificate) { c.HighQCViews = nil }), qc.ErrListedViews},
			{"signer exchanged", changedTC(good, func(c *qc.TimeoutCertificate) { c.Signers = bitmap(n, 0, 1, 3) }), qc.ErrSignature},
			{"bitmap padded", changedTC(good, func(c *qc.TimeoutCertificate) { c.Signers[0] |= 0x10 }), qc.ErrBitmap},
			{"bitmap too long", changedTC(good, func(c *qc.TimeoutCertificate) { c.Signers = append(c.Signers, 0) }), qc.ErrBitmap},
			{"the QC's signature", changedTC(good, func(c *qc.TimeoutCertificate) { c.Signature = high.Signature }), qc.ErrSignature},
			{"zero signature", changedTC(good, func(c *qc.TimeoutCertificate) { c.Signature = qc.Signature{} }), qc.ErrSignature},
			{"another QC for the same block", changedTC(good, func(c *qc.TimeoutCertificate) { c.HighQC = w.qc(t, 4, blockB, 0, 1, 2) }), nil},
			{"the QC's block exchanged", changedTC(good, func(c *qc.TimeoutCertificate) { c.HighQC.Block = blockA }), qc.ErrSignature},
		} {
			for _, warm := range []bool{false, true} {
				v := qc.NewVerifier(w.committee, w.scheme, memory{}, w.genesis)
				if warm {
					if err := errors.Join(v.TC(good), v.QC(&high), v.QC(&old)); err != nil {
						t.Fatal(err)
					}
				}
				if err := v.TC(tt.tc); !errors.Is(err, tt.want) {
					t.Errorf("%s (warm cache: %v): error %v, want %v", tt.name, warm, err, tt.want)
				}
			}
		}
	})
}

func changedTC(tc *qc.TimeoutCertificate, change func(*qc.TimeoutCertificate)) *qc.TimeoutCertificate {
	c := *tc
	c.Signers = tc.Signers.Clone()
	change(&c)
	return &c
}

func TestVote(t *testing.T) {
	forEachScheme(t, 4, func(t *testing.T, w *world) {
		good := w.vote(1, 5, blockA)
		for _, tt := range []struct {
			name   string
			change func(v *qc.Vote)
			want   error
		}{
			{"as cast", func(v *qc.Vote) {}, nil},
			{"other view", func(v *qc.Vote) { v.View++ }, qc.ErrSignature},
			{"other block", func(v *qc.Vote) { v.Block = blockB }, qc.ErrSignature},
			{"other signer", func(v *qc.Vote) { v.Signer = 2 }, qc.ErrSignature},
			{"a stranger", func(v *qc.Vote) { v.Signer = 4 }, qc.ErrSigner},
			{"far outside the committee", func(v *qc.Vote) { v.Signer = 65535 }, qc.ErrSigner},
			{"view 0", func(v *qc.Vote) { *v = w.vote(1, 0, w.genesis.Block) }, qc.ErrView},
			{"two votes summed", func(v *qc.Vote) { v.Signature = w.add(t, v.Signature, w.vote(2, 5, blockA).Signature) }, qc.ErrSignature},
		} {
			changed := good
			tt.change(&changed)
			if err := w.verifier().Vote(&changed); !errors.Is(err, tt.want) {
				t.Errorf("%s: error %v, want %v", tt.name, err, tt.want)
			}
		}
	})
}

// A timeout shows by which certificate its signer entered the view: a QC of the view before, or else a TC of it, and then
// a highest certificate not below the one that the TC carries (PROTOCOL §1).
func TestTimeout(t *testing.T) {
	forEachScheme(t, 4, func(t *testing.T, w *world) {
		qc2, qc3, qc4 := w.qc(t, 2, blockA, 0, 1, 2), w.qc(t, 3, blockA, 0, 1, 2), w.qc(t, 4, blockB, 1, 2, 3)
		tc4 := w.tc(t, 4, w.timeouts(t, 4, qc3)...) // carries qc3
		tc3 := w.tc(t, 3, w.timeouts(t, 3, qc2)...)
		forgedTC := changedTC(tc4, func(c *qc.TimeoutCertificate) { c.Signature = qc4.Signature })
		forgedQC := qc4
		forgedQC.Block = blockA
		changed := func(tm *qc.Timeout, change func(*qc.Timeout)) *qc.Timeout {
			c := *tm
			change(&c)
			return &c
		}
		byQC := w.timeout(1, 5, qc4, nil)
		for _, tt := range []struct {
			name string
			tm   *qc.Timeout
			want error
		}{
			{"view entered by QC", byQC, nil},
			{"view entered by TC", w.timeout(1, 5, qc3, tc4), nil},
			{"first view", w.timeout(1, 1, w.genesis, nil), nil},
			{"entered by QC, with a needless TC", w.timeout(1, 5, qc4, tc4), qc.ErrEntry},
			{"entered by TC, without it", w.timeout(1, 5, qc3, nil), qc.ErrEntry},
			{"TC of another view", w.timeout(1, 5, qc3, tc3), qc.ErrEntry},
			{"QC below the TC's", w.timeout(1, 5, qc2, tc4), qc.ErrHighQC},
			{"QC of the view itself", w.timeout(1, 4, qc4, nil), qc.ErrHighQC},
			{"QC above the view", w.timeout(1, 3, qc4, nil), qc.ErrHighQC},
			{"view 0", w.timeout(1, 0, w.genesis, nil), qc.ErrView},
			{"forged QC", w.timeout(1, 5, forgedQC, nil), qc.ErrSignature},
			{"forged TC", w.timeout(1, 5, qc3, forgedTC), qc.ErrSignature},
			{"other epoch", changed(byQC, func(c *qc.Timeout) { c.Epoch++ }), qc.ErrEpoch},
			{"other signer", changed(byQC, func(c *qc.Timeout) { c.Signer = 2 }), qc.ErrSignature},
			{"a stranger", changed(byQC, func(c *qc.Timeout) { c.Signer = 4 }), qc.ErrSigner},
			{"signed for another QC view", changed(w.timeout(1, 5, qc3, tc4), func(c *qc.Timeout) { c.HighQC, c.TC = qc4, nil }), qc.ErrSignature},
			{"bad vote inside", changed(byQC, func(c *qc.Timeout) { c.Vote = &qc.Vote{View: 9, Signer: 3} }), nil},
		} {
			if err := w.verifier().Timeout(tt.tm); !errors.Is(err, tt.want) {
				t.Errorf("%s: error %v, want %v", tt.name, err, tt.want)
			}
		}
	})
}

// The vote in a timeout counts only if it is its signer's, in its view.
func TestOwnVote(t *testing.T) {
	w := mockWorld(t, 4)
	tm := w.timeout(1, 5, w.qc(t, 4, blockA, 0, 1, 2), nil)
	if tm.OwnVote() != nil {
		t.Error("a timeout without a vote has one")
	}
	own, otherSigner, otherView := w.vote(1, 5, blockB), w.vote(2, 5, blockB), w.vote(1, 4, blockB)
	for name, tt := range map[string]struct{ vote, want *qc.Vote }{
		"own": {&own, &own}, "another signer's": {&otherSigner, nil}, "of another view": {&otherView, nil},
	} {
		tm.Vote = tt.vote
		if got := tm.OwnVote(); got != tt.want {
			t.Errorf("vote %s: got %v, want %v", name, got, tt.want)
		}
	}
}

// What was signed for one purpose, chain or epoch verifies for no other (S4).
func TestReplay(t *testing.T) {
	forEachScheme(t, 4, func(t *testing.T, w *world) {
		cert, vote := w.qc(t, 4, blockA, 0, 1, 2), w.vote(1, 4, blockA)
		timeouts := w.timeouts(t, 5, cert)
		tc := w.tc(t, 5, timeouts...)

		for name, other := range map[string]func() (*qc.Committee, qc.Epoch){
			"chain": func() (*qc.Committee, qc.Epoch) { c, _ := qc.NewCommittee(qc.ChainID{2}, epoch, 4); return c, epoch },
			"epoch": func() (*qc.Committee, qc.Epoch) { c, _ := qc.NewCommittee(chain, epoch+1, 4); return c, epoch + 1 },
		} {
			committee, e := other()
			known := memory{}
			if err := qc.NewVerifier(w.committee, w.scheme, known, w.genesis).QC(&cert); err != nil {
				t.Fatal(err)
			}
			v := qc.NewVerifier(committee, w.scheme, known, w.genesis) // the same keys, and even the same cache
			replayed, tm := cert, *timeouts[0]
			replayed.Epoch, tm.Epoch = e, e
			if err := v.QC(&replayed); !errors.Is(err, qc.ErrSignature) {
				t.Errorf("QC on another %s: error %v, want ErrSignature", name, err)
			}
			if err := v.Vote(&vote); !errors.Is(err, qc.ErrSignature) {
				t.Errorf("vote on another %s: error %v, want ErrSignature", name, err)
			}
			tm.HighQC, tm.View = w.genesis, 1
			tm.HighQC.Epoch = e
			genesis := tm.HighQC
			v = qc.NewVerifier(committee, w.scheme, known, genesis)
			tm.Signature = w.signers[0].Sign(w.committee.TimeoutMessage(1, 0))
			if err := v.Timeout(&tm); !errors.Is(err, qc.ErrSignature) {
				t.Errorf("timeout on another %s: error %v, want ErrSignature", name, err)
			}
		}

		// A vote's signature as a timeout's, and the other way round.
		tm := *timeouts[0]
		tm.Signature = w.vote(0, 5, blockA).Signature
		if err := w.verifier().Timeout(&tm); !errors.Is(err, qc.ErrSignature) {
			t.Errorf("vote as timeout: error %v, want ErrSignature", err)
		}
		asVote := qc.Vote{View: 5, Block: blockA, Signer: 0, Signature: timeouts[0].Signature}
		if err := w.verifier().Vote(&asVote); !errors.Is(err, qc.ErrSignature) {
			t.Errorf("timeout as vote: error %v, want ErrSignature", err)
		}
		asTC := changedTC(tc, func(c *qc.TimeoutCertificate) { c.Signature = w.qc(t, 5, blockA, 0, 1, 2).Signature })
		if err := w.verifier().TC(asTC); !errors.Is(err, qc.ErrSignature) {
			t.Errorf("QC as TC: error %v, want ErrSignature", err)
		}
		asQC := qc.QuorumCertificate{Epoch: epoch, View: 5, Block: blockA, Signers: tc.Signers, Signature: tc.Signature}
		if err := w.verifier().QC(&asQC); !errors.Is(err, qc.ErrSignature) {
			t.Errorf("TC as QC: error %v, want ErrSignature", err)
		}
	})
}

// A refusal can be counted by its reason, also when it happened inside another message.
func TestReason(t *testing.T) {
	w := mockWorld(t, 4)
	v := w.verifier()
	tm := w.timeout(1, 5, w.qc(t, 4, blockA, 0, 1, 2), nil)
	tm.HighQC.Signers = nil
	if got := qc.Reason(v.Timeout(tm)); got != "bitmap" {
		t.Errorf("short bitmap in a timeout's QC: reason %q, want bitmap", got)
	}
	if got := qc.Reason(errors.New("disk full")); got != "other" {
		t.Errorf("foreign error: reason %q, want other", got)
	}
}
