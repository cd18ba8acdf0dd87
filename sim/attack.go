package sim

import (
	"slices"

	"github.com/hotstuffd/hotstuffd/app"
	"github.com/hotstuffd/hotstuffd/app/kv"
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/node"
	"github.com/hotstuffd/hotstuffd/qc"
)

// sees takes note of a proposal.
func (m *mind) sees(b *blocktree.Block) {
	if slices.ContainsFunc(m.blocks, func(o *blocktree.Block) bool { return o.ID() == b.ID() }) {
		return
	}
	if m.blocks = append(m.blocks, b); len(m.blocks) > blocksKept {
		m.blocks = m.blocks[1:]
	}
	if m.is(VoteForAll) {
		v := m.vote(b.View, b.ID())
		if m.random.IntN(4) == 0 {
			v.Signature = m.vote(b.View+1, b.ID()).Signature // one that spoils a sum
		}
		m.emitAll(&hotstuff.VoteMessage{Vote: v})
	}
}

// entersView is the moment for what must come first in a view.
func (m *mind) entersView() {
	if m.is(EarlyTimeout) {
		if t := m.timeout(m.view); t != nil {
			m.emitAll(&hotstuff.TimeoutMessage{Timeout: t})
		}
	}
	if m.is(ForgeProposal) && (m.view%qc.View(m.r.w.cfg.Nodes) == qc.View(m.r.id) || m.random.IntN(4) == 0) {
		m.inventBlock()
	}
}

// tick comes again and again, for what has no better moment.
func (m *mind) tick() {
	w := m.r.w
	w.after(around(m.random, 150), m.tick)
	if m.r.life == nil || m.qc == nil {
		return
	}
	if m.is(WithholdBatch | ForkLane | BendLanes | LieInSync | Replay) {
		m.work()
	}
	if !m.r.life.zombie && !m.is(Swallow) { // its early timeouts would give away what it swallows
		core := m.r.life.driver.Core().Safety()
		m.learn(&core.HighQC, core.LastTC) // made of votes that were sent to it alone, perhaps
	}
	if m.is(StaleCert) || m.is(Replay) {
		m.replay()
	}
	if m.is(ForgeTimeout) {
		m.inventTimeout()
	}
	if m.is(ForgeCert) {
		m.inventCert()
	}
	if m.is(FutureFlood) {
		m.flood()
	}
	if m.is(ReplayForeign) {
		m.replayForeign()
	}
	if m.is(LieInSync) && m.random.IntN(4) == 0 {
		m.cryPruned()
	}
}

// work fills the replica's own lane, so that there is something to withhold and to fork. Nobody waits for the results.
func (m *mind) work() {
	command := ledgerCommand(0, m.random.Uint32(), 8+m.random.IntN(100))
	if m.r.w.cfg.Clients.KeyValue {
		command = kv.AppendCommand(nil, kv.OpSet, []byte("unread"), command)
	}
	r := &app.Request{Blob: mempool.AppendCommand(nil, command), Count: 1, Complete: func(*app.Request, []byte, error) {}}
	m.r.life.take(node.Submitted{Blob: r.Blob, Count: 1, Owner: r})
}

func (m *mind) sign(b blocktree.Block) *blocktree.Block {
	b.Signature = m.r.w.keys.identities[m.r.id].Sign(blocktree.SigningMessage(m.r.w.committee.Chain, b.ID()))
	return &b
}

func (m *mind) vote(v qc.View, id qc.BlockID) qc.Vote {
	return qc.Vote{View: v, Block: id, Signer: m.r.id, Signature: m.r.w.keys.signers[m.r.id].Sign(m.r.w.committee.VoteMessage(v, id))}
}

// timeout returns a valid timeout of a view without a vote, with the oldest certificates that will do; nil if there are
// none.
func (m *mind) timeout(v qc.View) *qc.Timeout {
	t := &qc.Timeout{Epoch: m.r.w.committee.Epoch, View: v, Signer: m.r.id}
	switch {
	case m.tc != nil && m.tc.View+1 == v:
		t.TC, t.HighQC = m.tc, m.tc.HighQC
	case m.qc != nil && m.qc.View+1 == v:
		t.HighQC = *m.qc
	default:
		return nil
	}
	return m.signTimeout(t)
}

func (m *mind) signTimeout(t *qc.Timeout) *qc.Timeout {
	t.Signature = m.r.w.keys.signers[m.r.id].Sign(m.r.w.committee.TimeoutMessage(t.View, t.HighQC.View))
	return t
}

// inventBlock makes a block for the present view on one of the certificates at hand, fit or not.
func (m *mind) inventBlock() {
	if m.qc == nil {
		return
	}
	q := *m.qc
	if n := len(m.blocks); n > 0 && m.random.IntN(4) == 0 {
		q = m.blocks[m.random.IntN(n)].Justify
	}
	height := qc.Height(1)
	for _, b := range m.blocks {
		if b.ID() == q.Block {
			height = b.Height + 1
		}
	}
	b := blocktree.Block{Epoch: m.r.w.committee.Epoch, View: m.view, Height: height, Parent: q.Block, Justify: q, Proposer: m.r.id,
		Time: m.r.w.wall(m.random.Int64N(2_000_000_000))}
	if q.View+1 != b.View {
		b.TC = m.tc
	}
	switch m.random.IntN(9) {
	case 0:
		b.Height++
	case 1:
		b.Justify.View++
	case 2:
		b.TC = m.tc
	case 3:
		b.View += qc.View(m.random.IntN(4))
	case 4:
		b.Payload = []blocktree.BatchRef{{Origin: m.r.id, Digest: blocktree.Digest{1, byte(m.view)}, Bytes: 1, Expiry: height + 5}}
	case 5: // in another's name
		b.Proposer = qc.NodeID(b.View % qc.View(m.r.w.cfg.Nodes))
	}
	m.forged("invented block", &hotstuff.Proposal{Block: m.sign(b)})
}

// inventTimeout makes a timeout that says too much.
func (m *mind) inventTimeout() {
	t := m.timeout(m.view)
	if t == nil {
		return
	}
	switch m.random.IntN(6) {
	case 0:
		t.HighQC.View = t.View + qc.View(m.random.IntN(3)) - 1
	case 1:
		t.View += qc.View(1 + m.random.IntN(3))
	case 2:
		t.HighQC.View += qc.View(1 + m.random.IntN(1000))
	case 3:
		t.TC = m.tc
	case 4:
		v := m.vote(t.View, qc.BlockID{byte(m.random.IntN(256)), 1})
		t.Vote = &v
	case 5:
		v := m.vote(t.View+1, t.HighQC.Block)
		t.Vote = &v
	}
	m.forged("invented timeout", &hotstuff.TimeoutMessage{Timeout: m.signTimeout(t)})
}

// collect gathers the timeouts of the newest view, and sums them with one of our own that says too much. Every signature in
// the sum is good.
func (m *mind) collect(t *qc.Timeout) {
	if len(m.timeouts) > 0 && t.View != m.timeouts[0].View {
		if t.View < m.timeouts[0].View {
			return
		}
		m.timeouts = nil
	}
	if m.r.w.certs.Timeout(t) != nil || slices.ContainsFunc(m.timeouts, func(o *qc.Timeout) bool { return o.Signer == t.Signer }) {
		return
	}
	if m.timeouts = append(m.timeouts, t); len(m.timeouts) == m.r.w.committee.Quorum()-1 {
		m.sumTimeouts([]qc.View{0, t.View - 1, t.View, t.View + 7}[m.random.IntN(4)], m.timeouts[m.random.IntN(len(m.timeouts))].HighQC)
	}
}

// sumTimeouts makes a certificate that lists a view of our own choice, and carries any certificate at hand.
func (m *mind) sumTimeouts(listed qc.View, carries qc.QuorumCertificate) {
	first := m.timeouts[0]
	own := &qc.Timeout{Epoch: first.Epoch, View: first.View, Signer: m.r.id, HighQC: first.HighQC}
	own.HighQC.View = listed
	tc, err := m.r.w.certs.SumTimeouts(first.View, append(slices.Clone(m.timeouts), m.signTimeout(own)))
	if err != nil {
		return
	}
	tc.HighQC = carries
	if m.coin() && m.qc != nil {
		tc.HighQC = *m.qc
	}
	m.forged("forged TC", &hotstuff.CertificateMessage{TC: tc})
}

// overtakes makes of gathered timeouts a certificate that carries the QC of their own view or a later one: no block could be
// proposed on it that follows that QC.
func (m *mind) overtakes() {
	if len(m.timeouts) >= m.r.w.committee.Quorum()-1 && m.qc.View >= m.timeouts[0].View {
		m.sumTimeouts(m.qc.View, *m.qc)
		m.timeouts = nil
	}
}

// inventCert bends a certificate.
func (m *mind) inventCert() {
	q := *m.qc
	q.Signers = q.Signers.Clone()
	last := len(q.Signers) - 1
	switch m.random.IntN(7) {
	case 0:
		q.Signers[last] |= 0x80
	case 1:
		q.Signers = append(q.Signers, 0)
	case 2:
		q.Signers = q.Signers[:last]
	case 3:
		q.View++
	case 4:
		for id := range qc.NodeID(m.r.w.cfg.Nodes) {
			q.Signers.Set(id)
		}
	case 5:
		q.Block[0]++
	case 6:
		m.inventTC()
		return
	}
	m.forged("bent QC", &hotstuff.CertificateMessage{QC: &q})
}

func (m *mind) inventTC() {
	if m.tc == nil {
		return
	}
	tc := *m.tc
	tc.HighQCViews = slices.Clone(tc.HighQCViews)
	switch m.random.IntN(4) {
	case 0:
		tc.View++
	case 1:
		tc.HighQCViews[0]++
	case 2:
		tc.HighQC = *m.qc
	case 3:
		tc.HighQCViews = tc.HighQCViews[1:]
	}
	m.forged("bent TC", &hotstuff.CertificateMessage{TC: &tc})
}

// replay sends again something that was heard, to anybody.
func (m *mind) replay() {
	msg := m.heard[m.random.IntN(len(m.heard))]
	if _, isCert := msg.(*hotstuff.CertificateMessage); !isCert && !m.is(Replay) {
		return
	}
	m.forged("replay", msg)
	if v, ok := msg.(*hotstuff.VoteMessage); ok {
		m.emit(v.Vote.Signer, v) // its own old vote
	}
	if t, ok := msg.(*hotstuff.TimeoutMessage); ok {
		m.emit(t.Timeout.Signer, t)
	}
}

// flood speaks of views far ahead.
func (m *mind) flood() {
	far := m.view + 1 + qc.View(m.random.Uint64N(1<<uint(m.random.IntN(40))))
	switch m.random.IntN(3) {
	case 0:
		m.forged("flood", &hotstuff.VoteMessage{Vote: m.vote(far, qc.BlockID{byte(m.random.IntN(256))})})
	case 1:
		t := &qc.Timeout{Epoch: m.r.w.committee.Epoch, View: far, Signer: m.r.id, HighQC: *m.qc, TC: m.tc}
		m.forged("flood", &hotstuff.TimeoutMessage{Timeout: m.signTimeout(t)})
	case 2:
		b := blocktree.Block{Epoch: m.r.w.committee.Epoch, View: far, Height: 1 + qc.Height(far), Parent: m.qc.Block, Justify: *m.qc, TC: m.tc,
			Proposer: m.r.id, Time: m.r.w.wall(0)}
		m.forged("flood", &hotstuff.Proposal{Block: m.sign(b)})
	}
}

// lie changes an answer to a request; nil says nothing.
func (m *mind) lie(message any) any {
	if lie := m.lieOfSnapshot(message); lie != nil {
		return lie
	}
	if m.coin() {
		return message
	}
	switch x := message.(type) {
	case *hotstuff.BlockResponse:
		lie := &hotstuff.BlockResponse{Target: x.Target, Blocks: slices.Clone(x.Blocks)}
		n := len(lie.Blocks)
		switch m.random.IntN(4) {
		case 0:
			lie.Blocks = nil
		case 1:
			lie.Blocks = lie.Blocks[:n/2]
		case 2:
			lie.Blocks = lie.Blocks[n/2:]
		case 3:
			lie.Blocks = slices.Clone(m.blocks[:min(len(m.blocks), 3)])
		}
		return lie
	case *mempool.Batch:
		if x.Origin == m.r.id {
			return m.forkBatch(x)
		}
	}
	return nil
}

// forkBatch returns another batch at the same position of our lane.
func (m *mind) forkBatch(b *mempool.Batch) *mempool.Batch {
	f := &mempool.Batch{Origin: b.Origin, Incarnation: b.Incarnation, Seq: b.Seq, Prev: b.Prev, Expiry: b.Expiry, Count: 1,
		Blob: mempool.AppendCommand(nil, ledgerCommand(0, 1+m.random.Uint32N(1<<20), 12))}
	switch m.random.IntN(6) {
	case 0:
		f.Expiry += 1 << 30
	case 1:
		f.Seq += uint64(m.random.IntN(3))
	case 2:
		f.Incarnation.Starts += uint64(m.random.IntN(3))
	case 3:
		f.Expiry = 0
	}
	w := m.r.w
	f.Signature = w.keys.identities[m.r.id].Sign(mempool.SigningMessage(w.committee.Chain, w.committee.Epoch, f.Digest()))
	return f
}
