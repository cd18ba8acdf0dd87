package qc_test

import (
	"fmt"
	"testing"

	"github.com/hotstuffd/hotstuffd/qc"
)

// The figures of one view: a replica signs once and checks one certificate, a leader sums a quorum and checks the sum.

func BenchmarkSign(b *testing.B) {
	w := blsWorld(b, 4)
	msg := w.committee.VoteMessage(1, blockA)
	for b.Loop() {
		w.signers[0].Sign(msg)
	}
}

// BenchmarkVerifySame checks certificates of one set of signers, whose lines are remembered. H(m) is: cold, hashed each
// time, as for a certificate of a block not seen; warm, remembered, as after signing a vote for it.
func BenchmarkVerifySame(b *testing.B) {
	for _, n := range []int{4, 31} {
		w := blsWorld(b, n)
		q := w.committee.Quorum()
		b.Run(fmt.Sprintf("n=%d/H=warm", n), func(b *testing.B) {
			msg := w.committee.VoteMessage(1, blockA)
			signers, sum := quorumSum(b, w, msg, q)
			for b.Loop() {
				if !w.scheme.VerifySame(msg, signers, sum) {
					b.Fatal("does not verify")
				}
			}
		})
		b.Run(fmt.Sprintf("n=%d/H=cold", n), func(b *testing.B) {
			// More messages than the scheme remembers, in turn.
			const messages = 32
			var msgs [messages][]byte
			var sums [messages]qc.Signature
			var signers qc.Bitmap
			for i := range msgs {
				msgs[i] = w.committee.VoteMessage(qc.View(i+1), blockA)
				signers, sums[i] = quorumSum(b, w, msgs[i], q)
			}
			for i := 0; b.Loop(); i = (i + 1) % messages {
				if !w.scheme.VerifySame(msgs[i], signers, sums[i]) {
					b.Fatal("does not verify")
				}
			}
		})
	}
}

// BenchmarkVerifyNewSet is VerifySame for sets of signers that are not remembered: their keys are added up and their
// lines computed.
func BenchmarkVerifyNewSet(b *testing.B) {
	for _, n := range []int{4, 31} {
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) {
			w := blsWorld(b, n)
			msg := w.committee.VoteMessage(1, blockA)
			_, sum := quorumSum(b, w, msg, w.committee.Quorum())
			wrong := bitmap(n)
			for id := range qc.NodeID(w.committee.Quorum()) {
				wrong.Set(qc.NodeID(n-1) - id)
			}
			for b.Loop() { // a set that fails is not remembered
				if w.scheme.VerifySame(msg, wrong, sum) {
					b.Fatal("verifies")
				}
			}
		})
	}
}

func BenchmarkCollectVotes(b *testing.B) {
	for _, n := range []int{4, 31} {
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) { benchmarkCollect(b, blsWorld(b, n)) })
	}
}

func BenchmarkCollectVotesMock(b *testing.B) {
	for _, n := range []int{4, 31} {
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) { benchmarkCollect(b, mockWorld(b, n)) })
	}
}

func benchmarkCollect(b *testing.B, w *world) {
	var votes []qc.Vote
	for id := range qc.NodeID(w.committee.Quorum()) {
		votes = append(votes, w.vote(id, 1, blockA))
	}
	v := w.verifier()
	b.ReportAllocs()
	for b.Loop() {
		if cert, _ := v.CollectVotes(1, blockA, votes); cert == nil {
			b.Fatal("no certificate")
		}
	}
}

// BenchmarkTC is the dearest certificate: every signer lists another view.
func BenchmarkTC(b *testing.B) {
	for _, n := range []int{4, 31} {
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) {
			w := blsWorld(b, n)
			q := w.committee.Quorum()
			listed := map[qc.NodeID]qc.View{}
			var ids []qc.NodeID
			for id := range qc.NodeID(q) {
				listed[id] = qc.View(id) + 1
				ids = append(ids, id)
			}
			tc := w.rawTC(b, 100, w.qc(b, qc.View(q), blockA, ids...), listed)
			v := w.verifier()
			for b.Loop() {
				if err := v.TC(tc); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// remembered is a Cache without a bound.
type remembered map[[32]byte]struct{}

func (r remembered) Has(key [32]byte) bool { _, ok := r[key]; return ok }
func (r remembered) Add(key [32]byte)      { r[key] = struct{}{} }

// BenchmarkQC checks a certificate: warm, by a pairing, with its signers' lines and its message's hash remembered; cached, by
// looking it up, as for one that came before.
func BenchmarkQC(b *testing.B) {
	for _, n := range []int{4, 31} {
		w := blsWorld(b, n)
		cert := w.quorumQC(b)
		for name, cache := range map[string]qc.Cache{"warm": nil, "cached": remembered{}} {
			b.Run(fmt.Sprintf("n=%d/%s", n, name), func(b *testing.B) {
				v := qc.NewVerifier(w.committee, w.scheme, cache, w.genesis)
				b.ReportAllocs()
				for b.Loop() {
					if err := v.QC(&cert); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// quorumQC is a certificate of the first 2f+1.
func (w *world) quorumQC(tb testing.TB) qc.QuorumCertificate {
	var ids []qc.NodeID
	for id := range qc.NodeID(w.committee.Quorum()) {
		ids = append(ids, id)
	}
	return w.qc(tb, 1, blockA, ids...)
}

// What is checked in every view takes no more memory than it did: a certificate that is remembered takes none, and a pairing
// check what the curve's library takes.
func TestAllocationsOfAView(t *testing.T) {
	for _, n := range []int{4, 31} {
		for _, c := range []struct {
			scheme          string
			w               *world
			cached, qc, sum float64
		}{{"BLS", blsWorld(t, n), 0, 26, 31}, {"Mock", mockWorld(t, n), 0, 1, 6}} {
			cert := c.w.quorumQC(t)
			votes := c.w.votes(1, blockA, cert.Signers.Members()...)
			bare, caching := c.w.verifier(), qc.NewVerifier(c.w.committee, c.w.scheme, remembered{}, c.w.genesis)
			for _, m := range []struct {
				what string
				most float64
				run  func() bool
			}{
				{"a certificate that is remembered", c.cached, func() bool { return caching.QC(&cert) == nil }},
				{"a certificate", c.qc, func() bool { return bare.QC(&cert) == nil }},
				{"the sum of a quorum's votes", c.sum, func() bool { made, _ := bare.CollectVotes(1, blockA, votes); return made != nil }},
			} {
				ok := true
				if got := testing.AllocsPerRun(10, func() { ok = m.run() && ok }); got > m.most || !ok {
					t.Errorf("%s, n=%d, %s: valid %v, with %v allocations, want at most %v", c.scheme, n, m.what, ok, got, m.most)
				}
			}
		}
	}
}

func BenchmarkMockSign(b *testing.B) {
	w := mockWorld(b, 4)
	msg := w.committee.VoteMessage(1, blockA)
	b.ReportAllocs()
	for b.Loop() {
		w.signers[0].Sign(msg)
	}
}

func quorumSum(b *testing.B, w *world, msg []byte, q int) (qc.Bitmap, qc.Signature) {
	signers := bitmap(w.committee.Size())
	var sigs []qc.Signature
	for id := range qc.NodeID(q) {
		signers.Set(id)
		sigs = append(sigs, w.signers[id].Sign(msg))
	}
	return signers, w.add(b, sigs...)
}
