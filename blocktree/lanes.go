package blocktree

import (
	"errors"
	"fmt"

	"github.com/hotstuffd/hotstuffd/qc"
)

// Digest is the SHA-256 that names a batch (see mempool.Batch).
type Digest [32]byte

// String gives the first eight hex digits.
func (d Digest) String() string { return fmt.Sprintf("%x", d[:4]) }

// Incarnation names one lane of an origin. Lanes of one origin are ordered lexicographically; a later one closes
// the earlier for good.
type Incarnation struct {
	Rejoin qc.View // the view w of the origin's last rejoin, else 0
	Starts uint64  // starts and lane openings since then
}

// Compare returns -1, 0 or +1.
func (a Incarnation) Compare(b Incarnation) int {
	switch {
	case a.Rejoin < b.Rejoin || a.Rejoin == b.Rejoin && a.Starts < b.Starts:
		return -1
	case a == b:
		return 0
	}
	return +1
}

// BatchRef is how a block names a batch. Every field is checked against the batch before a vote.
type BatchRef struct {
	Origin      qc.NodeID
	Incarnation Incarnation
	Seq         uint64
	Digest      Digest
	Bytes       uint32    // size of the batch's blob of commands
	Expiry      qc.Height // the greatest height of a block that may name it
}

// Cursor is where a lane stands: the next batch is (Incarnation, Seq) and must name Last as its predecessor.
// The zero Cursor stands before the first batch of an origin's first lane.
type Cursor struct {
	Incarnation Incarnation
	Seq         uint64
	Last        Digest
}

// Lanes is next(b): one cursor per origin, a pure function of a block and its ancestors (PROTOCOL §6).
// A Lanes value is never changed once made; Extend returns a new one.
type Lanes []Cursor

// Errors of Lanes.Extend: the payload is invalid, whatever the batches hold.
var (
	ErrLaneOrder   = errors.New("payload: origins not in ascending order")
	ErrLaneOrigin  = errors.New("payload: origin outside the committee")
	ErrLaneGap     = errors.New("payload: batch is not the next of its lane")
	ErrLaneReopen  = errors.New("payload: more than one new lane for an origin")
	ErrLaneExpired = errors.New("payload: batch is expired or expires too late")
)

// Extend checks that refs continue the lanes in a block of the given height, and returns the lanes after it.
// For each origin, in ascending order: a possibly empty run from its cursor, then optionally one run from sequence 0
// of a higher incarnation. visit, if not nil, is told the predecessor that each batch must name: the zero digest for
// the first of a lane. distanceMax bounds expiry − height (a genesis limit), so that no batch stays valid for ever.
// Expected errors: the ErrLane values.
func (l Lanes) Extend(refs []BatchRef, height, distanceMax qc.Height, visit func(ref BatchRef, prev Digest)) (Lanes, error) {
	if len(refs) == 0 {
		return l, nil
	}
	next := append(Lanes(nil), l...)
	opened := false
	for i, r := range refs {
		if int(r.Origin) >= len(next) {
			return nil, ErrLaneOrigin
		}
		if i > 0 && refs[i-1].Origin != r.Origin {
			if r.Origin < refs[i-1].Origin {
				return nil, ErrLaneOrder
			}
			opened = false
		}
		c := &next[r.Origin]
		if r.Incarnation != c.Incarnation {
			if r.Incarnation.Compare(c.Incarnation) < 0 || r.Seq != 0 {
				return nil, ErrLaneGap
			}
			if opened {
				return nil, ErrLaneReopen
			}
			opened = true
			*c = Cursor{Incarnation: r.Incarnation}
		}
		if r.Seq != c.Seq {
			return nil, ErrLaneGap
		}
		if height > r.Expiry || r.Expiry-height > distanceMax {
			return nil, ErrLaneExpired
		}
		if visit != nil {
			visit(r, c.Last)
		}
		c.Seq++
		c.Last = r.Digest
	}
	return next, nil
}
