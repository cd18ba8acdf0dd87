package node

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hotstuffd/hotstuffd/app"
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
)

// stages measures where the time of a command goes. Core and mempool have no clock, so moments are taken where their
// inputs come in and their effects go out: at the edges. A simulation has other edges, and none of this.
//
// Batching, proposal, commit and apply of one request follow each other without a gap, from total's first moment to its
// last, and are observed together with it, when the request was executed. So their sums add up to total's.
//
// All methods are safe for concurrent use, but executed, which belongs to the executor. What it costs: some readings of the
// clock a batch, view or request, and no allocation.
type stages struct {
	self       qc.NodeID
	start      time.Time // moments count from here
	histograms *prometheus.HistogramVec

	batching, push, proposal, commit, apply, reply, total prometheus.Observer // at the origin
	check, sync, payloadSync, vote, sum                   prometheus.Observer // at every replica

	mu      sync.Mutex
	own     [ownMoments]batchMoments       // by sequence number: the newest batches of the own lane
	checked [proposalMoments]checkedMoment // by view: the newest proposals

	executing   blocktree.Digest // the executor's: whose moments it has
	ofExecuting batchMoments
	hasMoments  bool
}

const (
	// ownMoments is of how many own batches the moments are remembered: of more than are under way for seconds under load.
	// Those of older ones are forgotten, and their requests are observed as total alone.
	ownMoments = 4096
	// proposalMoments is for how many views the moment of their proposal's check is remembered.
	proposalMoments = 64
)

// moment is a time since stages.start; zero is none.
type moment time.Duration

// batchMoments is what is known of a batch of this replica's.
type batchMoments struct {
	digest                      blocktree.Digest
	closed, proposed, committed moment
}

// checkedMoment is when a proposal of a view was verified.
type checkedMoment struct {
	view  qc.View
	block qc.BlockID
	at    moment
}

func newStages(self qc.NodeID, start time.Time) *stages {
	s := &stages{self: self, start: start, histograms: prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "hotstuffd_stage_seconds", Help: "How long commands and blocks were in each stage of their way.",
		Buckets: prometheus.ExponentialBuckets(10e-6, 2, 19), // 10 µs to 2.6 s
	}, []string{"stage"})}
	for stage, observer := range map[string]*prometheus.Observer{
		"batching": &s.batching, "push": &s.push, "proposal": &s.proposal, "commit": &s.commit, "apply": &s.apply, "reply": &s.reply,
		"total": &s.total, "qc_check": &s.check, "sync": &s.sync, "payload_sync": &s.payloadSync, "vote": &s.vote, "sum": &s.sum,
	} {
		*observer = s.histograms.WithLabelValues(stage)
	}
	return s
}

func (s *stages) now() moment { return s.at(time.Now()) }

func (s *stages) at(t time.Time) moment { return moment(t.Sub(s.start)) }

func observe(o prometheus.Observer, from, to moment) { o.Observe(time.Duration(to - from).Seconds()) }

// taken notes that a request is taken in. It is called before anybody else has the request.
func (s *stages) taken(r *app.Request) { r.Taken, r.Executed = time.Now(), time.Time{} }

// closed notes that own batches are closed: they are about to be synced and pushed.
func (s *stages) closed(batches []*mempool.Batch) {
	for _, b := range batches {
		if b.Origin != s.self {
			continue
		}
		now, digest := s.now(), b.Digest()
		s.mu.Lock()
		s.own[b.Seq%ownMoments] = batchMoments{digest: digest, closed: now}
		s.mu.Unlock()
	}
}

// pushed observes that an own batch is with the network.
func (s *stages) pushed(b *mempool.Batch) {
	if m, ok := s.of(b.Seq, b.Digest()); ok {
		observe(s.push, m.closed, s.now())
	}
}

func (s *stages) of(seq uint64, digest blocktree.Digest) (m batchMoments, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m = s.own[seq%ownMoments]
	return m, m.digest == digest
}

// proposed notes that a proposal was verified here, or is this replica's own and goes out.
func (s *stages) proposed(b *blocktree.Block, now moment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range b.Payload {
		if m := s.named(&b.Payload[i]); m != nil && m.proposed == 0 {
			m.proposed = now
		}
	}
}

// committed notes that a block is committed. One that came otherwise than by its proposal counts as seen now.
func (s *stages) committed(b *blocktree.Block) {
	if len(b.Payload) == 0 {
		return
	}
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range b.Payload {
		if m := s.named(&b.Payload[i]); m != nil {
			if m.proposed == 0 {
				m.proposed = now
			}
			m.committed = now
		}
	}
}

// named returns the moments of a batch that a block names; nil if it is not ours, or forgotten. s.mu is held.
func (s *stages) named(ref *blocktree.BatchRef) *batchMoments {
	if ref.Origin != s.self {
		return nil
	}
	if m := &s.own[ref.Seq%ownMoments]; m.digest == ref.Digest {
		return m
	}
	return nil
}

// executed notes that all operations of a request are executed, which belongs to an own batch. It is called before the
// request is completed: then it may be somebody else's.
func (s *stages) executed(b *mempool.Batch, r *app.Request) {
	r.Executed = time.Now()
	if r.Taken.IsZero() {
		return // the engine's own, or an application's test
	}
	taken, now := s.at(r.Taken), s.at(r.Executed)
	observe(s.total, taken, now)
	if digest := b.Digest(); digest != s.executing {
		s.executing = digest
		s.ofExecuting, s.hasMoments = s.of(b.Seq, digest)
	}
	if m := &s.ofExecuting; s.hasMoments {
		observe(s.batching, taken, m.closed)
		observe(s.proposal, m.closed, m.proposed)
		observe(s.commit, m.proposed, m.committed)
		observe(s.apply, m.committed, now)
	}
}

// verified observes the check of a proposal, and notes when it ended.
func (s *stages) verified(b *blocktree.Block, began time.Time) {
	from, now := s.at(began), s.now()
	observe(s.check, from, now)
	s.proposed(b, now)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checked[b.View%proposalMoments] = checkedMoment{b.View, b.ID(), now}
}

// broadcast notes what the network was given for all. A batch is broadcast once; what is pushed again to one peer is not
// observed.
func (s *stages) broadcast(message any) {
	switch m := message.(type) {
	case *mempool.Batch:
		s.pushed(m)
	case *hotstuff.Proposal:
		s.proposed(m.Block, s.now())
	default:
		s.sent(message)
	}
}

// sent notes what the network was given. A vote is observed once, be it repeated.
func (s *stages) sent(message any) {
	if m, ok := message.(*hotstuff.VoteMessage); ok {
		s.mu.Lock()
		c := &s.checked[m.Vote.View%proposalMoments]
		var at moment
		if c.view == m.Vote.View && c.block == m.Vote.Block {
			at, c.at = c.at, 0
		}
		s.mu.Unlock()
		if at != 0 {
			observe(s.vote, at, s.now())
		}
	}
}
