package node_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/hotstuffd/hotstuffd/app"
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/config"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/node"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/store"
)

// bench is a driver of replica 0 on a real store, whose edges note what they are given, in order.
type bench struct {
	t      testing.TB
	driver *node.Driver
	verify *hotstuff.Verifier
	did    []any // what was written, and the messages that left
	refuse []error
	now    qc.Ticks
}

func newBench(t testing.TB, c *cluster, s *store.Store) *bench {
	t.Helper()
	committee, err := qc.NewCommittee(c.genesis.Chain, c.genesis.Epoch, 4)
	if err != nil {
		t.Fatal(err)
	}
	scheme, signers := qc.NewMock(1, 4)
	genesis := blocktree.Genesis(committee.Chain, committee.Epoch, 4)
	certs := qc.NewVerifier(committee, scheme, nil, blocktree.GenesisQC(genesis, 4))
	a, err := node.Assemble(node.Parts{Config: config.Default(), Genesis: c.genesis, Committee: committee,
		Identity: qc.IdentityKey(c.secrets[0].Identity),
		Signer:   signers[0], Certs: certs, Store: s}, hotstuff.Tick{})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, verify: hotstuff.NewVerifier(0, committee, certs, nil, node.CoreLimits(c.genesis.Limits))}
	b.driver = node.NewDriver(a.Core, a.Pool, node.Edges{Store: b, Transport: b, App: b, Verifier: b,
		Refused: func(_ any, err error) { b.refuse = append(b.refuse, err) }})
	return b
}

func (b *bench) Append(records []hotstuff.Record) error {
	for _, r := range records {
		b.did = append(b.did, r)
	}
	return nil
}
func (b *bench) Send(_ qc.NodeID, m any)    { b.did = append(b.did, m) }
func (b *bench) Broadcast(m any)            { b.did = append(b.did, m) }
func (b *bench) Execute(mempool.Execution)  {}
func (b *bench) Sum(hotstuff.VerifyRequest) {}
func (b *bench) Sync([]*mempool.Batch)      {}
func (b *bench) Load([]blocktree.Digest)    {}
func (b *bench) turn(events ...node.Event) {
	b.t.Helper()
	if err := b.driver.Turn(hotstuff.Tick{Now: b.now}, events); err != nil {
		b.t.Fatal(err)
	}
}

// asks is a peer's request to have a nonce ordered.
func (b *bench) asks(from qc.NodeID, nonce byte) node.Event {
	b.t.Helper()
	v, err := b.verify.Verify(hotstuff.Window{}, from, &hotstuff.RejoinRequest{Nonce: hotstuff.Nonce{nonce}})
	if err != nil {
		b.t.Fatal(err)
	}
	return node.Received{Verified: v}
}

// ordered lists the rejoins in the batches that left.
func (b *bench) ordered() (list []mempool.Rejoin) {
	for _, x := range b.did {
		if batch, ok := x.(*mempool.Batch); ok {
			for c, rest, ok := mempool.NextCommand(batch.Blob); ok; c, rest, ok = mempool.NextCommand(rest) {
				if r, ok := mempool.ParseRejoin(c.Body); ok && c.Engine {
					list = append(list, r)
				}
			}
		}
	}
	return list
}

func openBench(t *testing.T, lost bool) (*bench, hotstuff.Nonce) {
	t.Helper()
	c := newCluster(t, 4)
	dir, id := c.home(0)+"/data", node.StoreIdentity(c.genesis, 0)
	var done store.Rejoining
	var err error
	if lost {
		if done, err = store.Rejoin(dir, id, store.Options{}, store.RejoinOptions{Discard: true}); err != nil {
			t.Fatal(err)
		}
	}
	s, err := store.Open(dir, id, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return newBench(t, c, s), done.Nonce
}

// A peer can have its own nonce ordered, nobody else's, and not more often than twice a second, whatever it sends.
func TestRejoinRequestsAreLimited(t *testing.T) {
	b, _ := openBench(t, false)
	b.now = 1
	var flood []node.Event
	for nonce := range byte(100) {
		flood = append(flood, b.asks(1, nonce+1))
	}
	b.turn(append(flood, b.asks(2, 7))...)
	b.now += qc.TicksPerSecond/2 - 1
	b.turn(b.asks(1, 200))
	b.now++
	b.turn(b.asks(1, 201))
	b.now += qc.TicksPerSecond // batches that wait for company are closed
	b.turn()
	rejoin := func(id qc.NodeID, nonce byte) mempool.Rejoin { return mempool.Rejoin{Node: id, Nonce: [32]byte{nonce}} }
	if got, want := b.ordered(), []mempool.Rejoin{rejoin(1, 1), rejoin(2, 7), rejoin(1, 201)}; !slices.Equal(got, want) {
		t.Errorf("ordered %v, want %v", got, want)
	}
}

// A replica that rejoins takes in nothing of its clients' or peers', writes no lane and sends no batch. When its nonce
// was seen, one write says that it is over, and opens the first lane; only then do batches leave.
func TestRejoiningDriver(t *testing.T) {
	b, nonce := openBench(t, true)
	command := node.Submitted{Blob: mempool.AppendCommand(nil, []byte("x")), Count: 1}
	b.turn(command, b.asks(1, 9), node.NonceSeen{Nonce: hotstuff.Nonce{3}})
	b.now = 10 * qc.TicksPerSecond
	b.turn(command)
	if len(b.refuse) != 2 || !errors.Is(b.refuse[0], app.ErrBusy) {
		t.Errorf("its clients are told %v, want twice ErrBusy", b.refuse)
	}
	for _, x := range b.did {
		if _, ok := x.(*hotstuff.RejoinRequest); !ok {
			t.Errorf("it writes or sends %T", x)
		}
	}
	b.did = nil
	b.turn(node.NonceSeen{Nonce: nonce}, command)
	b.turn(command)
	b.now += qc.TicksPerSecond
	b.turn()
	if len(b.did) == 0 {
		t.Fatal("nothing was written")
	}
	// It stands at genesis, whose certificate has view 0: the test's own doing.
	first, ok := b.did[0].(hotstuff.SafetyState)
	if !ok || !first.Nonce.IsZero() || first.Incarnation != (blocktree.Incarnation{Starts: 1}) {
		t.Fatalf("first it writes %+v", b.did[0])
	}
	batches := 0
	for _, x := range b.did {
		if batch, ok := x.(*mempool.Batch); ok && batch.Incarnation == first.Incarnation {
			batches++
		}
	}
	if batches == 0 {
		t.Error("then no batch leaves")
	}
}
