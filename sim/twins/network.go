package twins

import (
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
)

// packet is a message on its way to one instance.
type packet struct {
	from, to *instance
	msg      hotstuff.Message
}

// send posts an envelope to all instances of whom it is meant for.
func (w *world) send(x *instance, e hotstuff.Envelope) {
	w.learn(x, e.Message)
	w.noteSend(x, e)
	for _, to := range w.instances {
		if to != x && (e.Broadcast || e.To == to.id) && !(to == x.twin && ownWord(e.Message)) {
			w.post(packet{x, to, e.Message})
		}
	}
}

// ownWord tells whether a message is a vote or a timeout. Twins do not hear each other's: a core counts its own alone, and
// takes any other under its key for the theft of it (S14). Proposals and certificates they do share.
func ownWord(m hotstuff.Message) bool {
	switch m.(type) {
	case *hotstuff.VoteMessage, *hotstuff.TimeoutMessage:
		return true
	}
	return false
}

// post queues a packet if its way is open, holds it if its view's round is still to come, and drops it otherwise.
func (w *world) post(p packet) {
	switch {
	case w.round != 0 && viewOf(p.msg) > w.round:
		w.held = append(w.held, p)
	case w.connected(p.from, p.to):
		w.queue = append(w.queue, p)
	}
}

// connected tells whether messages pass between two instances now.
func (w *world) connected(a, b *instance) bool {
	if w.round == 0 {
		return !a.silent && !b.silent
	}
	sets := w.scenario.Rounds[w.round-1].Sets
	return sets[a.index] == sets[b.index]
}

// viewOf returns the view that a message belongs to: whose round decides who hears it. A certificate belongs to the view
// that it opens. Blocks that are asked for belong to none.
func viewOf(m hotstuff.Message) qc.View {
	switch m := m.(type) {
	case *hotstuff.Proposal:
		return m.Block.View
	case *hotstuff.VoteMessage:
		return m.Vote.View
	case *hotstuff.TimeoutMessage:
		return m.Timeout.View
	case *hotstuff.CertificateMessage:
		if m.TC != nil {
			return m.TC.View + 1
		}
		return m.QC.View + 1
	}
	return 0
}

// certificates lists the quorum certificates that a message brings its receiver.
func certificates(m hotstuff.Message) (out []*qc.QuorumCertificate) {
	withTC := func(q *qc.QuorumCertificate, tc *qc.TimeoutCertificate) {
		if tc != nil {
			out = append(out, &tc.HighQC)
		}
		if q != nil {
			out = append(out, q)
		}
	}
	switch m := m.(type) {
	case *hotstuff.Proposal:
		withTC(&m.Block.Justify, m.Block.TC)
	case *hotstuff.TimeoutMessage:
		withTC(&m.Timeout.HighQC, m.Timeout.TC)
	case *hotstuff.CertificateMessage:
		withTC(m.QC, m.TC)
	case *hotstuff.BlockResponse:
		for _, b := range m.Blocks {
			withTC(&b.Justify, nil)
		}
	}
	return out
}

// release posts again what was held for this round.
func (w *world) release() {
	held := w.held
	w.held = nil
	for _, p := range held {
		w.post(p)
	}
}

// deliver hands packets over, first come first served, until none is under way.
func (w *world) deliver() {
	for len(w.queue) > 0 {
		w.wave()
	}
}

// wave hands over what is under way, and nothing that this brings about.
func (w *world) wave() {
	wave := w.queue
	w.queue = w.spare[:0]
	for _, p := range wave {
		if w.delivered++; w.delivered == deliveriesMax {
			w.fail(p.to, "is sent messages without end")
		}
		w.hand(p)
	}
	w.spare = wave
}

// deliveriesMax bounds the messages of a run. It takes some hundreds for each round of ten replicas; a core that answers
// each message with another never falls silent.
const deliveriesMax = 100_000

func (w *world) hand(p packet) {
	if req, ok := p.msg.(*hotstuff.BlockRequest); ok {
		w.serve(p.to, p.from, req)
		return
	}
	w.accept(p.to, p.msg)
	if v, err := w.verify(p.to, p.from.id, p.msg); err == nil {
		w.hear(p.to, v)
	} else if err != hotstuff.ErrStale {
		w.fail(p.to, "refuses a message from %s: %v", w.name(p.from), err) // each instance follows the rules
	}
}

// serve answers a block request as the driver does: with the branch that ends in the target, or with the committed chain if
// the target is not held.
func (w *world) serve(x, to *instance, req *hotstuff.BlockRequest) {
	tree := x.core.Tree()
	e := tree.Get(req.Target)
	if e == nil {
		e = tree.Committed()
	}
	resp := &hotstuff.BlockResponse{Target: req.Target}
	for b := e.Block; b != nil && b.Height >= req.From; b = w.blocks[b.Parent] {
		resp.Blocks = append([]*blocktree.Block{b}, resp.Blocks...)
	}
	w.note(x, "serves %d blocks to %s", len(resp.Blocks), w.name(to))
	w.post(packet{x, to, resp})
}
