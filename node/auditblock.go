package node

import (
	"crypto/ed25519"
	"errors"
	"fmt"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/store"
)

// blockJob is a block to be checked by itself.
type blockJob struct {
	block     *blocktree.Block
	committed bool
	payload   bool               // its batches are kept
	links     []blocktree.Digest // the predecessor that each batch must name; nil: unknown
}

// checkBlock checks a block's certificates and signature, and its batches.
func (a *Audit) checkBlock(v *hotstuff.Verifier, j blockJob) {
	b := j.block
	if err := v.Block(b); err != nil {
		a.problem("block %s of height %d: %v", b.ID().Hex(), b.Height, err)
	}
	signed := v.Signed(b)
	a.mu.Lock()
	if b.TC != nil {
		a.findings.Timeouts++
	}
	switch {
	case signed:
		a.findings.Signed++
	case b.Signature == [ed25519.SignatureSize]byte{}:
		a.holes.unsigned++
	default: // nobody checks it on a certified block, and nothing depends on it
		a.holes.forged++
	}
	a.mu.Unlock()
	if !j.payload {
		return
	}
	for i := range b.Payload {
		link := (*blocktree.Digest)(nil)
		if j.links != nil {
			link = &j.links[i]
		}
		err := a.checkBatch(&b.Payload[i], link)
		switch {
		case errors.Is(err, store.ErrNotFound):
			if j.committed {
				a.lacks(b.Height)
			}
		case err != nil:
			a.problem("batch %d of block %s of height %d: %v", i, b.ID().Hex(), b.Height, err)
		default:
			a.mu.Lock()
			a.findings.Batches++
			a.mu.Unlock()
		}
	}
}

// lacks notes that a batch of a committed block is not here.
func (a *Audit) lacks(h qc.Height) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.holeAt(h)
	x := &a.holes
	if x.batches == 0 || h < x.from {
		x.from = h
	}
	x.batches++
	x.to = max(x.to, h)
}

// checkBatch checks a batch against the block that names it.
// Expected errors: store.ErrNotFound; else what is wrong.
func (a *Audit) checkBatch(ref *blocktree.BatchRef, link *blocktree.Digest) error {
	b, err := a.store.Batch(ref.Digest)
	if err != nil {
		return err
	}
	if got := b.Ref(); got != *ref {
		return fmt.Errorf("the block calls it %+v, it is %+v", *ref, got)
	}
	if link != nil && b.Prev != *link {
		return fmt.Errorf("it follows batch %v in its lane, not %v", b.Prev, *link)
	}
	_, err = mempool.Verify(a.check.committee, a.check.identities, b)
	return err
}
