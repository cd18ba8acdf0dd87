package mempool_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"testing"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
)

// TestVerifyRefuses every batch that is not whole and its origin's own.
func TestVerifyRefuses(t *testing.T) {
	r := newRoster(t, 4)
	good := func() *mempool.Batch {
		return &mempool.Batch{Origin: 1, Incarnation: laneOne, Seq: 1, Prev: blocktree.Digest{1}, Expiry: 9, Count: 2, Blob: blob("a", "bc")}
	}
	v, err := mempool.Verify(r.committee, r.public, r.sign(good()))
	if err != nil || v.Batch().Count != 2 {
		t.Fatalf("a good batch: %v", err)
	}
	otherChain := *r
	otherChain.committee, err = qc.NewCommittee(qc.ChainID{2}, 1, 4)
	if err != nil {
		t.Fatal(err)
	}
	otherEpoch := *r
	otherEpoch.committee, err = qc.NewCommittee(qc.ChainID{1}, 2, 4)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		spoil func(*mempool.Batch)
		by    *roster
		want  error
	}{
		{"a count too high", func(b *mempool.Batch) { b.Count = 3 }, r, mempool.ErrBatchForm},
		{"a count too low", func(b *mempool.Batch) { b.Count = 1 }, r, mempool.ErrBatchForm},
		{"a count out of all proportion", func(b *mempool.Batch) { b.Count = 1<<32 - 1 }, r, mempool.ErrBatchForm},
		{"a cut blob", func(b *mempool.Batch) { b.Blob = b.Blob[:len(b.Blob)-1] }, r, mempool.ErrBatchForm},
		{"a first with a predecessor", func(b *mempool.Batch) { b.Seq = 0 }, r, mempool.ErrBatchLink},
		{"a later one without", func(b *mempool.Batch) { b.Prev = blocktree.Digest{} }, r, mempool.ErrBatchLink},
		{"another chain", func(*mempool.Batch) {}, &otherChain, mempool.ErrBatchSignature},
		{"another epoch", func(*mempool.Batch) {}, &otherEpoch, mempool.ErrBatchSignature},
	} {
		b := good()
		c.spoil(b)
		if _, err := mempool.Verify(r.committee, r.public, c.by.sign(b)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	stranger := good()
	stranger.Origin = 4
	if _, err := mempool.Verify(r.committee, r.public, stranger); !errors.Is(err, mempool.ErrBatchOrigin) {
		t.Errorf("a stranger: %v", err)
	}
}

// TestDigestCoversEverything but the signature: two batches that differ in any field have different names.
func TestDigestCoversEverything(t *testing.T) {
	base := mempool.Batch{Origin: 1, Incarnation: blocktree.Incarnation{Rejoin: 1, Starts: 1}, Seq: 1, Prev: blocktree.Digest{1}, Expiry: 9,
		Count: 1, Blob: blob("a")}
	first := base
	seen := map[blocktree.Digest]string{first.Digest(): "base"}
	for name, change := range map[string]func(*mempool.Batch){
		"origin":   func(b *mempool.Batch) { b.Origin++ },
		"rejoin":   func(b *mempool.Batch) { b.Incarnation.Rejoin++ },
		"starts":   func(b *mempool.Batch) { b.Incarnation.Starts++ },
		"sequence": func(b *mempool.Batch) { b.Seq++ },
		"prev":     func(b *mempool.Batch) { b.Prev[31]++ },
		"expiry":   func(b *mempool.Batch) { b.Expiry++ },
		"count":    func(b *mempool.Batch) { b.Count++ },
		"blob":     func(b *mempool.Batch) { b.Blob = blob("b") },
	} {
		b := base
		change(&b)
		if twin, ok := seen[b.Digest()]; ok {
			t.Errorf("%s: the same digest as %s", name, twin)
		}
		seen[b.Digest()] = name
	}
	signed := base
	signed.Signature[0]++
	if seen[signed.Digest()] != "base" {
		t.Errorf("the signature is part of the digest")
	}
}

// FuzzNextCommand: any bytes are split without a panic and without reading past them, and what was framed comes back.
func FuzzNextCommand(f *testing.F) {
	f.Add([]byte{})
	f.Add(blob("a", "", "bc"))
	f.Add([]byte{0x80})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, data []byte) {
		left := data
		for {
			command, rest, ok := mempool.NextCommand(left)
			if !ok {
				break
			}
			if len(rest) >= len(left) || len(command.Body)+len(rest) >= len(left) {
				t.Fatalf("no progress: %d bytes become %d and %d", len(left), len(command.Body), len(rest))
			}
			if cap(command.Body) != len(command.Body) {
				t.Fatalf("an append to a command would overwrite the next one")
			}
			left = rest
		}
		command, rest, ok := mempool.NextCommand(append(mempool.AppendCommand(nil, data), 7))
		if !ok || command.Engine || !bytes.Equal(command.Body, data) || !bytes.Equal(rest, []byte{7}) {
			t.Fatalf("framed %x, got %x", data, command.Body)
		}
	})
}

// FuzzVerify: a batch of any content is refused or accepted without a panic; an accepted one has exactly its count of commands, and no other signature
// makes it pass.
func FuzzVerify(f *testing.F) {
	r := newRoster(f, 4)
	f.Add(uint16(1), uint64(0), uint32(2), blob("a", "bc"), []byte{})
	f.Add(uint16(1), uint64(3), uint32(1), []byte{0x80}, []byte{1})
	f.Add(uint16(9), uint64(0), uint32(1<<31), []byte{0}, []byte{})
	f.Fuzz(func(t *testing.T, origin uint16, seq uint64, count uint32, data, prev []byte) {
		b := &mempool.Batch{Origin: qc.NodeID(origin), Seq: seq, Count: count, Blob: data}
		copy(b.Prev[:], prev)
		m := mempool.SigningMessage(r.committee.Chain, r.committee.Epoch, b.Digest())
		copy(b.Signature[:], ed25519.Sign(r.private[origin%4], m))
		v, err := mempool.Verify(r.committee, r.public, b)
		if err != nil {
			if v.Batch() != nil {
				t.Fatalf("a refused batch is handed out")
			}
			return
		}
		if n := len(commands(b)); n != int(count) {
			t.Fatalf("%d commands were accepted as %d", n, count)
		}
		b.Signature[40] ^= 1
		if _, err := mempool.Verify(r.committee, r.public, b); !errors.Is(err, mempool.ErrBatchSignature) {
			t.Fatalf("a spoilt signature: %v", err)
		}
	})
}
