package qc_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"github.com/hotstuffd/hotstuffd/qc"
)

// world is a committee of n with all its keys: what tests use to speak for honest and faulty replicas alike.
type world struct {
	committee *qc.Committee
	scheme    qc.Scheme
	signers   []qc.Signer
	genesis   qc.QuorumCertificate
	// negate returns the signature that cancels s, as an attacker with pen and paper can.
	negate func(s qc.Signature) qc.Signature
}

var (
	chain  = qc.ChainID{1}
	blockA = qc.BlockID{0xa}
	blockB = qc.BlockID{0xb}
)

const epoch = qc.Epoch(3)

// forEachScheme runs f as a subtest with a committee of n under each signature scheme: all of the package's rules hold
// under both, or a simulation would show nothing about production.
func forEachScheme(t *testing.T, n int, f func(t *testing.T, w *world)) {
	t.Run("BLS", func(t *testing.T) { f(t, blsWorld(t, n)) })
	t.Run("Mock", func(t *testing.T) { f(t, mockWorld(t, n)) })
}

func blsWorld(t testing.TB, n int) *world {
	w := newWorld(t, n)
	keys := make([]qc.PublicKey, n)
	for i := range keys {
		secret := secretKey(t, i)
		keys[i] = secret.Public()
		w.signers = append(w.signers, secret)
	}
	scheme, err := qc.NewBLS(keys)
	if err != nil {
		t.Fatal(err)
	}
	w.scheme = scheme
	w.negate = negatePoint
	return w
}

// negatePoint mirrors a compressed point on the x axis: one bit of its encoding tells the two apart.
func negatePoint(s qc.Signature) qc.Signature {
	s[0] ^= 0x20
	return s
}

func mockWorld(t testing.TB, n int) *world {
	w := newWorld(t, n)
	w.scheme, w.signers = qc.NewMock(7, n)
	w.negate = func(s qc.Signature) qc.Signature { return s } // in XOR all is its own inverse
	return w
}

func newWorld(t testing.TB, n int) *world {
	committee, err := qc.NewCommittee(chain, epoch, n)
	if err != nil {
		t.Fatal(err)
	}
	return &world{
		committee: committee,
		genesis:   qc.QuorumCertificate{Epoch: epoch, Block: qc.BlockID{0x9e}, Signers: qc.NewBitmap(n)},
	}
}

// secretKey returns the i-th key of all tests.
func secretKey(t testing.TB, i int) *qc.SecretKey {
	seed := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("test key"), uint64(i)))
	key, err := qc.GenerateKey(bytes.NewReader(seed[:]))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// verifier returns a verifier that remembers nothing.
func (w *world) verifier() *qc.Verifier {
	return qc.NewVerifier(w.committee, w.scheme, nil, w.genesis)
}

// add sums signatures as anybody can.
func (w *world) add(t testing.TB, sigs ...qc.Signature) qc.Signature {
	sum, bad := w.scheme.Sum(sigs)
	if len(bad) > 0 {
		t.Fatalf("Sum refuses signatures %v", bad)
	}
	return sum
}

func (w *world) vote(id qc.NodeID, view qc.View, block qc.BlockID) qc.Vote {
	return qc.Vote{View: view, Block: block, Signer: id, Signature: w.signers[id].Sign(w.committee.VoteMessage(view, block))}
}

func (w *world) votes(view qc.View, block qc.BlockID, ids ...qc.NodeID) []qc.Vote {
	var votes []qc.Vote
	for _, id := range ids {
		votes = append(votes, w.vote(id, view, block))
	}
	return votes
}

func (w *world) qc(t testing.TB, view qc.View, block qc.BlockID, ids ...qc.NodeID) qc.QuorumCertificate {
	cert, bad := w.verifier().CollectVotes(view, block, w.votes(view, block, ids...))
	if cert == nil || len(bad) > 0 {
		t.Fatalf("votes by %v make no certificate; bad: %v", ids, bad)
	}
	return *cert
}

// timeout returns a timeout by id; tc may be nil.
func (w *world) timeout(id qc.NodeID, view qc.View, high qc.QuorumCertificate, tc *qc.TimeoutCertificate) *qc.Timeout {
	return &qc.Timeout{Epoch: epoch, View: view, HighQC: high, TC: tc, Signer: id,
		Signature: w.signers[id].Sign(w.committee.TimeoutMessage(view, high.View))}
}

func (w *world) tc(t testing.TB, view qc.View, timeouts ...*qc.Timeout) *qc.TimeoutCertificate {
	tc, err := w.verifier().SumTimeouts(view, timeouts)
	if err != nil {
		t.Fatal(err)
	}
	return tc
}

// rawTC signs and sums whatever views it is told to: the certificate that colluding signers could make.
func (w *world) rawTC(t testing.TB, view qc.View, high qc.QuorumCertificate, listed map[qc.NodeID]qc.View) *qc.TimeoutCertificate {
	tc := &qc.TimeoutCertificate{Epoch: epoch, View: view, HighQC: high, Signers: qc.NewBitmap(w.committee.Size())}
	var sigs []qc.Signature
	for id := range qc.NodeID(w.committee.Size()) {
		if v, ok := listed[id]; ok {
			tc.Signers.Set(id)
			tc.HighQCViews = append(tc.HighQCViews, v)
			sigs = append(sigs, w.signers[id].Sign(w.committee.TimeoutMessage(view, v)))
		}
	}
	tc.Signature = w.add(t, sigs...)
	return tc
}

func bitmap(n int, ids ...qc.NodeID) qc.Bitmap {
	b := qc.NewBitmap(n)
	for _, id := range ids {
		b.Set(id)
	}
	return b
}

// memory is a Cache, and countingScheme a Scheme that counts its checks: together they show what is not checked again.
type memory map[[32]byte]bool

func (m memory) Has(key [32]byte) bool { return m[key] }
func (m memory) Add(key [32]byte)      { m[key] = true }

type countingScheme struct {
	qc.Scheme
	checks int
}

func (s *countingScheme) VerifySame(msg []byte, signers qc.Bitmap, sig qc.Signature) bool {
	s.checks++
	return s.Scheme.VerifySame(msg, signers, sig)
}

func (s *countingScheme) VerifyDistinct(msgs [][]byte, groups []qc.Bitmap, sig qc.Signature) bool {
	s.checks++
	return s.Scheme.VerifyDistinct(msgs, groups, sig)
}
