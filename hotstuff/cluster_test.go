package hotstuff_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"slices"
	"testing"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/pacemaker"
	"github.com/hotstuffd/hotstuffd/qc"
)

// cluster is n cores over a deterministic network, disks that keep what was persisted, and a clock that moves only when
// told. It plays the driver's part in full: questions are answered, Persist is written, then Send is queued, then
// Commit is recorded. After every turn it checks what must always hold (invariants_test.go).
type cluster struct {
	tb        testing.TB
	opt       options
	committee *qc.Committee
	genesis   *blocktree.Block
	signers   []qc.Signer
	scheme    qc.Scheme
	keys      []ed25519.PrivateKey
	public    qc.Roster
	nodes     []*replica

	now   qc.Ticks
	queue []packet
	drops []func(packet) bool // a packet that one of them accepts is lost
	cut   func(r *replica) cutAt

	batches [][]blocktree.BatchRef // by origin, in lane order
	names   map[blocktree.Digest]string
	nonces  map[blocktree.Digest]hotstuff.Nonce // of the batches that hold a rejoin
	losses  byte                                // how many nonces were drawn
	labels  map[qc.BlockID]string               // b<view>, with primes for further blocks of the view
	ofView  map[qc.View][]*blocktree.Block
	chain   []qc.BlockID // the one committed chain, by height
	qcs     map[qc.View]qc.QuorumCertificate
	tcs     map[qc.View]*qc.TimeoutCertificate
	events  []event
	trace   bool
}

type options struct {
	n       int
	rule    pacemaker.Schedule
	window  int
	timing  pacemaker.Config
	chunk   int  // blocks in one BlockResponse at most
	lateSum bool // sums of votes come back through the queue, as from a verification pool
	ahead   bool // and before that unchecked
	// Checkpoints come every so many blocks, 0: never; and blocks get payload up to lag above the certified one.
	every, lag qc.Height
}

func defaults(n int) options {
	return options{n: n, rule: pacemaker.RoundRobin, window: 8, chunk: 64,
		timing: pacemaker.Config{Base: 1000, Max: 50_000, Heartbeat: 10_000}}
}

// packet is one message under way; or, if sum is set, the answer of a verification pool.
type packet struct {
	from, to qc.NodeID
	msg      hotstuff.Message
	sum      hotstuff.Input // Unchecked or Sum
}

// cutAt is where in a turn the power fails.
type cutAt uint8

const (
	cutNever cutAt = iota
	cutBeforePersist
	cutBeforeSend
)

// replica is one node: its core while it runs, its disk, and what the driver knows of its mempool.
type replica struct {
	id       qc.NodeID
	core     *hotstuff.Core // nil while crashed, halted or Byzantine
	verifier *hotstuff.Verifier
	disk     disk
	past     history
	halted   error
	view     qc.View // as last traced
	work     bool    // as last told to the core
	paused   bool    // Build gives nothing, as when the executor's queue is full
	withhold bool    // payloads are not here yet
	waiting  []qc.BlockID
	wrongAt  qc.Height // the application's state is wrong from here on; 0: never
}

// disk is what has been synced.
type disk struct {
	blocks map[qc.BlockID]*blocktree.Block
	safety hotstuff.SafetyState
	chain  []qc.BlockID
	lanes  blocktree.Lanes
	// certified is the newest checkpoint certificate.
	certified *qc.CheckpointCertificate
}

func newCluster(tb testing.TB, o options) *cluster {
	committee, err := qc.NewCommittee(sha256.Sum256([]byte("test chain")), 1, o.n)
	if err != nil {
		tb.Fatal(err)
	}
	c := &cluster{tb: tb, opt: o, committee: committee, genesis: blocktree.Genesis(committee.Chain, committee.Epoch, o.n),
		batches: make([][]blocktree.BatchRef, o.n), names: map[blocktree.Digest]string{}, nonces: map[blocktree.Digest]hotstuff.Nonce{}, labels: map[qc.BlockID]string{},
		ofView: map[qc.View][]*blocktree.Block{}, qcs: map[qc.View]qc.QuorumCertificate{}, tcs: map[qc.View]*qc.TimeoutCertificate{}}
	c.scheme, c.signers = qc.NewMock(1, o.n)
	for i := range o.n {
		seed := sha256.Sum256([]byte{byte(i), 'i', 'd'})
		key := ed25519.NewKeyFromSeed(seed[:])
		c.keys = append(c.keys, key)
		c.public = append(c.public, key.Public().(ed25519.PublicKey))
	}
	c.name(c.genesis)
	c.chain = []qc.BlockID{c.genesis.ID()}
	c.qcs[0] = blocktree.GenesisQC(c.genesis, o.n)
	for i := range o.n {
		c.nodes = append(c.nodes, &replica{id: qc.NodeID(i), past: newHistory(), disk: c.newDisk()})
	}
	return c
}

// newDisk is the disk of a replica that has never run.
func (c *cluster) newDisk() disk {
	return disk{blocks: map[qc.BlockID]*blocktree.Block{c.genesis.ID(): c.genesis}, chain: []qc.BlockID{c.genesis.ID()},
		lanes: make(blocktree.Lanes, c.opt.n), safety: hotstuff.SafetyState{Epoch: 1, HighQC: c.qcs[0]}}
}

func (c *cluster) certs() *qc.Verifier {
	return qc.NewVerifier(c.committee, c.scheme, nil, blocktree.GenesisQC(c.genesis, c.opt.n))
}

func (c *cluster) limits() hotstuff.Limits {
	return hotstuff.Limits{BlockBatchesMax: 64, BlockBytesMax: 1 << 20, BatchBytesMax: 1 << 10, ExpiryDistanceMax: 10_000,
		ClockSkewMax: 50_000_000, CheckpointEvery: c.opt.every}
}

func (c *cluster) config(id qc.NodeID) hotstuff.Config {
	return hotstuff.Config{Self: id, Committee: c.committee, Signer: c.signers[id], Certs: c.certs(), Identity: qc.IdentityKey(c.keys[id]),
		Leaders: pacemaker.LeaderRule{Schedule: c.opt.rule, Size: c.opt.n, Faults: c.committee.Faults(), Window: c.opt.window},
		Limits:  c.limits(), Timing: c.opt.timing, CheckpointLag: c.opt.lag}
}

// wall is the wall clock that goes with now.
func (c *cluster) wall() int64 { return 1_000_000_000 + int64(c.now)*100_000 }

func (c *cluster) tick() hotstuff.Tick { return hotstuff.Tick{Now: c.now, Wall: c.wall()} }

// start starts a replica from its disk.
func (c *cluster) start(r *replica) {
	cfg := c.config(r.id)
	core, err := hotstuff.New(cfg, r.disk.recover(cfg.Leaders.Depth()), c.tick())
	if err != nil {
		c.halt(r, err)
		return
	}
	r.core, r.work, r.waiting = core, false, nil
	r.past.restarted()
	r.verifier = hotstuff.NewVerifier(r.id, c.committee, c.certs(), c.public, c.limits())
	r.view = core.View()
	c.finish(r)
	c.noticeStored(r)
	c.executeStored(r)
}

func (c *cluster) crash(r *replica) {
	c.note(r.id, "crashes")
	r.core, r.halted = nil, nil
	c.queue = slices.DeleteFunc(c.queue, func(p packet) bool { return p.sum != nil && p.to == r.id }) // its pool is gone
}

func (c *cluster) halt(r *replica, err error) {
	r.core, r.halted = nil, err
	c.note(r.id, "halts: %v", err)
}

// recover is what a restart finds on the disk.
func (d *disk) recover(depth int) hotstuff.Recovered {
	rec := hotstuff.Recovered{Safety: d.safety, Lanes: d.lanes, Certified: d.certified}
	top := len(d.chain) - 1
	rec.Committed = d.blocks[d.chain[top]]
	for h := max(0, top-depth); h < top; h++ {
		rec.Below = append(rec.Below, d.blocks[d.chain[h]])
	}
	for _, b := range d.blocks {
		if b.Height > rec.Committed.Height {
			rec.Above = append(rec.Above, b)
		}
	}
	sortBlocks(rec.Above)
	return rec
}

// step gives one input; false if the replica halted.
func (c *cluster) step(r *replica, in hotstuff.Input) bool {
	if err := r.core.Step(in); err != nil {
		c.halt(r, err)
		return false
	}
	return true
}

// turn is one turn of a driver: the time, one input, and everything that follows from it.
func (c *cluster) turn(r *replica, in hotstuff.Input) {
	if r.core != nil && c.step(r, c.tick()) && c.step(r, in) {
		c.finish(r)
	}
}

// turnAt is a turn of a replica whose clock is ahead of the others'.
func (c *cluster) turnAt(r *replica, at qc.Ticks) {
	if c.step(r, hotstuff.Tick{Now: at, Wall: c.wall()}) {
		c.finish(r)
	}
}

// finish answers questions, then does what Ready says, in its order.
func (c *cluster) finish(r *replica) {
	if !c.answer(r) {
		return
	}
	cut := cutNever
	if c.cut != nil {
		cut = c.cut(r)
	}
	ready := r.core.Ready()
	if v := r.core.View(); v != r.view {
		r.view = v
		c.note(r.id, "enters %d", v)
	}
	for _, e := range ready.First {
		c.send(r, e)
	}
	if cut == cutBeforePersist {
		c.crash(r)
		return
	}
	c.persist(r, ready.Persist)
	if cut == cutBeforeSend {
		c.crash(r)
		return
	}
	for _, e := range ready.Send {
		c.send(r, e)
	}
	for _, b := range ready.Commit {
		c.commit(r, b)
	}
	for _, d := range ready.Dropped {
		c.note(r.id, "drops from %v: %v", d.From, d.Reason)
	}
	if ready.Push {
		c.note(r.id, "pushes its work to the leader")
	}
	r.core.Advance()
	c.checkTimers(r)
	for _, b := range ready.Commit {
		c.notice(r, b.Block)
		c.execute(r, b.Block)
	}
	if r.core == nil {
		return // halted, or its power has failed
	}
	for _, req := range ready.Verify {
		answer := func(sum hotstuff.Input) {
			if c.opt.lateSum {
				c.queue = append(c.queue, packet{from: r.id, to: r.id, sum: sum})
			} else {
				c.turn(r, sum)
			}
		}
		var unchecked func(hotstuff.Unchecked)
		if c.opt.ahead {
			unchecked = func(u hotstuff.Unchecked) { answer(u) }
		}
		answer(r.verifier.Sum(req, unchecked))
	}
}

// answer answers the core's questions as a mempool would; false if the replica halted.
func (c *cluster) answer(r *replica) bool {
	for range 100 {
		q := r.core.Questions()
		for _, req := range q.Require {
			if r.withhold {
				r.waiting = append(r.waiting, req.Block.ID())
			} else if !c.step(r, hotstuff.PayloadStatus{Block: req.Block.ID(), Valid: true}) {
				return false
			}
		}
		f := r.core.Frontier()
		work := f.Known && len(c.includable(f.Lanes, f.Height+1)) > 0
		switch {
		case work != r.work:
			r.work = work
			if !c.step(r, hotstuff.Work{Includable: work}) {
				return false
			}
		case q.Build != nil:
			p := hotstuff.Payload{View: q.Build.View, Parent: q.Build.Parent}
			if !r.paused {
				p.Refs = c.includable(q.Build.Lanes, q.Build.Height)
			}
			if !c.step(r, p) {
				return false
			}
		case len(q.Require) == 0:
			return true
		}
	}
	c.tb.Fatalf("n%d asks the same questions for ever", r.id)
	return false
}

// includable lists the batches that a block of the given height may name.
func (c *cluster) includable(lanes blocktree.Lanes, height qc.Height) []blocktree.BatchRef {
	var refs []blocktree.BatchRef
	for origin, lane := range c.batches {
		for _, ref := range lane[min(lanes[origin].Seq, uint64(len(lane))):] {
			if ref.Expiry < height || len(refs) == int(c.limits().BlockBatchesMax) {
				break
			}
			refs = append(refs, ref)
		}
	}
	return refs
}

// submit makes a batch of an origin includable everywhere.
func (c *cluster) submit(origin qc.NodeID, name string) {
	ref := blocktree.BatchRef{Origin: origin, Seq: uint64(len(c.batches[origin])), Digest: sha256.Sum256([]byte(name)), Bytes: 1, Expiry: 9000}
	c.batches[origin] = append(c.batches[origin], ref)
	c.names[ref.Digest] = name
	for _, r := range c.nodes {
		c.turn(r, c.tick()) // the driver finds that work has come
	}
}

// release answers what a replica was asked while its payloads were withheld.
func (c *cluster) release(r *replica) {
	r.withhold = false
	for _, id := range r.waiting {
		c.turn(r, hotstuff.PayloadStatus{Block: id, Valid: true})
	}
	r.waiting = nil
}

// peer tells every replica that one's connection is up or down.
func (c *cluster) peer(id qc.NodeID, up bool) {
	for _, r := range c.nodes {
		if r.id != id {
			c.turn(r, hotstuff.Peer{ID: id, Up: up})
		}
	}
}

func (c *cluster) node(id qc.NodeID) *replica { return c.nodes[id] }

func (c *cluster) fatal(format string, args ...any) {
	c.tb.Helper()
	c.tb.Fatalf(format, args...)
}
