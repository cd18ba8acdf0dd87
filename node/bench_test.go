package node_test

import (
	"testing"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/config"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/node"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/store"
)

// lone is the driver of a committee of one, whose edges cost nothing: they answer at once, into the next turn. So it does
// alone all that four do between them for a command, and what remains is the loop's own work.
type lone struct {
	tb       testing.TB
	driver   *node.Driver
	verifier *hotstuff.Verifier
	now      qc.Ticks
	events   []node.Event
	spare    []node.Event
	turns    int
	writes   int
	executed int // commands
}

func newLone(tb testing.TB) *lone {
	tb.Helper()
	c := newCluster(tb, 1)
	c.genesis.Limits.CheckpointInterval = 0 // nobody digests the state
	s, err := store.Open(c.home(0)+"/data", node.StoreIdentity(c.genesis, 0), store.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	committee, err := qc.NewCommittee(c.genesis.Chain, c.genesis.Epoch, 1)
	if err != nil {
		tb.Fatal(err)
	}
	scheme, signers := qc.NewMock(1, 1)
	certs := func() *qc.Verifier {
		return qc.NewVerifier(committee, scheme, nil, blocktree.GenesisQC(blocktree.Genesis(committee.Chain, committee.Epoch, 1), 1))
	}
	a, err := node.Assemble(node.Parts{Config: config.Default(), Genesis: c.genesis, Committee: committee,
		Identity: qc.IdentityKey(c.secrets[0].Identity), Signer: signers[0], Certs: certs(), Store: s}, hotstuff.Tick{})
	if err != nil {
		tb.Fatal(err)
	}
	l := &lone{tb: tb, verifier: hotstuff.NewVerifier(0, committee, certs(), nil, node.CoreLimits(c.genesis.Limits))}
	l.driver = node.NewDriver(a.Core, a.Pool, node.Edges{Store: l, Transport: l, App: l, Verifier: l,
		Refused: func(_ any, err error) { tb.Fatal(err) }})
	for range 20 {
		l.turn()
	}
	return l
}

func (l *lone) Append([]hotstuff.Record) error { l.writes++; return nil }
func (l *lone) Send(qc.NodeID, any)            {}
func (l *lone) Broadcast(any)                  {}
func (l *lone) Load([]blocktree.Digest)        {}
func (l *lone) Sync(b []*mempool.Batch)        { l.events = append(l.events, node.Synced{Batches: b}) }

func (l *lone) Sum(r hotstuff.VerifyRequest) {
	l.events = append(l.events, node.Summed{Sum: l.verifier.Sum(r, func(u hotstuff.Unchecked) { l.events = append(l.events, node.AddedUp{Sum: u}) })})
}

func (l *lone) Execute(e mempool.Execution) {
	for _, spans := range e.Spans {
		l.executed += len(spans)
	}
	l.events = append(l.events, node.Executed{Height: e.Block.Height})
}

func (l *lone) turn() {
	l.now += 50 // 5 ms: so slow that views are not paced
	l.turns++
	l.events, l.spare = l.spare[:0], l.events
	if err := l.driver.Turn(hotstuff.Tick{Now: l.now, Wall: int64(l.now) * 100_000}, l.spare); err != nil {
		l.tb.Fatal(err)
	}
}

// command takes one request in and turns until it is executed.
func (l *lone) command(submitted node.Event) {
	want := l.executed + 1
	l.events = append(l.events, submitted)
	for range 30 {
		if l.turn(); l.executed == want {
			return
		}
	}
	l.tb.Fatal("a command is not executed within 30 turns")
}

// request is one request of 64 SETs of 128 bytes.
func request() node.Event {
	var blob []byte
	for range 64 {
		blob = mempool.AppendCommand(blob, make([]byte, 128))
	}
	return node.Submitted{Blob: blob, Count: 64, Owner: new(int)}
}

// BenchmarkDriverCommand takes one request after the other to its execution, through all turns that it needs. Ed25519 signs
// the batch and each proposal.
func BenchmarkDriverCommand(b *testing.B) {
	l, r := newLone(b), request()
	b.ReportAllocs()
	l.turns, l.writes = 0, 0
	n := 0
	for b.Loop() {
		l.command(r)
		n++
	}
	b.ReportMetric(float64(l.turns)/float64(n), "turns/op")
	b.ReportMetric(float64(l.writes)/float64(n), "writes/op")
}

// A command costs the loop no more turns, writes and allocations than it did, nor more after many commands than after few;
// a turn in which nothing has come costs one allocation.
func TestAllocationsOfTheDriver(t *testing.T) {
	l, r := newLone(t), request()
	for range 200 {
		l.command(r)
	}
	l.turns, l.writes = 0, 0
	const runs = 100 // and one before them
	if got := testing.AllocsPerRun(runs, func() { l.command(r) }); got > commandAllocs {
		t.Errorf("a command takes %v allocations, want at most %d", got, commandAllocs)
	}
	if l.turns != 5*(runs+1) || l.writes != 3*(runs+1) {
		t.Errorf("%d commands in %d turns with %d writes, want 5 and 3 each", runs+1, l.turns, l.writes)
	}
	for range 20 {
		l.turn()
	}
	at := hotstuff.Tick{Now: l.now, Wall: int64(l.now) * 100_000}
	if got := testing.AllocsPerRun(runs, func() { _ = l.driver.Turn(at, nil) }); got > 1 {
		t.Errorf("a turn without events takes %v allocations, want at most 1", got)
	}
}

// commandAllocs is for a batch and three blocks: what they are made of, and the writes, votes and sums for them.
const commandAllocs = 150

// BenchmarkDriverIdle is a turn in which nothing has come.
func BenchmarkDriverIdle(b *testing.B) {
	l := newLone(b)
	l.command(request())
	for range 20 {
		l.turn()
	}
	at := hotstuff.Tick{Now: l.now, Wall: int64(l.now) * 100_000}
	b.ReportAllocs()
	for b.Loop() {
		if err := l.driver.Turn(at, nil); err != nil {
			b.Fatal(err)
		}
	}
}
