package hotstuff

import (
	"github.com/hotstuffd/hotstuffd/qc"
)

// onCertificates takes what a CertificateMessage, a proposal or a timeout carries: it may move the view, by any number.
func (c *Core) onCertificates(q *qc.QuorumCertificate, tc *qc.TimeoutCertificate, from qc.NodeID) error {
	if q != nil {
		if err := c.onCertificate(q, from); err != nil {
			return err
		}
	}
	if tc != nil {
		return c.onTimeoutCertificate(tc, from)
	}
	return nil
}

// onCertificate takes a verified quorum certificate: it raises the high QC, enters the view after it, and applies lock
// and commit if its block is held; if not, the block is fetched without waiting for it (L5).
func (c *Core) onCertificate(q *qc.QuorumCertificate, from qc.NodeID) error {
	if q.Signers.Has(c.cfg.Self) && c.safety.foreign(q.View, q.Block) {
		return ErrKeyInUse // a verified sum with our signature in it, under what we never signed
	}
	if err := c.adoptCertified(q); err != nil {
		return err
	}
	if q.View > c.safety.state.HighQC.View {
		c.measure(q, from)
		c.safety.state.HighQC = *q
		c.refused = false
		c.dropVotes(q.View)
	}
	if e := c.tree.Get(q.Block); e != nil {
		if err := c.applyCertificate(e, q); err != nil {
			return err
		}
	} else {
		c.fetch(q, from)
	}
	c.enter(q.View+1, true)
	return nil
}

// measure takes the time from our vote to the first sight of its certificate, if it comes from the leader that summed it.
func (c *Core) measure(q *qc.QuorumCertificate, from qc.NodeID) {
	if v := c.safety.state.LastVoted; v == nil || v.View != q.View || v.Block != q.Block || c.votedIn != q.View {
		return
	}
	if e := c.tree.Get(q.Block); e != nil && c.leader(q.View+1, e) == from {
		c.pace.Measure(c.now - c.votedAt)
	}
}

// onTimeoutCertificate takes a verified timeout certificate.
func (c *Core) onTimeoutCertificate(tc *qc.TimeoutCertificate, from qc.NodeID) error {
	if err := c.onCertificate(&tc.HighQC, from); err != nil {
		return err
	}
	if last := c.safety.state.LastTC; last == nil || tc.View > last.View {
		c.safety.state.LastTC = tc
	}
	c.enter(tc.View+1, false)
	return nil
}

// enter moves to a later view, entered by QC(v−1) if byQC, else by TC(v−1) (PROTOCOL §3).
func (c *Core) enter(v qc.View, byQC bool) {
	old := c.pace.View()
	if v <= old {
		return
	}
	s := &c.safety.state
	if !byQC && c.safety.lastVotedView() == old && c.safety.lastTimeoutView() < old && s.HighQC.View < old {
		// The certificate was made without our timeout, so our vote is in nobody's hands but the next leader's, which may
		// be dead. A Byzantine early timeout would otherwise suppress the third certificate in every rotation (L14).
		c.broadcast(&VoteMessage{Vote: *s.LastVoted})
	}
	c.pace.Enter(v, c.now, byQC)
	c.candidates = nil
	clear(c.timeouts)
	c.rebroadcast = 0
	c.pushed, c.refused, c.shared = false, false, false
	c.build, c.ahead.asking = nil, false
	if v > forgetAfter && c.tree.Len() > 2*forgetAfter {
		if tip := c.tip(); tip != nil {
			c.tree.Forget(v-forgetAfter, tip)
		}
	}
	for id, b := range c.orphans { // each judged by itself: order does not leak
		if b.View < v {
			delete(c.orphans, id)
		}
	}
}

// onTimeout takes a verified timeout: its certificates, then its vote, then itself. The certificates bring us to its view
// if it lies ahead, for it proves that the view before it is over.
func (c *Core) onTimeout(t *qc.Timeout, v Verified) error {
	if t.Signer == c.cfg.Self {
		if c.safety.foreignTimeout(t) {
			return ErrKeyInUse
		}
		return nil
	}
	if err := c.onCertificates(&t.HighQC, t.TC, v.from); err != nil {
		return err
	}
	if t.Vote != nil {
		c.collect(*t.Vote, v.from)
	}
	if v.late || t.View < c.pace.View() {
		c.answer(v.from)
		return nil
	}
	if t.View != c.pace.View() || c.timeouts[t.Signer] != nil {
		return nil
	}
	c.timeouts[t.Signer] = t
	return c.countTimeouts()
}

// countTimeouts joins at f+1 timeouts, for one of them is honest, and makes the certificate at a quorum (L3).
func (c *Core) countTimeouts() error {
	if !c.safety.maySign(c.pace.View()) {
		return nil // the others make the certificate
	}
	count := 0
	for _, t := range c.timeouts {
		if t != nil {
			count++
		}
	}
	if count > c.cfg.Committee.Faults() && c.timeouts[c.cfg.Self] == nil {
		c.signTimeout()
		count++
	}
	if count < c.cfg.Committee.Quorum() || c.timeouts[c.cfg.Self] == nil {
		return nil
	}
	var quorum []*qc.Timeout
	for _, t := range c.timeouts {
		if t != nil {
			quorum = append(quorum, t)
		}
	}
	tc, err := c.cfg.Certs.SumTimeouts(c.pace.View(), quorum)
	if err != nil {
		return err // each was verified: their sum cannot fail
	}
	c.broadcast(&CertificateMessage{TC: tc})
	return c.onTimeoutCertificate(tc, c.cfg.Self)
}

// signTimeout gives up on the present view, and says so until the view changes.
func (c *Core) signTimeout() {
	t := c.safety.timeout(c.pace.View())
	c.gated = true
	c.timeouts[c.cfg.Self] = t
	c.broadcast(&TimeoutMessage{Timeout: t})
	c.rebroadcast = c.now + c.pace.RebroadcastEvery()
}

// checkDeadline times the view out when it is due, the leader's own included, and repeats the timeout.
func (c *Core) checkDeadline() error {
	mine := c.timeouts[c.cfg.Self]
	switch {
	case !c.safety.maySign(c.pace.View()):
	case mine == nil && c.now >= c.pace.Deadline():
		c.signTimeout()
		return c.countTimeouts()
	case mine != nil && c.now >= c.rebroadcast:
		c.broadcast(&TimeoutMessage{Timeout: mine})
		c.rebroadcast = c.now + c.pace.RebroadcastEvery()
	}
	return nil
}

// answer sends our highest certificate to a peer that is behind, at a limited rate.
func (c *Core) answer(to qc.NodeID) {
	if c.now < c.answered[to]+answerEvery && c.answered[to] != 0 {
		return
	}
	c.answered[to] = max(c.now, 1)
	s := &c.safety.state
	if s.LastTC != nil && s.LastTC.View > s.HighQC.View {
		c.send(to, &CertificateMessage{TC: s.LastTC})
		return
	}
	high := s.HighQC // it moves on, the message does not
	c.send(to, &CertificateMessage{QC: &high})
}

// updateLeaderDown times a view out at once whose leader cannot be reached.
func (c *Core) updateLeaderDown() {
	e := c.tip()
	c.pace.LeaderDown(e != nil && c.peerDown[c.leader(c.pace.View(), e)])
}

// maybePush asks, once a view, that waiting work be shown to the leader again.
func (c *Core) maybePush() {
	if half, ok := c.pace.HalfTime(); ok && c.includable && !c.pushed && c.now >= half {
		c.pushed = true
		c.out.Push = true
	}
}
