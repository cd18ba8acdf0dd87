package wire_test

import (
	"testing"

	"github.com/hotstuffd/hotstuffd/api/wire"
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
)

// benchLimits are those of four replicas under load.
var benchLimits = wire.Limits{Nodes: 4, BlockBatchesMax: 64, BatchBytesMax: 1 << 20, ResponseBlocksMax: 8, RequestDigestsMax: 8}

// usual are the messages that replicas send all the time, and how many allocations each takes to encode, and to decode.
func usual() []usualMessage {
	s := newSampler(1)
	signers := qc.NewBitmap(4)
	for id := range qc.NodeID(3) {
		signers.Set(id)
	}
	vote := &hotstuff.VoteMessage{Vote: qc.Vote{View: 1000, Block: s.hash(), Signer: 1, Signature: s.signature()}}
	block := &blocktree.Block{Epoch: 1, View: 1000, Height: 900, Parent: s.hash(), Time: 1 << 60, Proposer: 1,
		Justify: qc.QuorumCertificate{Epoch: 1, View: 999, Block: s.hash(), Signers: signers, Signature: s.signature()}}
	for origin := range qc.NodeID(4) {
		at := blocktree.Incarnation{Starts: 1}
		vote.Held = append(vote.Held, blocktree.Cursor{Incarnation: at, Seq: 5000, Last: s.hash()})
		block.Payload = append(block.Payload, blocktree.BatchRef{Origin: origin, Incarnation: at, Seq: 5000, Digest: s.hash(), Bytes: 128 << 10, Expiry: 5000})
	}
	batch := &mempool.Batch{Origin: 1, Incarnation: blocktree.Incarnation{Starts: 1}, Seq: 5000, Prev: s.hash(), Expiry: 5000, Count: 800,
		Blob: make([]byte, 128<<10)}
	s.fill(batch.Blob)
	return []usualMessage{
		{"Vote", vote, 7, 20},
		{"Proposal", &hotstuff.Proposal{Block: block}, 8, 27},
		{"Batch128k", batch, 4, 8},
	}
}

type usualMessage struct {
	name           string
	message        any
	encode, decode float64 // allocations
}

// What is sent for every view and batch takes no more memory than it did.
func TestAllocationsOfUsualMessages(t *testing.T) {
	for _, u := range usual() {
		frame, err := wire.Encode(u.message)
		if err != nil {
			t.Fatal(err)
		}
		if got := testing.AllocsPerRun(100, func() { _, _ = wire.Encode(u.message) }); got > u.encode {
			t.Errorf("%s: encoded with %v allocations, want at most %v", u.name, got, u.encode)
		}
		if got := testing.AllocsPerRun(100, func() {
			if _, err := wire.Decode(frame, benchLimits); err != nil {
				t.Fatal(err)
			}
		}); got > u.decode {
			t.Errorf("%s: decoded with %v allocations, want at most %v", u.name, got, u.decode)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, u := range usual() {
		b.Run(u.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				frame, err := wire.Encode(u.message)
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(len(frame)))
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, u := range usual() {
		b.Run(u.name, func(b *testing.B) {
			frame, err := wire.Encode(u.message)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(frame)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := wire.Decode(frame, benchLimits); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
