package blocktree_test

import (
	"crypto/sha256"
	"testing"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/qc"
)

// TestBlockIDCoversEverything but the proposer's signature: two blocks that differ in anything have different names.
func TestBlockIDCoversEverything(t *testing.T) {
	block := func() *blocktree.Block {
		return &blocktree.Block{Epoch: 1, View: 5, Height: 4, Parent: qc.BlockID{1}, Proposer: 2, Time: 9,
			Justify: qc.QuorumCertificate{Epoch: 1, View: 3, Block: qc.BlockID{1}, Signers: qc.Bitmap{7}},
			TC:      &qc.TimeoutCertificate{Epoch: 1, View: 4, HighQCViews: []qc.View{3, 3, 3}, Signers: qc.Bitmap{7}},
			Payload: []blocktree.BatchRef{{Origin: 1, Seq: 2, Bytes: 3, Expiry: 4}, {Origin: 2}}}
	}
	seen := map[qc.BlockID]string{block().ID(): "unchanged"}
	for name, change := range map[string]func(*blocktree.Block){
		"epoch":               func(b *blocktree.Block) { b.Epoch++ },
		"view":                func(b *blocktree.Block) { b.View++ },
		"height":              func(b *blocktree.Block) { b.Height++ },
		"parent":              func(b *blocktree.Block) { b.Parent[0]++ },
		"proposer":            func(b *blocktree.Block) { b.Proposer++ },
		"time":                func(b *blocktree.Block) { b.Time++ },
		"justify's signers":   func(b *blocktree.Block) { b.Justify.Signers[0] = 11 },
		"justify's signature": func(b *blocktree.Block) { b.Justify.Signature[0]++ },
		"no TC":               func(b *blocktree.Block) { b.TC = nil },
		"TC's listed views":   func(b *blocktree.Block) { b.TC.HighQCViews[1] = 2 },
		"TC's signature":      func(b *blocktree.Block) { b.TC.Signature[0]++ },
		"no payload":          func(b *blocktree.Block) { b.Payload = nil },
		"one batch less":      func(b *blocktree.Block) { b.Payload = b.Payload[:1] },
		"batches swapped":     func(b *blocktree.Block) { b.Payload[0], b.Payload[1] = b.Payload[1], b.Payload[0] },
		"a batch's origin":    func(b *blocktree.Block) { b.Payload[0].Origin++ },
		"its lane":            func(b *blocktree.Block) { b.Payload[0].Incarnation.Starts++ },
		"its lane's rejoin":   func(b *blocktree.Block) { b.Payload[0].Incarnation.Rejoin++ },
		"its sequence":        func(b *blocktree.Block) { b.Payload[0].Seq++ },
		"its digest":          func(b *blocktree.Block) { b.Payload[0].Digest[0]++ },
		"its size":            func(b *blocktree.Block) { b.Payload[0].Bytes++ },
		"its expiry":          func(b *blocktree.Block) { b.Payload[0].Expiry++ },
	} {
		b := block()
		change(b)
		if other, ok := seen[b.ID()]; ok {
			t.Errorf("%s: the same name as %s", name, other)
		}
		seen[b.ID()] = name
	}
	b := block()
	b.Signature[0]++
	if b.ID() != block().ID() {
		t.Error("the proposer's signature changes the name that it signs")
	}
}

// TestSigningMessageBindsTheChain (S4).
func TestSigningMessageBindsTheChain(t *testing.T) {
	a := blocktree.SigningMessage(qc.ChainID{1}, qc.BlockID{1})
	b := blocktree.SigningMessage(qc.ChainID{2}, qc.BlockID{1})
	c := blocktree.SigningMessage(qc.ChainID{1}, qc.BlockID{2})
	if string(a) == string(b) || string(a) == string(c) {
		t.Error("a proposal's signature counts elsewhere")
	}
}

// TestGenesisDependsOnTheChain, the epoch and nothing else.
func TestGenesisDependsOnTheChain(t *testing.T) {
	g := blocktree.Genesis(qc.ChainID{1}, 1, 4)
	if g.ID() != blocktree.Genesis(qc.ChainID{1}, 1, 4).ID() {
		t.Error("not a function")
	}
	if g.ID() == blocktree.Genesis(qc.ChainID{2}, 1, 4).ID() || g.ID() == blocktree.Genesis(qc.ChainID{1}, 2, 4).ID() {
		t.Error("two chains share a genesis block")
	}
	if q := blocktree.GenesisQC(g, 4); q.View != 0 || q.Block != g.ID() || q.Signers.Count() != 0 {
		t.Errorf("genesis certificate %+v", q)
	}
}

// TestPayloadRoot: an inner node is no leaf, and an odd node moves up unchanged.
func TestPayloadRoot(t *testing.T) {
	refs := []blocktree.BatchRef{{Seq: 1}, {Seq: 2}, {Seq: 3}, {Seq: 4}, {Seq: 5}}
	seen := map[[32]byte]int{}
	for n := range len(refs) + 1 {
		root := blocktree.PayloadRoot(refs[:n])
		if m, ok := seen[root]; ok {
			t.Errorf("%d and %d batches share a root", m, n)
		}
		seen[root] = n
	}
	a, b := blocktree.PayloadRoot(refs[:1]), blocktree.PayloadRoot(refs[1:2])
	if want := sha256.Sum256(append(append([]byte{1}, a[:]...), b[:]...)); blocktree.PayloadRoot(refs[:2]) != want {
		t.Error("an inner node is not SHA-256(1 ‖ left ‖ right)")
	}
	if blocktree.PayloadRoot(nil) != [32]byte{} {
		t.Error("the root of nothing is zero")
	}
}
