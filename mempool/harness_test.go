package mempool_test

import (
	"crypto/ed25519"
	"fmt"
	"slices"
	"testing"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
)

// fataler is what a test, a fuzz target and a property have in common.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// roster is a committee with its keys.
type roster struct {
	committee *qc.Committee
	private   []ed25519.PrivateKey
	public    qc.Roster
}

func newRoster(t fataler, n int) *roster {
	t.Helper()
	c, err := qc.NewCommittee(qc.ChainID{1}, 1, n)
	if err != nil {
		t.Fatalf("%v", err)
	}
	r := &roster{committee: c}
	for i := range n {
		key := ed25519.NewKeyFromSeed(append(make([]byte, 31), byte(i)))
		r.private = append(r.private, key)
		r.public = append(r.public, key.Public().(ed25519.PublicKey))
	}
	return r
}

// sign makes a batch as its origin would.
func (r *roster) sign(b *mempool.Batch) *mempool.Batch {
	m := mempool.SigningMessage(r.committee.Chain, r.committee.Epoch, b.Digest())
	copy(b.Signature[:], ed25519.Sign(r.private[b.Origin], m))
	return b
}

// lane makes count linked batches of an origin, from the first on, each with one command.
func (r *roster) lane(origin qc.NodeID, inc blocktree.Incarnation, count int, command string) []*mempool.Batch {
	var lane []*mempool.Batch
	var prev blocktree.Digest
	for seq := range count {
		b := r.sign(&mempool.Batch{Origin: origin, Incarnation: inc, Seq: uint64(seq), Prev: prev, Expiry: 50, Count: 1,
			Blob: blob(fmt.Sprintf("%s-%d", command, seq))})
		prev = b.Digest()
		lane = append(lane, b)
	}
	return lane
}

func (r *roster) verified(t fataler, b *mempool.Batch) mempool.Verified {
	t.Helper()
	v, err := mempool.Verify(r.committee, r.public, b)
	if err != nil {
		t.Fatalf("batch %v/%d: %v", b.Origin, b.Seq, err)
	}
	return v
}

func blob(commands ...string) []byte {
	var b []byte
	for _, c := range commands {
		b = mempool.AppendCommand(b, []byte(c))
	}
	return b
}

func commands(b *mempool.Batch) (list []string) {
	for c, rest, ok := mempool.NextCommand(b.Blob); ok; c, rest, ok = mempool.NextCommand(rest) {
		list = append(list, string(c.Body))
	}
	return list
}

// testConfig has small round limits: a batch closes at 100 bytes after 10 ticks, and lives for 50 blocks.
func testConfig(r *roster, self qc.NodeID) mempool.Config {
	return mempool.Config{
		Self: self, Committee: r.committee, Identity: qc.IdentityKey(r.private[self]),
		BatchBytesMax: 1000, BlockBatchesMax: 10, BlockBytesMax: 4000, ExpiryDistanceMax: 100,
		BatchBytes: 100, BatchDelay: 10, PendingBytes: 4000,
		PeerBytes: 20 * 4096, FetchGrace: 5, FetchRetry: 20, FetchBytes: 3200,
		BacklogBytes: 10_000, ResolveBytes: 200_000, HeldLimitViews: 6,
	}
}

func startOf(n int) mempool.Recovered {
	return mempool.Recovered{Incarnation: blocktree.Incarnation{Starts: 1}, Lanes: make(blocktree.Lanes, n)}
}

func newPool(t fataler, cfg mempool.Config, r mempool.Recovered) *mempool.Pool {
	t.Helper()
	p, err := mempool.New(cfg, r)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return p
}

// solo is one pool under test; the rest of the committee is played by the test.
type solo struct {
	t *testing.T
	*roster
	*mempool.Pool
	height qc.Height
	view   qc.View
	tip    blocktree.Lanes // after the newest committed block
}

func newSolo(t *testing.T, n int, adjust func(*mempool.Config)) *solo {
	t.Helper()
	r := newRoster(t, n)
	cfg := testConfig(r, 0)
	if adjust != nil {
		adjust(&cfg)
	}
	return &solo{t: t, roster: r, Pool: newPool(t, cfg, startOf(n)), tip: make(blocktree.Lanes, n)}
}

// submit hands over one request whose owner is its first command.
func (s *solo) submit(list ...string) {
	s.t.Helper()
	if err := s.Submit(blob(list...), uint32(len(list)), list[0], 0); err != nil {
		s.t.Fatalf("submit %v: %v", list, err)
	}
}

// at runs a turn without inputs at a time, and syncs what it gives.
func (s *solo) at(now qc.Ticks) mempool.Ready {
	s.Tick(now)
	s.Flush()
	return s.sync()
}

// sync takes Ready and syncs its batches. It returns that Ready together with what the sync brought about.
func (s *solo) sync() mempool.Ready {
	r := s.Ready()
	s.Persisted(r.Persist)
	after := s.Ready()
	r.Available = append(r.Available, after.Available...)
	r.Invalid = append(r.Invalid, after.Invalid...)
	r.Execute = append(r.Execute, after.Execute...)
	return r
}

// hold gives the pool batches of others, synced.
func (s *solo) hold(batches ...*mempool.Batch) {
	s.t.Helper()
	for _, b := range batches {
		s.Receive(1, s.verified(s.t, b))
	}
	s.sync()
}

// block makes a block on the committed chain that names batches.
func (s *solo) block(proposer qc.NodeID, batches ...*mempool.Batch) *blocktree.Block {
	s.view++
	b := &blocktree.Block{Epoch: 1, View: s.view, Height: s.height + 1, Proposer: proposer}
	for _, x := range batches {
		b.Payload = append(b.Payload, x.Ref())
	}
	return b
}

// commit commits a block that names batches.
func (s *solo) commit(batches ...*mempool.Batch) *blocktree.Block {
	s.t.Helper()
	b := s.block(1, batches...)
	after, err := s.tip.Extend(b.Payload, b.Height, 100, nil)
	if err != nil {
		s.t.Fatalf("commit: %v", err)
	}
	s.height, s.tip = b.Height, after
	s.Committed(b, after)
	return b
}

// commitUpTo commits empty blocks up to a height, all executed.
func (s *solo) commitUpTo(h qc.Height) {
	s.t.Helper()
	for s.height < h {
		s.commit()
	}
	s.Executed(s.height)
}

// names lists the commands that a payload stands for.
func (s *solo) names(refs []blocktree.BatchRef) (list []string) {
	s.t.Helper()
	for _, r := range refs {
		list = append(list, commands(s.Lookup(r.Digest))...)
	}
	return list
}

// build proposes on the committed chain.
func (s *solo) build() []string {
	s.t.Helper()
	refs := s.Build(s.tip, s.height+1)
	if _, err := s.tip.Extend(refs, s.height+1, 100, nil); err != nil {
		s.t.Fatalf("Build made an invalid payload: %v", err)
	}
	return s.names(refs)
}

func expect[E comparable](t *testing.T, what string, got []E, want ...E) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

func expectTrue(t *testing.T, what string, ok bool) {
	t.Helper()
	if !ok {
		t.Fatalf("not so: %s", what)
	}
}
