package blocktree_test

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/qc"
)

const (
	height      = qc.Height(100)
	distanceMax = qc.Height(50)
)

func inc(rejoin qc.View, starts uint64) blocktree.Incarnation {
	return blocktree.Incarnation{Rejoin: rejoin, Starts: starts}
}

// digest names a batch in these tests: any two different tags give different digests.
func digest(tag byte) blocktree.Digest { return blocktree.Digest{0xd0, tag} }

func ref(origin qc.NodeID, i blocktree.Incarnation, seq uint64, tag byte) blocktree.BatchRef {
	return blocktree.BatchRef{Origin: origin, Incarnation: i, Seq: seq, Digest: digest(tag), Expiry: height + 10}
}

func expiring(r blocktree.BatchRef, at qc.Height) blocktree.BatchRef {
	r.Expiry = at
	return r
}

// TestExtendRules shows each rule of PROTOCOL §6 on payloads for lanes in which origin 1 stands before (incarnation 1, batch 3) and the others at zero.
func TestExtendRules(t *testing.T) {
	one, two, three := inc(0, 1), inc(0, 2), inc(0, 3)
	start := blocktree.Lanes{{}, {Incarnation: one, Seq: 3, Last: digest(9)}, {}}
	for _, c := range []struct {
		name string
		refs []blocktree.BatchRef
		want error
	}{
		{"nothing", nil, nil},
		{"next of a lane", []blocktree.BatchRef{ref(1, one, 3, 1)}, nil},
		{"a run", []blocktree.BatchRef{ref(1, one, 3, 1), ref(1, one, 4, 2)}, nil},
		{"a new lane at once", []blocktree.BatchRef{ref(1, two, 0, 1), ref(1, two, 1, 2)}, nil},
		{"a run, then a new lane", []blocktree.BatchRef{ref(1, one, 3, 1), ref(1, two, 0, 2), ref(1, two, 1, 3)}, nil},
		{"a new lane that skips incarnations", []blocktree.BatchRef{ref(1, three, 0, 1)}, nil},
		{"a lane after a rejoin", []blocktree.BatchRef{ref(1, inc(7, 0), 0, 1)}, nil},
		{"the zero incarnation's first", []blocktree.BatchRef{ref(0, inc(0, 0), 0, 1)}, nil},
		{"a new lane for two origins", []blocktree.BatchRef{ref(0, one, 0, 1), ref(1, two, 0, 2), ref(2, one, 0, 3)}, nil},

		{"a repeat", []blocktree.BatchRef{ref(1, one, 2, 9)}, blocktree.ErrLaneGap},
		{"the same batch twice", []blocktree.BatchRef{ref(1, one, 3, 1), ref(1, one, 3, 1)}, blocktree.ErrLaneGap},
		{"a gap", []blocktree.BatchRef{ref(1, one, 4, 1)}, blocktree.ErrLaneGap},
		{"a gap within a run", []blocktree.BatchRef{ref(1, one, 3, 1), ref(1, one, 5, 2)}, blocktree.ErrLaneGap},
		{"a closed lane", []blocktree.BatchRef{ref(1, inc(0, 0), 0, 1)}, blocktree.ErrLaneGap},
		{"a new lane from its second batch", []blocktree.BatchRef{ref(1, two, 1, 1)}, blocktree.ErrLaneGap},
		{"back to the old lane", []blocktree.BatchRef{ref(1, two, 0, 1), ref(1, one, 3, 2)}, blocktree.ErrLaneGap},
		{"two new lanes", []blocktree.BatchRef{ref(1, two, 0, 1), ref(1, three, 0, 2)}, blocktree.ErrLaneReopen},
		{"origins out of order", []blocktree.BatchRef{ref(1, one, 3, 1), ref(0, one, 0, 2)}, blocktree.ErrLaneOrder},
		{"an origin twice", []blocktree.BatchRef{ref(0, one, 0, 1), ref(1, one, 3, 2), ref(0, one, 1, 3)}, blocktree.ErrLaneOrder},
		{"a stranger", []blocktree.BatchRef{ref(3, one, 0, 1)}, blocktree.ErrLaneOrigin},

		{"expiry at the block", []blocktree.BatchRef{expiring(ref(1, one, 3, 1), height)}, nil},
		{"expiry below the block", []blocktree.BatchRef{expiring(ref(1, one, 3, 1), height-1)}, blocktree.ErrLaneExpired},
		{"the farthest expiry", []blocktree.BatchRef{expiring(ref(1, one, 3, 1), height+distanceMax)}, nil},
		{"an expiry too far", []blocktree.BatchRef{expiring(ref(1, one, 3, 1), height+distanceMax+1)}, blocktree.ErrLaneExpired},
		{"an expiry without end", []blocktree.BatchRef{expiring(ref(1, one, 3, 1), ^qc.Height(0))}, blocktree.ErrLaneExpired},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := slices.Clone(start)
			next, err := start.Extend(c.refs, height, distanceMax, nil)
			if !errors.Is(err, c.want) || (err == nil) != (next != nil) {
				t.Fatalf("Extend = %v, %v; want %v", next, err, c.want)
			}
			if !slices.Equal(start, before) {
				t.Fatalf("Extend changed its receiver: %v", start)
			}
		})
	}
}

// TestExtendTellsPredecessors shows what each batch must link to, and where the lanes stand afterwards.
func TestExtendTellsPredecessors(t *testing.T) {
	one, two := inc(0, 1), inc(0, 2)
	start := blocktree.Lanes{{}, {Incarnation: one, Seq: 3, Last: digest(9)}}
	refs := []blocktree.BatchRef{ref(0, one, 0, 1), ref(0, one, 1, 2), ref(1, one, 3, 3), ref(1, two, 0, 4)}
	var prevs []blocktree.Digest
	next, err := start.Extend(refs, height, distanceMax, func(r blocktree.BatchRef, prev blocktree.Digest) {
		if r != refs[len(prevs)] {
			t.Errorf("visit %d is told of %v", len(prevs), r)
		}
		prevs = append(prevs, prev)
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []blocktree.Digest{{}, digest(1), digest(9), {}}; !slices.Equal(prevs, want) {
		t.Errorf("predecessors %v, want %v", prevs, want)
	}
	want := blocktree.Lanes{{Incarnation: one, Seq: 2, Last: digest(2)}, {Incarnation: two, Seq: 1, Last: digest(4)}}
	if !slices.Equal(next, want) {
		t.Errorf("lanes after %v, want %v", next, want)
	}
}

// TestExtendNamesABatchOnce is the property that replaces a window of remembered commands: along any chain of valid payloads, each position of an
// origin's lanes is named at most once, in ascending order, and each lane's positions without a gap.
func TestExtendNamesABatchOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lanes := make(blocktree.Lanes, 2)
		var last [2]*blocktree.BatchRef
		for range rapid.IntRange(1, 30).Draw(t, "blocks") {
			refs := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) blocktree.BatchRef {
				return ref(qc.NodeID(rapid.IntRange(0, 2).Draw(t, "origin")),
					inc(qc.View(rapid.IntRange(0, 1).Draw(t, "rejoin")), rapid.Uint64Range(0, 2).Draw(t, "starts")),
					rapid.Uint64Range(0, 3).Draw(t, "seq"), rapid.Byte().Draw(t, "digest"))
			}), 0, 3).Draw(t, "refs")
			next, err := lanes.Extend(refs, height, distanceMax, nil)
			if err != nil {
				continue
			}
			for i := range refs {
				r := &refs[i]
				if was := last[r.Origin]; was != nil {
					follows := r.Incarnation == was.Incarnation && r.Seq == was.Seq+1
					begins := r.Incarnation.Compare(was.Incarnation) > 0 && r.Seq == 0
					if !follows && !begins {
						t.Fatalf("%v was accepted after %v", *r, *was)
					}
				}
				last[r.Origin] = r
			}
			lanes = next
		}
	})
}

// TestIncarnationOrder shows that a rejoin outranks any number of starts.
func TestIncarnationOrder(t *testing.T) {
	ascending := []blocktree.Incarnation{inc(0, 0), inc(0, 1), inc(0, 9), inc(1, 0), inc(1, 1), inc(2, 0)}
	for i, a := range ascending {
		for j, b := range ascending {
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := a.Compare(b); got != want {
				t.Errorf("%v.Compare(%v) = %d, want %d", a, b, got, want)
			}
		}
	}
}
