package sim

import (
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
)

// Duties are what a correct replica must do by the end of a turn, given what has reached it. Liveness as a whole is
// shown by the calm at the end of each run; but one replica that neglects a duty costs the others a rotation at most,
// and most runs would never tell. Only what correct replicas have sent obliges: a Byzantine one's message may be
// refused.

// watch is what has reached a replica in one life, and what it has said.
type watch struct {
	before  hotstuff.SafetyState // on disk before the last write
	view    qc.View              // the highest view that a certificate which was delivered has ended
	qc      qc.View              // the highest quorum certificate delivered
	entered qc.Ticks

	timeouts   qc.Bitmap // of correct replicas, of timeoutsOf
	timeoutsOf qc.View
	foreign    *qc.Vote    // of this turn, under the replica's own key
	late       []qc.NodeID // whose timeouts of this turn are of views that are over
	answered   []qc.Ticks  // when each peer was last sent a certificate; 0: never

	ballots []ballot // of views above the high QC
	newest  qc.View  // of the votes delivered

	sharedQC   qc.View  // the highest QC that was broadcast, in a proposal too
	leads      qc.View  // the last view in which it knew that it leads
	leadsFrom  qc.Ticks // and since when: certificate and block may come long after the view was entered
	voteToAll  qc.View  // of the vote that was last broadcast
	repeatedOf qc.View  // of the timeout that was last broadcast
	repeatedAt qc.Ticks // and when
}

// ballot is the votes of correct replicas for one block that have reached a replica, plain or in timeouts.
type ballot struct {
	view   qc.View
	block  qc.BlockID
	voters qc.Bitmap
	turns  int      // since they are a quorum
	since  qc.Ticks // when they became one
}

// started begins the watch over a life: it starts in the view after its highest certificate, of those in its safety
// state and of those in the blocks above the committed one (L4).
func (c *checker) started(l *life) {
	n := c.w.cfg.Nodes
	c.watches[l.r.id] = &watch{entered: c.w.now, timeouts: qc.NewBitmap(n), answered: make([]qc.Ticks, n)}
	s := &l.r.disk.safety
	view := s.HighQC.View
	if s.LastTC != nil {
		view = max(view, s.LastTC.View)
	}
	for h := int(l.r.disk.last.Height) + 1; h < len(l.r.disk.heights); h++ {
		for _, b := range l.r.disk.heights[h] {
			if c.descends(b, l.r.disk.last.Block) {
				view = max(view, b.Justify.View)
			}
		}
	}
	if l.r.correct() && l.view != view+1 {
		c.w.fail("L4", "%v starts in view %d, and its highest certificate is of view %d", l.r.id, l.view, view)
	}
}

// received notes a message before the replica verifies it.
func (c *checker) received(l *life, from qc.NodeID, message any) {
	if l.over || !l.r.correct() {
		return
	}
	w := c.watches[l.r.id]
	if m, ok := message.(*hotstuff.VoteMessage); ok && m.Vote.Signer == l.r.id && c.sound.vote(&m.Vote) {
		w.foreign = &m.Vote
	}
	if !c.w.replicas[from].correct() {
		return
	}
	certs := func(q *qc.QuorumCertificate, tc *qc.TimeoutCertificate) {
		if tc != nil {
			w.view, w.qc = max(w.view, tc.View), max(w.qc, tc.HighQC.View)
		}
		if q != nil {
			w.view, w.qc = max(w.view, q.View), max(w.qc, q.View)
		}
	}
	switch m := message.(type) {
	case *hotstuff.Proposal:
		certs(&m.Block.Justify, m.Block.TC)
	case *hotstuff.CertificateMessage:
		certs(m.QC, m.TC)
	case *hotstuff.VoteMessage:
		w.cast(&m.Vote, len(w.answered))
	case *hotstuff.TimeoutMessage:
		t := m.Timeout
		certs(&t.HighQC, t.TC)
		if t.Vote != nil {
			w.cast(t.Vote, len(w.answered))
		}
		if t.View < l.view {
			w.late = append(w.late, from)
		}
		if t.View > w.timeoutsOf {
			w.timeoutsOf = t.View
			clear(w.timeouts)
		}
		if t.View == w.timeoutsOf {
			w.timeouts.Set(t.Signer)
		}
	}
}

// cast notes a vote.
func (w *watch) cast(v *qc.Vote, n int) {
	w.newest = max(w.newest, v.View)
	for i := range w.ballots {
		if b := &w.ballots[i]; b.view == v.View && b.block == v.Block {
			b.voters.Set(v.Signer)
			return
		}
	}
	b := ballot{view: v.View, block: v.Block, voters: qc.NewBitmap(n)}
	b.voters.Set(v.Signer)
	w.ballots = append(w.ballots, b)
}

// sent notes what a correct replica sends to one peer, or broadcasts.
func (c *checker) sent(l *life, to qc.NodeID, toAll bool, message any) {
	w := c.watches[l.r.id]
	switch m := message.(type) {
	case *hotstuff.CertificateMessage:
		if !toAll {
			w.answered[to] = max(1, c.w.now)
		} else if m.QC != nil {
			c.shared(w, m.QC)
		}
	case *hotstuff.Proposal:
		c.shared(w, &m.Block.Justify)
	case *hotstuff.VoteMessage:
		if toAll {
			w.voteToAll = m.Vote.View
		}
	case *hotstuff.TimeoutMessage:
		w.repeatedOf, w.repeatedAt = m.Timeout.View, c.w.now
	}
}

// shared notes that a certificate has gone to all. One that a bad vote has spoilt (ahead.go) helps nobody.
func (c *checker) shared(w *watch, q *qc.QuorumCertificate) {
	if rule, _ := c.sound.qc(q); rule == "" {
		w.sharedQC = max(w.sharedQC, q.View)
	}
}

// leaves checks a replica that has come to another view in this turn, l.view being the one before: whoever leaves it by
// a TC and has voted in it without a timeout tells everybody of the vote, for nobody else may (PROTOCOL §3, L14).
func (c *checker) leaves(l *life, to qc.View, s *hotstuff.SafetyState) {
	w := c.watches[l.r.id]
	w.entered = c.w.now
	voted := s.LastVoted != nil && s.LastVoted.View == l.view
	timedOut := s.LastTimeout != nil && s.LastTimeout.View >= l.view
	if voted && !timedOut && s.HighQC.View < l.view && w.voteToAll != l.view {
		c.w.fail("L14", "%v leaves view %d for %d by a TC without telling of its vote", l.r.id, l.view, to)
	}
}

// Grace for a sum of votes that is under way.
const (
	sumGrace      = qc.TicksPerSecond / 50
	sumGraceTurns = 4
)

// duties checks a replica at the end of a turn.
func (c *checker) duties(l *life, s *hotstuff.SafetyState) {
	w, now, id := c.watches[l.r.id], c.w.now, l.r.id
	view := l.driver.Core().View()
	if view <= w.view || s.HighQC.View < w.qc {
		c.w.fail("L2", "%v stays in view %d with QC %d, and was shown certificates of view %d, and QC %d",
			id, view, s.HighQC.View, w.view, w.qc)
	}
	signed := s.LastTimeout != nil && s.LastTimeout.View == view
	silent := l.driver.Core().Rejoining() || view <= s.Floor // it has lost its safety state, and may sign nothing yet
	if !silent {
		c.stops(l, w, s)
		c.timesOut(l, w, view, signed)
		c.speaks(l, w, view, signed)
		c.shares(l, w, s, view)
	}
	c.counts(l, w, s)
	for _, peer := range w.late {
		if w.answered[peer] == 0 || now > w.answered[peer]+qc.TicksPerSecond/50 {
			c.w.fail("L4", "%v leaves %v behind, which has timed out a view that is over", id, peer)
		}
	}
	w.late, w.foreign = w.late[:0], nil
}

// stops: whose key signs elsewhere does not go on (S14).
func (c *checker) stops(l *life, w *watch, s *hotstuff.SafetyState) {
	v, last := w.foreign, s.LastVoted
	if v == nil || v.View <= s.Floor {
		return
	}
	if last == nil || v.View > last.View || v.View == last.View && v.Block != last.Block {
		c.w.fail("S14", "%v goes on, and was shown a vote of its own in view %d that it never cast", l.r.id, v.View)
	}
}

// speaks: a timeout is repeated while its view lasts, and none lasts for ever (L3).
func (c *checker) speaks(l *life, w *watch, view qc.View, signed bool) {
	now := c.w.now
	if signed {
		repeat := min(l.cap()/4, 10*c.ticks(int64(c.w.cfg.Pacemaker.BaseTimeout))) + 1
		if w.repeatedOf != view || now > w.repeatedAt+repeat {
			c.w.fail("L3", "%v does not repeat its timeout of view %d", l.r.id, view)
		}
	} else if now > w.entered+l.cap()+c.ticks(int64(c.w.cfg.Pacemaker.Heartbeat)) {
		c.w.fail("L3", "%v stays in view %d for ever", l.r.id, view)
	}
}

// timesOut: f+1 timeouts make a replica join, and q make it leave (L3).
func (c *checker) timesOut(l *life, w *watch, view qc.View, signed bool) {
	if w.timeoutsOf != view {
		return
	}
	count := w.timeouts.Count()
	if count > c.w.committee.Faults() && !signed {
		c.w.fail("L3", "%v does not join %d timeouts of view %d", l.r.id, count, view)
	}
	if signed && !w.timeouts.Has(l.r.id) {
		count++
	}
	if count >= c.sound.quorum {
		c.w.fail("L3", "%v makes no certificate of %d timeouts of view %d", l.r.id, count, view)
	}
}

// counts: a quorum of votes becomes a certificate, be its view over or not (L1, L14). The newest eight of each signer
// are kept.
func (c *checker) counts(l *life, w *watch, s *hotstuff.SafetyState) {
	if v := s.LastVoted; v != nil && v.View > s.HighQC.View {
		w.cast(v, len(w.answered))
	}
	kept := w.ballots[:0]
	for _, b := range w.ballots {
		if b.view <= s.HighQC.View || b.view+8 <= w.newest {
			continue
		}
		if b.voters.Count() >= c.sound.quorum {
			if b.turns++; b.turns == 1 {
				b.since = c.w.now
			}
			if b.turns > sumGraceTurns && c.w.now > b.since+sumGrace+c.w.workGrace() {
				c.w.fail("L14", "%v was told of %d votes for %v of view %d and makes no certificate of them",
					l.r.id, b.voters.Count(), b.block, b.view)
			}
		}
		kept = append(kept, b)
	}
	w.ballots = kept
}

// shares: a leader that holds its proposal has made the certificate known by which the view was entered (PROTOCOL §3,
// §5).
func (c *checker) shares(l *life, w *watch, s *hotstuff.SafetyState, view qc.View) {
	tip := l.r.disk.blocks[s.HighQC.Block]
	if s.HighQC.View+1 != view || tip == nil || w.sharedQC >= s.HighQC.View || c.leader(view, tip) != l.r.id {
		return
	}
	if w.leads != view {
		w.leads, w.leadsFrom = view, c.w.now
	}
	voted := s.LastVoted != nil && s.LastVoted.View >= view
	signed := s.LastTimeout != nil && s.LastTimeout.View >= view
	proposed := s.LastProposal != nil && s.LastProposal.View >= view
	if !voted && !signed && !proposed && c.w.now > w.leadsFrom+2*c.ticks(int64(c.w.cfg.Pacemaker.MinView)) {
		c.w.fail("L8", "%v leads view %d, proposes nothing, and keeps QC %s to itself",
			l.r.id, view, describeQC(&s.HighQC))
	}
}

// cap is the longest that a view with work may last.
func (l *life) cap() qc.Ticks { return l.r.w.check.ticks(int64(l.r.w.cfg.Pacemaker.MaxTimeout)) }

// ticks turns nanoseconds into ticks.
func (c *checker) ticks(nanos int64) qc.Ticks {
	return qc.Ticks(nanos / (1e9 / int64(qc.TicksPerSecond)))
}
