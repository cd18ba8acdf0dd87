package wire_test

import (
	"math/rand/v2"

	"github.com/hotstuffd/hotstuffd/api/wire"
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
)

var limits = wire.Limits{Nodes: 9, BlockBatchesMax: 5, BatchBytesMax: 300, ResponseBlocksMax: 3, RequestDigestsMax: 4}

// sampler draws well-formed values from a seed. Numbers are drawn from all magnitudes, for varints differ by it.
type sampler struct{ *rand.Rand }

func newSampler(seed uint64) sampler { return sampler{rand.New(rand.NewPCG(seed, 1))} }

func (s sampler) number() uint64     { return s.Uint64() >> s.IntN(64) }
func (s sampler) node() qc.NodeID    { return qc.NodeID(s.IntN(limits.Nodes)) }
func (s sampler) chance() bool       { return s.IntN(2) == 0 }
func (s sampler) hash() (h [32]byte) { s.fill(h[:]); return h }

func (s sampler) fill(b []byte) {
	for i := range b {
		b[i] = byte(s.Uint32())
	}
}

func (s sampler) signature() (sig qc.Signature) { s.fill(sig[:]); return sig }

func (s sampler) bitmap() qc.Bitmap {
	b := qc.NewBitmap(limits.Nodes)
	for id := range limits.Nodes {
		if s.chance() {
			b.Set(qc.NodeID(id))
		}
	}
	return b
}

func (s sampler) qc() qc.QuorumCertificate {
	return qc.QuorumCertificate{Epoch: qc.Epoch(s.number()), View: qc.View(s.number()), Block: s.hash(), Signers: s.bitmap(),
		Signature: s.signature()}
}

func (s sampler) tc() *qc.TimeoutCertificate {
	c := &qc.TimeoutCertificate{Epoch: 1, View: qc.View(s.number()), HighQC: s.qc(), Signers: s.bitmap(), Signature: s.signature()}
	for range c.Signers.Count() {
		c.HighQCViews = append(c.HighQCViews, qc.View(s.number()))
	}
	return c
}

func (s sampler) vote() *qc.Vote {
	return &qc.Vote{View: qc.View(s.number()), Block: s.hash(), Signer: s.node(), Signature: s.signature()}
}

func (s sampler) timeout() *qc.Timeout {
	t := &qc.Timeout{Epoch: 1, View: qc.View(s.number()), HighQC: s.qc(), Signer: s.node(), Signature: s.signature()}
	if s.chance() {
		t.TC = s.tc()
	}
	if s.chance() {
		t.Vote = s.vote()
	}
	return t
}

func (s sampler) incarnation() blocktree.Incarnation {
	return blocktree.Incarnation{Rejoin: qc.View(s.number()), Starts: s.number()}
}

func (s sampler) block() *blocktree.Block {
	b := &blocktree.Block{Epoch: 1, View: qc.View(s.number()), Height: qc.Height(s.number()), Parent: s.hash(), Justify: s.qc(),
		Proposer: s.node(), Time: int64(s.number())}
	if s.chance() {
		b.TC = s.tc()
	}
	for range s.IntN(limits.BlockBatchesMax + 1) {
		b.Payload = append(b.Payload, blocktree.BatchRef{Origin: s.node(), Incarnation: s.incarnation(), Seq: s.number(),
			Digest: s.hash(), Bytes: uint32(s.number()), Expiry: qc.Height(s.number())})
	}
	s.fill(b.Signature[:])
	b.ID() // as decoded blocks have it
	return b
}

func (s sampler) lanes() (l blocktree.Lanes) {
	if s.chance() {
		return nil
	}
	for range limits.Nodes {
		l = append(l, blocktree.Cursor{Incarnation: s.incarnation(), Seq: s.number(), Last: s.hash()})
	}
	return l
}

func (s sampler) batch() *mempool.Batch {
	b := &mempool.Batch{Origin: s.node(), Incarnation: s.incarnation(), Seq: s.number(), Prev: s.hash(),
		Expiry: qc.Height(s.number()), Count: uint32(s.number()), Blob: make([]byte, 1+s.IntN(limits.BatchBytesMax))}
	s.fill(b.Blob)
	s.fill(b.Signature[:])
	return b
}

func (s sampler) state() hotstuff.SafetyState {
	st := hotstuff.SafetyState{Sequence: s.number(), Epoch: 1, LockView: qc.View(s.number()), LockBlock: s.hash(), HighQC: s.qc(),
		Incarnation: s.incarnation()}
	if s.chance() {
		st.LastVoted, st.LastTC = s.vote(), s.tc()
	}
	if s.chance() {
		st.LastTimeout, st.LastProposal = s.timeout(), s.block()
	}
	if s.chance() {
		st.Nonce, st.Floor, st.Reserved = s.hash(), qc.View(s.number()), qc.View(s.number())
	}
	return st
}

func (s sampler) checkpoint() qc.Checkpoint {
	return qc.Checkpoint{Height: qc.Height(s.number()), Block: s.hash(), Digest: s.hash()}
}

func (s sampler) checkpointCertificate() *qc.CheckpointCertificate {
	return &qc.CheckpointCertificate{Epoch: 1, Checkpoint: s.checkpoint(), Signers: s.bitmap(), Signature: s.signature()}
}

func (s sampler) commit() hotstuff.CommitRecord {
	return hotstuff.CommitRecord{Height: qc.Height(s.number()), Block: s.hash(), Lanes: s.lanes()}
}

func (s sampler) snapshot() *wire.Snapshot {
	r := &wire.Snapshot{Certificate: s.checkpointCertificate(), Bytes: int64(s.number()), Chunks: make([][32]byte, s.IntN(5))}
	for i := range r.Chunks {
		r.Chunks[i] = s.hash()
	}
	return r
}

// messages gives one message of every type that a frame carries.
func (s sampler) messages() []any {
	cert := s.qc()
	return []any{
		&hotstuff.Proposal{Block: s.block()},
		&hotstuff.VoteMessage{Vote: *s.vote(), Held: s.lanes()},
		&hotstuff.TimeoutMessage{Timeout: s.timeout(), Held: s.lanes()},
		&hotstuff.CertificateMessage{QC: &cert},
		&hotstuff.CertificateMessage{TC: s.tc()},
		&hotstuff.BlockRequest{Target: s.hash(), From: qc.Height(s.number())},
		&hotstuff.BlockResponse{Target: s.hash(), Blocks: []*blocktree.Block{s.block(), s.block()}},
		s.batch(),
		&mempool.BatchRequest{Digests: []blocktree.Digest{s.hash(), s.hash()}},
		&hotstuff.RejoinRequest{Nonce: s.hash()},
		&hotstuff.CheckpointMessage{Signed: &qc.SignedCheckpoint{Checkpoint: s.checkpoint(), Signer: s.node(), Signature: s.signature()}},
		&hotstuff.CheckpointMessage{Certificate: s.checkpointCertificate()},
		&hotstuff.Pruned{Floor: qc.Height(s.number())},
		&hotstuff.SnapshotRequest{Above: qc.Height(s.number())},
		&hotstuff.SnapshotOffer{Certificate: s.checkpointCertificate(), Bytes: s.number(), Chunks: [][32]byte{s.hash(), s.hash()}},
		&hotstuff.ChunkRequest{Height: qc.Height(s.number()), Index: uint32(s.number())},
		&hotstuff.Chunk{Height: qc.Height(s.number()), Index: uint32(s.number()), Data: []byte{1, 2, 3}},
	}
}
