package blocktree_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/qc"
)

const keep = 3

// on makes a block of a view on a parent.
func on(parent *blocktree.Block, v qc.View, payload ...blocktree.BatchRef) *blocktree.Block {
	return &blocktree.Block{Epoch: 1, View: v, Height: parent.Height + 1, Parent: parent.ID(), Payload: payload,
		Justify: qc.QuorumCertificate{Epoch: 1, View: parent.View, Block: parent.ID()}}
}

func genesis() *blocktree.Block { return blocktree.Genesis(qc.ChainID{1}, 1, 4) }

func newTree(t *testing.T, committed *blocktree.Block, below ...*blocktree.Block) *blocktree.Tree {
	t.Helper()
	tree, err := blocktree.New(committed, make(blocktree.Lanes, 4), below, keep, 100)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// insert inserts blocks that must all fit.
func insert(t *testing.T, tree *blocktree.Tree, bs ...*blocktree.Block) (last *blocktree.Entry) {
	t.Helper()
	for _, b := range bs {
		e, err := tree.Insert(b)
		if err != nil {
			t.Fatalf("block of view %d: %v", b.View, err)
		}
		last = e
	}
	return last
}

// line makes a chain of blocks of consecutive views from v on a parent.
func line(parent *blocktree.Block, v qc.View, n int) (bs []*blocktree.Block) {
	for i := range n {
		bs = append(bs, on(parent, v+qc.View(i)))
		parent = bs[i]
	}
	return bs
}

func views(es []*blocktree.Entry) (vs []qc.View) {
	for _, e := range es {
		vs = append(vs, e.Block.View)
	}
	return vs
}

// TestInsertChecksThePlace: parent, height and view follow from the justify (S2).
func TestInsertChecksThePlace(t *testing.T) {
	root := genesis()
	b1 := on(root, 1)
	for name, c := range map[string]struct {
		change func(b *blocktree.Block)
		want   error
	}{
		"valid":                       {func(*blocktree.Block) {}, nil},
		"parent is not the justify's": {func(b *blocktree.Block) { b.Justify.Block = root.ID() }, blocktree.ErrLinkage},
		"view of the justify":         {func(b *blocktree.Block) { b.View = 1 }, blocktree.ErrLinkage},
		"height skips":                {func(b *blocktree.Block) { b.Height = 3 }, blocktree.ErrLinkage},
		"justify of another view":     {func(b *blocktree.Block) { b.Justify.View = 0 }, blocktree.ErrLinkage},
		"height of genesis":           {func(b *blocktree.Block) { b.Height = 0 }, blocktree.ErrOld},
		"unknown parent": {func(b *blocktree.Block) {
			b.Parent = qc.BlockID{9}
			b.Justify.Block = b.Parent
		}, blocktree.ErrUnknownParent},
		"a batch out of its lane":       {func(b *blocktree.Block) { b.Payload = []blocktree.BatchRef{{Seq: 1, Expiry: 50}} }, blocktree.ErrLaneGap},
		"a batch that expires too late": {func(b *blocktree.Block) { b.Payload = []blocktree.BatchRef{{Expiry: 103}} }, blocktree.ErrLaneExpired},
	} {
		tree := newTree(t, root)
		insert(t, tree, b1)
		b := on(b1, 5)
		c.change(b)
		if _, err := tree.Insert(b); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestInsertIsIdempotent(t *testing.T) {
	tree := newTree(t, genesis())
	b := on(genesis(), 1)
	if first, again := insert(t, tree, b), insert(t, tree, b); first != again || tree.Len() != 2 {
		t.Error("a block was inserted twice")
	}
}

// TestLanesFollowTheBranch: next(b) is a function of b's own ancestors.
func TestLanesFollowTheBranch(t *testing.T) {
	tree := newTree(t, genesis())
	ref := blocktree.BatchRef{Origin: 2, Digest: blocktree.Digest{7}, Expiry: 50}
	a := insert(t, tree, on(genesis(), 1, ref))
	b := insert(t, tree, on(genesis(), 2))
	if a.Lanes[2].Seq != 1 || a.Lanes[2].Last != ref.Digest || b.Lanes[2].Seq != 0 {
		t.Errorf("lanes %v and %v", a.Lanes, b.Lanes)
	}
}

// TestCommit returns the path, oldest first, each block once; and drops what conflicts, and what lies too deep.
func TestCommit(t *testing.T) {
	root := genesis()
	tree := newTree(t, root)
	main := line(root, 1, 6)
	insert(t, tree, main...)
	side := line(main[0], 10, 2)
	insert(t, tree, side...)
	path, err := tree.Commit(tree.Get(main[1].ID()))
	if err != nil || !slices.Equal(views(path), []qc.View{1, 2}) {
		t.Fatalf("path %v, %v", views(path), err)
	}
	if tree.Get(side[0].ID()) != nil || tree.Get(side[1].ID()) != nil {
		t.Error("a conflicting branch is still held")
	}
	if path, err := tree.Commit(tree.Get(main[1].ID())); len(path) != 0 || err != nil {
		t.Errorf("again: %v, %v", views(path), err)
	}
	if path, err := tree.Commit(tree.Get(main[0].ID())); len(path) != 0 || err != nil {
		t.Errorf("an ancestor: %v, %v", views(path), err)
	}
	if path, _ := tree.Commit(tree.Get(main[4].ID())); !slices.Equal(views(path), []qc.View{3, 4, 5}) {
		t.Errorf("path %v", views(path))
	}
	if tree.Get(main[0].ID()) != nil || tree.Get(main[1].ID()) == nil || tree.Get(main[1].ID()).Parent() != nil {
		t.Errorf("want the committed block and %d ancestors; %d held", keep, tree.Len())
	}
	if !slices.Equal(views(tree.Above()), []qc.View{6}) {
		t.Errorf("above: %v", views(tree.Above()))
	}
	if _, err := tree.Insert(on(main[1], 20)); !errors.Is(err, blocktree.ErrOld) {
		t.Errorf("a block that conflicts with the committed one: %v", err)
	}
	if _, err := tree.Insert(on(on(main[1], 20), 21)); !errors.Is(err, blocktree.ErrOld) {
		t.Errorf("a block below the committed height: %v", err)
	}
}

// TestConflictingCommit: two blocks neither of which descends from the other are never both committed.
func TestConflictingCommit(t *testing.T) {
	root := genesis()
	for _, first := range []int{0, 1} { // the other branch is lower, or higher, than what was committed
		tree := newTree(t, root)
		a, b := line(root, 1, 2), line(root, 10, 2)
		insert(t, tree, a...)
		insert(t, tree, b...)
		other := tree.Get(b[1-first].ID())
		if _, err := tree.Commit(tree.Get(a[first].ID())); err != nil {
			t.Fatal(err)
		}
		if _, err := tree.Commit(other); !errors.Is(err, blocktree.ErrConflictingCommit) {
			t.Errorf("got %v", err)
		}
	}
}

// TestUncommittedPayload counts blocks with a payload between the committed block and the tip.
func TestUncommittedPayload(t *testing.T) {
	root := genesis()
	tree := newTree(t, root)
	a := on(root, 1)
	b := on(a, 2, blocktree.BatchRef{Expiry: 50})
	c := on(b, 3)
	for _, step := range []struct {
		b    *blocktree.Block
		want bool
	}{{a, false}, {b, true}, {c, true}} {
		if got := tree.UncommittedPayload(insert(t, tree, step.b)); got != step.want {
			t.Errorf("view %d: %v", step.b.View, got)
		}
	}
	if _, err := tree.Commit(tree.Get(b.ID())); err != nil || tree.UncommittedPayload(tree.Get(c.ID())) {
		t.Error("its payload is committed")
	}
}

// TestForget drops old blocks that were never certified, with all their descendants, and nothing on the branch of the tip.
func TestForget(t *testing.T) {
	root := genesis()
	tree := newTree(t, root)
	main := line(root, 1, 4)
	tip := insert(t, tree, main...)
	old := line(main[0], 5, 3) // views 5, 6, 7
	mixed := []*blocktree.Block{on(main[1], 8), nil}
	mixed[1] = on(mixed[0], 20)
	insert(t, tree, old...)
	insert(t, tree, mixed...)
	tree.Forget(10, tip)
	if !slices.Equal(views(tree.Above()), []qc.View{1, 2, 3, 8, 4, 20}) {
		t.Errorf("left: %v", views(tree.Above()))
	}
}

// TestProposed counts one proposer's blocks of one view above the committed block.
func TestProposed(t *testing.T) {
	root := genesis()
	tree := newTree(t, root)
	a, b, c := on(root, 1), on(root, 1), on(root, 1)
	b.Time, c.Proposer = 1, 2
	insert(t, tree, a, b, c, on(a, 2))
	if got := tree.Proposed(1, 0); got != 2 {
		t.Errorf("%d, want 2", got)
	}
}

// TestNewChecksTheStoredChain.
func TestNewChecksTheStoredChain(t *testing.T) {
	root := genesis()
	bs := line(root, 1, 3)
	tree := newTree(t, bs[2], root, bs[0], bs[1])
	if tree.Len() != 4 || tree.Committed().Block != bs[2] || tree.Get(bs[0].ID()).Parent().Block.ID() != root.ID() {
		t.Error("the ancestors are not in their places")
	}
	if _, err := blocktree.New(bs[2], nil, []*blocktree.Block{root, bs[0]}, keep, 100); !errors.Is(err, blocktree.ErrLinkage) {
		t.Errorf("a gap in the stored chain: %v", err)
	}
	stranger := on(on(root, 9), 10)
	if _, err := blocktree.New(stranger, nil, bs[:1], keep, 100); !errors.Is(err, blocktree.ErrLinkage) {
		t.Errorf("a stored chain of two branches: %v", err)
	}
}
