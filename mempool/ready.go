package mempool

import (
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/qc"
)

// Ready is what the world must now do. All of it belongs to the caller. Nothing in it has to wait for another part of it: a batch may be pushed before
// it is synced here, since a new start never signs in the same incarnation again.
type Ready struct {
	Persist   []*Batch           // sync these to the payload store, then call Persisted
	Broadcast []*Batch           // push to all peers
	Push      []Push             // push to one peer
	Fetch     []Fetch            // ask one peer
	Load      []blocktree.Digest // look in the payload store, then call Loaded, whatever was found

	Available []qc.BlockID // answers to Require: every named batch is held, synced, and as the block says
	Invalid   []qc.BlockID // answers to Require: the payload is invalid
	Execute   []Execution  // in commit order, each committed block once

	Dead    []any // owners whose request was not and will never be applied
	Unknown []any // owners whose request was passed by a snapshot: applied once or never

	// OpenLane, unless zero, asks for a new own lane: raise the incarnation to at least this, sync it, then call Opened.
	OpenLane blocktree.Incarnation
}

// Push sends one batch to one peer.
type Push struct {
	To    qc.NodeID
	Batch *Batch
}

// Fetch sends one request to one peer.
type Fetch struct {
	To      qc.NodeID
	Request *BatchRequest
}

// Execution is one committed block with its batches. The owners in Spans pass to the caller.
type Execution struct {
	Block   *blocktree.Block
	Batches []*Batch // in the order of Block.Payload
	Spans   [][]Span // parallel to Batches: whose the commands are, for batches that this Pool made; nil for others
}

// Span is one request's place in a batch. The spans of a batch are in order and fill it; one without commands holds the position of reads.
type Span struct {
	Owner any
	First uint32 // index of its first command in the batch
	Count uint32 // number of its commands
}

// Ready returns what has accumulated since the last call, and forgets it.
func (p *Pool) Ready() Ready {
	r := p.ready
	p.ready = Ready{}
	return r
}
