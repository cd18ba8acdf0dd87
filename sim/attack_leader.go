package sim

import (
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
)

// What a Byzantine leader puts in the place of its core's proposal: one thing in it is wrong, and all else is right,
// down to the signature. A replica that overlooks the one thing votes for it.

// reshape returns what everybody is sent instead of a proposal of the core; the block itself if it stays as it is.
func (m *mind) reshape(b *blocktree.Block) *blocktree.Block {
	if known := m.reshaped[b.ID()]; known != nil {
		return known
	}
	bent := blocktree.Block{Epoch: b.Epoch, View: b.View, Height: b.Height, Parent: b.Parent, Justify: b.Justify,
		TC: b.TC, Proposer: b.Proposer, Time: b.Time, Payload: b.Payload}
	changed := false
	if m.is(SwapSigners) && m.coin() {
		changed = m.swapSigners(&bent) || changed
	}
	if m.is(StaleJustify) && b.TC != nil && m.coin() {
		changed = m.staleJustify(&bent) || changed
	}
	if m.is(BendLanes) && m.random.IntN(4) > 0 {
		m.bendLanes(&bent)
		changed = true
	}
	if m.is(BendTime) && m.coin() {
		m.bendTime(&bent)
		changed = true
	}
	out := b
	if changed {
		out = m.sign(bent)
	}
	m.reshaped[b.ID()] = out
	return out
}

// swapSigners says of a certificate that everybody has verified that others have signed it (S5).
func (m *mind) swapSigners(b *blocktree.Block) bool {
	if b.Justify.View == 0 {
		return false
	}
	n := m.r.w.cfg.Nodes
	b.Justify.Signers = b.Justify.Signers.Clone()
	for id := range qc.NodeID(n) {
		if !b.Justify.Signers.Has(id) {
			b.Justify.Signers.Set(id)
			return true
		}
	}
	b.Justify.Signers[0] &^= 1 << m.random.IntN(min(n, 8))
	return true
}

// staleJustify builds on the block below the one that the timeout certificate obliges to (PROTOCOL §2, condition 4).
func (m *mind) staleJustify(b *blocktree.Block) bool {
	for _, x := range m.blocks {
		if x.ID() == b.TC.HighQC.Block && x.Height > 0 {
			b.Justify, b.Parent, b.Height, b.Payload = x.Justify, x.Parent, x.Height, nil
			return true
		}
	}
	return false
}

// bendTime takes a time that is not after any parent's, or that lies too far ahead (PROTOCOL §8).
func (m *mind) bendTime(b *blocktree.Block) {
	if m.coin() {
		b.Time += int64(m.r.w.cfg.Limits.ClockSkewMax) + 5_000_000_000
		return
	}
	b.Time = 1
	for _, x := range m.blocks {
		if x.ID() == b.Parent {
			b.Time = x.Time
		}
	}
}

// bendLanes names batches of its own lanes that a block must not name so (PROTOCOL §6). All of them are shown to
// everybody, now and again a little later, for some are kept only once a block names them.
func (m *mind) bendLanes(b *blocktree.Block) {
	m.lanesBent++
	lane := blocktree.Incarnation{Starts: 1000 + 10*m.lanesBent}
	later := b.Height + m.r.w.cfg.Limits.ExpiryDistanceMax/2
	first := m.batch(lane, 0, blocktree.Digest{}, later)
	sibling := m.batch(lane, 0, blocktree.Digest{}, later)
	second := m.batch(lane, 1, first.Digest(), later)
	var named, shown []*mempool.Batch
	switch m.random.IntN(6) {
	case 0: // the second does not link to the sibling
		named, shown = []*mempool.Batch{sibling, second}, []*mempool.Batch{first}
	case 1: // expired
		named = []*mempool.Batch{m.batch(lane, 0, blocktree.Digest{}, b.Height-1)}
	case 2: // of a lane that a later one has closed
		lane.Starts--
		named = []*mempool.Batch{first, m.batch(lane, 0, blocktree.Digest{}, later)}
	case 3: // not from the beginning
		named, shown = []*mempool.Batch{second}, []*mempool.Batch{first}
	case 4: // not as it is
		named = []*mempool.Batch{first}
	case 5: // of a lane that was closed by an earlier block
		named = []*mempool.Batch{m.batch(blocktree.Incarnation{}, 0, blocktree.Digest{}, later)}
	}
	b.Payload = nil
	for _, x := range named {
		b.Payload = append(b.Payload, x.Ref())
	}
	if named[0] == first && len(named) == 1 {
		b.Payload[0].Bytes++
	}
	show := func() {
		for _, x := range append(shown, named...) {
			m.emitAll(x)
		}
	}
	show()
	m.r.w.after(2*m.r.w.cfg.SyncTime+50, show)
}

// batch makes one of the replica's own batches.
func (m *mind) batch(lane blocktree.Incarnation, seq uint64, prev blocktree.Digest, expiry qc.Height) *mempool.Batch {
	w := m.r.w
	b := &mempool.Batch{Origin: m.r.id, Incarnation: lane, Seq: seq, Prev: prev, Expiry: expiry, Count: 1,
		Blob: mempool.AppendCommand(nil, ledgerCommand(0, 1+m.random.Uint32N(1<<20), 12))}
	message := mempool.SigningMessage(w.committee.Chain, w.committee.Epoch, b.Digest())
	b.Signature = w.keys.identities[m.r.id].Sign(message)
	return b
}

// replayForeign sends what all replicas have signed elsewhere: on another chain that has the same keys, or in another
// epoch of this one (S4). There, anything may have been signed.
func (m *mind) replayForeign() {
	w := m.r.w
	chain, epoch := w.committee.Chain, w.committee.Epoch
	if m.coin() {
		chain[0]++
	} else {
		epoch++
	}
	other, err := qc.NewCommittee(chain, epoch, w.cfg.Nodes)
	if err != nil {
		panic(err) // as large as this one
	}
	view := m.view + qc.View(m.random.IntN(3))
	block := qc.BlockID{byte(m.random.IntN(256)), 2}
	if n := len(m.blocks); n > 0 && m.coin() {
		block, view = m.blocks[n-1].ID(), m.blocks[n-1].View
	}
	votes, timeouts := make([]qc.Signature, w.cfg.Nodes), make([]qc.Signature, w.cfg.Nodes)
	all := qc.NewBitmap(w.cfg.Nodes)
	for i, s := range w.keys.signers {
		all.Set(qc.NodeID(i))
		votes[i] = s.Sign(other.VoteMessage(view, block))
		timeouts[i] = s.Sign(other.TimeoutMessage(view, m.qc.View))
	}
	to := qc.NodeID(m.random.IntN(w.cfg.Nodes))
	switch m.random.IntN(4) {
	case 0:
		q := &qc.QuorumCertificate{Epoch: w.committee.Epoch, View: view, Block: block, Signers: all}
		q.Signature, _ = w.keys.scheme().Sum(votes)
		m.forged("QC of another chain or epoch", &hotstuff.CertificateMessage{QC: q})
	case 1:
		tc := &qc.TimeoutCertificate{Epoch: w.committee.Epoch, View: view, HighQC: *m.qc, Signers: all,
			HighQCViews: make([]qc.View, w.cfg.Nodes)}
		for i := range tc.HighQCViews {
			tc.HighQCViews[i] = m.qc.View
		}
		tc.Signature, _ = w.keys.scheme().Sum(timeouts)
		m.forged("TC of another chain or epoch", &hotstuff.CertificateMessage{TC: tc})
	case 2: // a replica's own vote: taken for one of this chain, it would stop the replica
		m.emit(to, &hotstuff.VoteMessage{Vote: qc.Vote{View: view, Block: block, Signer: to, Signature: votes[to]}})
	case 3:
		if t := m.timeout(m.view); t != nil {
			t.Signer, t.Signature = to, w.keys.signers[to].Sign(other.TimeoutMessage(t.View, t.HighQC.View))
			m.emit(to, &hotstuff.TimeoutMessage{Timeout: t})
		}
	}
}
