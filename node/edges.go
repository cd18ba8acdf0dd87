package node

import (
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/store"
)

// Store keeps what gates messages. Append is one atomic write, synced when it returns. After an error the node stops:
// what is on disk is then unknown, and a vote might be forgotten.
type Store interface {
	Append(records []hotstuff.Record) error
}

// Transport carries messages to peers: hotstuff's and mempool's. It never blocks; what does not fit its bounds is lost,
// as on any network.
type Transport interface {
	Send(to qc.NodeID, message any)
	Broadcast(message any)
}

// App takes committed blocks, in order, with all their batches. It never blocks: what is under way is bounded by the
// mempool, which names no payload while too much is (L13). It answers with an Executed event a block.
type App interface {
	Execute(mempool.Execution)
}

// Verifier does what is too slow for the loop, or waits for a disk that no message waits for. It answers with Summed,
// Synced and Loaded events.
type Verifier interface {
	// Sum checks a sum of votes.
	Sum(hotstuff.VerifyRequest)
	// Sync writes batches to the payload store and syncs them.
	Sync([]*mempool.Batch)
	// Load looks for batches in the payload store.
	Load([]blocktree.Digest)
}

// Snapshots puts another replica's snapshot together and has it taken over. It answers with events.
type Snapshots interface {
	// Receive makes ready for the chunks of a snapshot, in place of any other. It answers with SnapshotOpened.
	Receive(store.SnapshotMeta)
	// Put checks a chunk and keeps it. It answers with ChunkPut.
	Put(SnapshotChunk)
	// Restore has the executor take the state over, and makes the snapshot this replica's own. It answers with
	// SnapshotRestored.
	Restore()
	// Abort forgets the snapshot that is being received.
	Abort()
	// Certified tells of a certificate of a state that is on disk.
	Certified(*qc.CheckpointCertificate)
}

// Event is what a Driver takes in: Received, ReceivedBatch, Summed, Synced, Loaded, Executed, PeerChange, Submitted,
// NonceSeen, Checkpointed, SnapshotOpened, ChunkPut or SnapshotRestored.
type Event interface{ event() }

// Received is a verified protocol message.
type Received struct{ Verified hotstuff.Verified }

// ReceivedBatch is a verified batch, pushed or fetched.
type ReceivedBatch struct {
	From  qc.NodeID
	Batch mempool.Verified
}

// AddedUp comes before Summed if the core wants the sum before it is checked.
type AddedUp struct{ Sum hotstuff.Unchecked }

// Summed answers Verifier.Sum.
type Summed struct{ Sum hotstuff.Sum }

// Synced answers Verifier.Sync: the batches are on disk.
type Synced struct{ Batches []*mempool.Batch }

// Loaded answers Verifier.Load with those that the payload store has.
type Loaded struct {
	Asked []blocktree.Digest
	Found []*mempool.Batch
}

// Executed tells that the application has executed the block of this height.
type Executed struct{ Height qc.Height }

// PeerChange tells that a replica's connection is up, or known to be down.
type PeerChange struct {
	ID qc.NodeID
	Up bool
}

// NonceSeen tells that a block was executed that has this replica's rejoin with this nonce.
type NonceSeen struct{ Nonce hotstuff.Nonce }

// Submitted is work of a client: one request, never spread over two batches.
type Submitted struct {
	Blob  []byte
	Count uint32
	Owner any // who gets the results; opaque to the driver and the mempool
	Extra int // bytes that the request holds beside the blob, for the bound on work under way
}

// SnapshotOpened answers Snapshots.Receive.
type SnapshotOpened struct {
	Root    [32]byte
	Missing []int // chunks that are not here yet, ascending
	Failed  bool  // this replica cannot receive it
}

// PutOutcome is what came of a chunk.
type PutOutcome uint8

// The outcomes.
const (
	PutDone   PutOutcome = iota // it is on disk
	PutWrong                    // it is not what was offered
	PutFailed                   // it could not be written
)

// ChunkPut answers Snapshots.Put.
type ChunkPut struct {
	Root    [32]byte
	Index   int
	Outcome PutOutcome
}

// SnapshotRestored answers Snapshots.Restore.
type SnapshotRestored struct {
	Root [32]byte
	// State is where the replica stands now; nil if nothing was taken over: it had come further by itself, or it failed.
	State *hotstuff.Restored
	Err   error // errSnapshot, wrapped: what was offered is not the certified state
}

func (SnapshotOpened) event()   {}
func (ChunkPut) event()         {}
func (SnapshotRestored) event() {}

func (Received) event()      {}
func (ReceivedBatch) event() {}
func (AddedUp) event()       {}
func (Summed) event()        {}
func (Synced) event()        {}
func (Loaded) event()        {}
func (Executed) event()      {}
func (PeerChange) event()    {}
func (Submitted) event()     {}
func (NonceSeen) event()     {}
