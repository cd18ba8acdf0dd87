package plan_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/sim"
)

// BenchmarkCosts measures costs.txt: each line's name is a benchmark, and its ns/op is the value. The others are measured
// where they belong: message and message.mb are half of what package net's benchmarks Vote and Bulk show, which have both
// ends in one process, and disk.sync is package store's AppendVote.
func BenchmarkCosts(b *testing.B) {
	const n = 100
	scheme, signers := blsCommittee(b, n)
	message := func(i int) []byte { return []byte{'m', byte(i >> 16), byte(i >> 8), byte(i)} }
	set := func(k int) qc.Bitmap {
		s := qc.NewBitmap(n)
		for i := range k {
			s.Set(qc.NodeID(i))
		}
		return s
	}
	// A sum by somebody else fails, and a set of signers that fails is not remembered: each check is like the first.
	foreign := signers[n-1].Sign([]byte("another message"))
	verify := func(i, k int) { scheme.VerifySame(message(i), set(k), foreign) }
	distinct := func(i, k int) {
		var msgs [][]byte
		var groups []qc.Bitmap
		for j := range k {
			g := qc.NewBitmap(n)
			g.Set(qc.NodeID(j))
			msgs, groups = append(msgs, message(i*k+j)), append(groups, g)
		}
		scheme.VerifyDistinct(msgs, groups, foreign)
	}
	votes := make([]qc.Signature, 67)
	for i := range votes {
		votes[i] = signers[i].Sign(message(0))
	}
	_, key, _ := ed25519.GenerateKey(nil)
	signature := ed25519.Sign(key, message(0))
	megabyte := make([]byte, 1_000_000)

	each(b, "bls.sign", 1, func(i int) { signers[0].Sign(message(i)) })
	each(b, "bls.verify", 1, func(i int) { verify(i, 1) })
	more(b, "bls.distinct", 1, 20, distinct)
	more(b, "bls.key", 1, n/2, verify) // of more than half, the scheme takes the others from the sum of all
	each(b, "bls.sum", len(votes), func(int) { scheme.Sum(votes) })
	each(b, "ed25519.sign", 1, func(i int) { ed25519.Sign(key, message(i)) })
	each(b, "ed25519.verify", 1, func(int) { ed25519.Verify(key.Public().(ed25519.PublicKey), message(0), signature) })
	each(b, "hash.mb", 1, func(int) { sha256.Sum256(megabyte) })
	b.Run("step", benchmarkStep)
}

func blsCommittee(b *testing.B, n int) (*qc.BLS, []qc.Signer) {
	source := rand.NewChaCha8([32]byte{1})
	secrets, public := make([]*qc.SecretKey, n), make([]qc.PublicKey, n)
	for i := range n {
		s, err := qc.GenerateKey(source)
		if err != nil {
			b.Fatal(err)
		}
		secrets[i], public[i] = s, s.Public()
	}
	scheme, err := qc.NewBLS(public)
	if err != nil {
		b.Fatal(err)
	}
	signers := make([]qc.Signer, n)
	for i, s := range secrets {
		signers[i] = scheme.Signer(s)
	}
	return scheme, signers
}

// least notes the shortest time that something took: what else runs on the machine only adds to it.
type least time.Duration

func (l *least) note(began time.Time) {
	if d := least(time.Since(began)); *l == 0 || d < *l {
		*l = d
	}
}

// each measures work that consists of some equal parts.
func each(b *testing.B, name string, parts int, do func(i int)) {
	b.Run(name, func(b *testing.B) {
		var spent least
		i := 0
		for b.Loop() {
			i++
			began := time.Now()
			do(i)
			spent.note(began)
		}
		b.ReportMetric(float64(spent)/float64(parts), "ns/op")
	})
}

// more measures what one more of something costs, between few and many.
func more(b *testing.B, name string, few, many int, do func(i, k int)) {
	b.Run(name, func(b *testing.B) {
		var spent [2]least
		i := 0
		for b.Loop() {
			i++
			for j, k := range []int{few, many} {
				began := time.Now()
				do(2*i+j, k)
				spent[j].note(began)
			}
		}
		b.ReportMetric(float64(spent[1]-spent[0])/float64(many-few), "ns/op")
	})
}

// benchmarkStep is the simulator's time for each message. It holds the driver's and its own: more than the driver's alone.
func benchmarkStep(b *testing.B) {
	var spent least
	var messages uint64
	for b.Loop() {
		c := sim.Calm(1, 31)
		c.Duration = 2 * qc.TicksPerSecond
		began := time.Now()
		r := sim.Run(c, nil)
		spent.note(began)
		if r.Failure != nil {
			b.Fatal(r.Failure)
		}
		messages = r.Counts.Messages
	}
	b.ReportMetric(float64(spent)/float64(messages), "ns/op")
}
