package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/hotstuffd/hotstuffd/api/wire"
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/store"
)

// history is what a replica does to its store, as its driver and its batch writer do, and what must be there after it.
type history struct {
	seed    uint64
	steps   []step
	after   []tally                 // after[i] is what steps 0 to i-1 have stored
	states  []hotstuff.SafetyState  // by k-1
	blocks  []*blocktree.Block      // in the order of their heights
	commits []hotstuff.CommitRecord // of heights 1 and up
	batches []*mempool.Batch
}

// step is one call: of Append, of AppendBatches, or a restart.
type step struct {
	records []hotstuff.Record
	batches []*mempool.Batch
	restart bool
}

// tally counts into the lists of a history.
type tally struct {
	k                        uint64
	blocks, commits, batches int
	gated                    *tally // as of the newest safety state: what a message has told others
}

// newHistory makes a history of the given length. The same arguments give the same one.
func newHistory(seed uint64, length int) *history {
	g := generator{history: &history{seed: seed}, rng: rand.New(rand.NewPCG(seed, 0)), lanes: map[qc.NodeID]uint64{}}
	first := hotstuff.SafetyState{Sequence: 1, Epoch: 1, LockBlock: genesis.ID(), HighQC: blocktree.GenesisQC(genesis, nodes)}
	g.states, g.now = []hotstuff.SafetyState{first}, tally{k: 1}
	g.gate()
	g.after = []tally{g.now}
	for len(g.steps) < length {
		g.steps = append(g.steps, g.step())
		g.after = append(g.after, g.now)
	}
	return g.history
}

type generator struct {
	*history
	rng   *rand.Rand
	now   tally
	lanes map[qc.NodeID]uint64 // next sequence, by origin
	named int                  // batches that blocks name
	view  qc.View
}

func (g *generator) gate() {
	gated := g.now
	gated.gated = nil
	g.now.gated = &gated
}

func (g *generator) step() step {
	switch p := g.rng.IntN(100); {
	case p < 40:
		return step{batches: g.newBatches()}
	case p < 75:
		b := g.newBlock()
		s := g.next()
		s.LastVoted = &qc.Vote{View: b.View, Block: b.ID(), Signer: identity.Node}
		records := []hotstuff.Record{hotstuff.BlockRecord{Block: b}}
		if g.rng.IntN(2) == 0 {
			records = append(records, g.newCommits()...)
		}
		return step{records: append(records, g.state(s))}
	case p < 83:
		g.view++
		s := g.next()
		s.LastTimeout = &qc.Timeout{Epoch: 1, View: g.view, HighQC: s.HighQC, Signer: identity.Node}
		return step{records: []hotstuff.Record{g.state(s)}}
	case p < 91:
		b := g.newBlock()
		s := g.next()
		s.LastProposal = b
		return step{records: []hotstuff.Record{hotstuff.BlockRecord{Block: b}, g.state(s)}}
	case p < 97:
		if records := g.newCommits(); len(records) > 0 {
			return step{records: records}
		}
		return step{records: []hotstuff.Record{hotstuff.BlockRecord{Block: g.newBlock()}}} // fetched
	default:
		return step{restart: true}
	}
}

// newBatches makes batches of several lanes, and now and then stores one again.
func (g *generator) newBatches() []*mempool.Batch {
	var list []*mempool.Batch
	for range 1 + g.rng.IntN(4) {
		origin := qc.NodeID(g.rng.IntN(nodes))
		size := []int{0, 40, 700, 1500}[g.rng.IntN(4)]
		if g.rng.IntN(60) == 0 {
			size = 12_000 // larger than a segment
		}
		b := &mempool.Batch{Origin: origin, Seq: g.lanes[origin], Expiry: 99, Blob: make([]byte, size)}
		for i := range b.Blob {
			b.Blob[i] = byte(g.rng.Uint32())
		}
		b.Digest()
		g.lanes[origin]++
		g.batches = append(g.batches, b)
		list = append(list, b)
	}
	if again := g.now.batches; again > 0 && g.rng.IntN(10) == 0 {
		list = append(list, g.batches[g.rng.IntN(again)])
	}
	g.now.batches = len(g.batches)
	return list
}

// newBlock makes the next block, which names batches that are stored.
func (g *generator) newBlock() *blocktree.Block {
	g.view++
	b := &blocktree.Block{Epoch: 1, View: g.view, Height: 1, Parent: genesis.ID(), Time: int64(g.seed<<20) + int64(g.view),
		Justify: qc.QuorumCertificate{Epoch: 1, Signers: qc.NewBitmap(nodes)}}
	if len(g.blocks) > 0 {
		parent := g.blocks[len(g.blocks)-1]
		b.Height, b.Parent, b.Justify.View = parent.Height+1, parent.ID(), parent.View
	}
	for range g.rng.IntN(4) {
		if g.named < len(g.batches) {
			b.Payload = append(b.Payload, g.batches[g.named].Ref())
			g.named++
		}
	}
	b.ID()
	g.blocks = append(g.blocks, b)
	g.now.blocks = len(g.blocks)
	return b
}

// newCommits commits blocks up to two below the newest one.
func (g *generator) newCommits() []hotstuff.Record {
	var records []hotstuff.Record
	for len(g.commits) < len(g.blocks)-2 && len(records) < 3 {
		b := g.blocks[len(g.commits)]
		c := hotstuff.CommitRecord{Height: b.Height, Block: b.ID()}
		g.commits = append(g.commits, c)
		records = append(records, c)
	}
	if len(records) > 0 {
		last := &g.commits[len(g.commits)-1]
		last.Lanes = make(blocktree.Lanes, nodes)
		last.Lanes[1].Seq = uint64(last.Height)
		records[len(records)-1] = *last
	}
	g.now.commits = len(g.commits)
	return records
}

// next returns a copy of the newest safety state, to be the next one.
func (g *generator) next() hotstuff.SafetyState {
	s := g.states[len(g.states)-1]
	s.Sequence++
	return s
}

func (g *generator) state(s hotstuff.SafetyState) hotstuff.Record {
	g.states = append(g.states, s)
	g.now.k = s.Sequence
	g.gate()
	return s
}

// do makes the call of a step. A restart is the caller's.
func (st step) do(s *store.Store) error {
	if st.batches != nil {
		return s.AppendBatches(st.batches)
	}
	return s.Append(st.records)
}

// holds checks that a store has all that done steps have stored and, of the step after them if it had begun, all or
// nothing. It reads as a restarting node does and returns the number of steps that the store has.
func (h *history) holds(s *store.Store, done int, begun bool) (int, error) {
	err := h.exactly(s, h.after[done])
	if err != nil && begun {
		if later := h.exactly(s, h.after[done+1]); later != nil {
			return 0, fmt.Errorf("neither without the step that had begun: %w\nnor with it: %w", err, later)
		}
		return done + 1, nil
	}
	return done, err
}

// exactly checks that a store has what a tally says, and nothing else.
func (h *history) exactly(s *store.Store, want tally) error {
	r, err := s.Recover()
	if err != nil {
		return err
	}
	if !bytes.Equal(stateBytes(r.Safety), stateBytes(h.states[want.k-1])) {
		return fmt.Errorf("safety state %d, want %d", r.Safety.Sequence, want.k)
	}
	if r.Commit.Height != qc.Height(want.commits) || want.commits > 0 && r.Commit.Block != h.commits[want.commits-1].Block {
		return fmt.Errorf("commit of height %d, want %d", r.Commit.Height, want.commits)
	}
	for i, c := range h.commits[:min(len(h.commits), want.commits+1)] {
		switch id, ok, err := s.CommittedID(c.Height); {
		case err != nil:
			return err
		case ok != (i < want.commits) || ok && id != c.Block:
			return fmt.Errorf("committed at %d: %v, want %d of them", c.Height, ok, want.commits)
		}
	}
	above, err := s.BlocksAbove(0)
	if err != nil {
		return err
	}
	if !slices.EqualFunc(above, h.blocks[:want.blocks], func(a, b *blocktree.Block) bool { return a.ID() == b.ID() }) {
		return fmt.Errorf("%d blocks, want %d", len(above), want.blocks)
	}
	return h.exactlyBatches(s, want)
}

func (h *history) exactlyBatches(s *store.Store, want tally) error {
	for i, b := range h.batches[:want.batches] {
		got, err := s.Batch(b.Digest())
		if err != nil {
			return fmt.Errorf("batch %d of %d: %w", i, want.batches, err)
		}
		if got.Digest() != b.Digest() || !bytes.Equal(got.Blob, b.Blob) {
			return fmt.Errorf("batch %d has other bytes", i)
		}
	}
	var lanes [nodes]uint64 // a history's lanes have no gaps and no twins
	count := 0
	for origin := range qc.NodeID(nodes) {
		for b, err := range s.BatchesFrom(origin, blocktree.Cursor{}) {
			if err != nil {
				return err
			}
			if b.Seq != lanes[origin] {
				return fmt.Errorf("lane of %d: batch %d, want %d", origin, b.Seq, lanes[origin])
			}
			lanes[origin]++
			count++
		}
	}
	if count != want.batches {
		return fmt.Errorf("%d batches in lanes, want %d", count, want.batches)
	}
	return nil
}

func stateBytes(s hotstuff.SafetyState) []byte {
	data, err := wire.AppendSafetyState(nil, &s)
	if err != nil {
		panic(err)
	}
	return data
}

// goOn makes the step after the done ones, whatever it is in the history: batches, then a vote. A store that was
// repaired must be as good as any.
func (h *history) goOn(s *store.Store, done int) error {
	more := &mempool.Batch{Origin: 1, Seq: 1 << 40, Expiry: 9, Blob: bytes.Repeat([]byte{7}, 900)}
	more.Digest()
	if err := s.AppendBatches([]*mempool.Batch{more}); err != nil {
		return err
	}
	next := h.states[h.after[done].k-1]
	next.Sequence++
	next.LastVoted = &qc.Vote{View: 1 << 40, Signer: identity.Node}
	return s.Append([]hotstuff.Record{next})
}

// atLeast checks that a store has what done steps have stored, and perhaps the batch of goOn.
func (h *history) atLeast(s *store.Store, done int) error {
	want := h.after[done]
	r, err := s.Recover()
	if err == nil && r.Safety.Sequence != want.k {
		err = fmt.Errorf("safety state %d, want %d", r.Safety.Sequence, want.k)
	}
	for _, b := range h.blocks[:want.blocks] {
		_, e := s.Block(b.ID())
		err = errors.Join(err, e)
	}
	for _, b := range h.batches[:want.batches] {
		_, e := s.Batch(b.Digest())
		err = errors.Join(err, e)
	}
	return err
}

// wentOn checks that what goOn did is there.
func (h *history) wentOn(s *store.Store, done int) error {
	r, err := s.Recover()
	if err == nil && r.Safety.Sequence != h.after[done].k+1 {
		err = fmt.Errorf("safety state %d, want the vote for what came next, %d", r.Safety.Sequence, h.after[done].k+1)
	}
	var last *mempool.Batch
	for b, e := range s.BatchesFrom(1, blocktree.Cursor{Seq: 1 << 40}) {
		last = b
		err = errors.Join(err, e)
	}
	if err == nil && last == nil {
		err = errors.New("the batch that came next is lost")
	}
	return err
}
