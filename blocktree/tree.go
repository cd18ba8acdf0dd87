package blocktree

import (
	"errors"
	"fmt"
	"sort"

	"github.com/hotstuffd/hotstuffd/qc"
)

// Entry is a block in its place in the tree. Its ancestors down to the oldest block held are in the tree too.
type Entry struct {
	Block *Block
	Lanes Lanes // next(Block)

	parent   *Entry // nil for the oldest block held
	payloads uint64 // blocks with a payload on the branch, from the oldest block held up to and including this one
}

// Parent returns the entry of the parent, nil when it was pruned or never was.
func (e *Entry) Parent() *Entry { return e.parent }

// Tree holds the committed block, up to a fixed number of its ancestors, and all blocks above that do not conflict with
// it. It belongs to one goroutine.
type Tree struct {
	entries     map[qc.BlockID]*Entry
	committed   *Entry
	keep        qc.Height // ancestors of the committed block that are kept
	distanceMax qc.Height // genesis limit for Lanes.Extend
}

// Errors of Insert and Commit. A block that fails with ErrUnknownParent may be inserted once its parent was.
var (
	ErrUnknownParent = errors.New("block: parent not held")
	ErrLinkage       = errors.New("block: parent, height or view does not follow from the justify")
	ErrOld           = errors.New("block: conflicts with the committed chain or lies below it")
	// ErrConflictingCommit: two conflicting blocks are both committed. More than f replicas are faulty, or their
	// stores were rolled back. The node must stop.
	ErrConflictingCommit = errors.New("two conflicting blocks are committed: more than f replicas are faulty")
)

// New returns a tree that stands at the committed block. below holds ancestors of committed in ascending order, without
// gaps, the last one its parent; it may be shorter than keep only if it reaches genesis.
func New(committed *Block, lanes Lanes, below []*Block, keep, distanceMax qc.Height) (*Tree, error) {
	t := &Tree{entries: make(map[qc.BlockID]*Entry), keep: keep, distanceMax: distanceMax}
	var parent *Entry
	for _, b := range append(append([]*Block(nil), below...), committed) {
		if parent != nil && (b.Parent != parent.Block.ID() || b.Height != parent.Block.Height+1) {
			return nil, fmt.Errorf("blocktree: stored chain is broken at height %d: %w", b.Height, ErrLinkage)
		}
		parent = newEntry(b, parent, nil)
		t.entries[b.ID()] = parent
	}
	parent.Lanes = lanes
	t.committed = parent
	return t, nil
}

func newEntry(b *Block, parent *Entry, lanes Lanes) *Entry {
	e := &Entry{Block: b, Lanes: lanes, parent: parent}
	if parent != nil {
		e.payloads = parent.payloads
	}
	if len(b.Payload) > 0 {
		e.payloads++
	}
	return e
}

// Get returns the entry of a block, nil if it is not held.
func (t *Tree) Get(id qc.BlockID) *Entry { return t.entries[id] }

// Committed returns the entry of the highest committed block.
func (t *Tree) Committed() *Entry { return t.committed }

// Proposed returns the number of blocks held above the committed one by one proposer in one view.
func (t *Tree) Proposed(v qc.View, by qc.NodeID) int {
	n := 0
	for _, e := range t.entries {
		if e.Block.View == v && e.Block.Proposer == by && e.Block.Height > t.committed.Block.Height {
			n++
		}
	}
	return n
}

// Len returns the number of blocks held.
func (t *Tree) Len() int { return len(t.entries) }

// CheckLinkage checks what a block says of its own place: parent, view and height against its justify (S2). It needs no tree.
// Expected errors: ErrLinkage.
func CheckLinkage(b *Block) error {
	if b.Parent != b.Justify.Block || b.View <= b.Justify.View || b.Height == 0 {
		return ErrLinkage
	}
	return nil
}

// Insert adds a block under its parent and checks its place and its payload's lanes. A block that is held already is
// returned as it is.
// Expected errors: ErrUnknownParent, ErrLinkage, ErrOld, and the ErrLane values.
func (t *Tree) Insert(b *Block) (*Entry, error) {
	if e := t.entries[b.ID()]; e != nil {
		return e, nil
	}
	if b.Height <= t.committed.Block.Height {
		return nil, ErrOld
	}
	if err := CheckLinkage(b); err != nil {
		return nil, err
	}
	parent := t.entries[b.Parent]
	if parent == nil {
		return nil, ErrUnknownParent
	}
	if b.Height != parent.Block.Height+1 || b.Justify.View != parent.Block.View {
		return nil, ErrLinkage
	}
	lanes, err := parent.Lanes.Extend(b.Payload, b.Height, t.distanceMax, nil)
	if err != nil {
		return nil, err
	}
	e := newEntry(b, parent, lanes)
	t.entries[b.ID()] = e
	return e, nil
}

// Descends tells whether e is ancestor or descends from it.
func (t *Tree) Descends(e, ancestor *Entry) bool {
	for e != nil && e.Block.Height > ancestor.Block.Height {
		e = e.parent
	}
	return e == ancestor
}

// UncommittedPayload tells whether a block with a payload lies on the branch that ends in e, above the committed block.
func (t *Tree) UncommittedPayload(e *Entry) bool { return e.payloads > t.committed.payloads }

// Commit makes e the committed block and returns what that commits: e and its ancestors above the block committed before,
// oldest first. It is empty when e is at or below the committed height on its chain. Conflicting blocks, and blocks too
// far below, leave the tree.
// Expected errors: ErrConflictingCommit, after which the node must stop.
func (t *Tree) Commit(e *Entry) ([]*Entry, error) {
	if e.Block.Height <= t.committed.Block.Height {
		// Never both higher in view and lower in height: an old certificate may show an old commit again.
		if !t.Descends(t.committed, e) {
			return nil, ErrConflictingCommit
		}
		return nil, nil
	}
	if !t.Descends(e, t.committed) {
		return nil, ErrConflictingCommit
	}
	path := make([]*Entry, e.Block.Height-t.committed.Block.Height)
	for i, x := len(path)-1, e; i >= 0; i, x = i-1, x.parent {
		path[i] = x
	}
	t.committed = e
	t.prune()
	return path, nil
}

// prune drops what conflicts with the committed block and what lies more than keep below it.
func (t *Tree) prune() {
	oldest := t.committed
	for oldest.parent != nil && t.committed.Block.Height-oldest.Block.Height < t.keep {
		oldest = oldest.parent
	}
	for x := oldest.parent; x != nil; {
		delete(t.entries, x.Block.ID())
		x, x.parent = x.parent, nil
	}
	oldest.parent = nil
	for id, e := range t.entries { // order does not leak: each entry is judged by itself
		if !t.related(e) {
			delete(t.entries, id)
		}
	}
}

func (t *Tree) related(e *Entry) bool {
	return t.Descends(e, t.committed) || t.Descends(t.committed, e)
}

// Forget drops blocks above the committed one whose view is below the given one and that are not on the branch ending
// in tip: proposals that were never certified. Should one be needed after all, it is fetched like any other.
func (t *Tree) Forget(below qc.View, tip *Entry) {
	held := t.Above()
	for i := len(held) - 1; i >= 0; i-- { // children first, so that only leaves go
		e := held[i]
		if e.Block.View < below && !t.Descends(tip, e) && !t.hasChild(e, held) {
			delete(t.entries, e.Block.ID())
		}
	}
}

func (t *Tree) hasChild(e *Entry, held []*Entry) bool {
	for _, x := range held {
		if x.parent == e && t.entries[x.Block.ID()] == x {
			return true
		}
	}
	return false
}

// Above lists the blocks above the committed one, in ascending order of height, view and ID.
func (t *Tree) Above() []*Entry {
	var es []*Entry
	for _, e := range t.entries {
		if e.Block.Height > t.committed.Block.Height {
			es = append(es, e)
		}
	}
	sort.Slice(es, func(i, j int) bool {
		a, b := es[i].Block, es[j].Block
		if a.Height != b.Height {
			return a.Height < b.Height
		}
		if a.View != b.View {
			return a.View < b.View
		}
		ai, bi := a.ID(), b.ID()
		return string(ai[:]) < string(bi[:])
	})
	return es
}
