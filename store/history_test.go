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
	lanes   []blocktree.Lanes // after the block of each height
	lax     bool              // a snapshot has failed: the others are whole, and that is all that is known of them
}

// step is one call: of Append, of AppendBatches, of Prune, those that make a snapshot, or a restart.
type step struct {
	records  []hotstuff.Record
	batches  []*mempool.Batch
	prune    qc.Height // to this floor
	lanes    blocktree.Lanes
	snapshot func(*store.Store) error
	restart  bool
}

// tally counts into the lists of a history.
type tally struct {
	k                        uint64
	blocks, commits, batches int
	floor                    qc.Height
	snapshots                []qc.Height // newest first
	gated                    *tally      // as of the newest safety state: what a message has told others
}

// newHistory makes a history of the given length. The same arguments give the same one.
func newHistory(seed uint64, length int) *history {
	g := newGenerator(seed)
	for len(g.steps) < length {
		g.add(g.step(g.rng.IntN(100)))
	}
	return g.history
}

// Kinds of steps, as the least numbers that a generator makes them of.
const (
	ofBatches, ofVote, ofTimeout, ofProposal, ofCommits, ofFloor, ofSnapshot, ofRestart = 0, 36, 69, 75, 82, 88, 92, 97
)

// newStory makes a history of steps of the given kinds.
func newStory(seed uint64, kinds ...int) *history {
	g := newGenerator(seed)
	for _, kind := range kinds {
		g.add(g.step(kind))
	}
	return g.history
}

func newGenerator(seed uint64) *generator {
	g := &generator{history: &history{seed: seed}, rng: rand.New(rand.NewPCG(seed, 0)), doomed: map[int]bool{}}
	g.lanes = []blocktree.Lanes{make(blocktree.Lanes, nodes)}
	first := hotstuff.SafetyState{Sequence: 1, Epoch: 1, LockBlock: genesis.ID(), HighQC: blocktree.GenesisQC(genesis, nodes)}
	g.states, g.now = []hotstuff.SafetyState{first}, tally{k: 1}
	g.gate()
	g.after = []tally{g.now}
	return g
}

func (g *generator) add(s step) {
	g.steps = append(g.steps, s)
	g.after = append(g.after, g.now)
}

type generator struct {
	*history
	rng    *rand.Rand
	now    tally
	next   [nodes]blocktree.Cursor // where an origin's next batch goes
	doomed map[int]bool            // batches that no block will name
	named  int                     // batches that blocks name, or never will
	view   qc.View
	part   qc.Height // snapshot that is received in part; 0: none
}

func (g *generator) gate() {
	gated := g.now
	gated.gated = nil
	g.now.gated = &gated
}

func (g *generator) step(p int) step {
	switch {
	case p < ofVote:
		return step{batches: g.newBatches()}
	case p < ofTimeout:
		b := g.newBlock()
		s := g.successor()
		s.LastVoted = &qc.Vote{View: b.View, Block: b.ID(), Signer: identity.Node}
		records := []hotstuff.Record{hotstuff.BlockRecord{Block: b}}
		if g.rng.IntN(2) == 0 {
			records = append(records, g.newCommits()...)
		}
		return step{records: append(records, g.state(s))}
	case p < ofProposal:
		g.view++
		s := g.successor()
		s.LastTimeout = &qc.Timeout{Epoch: 1, View: g.view, HighQC: s.HighQC, Signer: identity.Node}
		return step{records: []hotstuff.Record{g.state(s)}}
	case p < ofCommits:
		b := g.newBlock()
		s := g.successor()
		s.LastProposal = b
		return step{records: []hotstuff.Record{hotstuff.BlockRecord{Block: b}, g.state(s)}}
	case p < ofFloor:
		if records := g.newCommits(); len(records) > 0 {
			return step{records: records}
		}
		return step{records: []hotstuff.Record{hotstuff.BlockRecord{Block: g.newBlock()}}} // fetched
	case p < ofSnapshot:
		return g.newFloor()
	case p < ofRestart:
		return g.newSnapshot()
	default:
		return step{restart: true}
	}
}

// newFloor prunes to one of the commits, most often to a new one.
func (g *generator) newFloor() step {
	if g.now.commits == 0 {
		return step{batches: g.newBatches()}
	}
	g.now.floor = max(1, g.now.floor+qc.Height(g.rng.IntN(g.now.commits-int(g.now.floor)+1)))
	return step{prune: g.now.floor, lanes: g.lanes[g.now.floor]}
}

// newSnapshot takes a snapshot, gives one up, or receives one, in one go or in two.
func (g *generator) newSnapshot() step {
	height := g.part
	if g.part = 0; height == 0 {
		for _, h := range g.now.snapshots {
			height = max(height, h)
		}
		height += 1 + qc.Height(g.rng.IntN(3))
		switch kind := g.rng.IntN(4); {
		case kind == 0 && len(metaOf(height).Chunks) > 2:
			g.part = height
			return step{snapshot: func(s *store.Store) error { return receive(s, height, 2) }}
		case kind == 1:
			return step{snapshot: func(s *store.Store) error { return giveUp(s, height) }}
		}
	}
	g.now.snapshots = append([]qc.Height{height}, g.now.snapshots...)
	g.now.snapshots = g.now.snapshots[:min(len(g.now.snapshots), 2)]
	if g.rng.IntN(2) == 0 {
		return step{snapshot: func(s *store.Store) error { _, err := take(s, height); return err }}
	}
	return step{snapshot: func(s *store.Store) error { return receive(s, height, 100) }}
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
		at := &g.next[origin]
		b := &mempool.Batch{Origin: origin, Incarnation: at.Incarnation, Seq: at.Seq, Expiry: 1000, Blob: make([]byte, size)}
		for i := range b.Blob {
			b.Blob[i] = byte(g.rng.Uint32())
		}
		if at.Seq++; g.rng.IntN(12) == 0 {
			// It will expire, and its origin goes on in another lane.
			b.Expiry = qc.Height(len(g.blocks) + g.rng.IntN(3))
			g.doomed[len(g.batches)] = true
			*at = blocktree.Cursor{Incarnation: blocktree.Incarnation{Starts: at.Incarnation.Starts + 1}}
		}
		b.Digest()
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
	lanes := slices.Clone(g.lanes[len(g.blocks)])
	for range g.rng.IntN(4) {
		for g.doomed[g.named] {
			g.named++
		}
		if g.named < len(g.batches) {
			ref := g.batches[g.named].Ref()
			b.Payload = append(b.Payload, ref)
			lanes[ref.Origin] = blocktree.Cursor{Incarnation: ref.Incarnation, Seq: ref.Seq + 1, Last: ref.Digest}
			g.named++
		}
	}
	b.ID()
	g.lanes = append(g.lanes, lanes)
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
		last.Lanes = g.lanes[last.Height]
		records[len(records)-1] = *last
	}
	g.now.commits = len(g.commits)
	return records
}

// successor returns a copy of the newest safety state, to be the next one.
func (g *generator) successor() hotstuff.SafetyState {
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
	switch {
	case st.batches != nil:
		return s.AppendBatches(st.batches)
	case st.prune > 0:
		return s.Prune(st.prune, st.lanes)
	case st.snapshot != nil:
		return st.snapshot(s)
	}
	return s.Append(st.records)
}

// gone tells whether no block above a floor can name a batch.
func (h *history) gone(b *mempool.Batch, floor qc.Height) bool {
	if floor == 0 {
		return false
	}
	c := h.lanes[floor][b.Origin]
	order := b.Incarnation.Compare(c.Incarnation)
	return b.Expiry <= floor || order < 0 || order == 0 && b.Seq < c.Seq
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
	if s.Floor() != want.floor {
		return fmt.Errorf("floor %d, want %d", s.Floor(), want.floor)
	}
	for i, c := range h.commits[:min(len(h.commits), want.commits+1)] {
		switch id, ok, err := s.CommittedID(c.Height); {
		case err != nil:
			return err
		case ok != (i < want.commits && c.Height >= want.floor) || ok && id != c.Block:
			return fmt.Errorf("committed at %d: %v, want %d of them from %d on", c.Height, ok, want.commits, want.floor)
		}
	}
	above, err := s.BlocksAbove(0)
	if err != nil {
		return err
	}
	blocks := h.blocks[min(max(want.floor, 1)-1, qc.Height(want.blocks)):want.blocks]
	if !slices.EqualFunc(above, blocks, func(a, b *blocktree.Block) bool { return a.ID() == b.ID() }) {
		return fmt.Errorf("%d blocks, want %d", len(above), len(blocks))
	}
	for _, b := range h.blocks[:want.blocks-len(blocks)] {
		if _, err := s.Block(b.ID()); !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("block %d, below the floor %d: %v", b.Height, want.floor, err)
		}
	}
	if err := h.exactlySnapshots(s, want); err != nil {
		return err
	}
	return h.exactlyBatches(s, want)
}

// exactlySnapshots checks that the right ones are listed, and that all of them are whole.
func (h *history) exactlySnapshots(s *store.Store, want tally) error {
	if got := heights(s); !h.lax && !slices.Equal(got, want.snapshots) || len(got) > 2 {
		return fmt.Errorf("snapshots %v, want %v", got, want.snapshots)
	}
	for _, m := range s.Snapshots() {
		if err := readWhole(s, m); err != nil {
			return err
		}
	}
	return nil
}

func (h *history) exactlyBatches(s *store.Store, want tally) error {
	var lanes [nodes][]*mempool.Batch
	for i, b := range h.batches[:want.batches] {
		got, err := s.Batch(b.Digest())
		if h.gone(b, want.floor) {
			if !errors.Is(err, store.ErrNotFound) {
				return fmt.Errorf("batch %d, which no block can name: %v", i, err)
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("batch %d of %d: %w", i, want.batches, err)
		}
		if got.Digest() != b.Digest() || !bytes.Equal(got.Blob, b.Blob) {
			return fmt.Errorf("batch %d has other bytes", i)
		}
		lanes[b.Origin] = append(lanes[b.Origin], b) // the order that they were made in is that of their lanes
	}
	for origin, list := range lanes {
		for b, err := range s.BatchesFrom(qc.NodeID(origin), blocktree.Cursor{}) {
			if err != nil {
				return err
			}
			if len(list) == 0 || b.Digest() != list[0].Digest() {
				return fmt.Errorf("lane of %d: batch %v %d, which is not the next one", origin, b.Incarnation, b.Seq)
			}
			list = list[1:]
		}
		if len(list) > 0 {
			return fmt.Errorf("lane of %d: %d batches are missing at its end", origin, len(list))
		}
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

// goOn makes the step after the done ones, whatever it is in the history: batches, then a vote, and what the newest Prune may
// have left to do. A store that was repaired must be as good as any.
func (h *history) goOn(s *store.Store, done int) error {
	more := &mempool.Batch{Origin: 1, Incarnation: blocktree.Incarnation{Rejoin: 1}, Expiry: 1000, Blob: bytes.Repeat([]byte{7}, 900)}
	more.Digest()
	if err := s.AppendBatches([]*mempool.Batch{more}); err != nil {
		return err
	}
	next := h.states[h.after[done].k-1]
	next.Sequence++
	next.LastVoted = &qc.Vote{View: 1 << 40, Signer: identity.Node}
	if err := s.Append([]hotstuff.Record{next}); err != nil {
		return err
	}
	return s.Prune(s.Floor(), h.lanes[s.Floor()])
}

// atLeast checks that a store has what done steps have stored, and perhaps the batch of goOn.
func (h *history) atLeast(s *store.Store, done int) error {
	want := h.after[done]
	r, err := s.Recover()
	if err == nil && r.Safety.Sequence != want.k {
		err = fmt.Errorf("safety state %d, want %d", r.Safety.Sequence, want.k)
	}
	return errors.Join(err, h.stored(s, want))
}

// stored checks that a store has the blocks, batches and snapshots of a tally.
func (h *history) stored(s *store.Store, want tally) (err error) {
	for _, b := range h.blocks[:want.blocks] {
		if b.Height >= want.floor {
			_, e := s.Block(b.ID())
			err = errors.Join(err, e)
		}
	}
	for _, b := range h.batches[:want.batches] {
		if !h.gone(b, want.floor) {
			_, e := s.Batch(b.Digest())
			err = errors.Join(err, e)
		}
	}
	return errors.Join(err, h.exactlySnapshots(s, want))
}

// wentOn checks that what goOn did is there.
func (h *history) wentOn(s *store.Store, done int) error {
	r, err := s.Recover()
	if err == nil && r.Safety.Sequence != h.after[done].k+1 {
		err = fmt.Errorf("safety state %d, want the vote for what came next, %d", r.Safety.Sequence, h.after[done].k+1)
	}
	var last *mempool.Batch
	for b, e := range s.BatchesFrom(1, blocktree.Cursor{Incarnation: blocktree.Incarnation{Rejoin: 1}}) {
		last = b
		err = errors.Join(err, e)
	}
	if err == nil && last == nil {
		err = errors.New("the batch that came next is lost")
	}
	return err
}
