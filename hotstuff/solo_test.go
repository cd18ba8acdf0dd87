package hotstuff_test

import (
	"slices"
	"testing"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
)

// solo is one core under test, n0 of four, and the means to tell it whatever three others could say.
type solo struct {
	*cluster
	t *testing.T
	r *replica
}

func newSolo(t *testing.T) *solo {
	s := &solo{cluster: newCluster(t, defaults(4)), t: t}
	s.trace = true
	s.r = s.nodes[0]
	s.start(s.r)
	return s
}

// on makes a valid block of a view on a parent, by the view's leader in turn, with the certificate that it needs. The
// functions change it before it is signed.
func (s *solo) on(parent *blocktree.Block, v qc.View, change ...func(*blocktree.Block)) *blocktree.Block {
	b := &blocktree.Block{Epoch: 1, View: v, Height: parent.Height + 1, Parent: parent.ID(), Justify: s.certify(parent),
		Proposer: qc.NodeID(v % 4), Time: max(s.wall(), parent.Time+1)}
	if parent.View+1 != v {
		b.TC = s.giveUp(v-1, parent)
	}
	for _, f := range change {
		f(b)
	}
	return s.sign(b)
}

// chain makes blocks of the given views, each on the one before, the first on genesis.
func (s *solo) chainOf(views ...qc.View) []*blocktree.Block {
	bs := []*blocktree.Block{s.genesis}
	for _, v := range views {
		bs = append(bs, s.on(bs[len(bs)-1], v))
	}
	return bs
}

// certify makes QC(b) of the votes of n1, n2 and n3.
func (s *solo) certify(b *blocktree.Block) qc.QuorumCertificate {
	if b == s.genesis {
		return blocktree.GenesisQC(b, s.opt.n)
	}
	var votes []qc.Vote
	for id := qc.NodeID(1); id < 4; id++ {
		votes = append(votes, s.forgeVote(id, b.View, b.ID()))
	}
	cert, _ := s.certs().CollectVotes(b.View, b.ID(), votes)
	return *cert
}

// giveUp makes TC(v) of the timeouts of n1, n2 and n3, all of which hold QC(high).
func (s *solo) giveUp(v qc.View, high *blocktree.Block) *qc.TimeoutCertificate {
	var ts []*qc.Timeout
	for id := qc.NodeID(1); id < 4; id++ {
		ts = append(ts, s.bareTimeout(id, v, high))
	}
	tc, err := s.certs().SumTimeouts(v, ts)
	if err != nil {
		s.t.Fatal(err)
	}
	return tc
}

func (s *solo) bareTimeout(id qc.NodeID, v qc.View, high *blocktree.Block) *qc.Timeout {
	return &qc.Timeout{Epoch: 1, View: v, HighQC: s.certify(high), Signer: id,
		Signature: s.signers[id].Sign(s.committee.TimeoutMessage(v, high.View))}
}

// timeout makes a replica's Timeout(v) with QC(high), without a vote.
func (s *solo) timeout(id qc.NodeID, v qc.View, high *blocktree.Block) *qc.Timeout {
	t := s.bareTimeout(id, v, high)
	if high.View+1 != v {
		t.TC = s.giveUp(v-1, high)
	}
	return t
}

// give delivers a message to the core and hands back what it then says.
func (s *solo) give(from qc.NodeID, m hotstuff.Message) []packet {
	s.deliver(packet{from: from, to: 0, msg: m})
	return s.take()
}

func (s *solo) propose(b *blocktree.Block) []packet {
	return s.give(b.Proposer, &hotstuff.Proposal{Block: b})
}

func (s *solo) giveQC(b *blocktree.Block) []packet {
	q := s.certify(b)
	return s.give(1, &hotstuff.CertificateMessage{QC: &q})
}

// wait lets time pass up to a moment and hands back what the core then says.
func (s *solo) wait(until qc.Ticks) []packet {
	s.run(until-s.now, false)
	return s.take()
}

func (s *solo) take() []packet {
	q := s.queue
	s.queue = nil
	return q
}

// voted tells whether a vote for b is among what was said, sent, or embedded in a timeout.
func voted(said []packet, b *blocktree.Block) bool {
	return slices.ContainsFunc(said, func(p packet) bool {
		switch m := p.msg.(type) {
		case *hotstuff.VoteMessage:
			return m.Vote.Block == b.ID()
		case *hotstuff.TimeoutMessage:
			return m.Timeout.Vote != nil && m.Timeout.Vote.Block == b.ID()
		}
		return false
	})
}

// of filters what was said by kind; a broadcast counts once.
func of(said []packet, name string) []packet {
	var out []packet
	for _, p := range said {
		if kind(p.msg) == name && !slices.ContainsFunc(out, func(o packet) bool { return o.msg == p.msg }) {
			out = append(out, p)
		}
	}
	return out
}

// refused returns the trace lines, and forgets them: why something was refused or dropped.
func (s *solo) refused() string { return s.takeTrace() }

func (s *solo) mustVote(said []packet, b *blocktree.Block, want bool) {
	s.t.Helper()
	if got := voted(said, b); got != want {
		s.t.Fatalf("voted for %s: %v, want %v\n%s", s.label(b.ID()), got, want, s.takeTrace())
	}
}
