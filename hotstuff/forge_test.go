package hotstuff_test

import (
	"crypto/ed25519"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
)

// What a Byzantine replica can do: anything with its own keys, and with certificates that it has seen.

// forgeVote signs a vote of a replica for any block in any view.
func (c *cluster) forgeVote(signer qc.NodeID, v qc.View, block qc.BlockID) qc.Vote {
	return qc.Vote{View: v, Block: block, Signer: signer, Signature: c.signers[signer].Sign(c.committee.VoteMessage(v, block))}
}

// forgeTimeout signs a timeout of a view without a vote in it. high is used if it may be; otherwise the certificate by
// which the view was entered. nil if the network has seen none.
func (c *cluster) forgeTimeout(signer qc.NodeID, v, high qc.View) *qc.Timeout {
	t := &qc.Timeout{Epoch: c.committee.Epoch, View: v, Signer: signer}
	tc := c.tcs[v-1]
	if q, ok := c.qcs[high]; ok && high+1 < v && tc != nil && high >= tc.HighQC.View {
		t.HighQC, t.TC = q, tc
	} else if q, ok := c.qcs[v-1]; ok {
		t.HighQC = q
	} else if tc != nil {
		t.HighQC, t.TC = tc.HighQC, tc
	} else {
		return nil
	}
	t.Signature = c.signers[signer].Sign(c.committee.TimeoutMessage(v, t.HighQC.View))
	return t
}

// forgeTwin makes another block of the same leader, view and parent.
func (c *cluster) forgeTwin(b *blocktree.Block) *blocktree.Block {
	twin := &blocktree.Block{Epoch: b.Epoch, View: b.View, Height: b.Height, Parent: b.Parent, Justify: b.Justify, TC: b.TC,
		Proposer: b.Proposer, Time: b.Time + int64(len(c.ofView[b.View])), Payload: b.Payload}
	return c.sign(twin)
}

// forgeBlock makes a block of a view on any certified block; nil if no certificates justify one.
func (c *cluster) forgeBlock(proposer qc.NodeID, v, on qc.View) *blocktree.Block {
	q, ok := c.qcs[on]
	if !ok || on >= v {
		return nil
	}
	parent := c.block(q.Block)
	if parent == nil {
		return nil
	}
	b := &blocktree.Block{Epoch: c.committee.Epoch, View: v, Height: parent.Height + 1, Parent: q.Block, Justify: q,
		Proposer: proposer, Time: max(c.wall(), parent.Time+1)}
	if on+1 != v {
		if b.TC = c.tcs[v-1]; b.TC == nil || on < b.TC.HighQC.View {
			return nil
		}
	}
	return c.sign(b)
}

func (c *cluster) sign(b *blocktree.Block) *blocktree.Block {
	copy(b.Signature[:], ed25519.Sign(c.keys[b.Proposer], blocktree.SigningMessage(c.committee.Chain, b.ID())))
	c.name(b)
	return b
}

func (c *cluster) block(id qc.BlockID) *blocktree.Block {
	if id == c.genesis.ID() {
		return c.genesis
	}
	for _, r := range c.nodes {
		if b := r.disk.blocks[id]; b != nil {
			return b
		}
	}
	return nil
}

// inject puts a Byzantine replica's message on the network.
func (c *cluster) inject(from qc.NodeID, m hotstuff.Message, to ...qc.NodeID) {
	c.learn(m)
	c.note(from, "forges %s", c.describe(m))
	for _, id := range to {
		c.post(packet{from: from, to: id, msg: m})
	}
}
