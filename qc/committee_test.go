package qc_test

import (
	"slices"
	"testing"

	"github.com/hotstuffd/hotstuffd/qc"
)

// Any two quorums share an honest replica, and the honest alone are a quorum: the two facts that all else rests on.
func TestQuorumIntersection(t *testing.T) {
	for n := 1; n <= qc.MaxCommittee; n++ {
		c, err := qc.NewCommittee(chain, epoch, n)
		if err != nil {
			t.Fatal(err)
		}
		q, f := c.Quorum(), c.Faults()
		if n < 3*f+1 || 2*q-n < f+1 || n-f < q {
			t.Fatalf("n=%d f=%d q=%d", n, f, q)
		}
		if n == 3*f+1 && q != 2*f+1 {
			t.Fatalf("n=%d: q=%d, want %d", n, q, 2*f+1)
		}
	}
	for _, n := range []int{-1, 0, qc.MaxCommittee + 1} {
		if _, err := qc.NewCommittee(chain, epoch, n); err == nil {
			t.Errorf("a committee of %d is accepted", n)
		}
	}
}

// Every field, the chain, the epoch and the purpose make a different message to sign (S4).
func TestSignedMessagesDiffer(t *testing.T) {
	c, _ := qc.NewCommittee(chain, epoch, 4)
	otherChain, _ := qc.NewCommittee(qc.ChainID{2}, epoch, 4)
	otherEpoch, _ := qc.NewCommittee(chain, epoch+1, 4)
	messages := map[string]string{}
	for name, m := range map[string][]byte{
		"vote":                     c.VoteMessage(5, blockA),
		"vote, other view":         c.VoteMessage(6, blockA),
		"vote, other block":        c.VoteMessage(5, blockB),
		"vote, other chain":        otherChain.VoteMessage(5, blockA),
		"vote, other epoch":        otherEpoch.VoteMessage(5, blockA),
		"timeout":                  c.TimeoutMessage(5, 4),
		"timeout, other view":      c.TimeoutMessage(6, 4),
		"timeout, other high view": c.TimeoutMessage(5, 3),
		"timeout, other chain":     otherChain.TimeoutMessage(5, 4),
		"timeout, other epoch":     otherEpoch.TimeoutMessage(5, 4),

		"checkpoint":               c.CheckpointMessage(qc.Checkpoint{Height: 5, Block: blockA}),
		"checkpoint, other height": c.CheckpointMessage(qc.Checkpoint{Height: 6, Block: blockA}),
		"checkpoint, other block":  c.CheckpointMessage(qc.Checkpoint{Height: 5, Block: blockB}),
		"checkpoint, other digest": c.CheckpointMessage(qc.Checkpoint{Height: 5, Block: blockA, Digest: [32]byte{1}}),
		"checkpoint, other chain":  otherChain.CheckpointMessage(qc.Checkpoint{Height: 5, Block: blockA}),
		"checkpoint, other epoch":  otherEpoch.CheckpointMessage(qc.Checkpoint{Height: 5, Block: blockA}),
	} {
		if other, taken := messages[string(m)]; taken {
			t.Errorf("%q and %q sign the same bytes", name, other)
		}
		messages[string(m)] = name
	}
	// Not by their length alone: what is signed says first what it is for.
	tags := map[string]bool{}
	for _, m := range [][]byte{c.VoteMessage(5, blockA), c.TimeoutMessage(5, 4), c.CheckpointMessage(qc.Checkpoint{Height: 5})} {
		tag := string(m[:16])
		if string(m[16:16+len(chain)]) != string(chain[:]) || tags[tag] {
			t.Errorf("tag %q is used twice, or has another length than 16", tag)
		}
		tags[tag] = true
	}
}

func TestBitmapIsCanonical(t *testing.T) {
	for _, c := range []struct {
		n     int
		b     qc.Bitmap
		valid bool
	}{
		{4, qc.Bitmap{0x0f}, true},
		{4, qc.Bitmap{0x10}, false}, // padding
		{4, qc.Bitmap{0x0f, 0}, false},
		{4, qc.Bitmap{}, false},
		{4, nil, false},
		{8, qc.Bitmap{0xff}, true},
		{9, qc.Bitmap{0xff, 0x01}, true},
		{9, qc.Bitmap{0xff, 0x02}, false},
		{9, qc.Bitmap{0xff}, false},
	} {
		if got := c.b.Valid(c.n); got != c.valid {
			t.Errorf("%x for n=%d: valid=%v, want %v", []byte(c.b), c.n, got, c.valid)
		}
	}
	b := bitmap(31, 0, 7, 8, 30)
	if want := []qc.NodeID{0, 7, 8, 30}; !slices.Equal(b.Members(), want) || b.Count() != len(want) {
		t.Errorf("members %v, count %d, want %v", b.Members(), b.Count(), want)
	}
	for id := range b.All() { // a loop may leave early
		if id != 0 {
			t.Errorf("first member %v", id)
		}
		break
	}
	if !b.Has(30) || b.Has(29) || b.Has(1000) {
		t.Error("Has disagrees with Members")
	}
}
