package node

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/hotstuffd/hotstuffd/api/wire"
	"github.com/hotstuffd/hotstuffd/app"
	"github.com/hotstuffd/hotstuffd/app/session"
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/config"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
)

var stateConfig = MachineConfig{Nodes: 4, Depth: 3, CheckpointEvery: 2, Sessions: session.Limits{Sessions: 8, Bytes: 1 << 20}}

func stateLimits() wire.Limits {
	return WireLimits(&config.Genesis{Nodes: make([]config.Member, 4), Limits: config.DefaultLimits(4)})
}

// still is an application whose state never changes.
type still struct{}

const stillState = "still"

func (still) Apply(_ app.Moment, _, reply []byte) []byte { return reply }
func (still) Query(_, reply []byte) []byte               { return reply }
func (still) Digest() (d [32]byte)                       { return d }
func (still) Freeze() app.Frozen                         { return still{} }
func (still) Release()                                   {}

// WriteTo implements app.Frozen.
func (still) WriteTo(w io.Writer) (int64, error) {
	n, err := io.WriteString(w, stillState)
	return int64(n), err
}

// Restore implements app.Snapshotter.
func (still) Restore(r io.Reader) error {
	if b, err := io.ReadAll(r); err != nil || string(b) != stillState {
		return errors.Join(err, errors.New("not still"))
	}
	return nil
}

// newState returns a machine that has applied empty blocks up to a height, and those blocks.
func newState(t *testing.T, height qc.Height) (*Machine, []*blocktree.Block) {
	t.Helper()
	genesis := blocktree.Genesis(qc.ChainID{1}, 1, 4)
	m := NewMachine(still{}, genesis, stateConfig)
	last := genesis
	var blocks []*blocktree.Block
	for h := qc.Height(1); h <= height; h++ {
		justify := blocktree.GenesisQC(genesis, 4)
		justify.Block, justify.View = last.ID(), last.View
		last = &blocktree.Block{Epoch: 1, View: qc.View(h), Height: h, Parent: last.ID(), Justify: justify, Time: int64(h)}
		m.Apply(mempool.Execution{Block: last})
		blocks = append(blocks, last)
	}
	return m, blocks
}

// written returns the bytes of the present state of a machine, whose head change may spoil.
func written(t *testing.T, m *Machine, change func(*stateHead)) ([]byte, qc.Checkpoint) {
	t.Helper()
	s := m.Freeze()
	defer s.Release()
	cp := s.Checkpoint()
	change(&s.head)
	var b bytes.Buffer
	if _, err := s.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), cp
}

// The digest binds the last block alone: how many stand before it is checked by itself. The leader function reads them all,
// so a replica with fewer would take other leaders for the right ones; and one with more never wrote what others write.
func TestSnapshotHasAllBlocksThatLeadersNeed(t *testing.T) {
	for _, height := range []qc.Height{2, 4, 7} {
		m, blocks := newState(t, height)
		for name, c := range map[string]struct {
			change func(*stateHead)
			good   bool
		}{
			"as it is": {func(*stateHead) {}, true},
			"one less": {func(h *stateHead) { h.blocks = h.blocks[1:] }, false},
			"the last": {func(h *stateHead) { h.blocks = h.blocks[len(h.blocks)-1:] }, false},
			"one more": {func(h *stateHead) {
				first := h.blocks[0].Height
				if first == 1 {
					h.blocks = h.blocks[1:] // there is none
					return
				}
				h.blocks = slices.Insert(slices.Clone(h.blocks), 0, blocks[first-2])
			}, false},
		} {
			data, cp := written(t, m, c.change)
			other, _ := newState(t, 0)
			err := other.Restore(bytes.NewReader(data), stateLimits(), cp)
			if c.good && err != nil || !c.good && !errors.Is(err, errSnapshot) {
				t.Errorf("height %d, blocks %s: %v", height, name, err)
			}
			if again, _ := written(t, other, func(*stateHead) {}); c.good && !bytes.Equal(again, data) {
				t.Errorf("height %d: a restored state is written otherwise", height)
			}
		}
	}
}

// asking is an executor's edges: what it says is done, and who was answered.
type asking struct {
	done    []qc.Height
	answers int
}

// An executor whose restoration failed does nothing before another one has succeeded: there is no state to apply anything
// to, or to tell of. Nor does it go on before that is durable: a restart would stand elsewhere.
func TestExecutorWaitsForASnapshot(t *testing.T) {
	source, blocks := newState(t, 4)
	data, cp := written(t, source, func(*stateHead) {})
	m, _ := newState(t, 0)
	var a asking
	answered := make(chan Applied, 1)
	x := newExecutor(m, func(h qc.Height) { a.done = append(a.done, h) }, func(s *State, to chan<- Applied) {
		a.answers++
		s.Release()
		answered <- Applied{}
	}, func(*executor) error { return nil })
	ended := make(chan error)
	go func() { ended <- x.run() }()
	restore := func(data []byte) restored {
		return x.takeSnapshot(&restoration{from: bytes.NewReader(data), limits: stateLimits(), cp: cp}, nil)
	}
	if out := restore(data[:len(data)-1]); out.err == nil {
		t.Fatal("a snapshot without its end is taken")
	}
	told := false
	request := &app.Request{Complete: func(_ *app.Request, _ []byte, err error) { told = errors.Is(err, app.ErrUnknownOutcome) }}
	x.Execute(mempool.Execution{Block: blocks[0], Batches: []*mempool.Batch{{}}, Spans: [][]mempool.Span{{{Owner: request}}}})
	x.ask()
	out := restore(data)
	if out.err != nil || out.head == nil {
		t.Fatal(out)
	}
	if out = restore(data); out.err != nil || out.head == nil { // the disk did not take it: it is fetched again
		t.Fatal("not restored again:", out)
	}
	if len(a.done) > 0 || a.answers > 0 || told {
		t.Fatalf("done %v, %d answers, before the snapshot is durable", a.done, a.answers)
	}
	x.adopt(out.head)
	<-answered
	if got := restore(data); got.head != nil || got.err != nil {
		t.Errorf("a snapshot of where it stands: %v", got)
	}
	x.close()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(a.done, []qc.Height{4, 1}) || !told {
		t.Errorf("done %v, who waited for a block that the snapshot has passed is told so: %v", a.done, told)
	}
}

// A node that stops while it replays its log executes nothing further: what was committed meanwhile would be applied to the
// state as it was long ago, and clients would get replies out of that.
func TestStoppedReplayIsNotGoneOnFrom(t *testing.T) {
	m, _ := newState(t, 0)
	_, blocks := newState(t, 4)
	stop := make(chan struct{})
	close(stop)
	executed := make(chan qc.Height, 1)
	x := newExecutor(m, func(h qc.Height) { executed <- h }, func(s *State, _ chan<- Applied) { s.Release() },
		func(*executor) error { return Begin(m, nil, stateLimits(), 0, 3, stop, nil) })
	request := &app.Request{Complete: func(_ *app.Request, reply []byte, err error) { t.Errorf("answered: %q, %v", reply, err) }}
	x.Execute(mempool.Execution{Block: blocks[3], Batches: []*mempool.Batch{{}}, Spans: [][]mempool.Span{{{Owner: request}}}})
	ended := make(chan error, 1)
	go func() { ended <- x.run() }()
	select {
	case h := <-executed:
		t.Errorf("block %d is executed", h)
		x.close()
		<-ended
	case err := <-ended:
		if !errors.Is(err, errStopped) {
			t.Errorf("the executor ends with %v", err)
		}
	}
	if left := x.unexecuted(); len(left) != 1 || left[0].Block != blocks[3] {
		t.Errorf("%d blocks are left to be refused", len(left))
	}
}

// An executor that is closed ends after the block under way: what is left is refused, and not answered from a state that may
// have been found wrong.
func TestClosedExecutorLeavesTheRest(t *testing.T) {
	m, _ := newState(t, 0)
	_, blocks := newState(t, 3)
	var x *executor
	var done []qc.Height
	x = newExecutor(m, func(h qc.Height) {
		done = append(done, h)
		x.close()
	}, func(s *State, _ chan<- Applied) { s.Release() }, func(*executor) error { return nil })
	for _, b := range blocks {
		x.Execute(mempool.Execution{Block: b})
	}
	if err := x.run(); err != nil {
		t.Fatal(err)
	}
	left := x.unexecuted()
	if !slices.Equal(done, []qc.Height{1}) || len(left) != 2 || left[0].Block != blocks[1] || left[1].Block != blocks[2] {
		t.Errorf("executed %v, %d blocks are left", done, len(left))
	}
}

// A status that nobody waited for any more is not shown later as where the replica stands then.
func TestStatusIsOfNow(t *testing.T) {
	m, _ := newState(t, 0)
	_, blocks := newState(t, 1)
	answered, done := make(chan struct{}, 9), make(chan struct{}, 1)
	n := &Node{stopped: make(chan struct{})}
	n.executor = newExecutor(m, func(qc.Height) { done <- struct{}{} }, func(s *State, to chan<- Applied) {
		to <- s.Applied()
		s.Release()
		answered <- struct{}{}
	}, func(*executor) error { return nil })
	n.lastApplied.asked = n.executor.ask() // and the asker has gone
	ended := make(chan error)
	go func() { ended <- n.executor.run() }()
	<-answered
	n.executor.Execute(mempool.Execution{Block: blocks[0]})
	<-done
	if got := n.applied(); got.Height != 1 {
		t.Errorf("shown at height %d, want 1", got.Height)
	}
	n.executor.close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
