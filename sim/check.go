package sim

import (
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/node"
	"github.com/hotstuffd/hotstuffd/qc"
)

// checker holds every replica to the rules, as events come. It sees everything, unlike any replica.
type checker struct {
	w         *World
	blocks    map[qc.BlockID]*blocktree.Block // that a correct replica stored
	ofView    map[qc.View][]*blocktree.Block
	children  map[qc.BlockID][]*blocktree.Block
	certified map[qc.View]qc.BlockID
	sound     *sound
	payloads  map[qc.BlockID]*payloadFacts
	leaders   map[seat]qc.NodeID
	sums      map[sumOf]*addedUp
	records   []hotstuff.Record // of the write that is being checked
	watches   []*watch          // by replica, of its present life
	chain     []qc.BlockID      // the one committed chain, by height
	digests   [][32]byte        // of the application, by height
	said      []sayings         // by replica
	fates     map[command]fate
	answered  []command // with their results, by the ledger
	lanes     map[position]blocktree.Digest
	states    map[qc.Height]qc.Checkpoint // that correct replicas signed
	snapshots map[qc.Height][32]byte      // what they took of them
	history   history
	// connections counts clients' connections.
	connections uint32

	committedAt  uint64  // the highest view of a correct replica at the last commit
	healedView   qc.View // the highest view of a correct replica when the faults ended
	healedHeight qc.Height
	counting     bool // views since then
	done         bool
}

// sayings is what one replica has said over all its lives.
type sayings struct {
	votes     map[qc.View]qc.BlockID
	timeouts  map[qc.View]qc.View
	proposals map[qc.View]qc.BlockID
	judged    qc.BlockID // the last proposal that has left before it was written, and was held against the rules then
}

type command struct{ connection, number uint32 }

// position is one place in a lane.
type position struct {
	origin      qc.NodeID
	incarnation blocktree.Incarnation
	seq         uint64
}

// fate is what is known of a command.
type fate uint8

const (
	isApplied fate = iota + 1
	isRefused
)

func newChecker(w *World) *checker {
	c := &checker{w: w, blocks: map[qc.BlockID]*blocktree.Block{w.root.ID(): w.root}, ofView: make(map[qc.View][]*blocktree.Block), certified: make(map[qc.View]qc.BlockID),
		chain: []qc.BlockID{w.root.ID()}, digests: make([][32]byte, 1), said: make([]sayings, w.cfg.Nodes), fates: make(map[command]fate),
		lanes: make(map[position]blocktree.Digest), states: make(map[qc.Height]qc.Checkpoint), snapshots: make(map[qc.Height][32]byte), children: make(map[qc.BlockID][]*blocktree.Block), payloads: make(map[qc.BlockID]*payloadFacts),
		leaders: make(map[seat]qc.NodeID), sums: make(map[sumOf]*addedUp),
		sound: newSound(w), watches: make([]*watch, w.cfg.Nodes)}
	for i := range c.said {
		c.said[i] = sayings{votes: make(map[qc.View]qc.BlockID), timeouts: make(map[qc.View]qc.View), proposals: make(map[qc.View]qc.BlockID)}
	}
	return c
}

// once notes what a replica says in a view, and fails if it has said something else before (S9).
func once[T comparable](c *checker, id qc.NodeID, does string, said map[qc.View]T, v qc.View, what T) {
	if before, ok := said[v]; ok && before != what {
		c.w.fail("S9", "%v %s twice in view %d: %v and %v", id, does, v, before, what)
	}
	said[v] = what
}

// persists checks a write before it is made: the safety state contradicts nothing that was on disk before it.
func (c *checker) persists(r *replica, records []hotstuff.Record) {
	if !r.correct() {
		return
	}
	c.records = records
	c.watches[r.id].before = r.disk.safety
	for _, rec := range records {
		if rec, ok := rec.(hotstuff.BlockRecord); ok {
			c.know(r, rec.Block)
		}
	}
	for _, rec := range records {
		if rec, ok := rec.(hotstuff.SafetyState); ok {
			c.certificate(&rec.HighQC)
			c.safety(r, &r.disk.safety, &rec)
		}
	}
}

func (c *checker) safety(r *replica, old, s *hotstuff.SafetyState) {
	w, said := c.w, &c.said[r.id]
	if s.LockView < old.LockView || s.HighQC.View < old.HighQC.View || old.LastTC != nil && (s.LastTC == nil || s.LastTC.View < old.LastTC.View) {
		w.fail("lock", "%v lowers its lock, high QC or TC", r.id)
	}
	if s.Reserved < old.Reserved {
		w.fail("S9", "%v forgets that it may have proposed in view %d", r.id, old.Reserved)
	}
	if b := s.LastProposal; b != nil && (old.LastProposal == nil || b.ID() != old.LastProposal.ID()) {
		if said.judged != b.ID() {
			c.proposalRule(r, old, b)
		}
		once(c, r.id, "proposes", said.proposals, b.View, b.ID())
	}
	if v := s.LastVoted; v != nil && (old.LastVoted == nil || *v != *old.LastVoted) {
		if old.LastVoted != nil && v.View <= old.LastVoted.View {
			w.fail("S9", "%v votes in view %d after %d", r.id, v.View, old.LastVoted.View)
		}
		if old.LastTimeout != nil && v.View <= old.LastTimeout.View {
			w.fail("S11", "%v votes in view %d, which it has timed out", r.id, v.View)
		}
		once(c, r.id, "votes", said.votes, v.View, v.Block)
		c.voteRule(r, old, s, v)
	}
	c.lockRule(r, old, s)
	if t := s.LastTimeout; t != nil && (old.LastTimeout == nil || t.View != old.LastTimeout.View) {
		if old.LastTimeout != nil && t.View < old.LastTimeout.View {
			w.fail("S9", "%v times out view %d after %d", r.id, t.View, old.LastTimeout.View)
		}
		once(c, r.id, "times out", said.timeouts, t.View, t.HighQC.View)
		c.timeoutRule(r, old, s)
	}
	if s.Incarnation.Compare(old.Incarnation) < 0 {
		w.fail("S9", "%v lowers its incarnation", r.id)
	}
}

// unsaid takes back what persists has noted of a write that was never made: nobody has heard of it.
func (c *checker) unsaid(r *replica, records []hotstuff.Record) {
	old, said := &r.disk.safety, &c.said[r.id]
	for _, rec := range records {
		s, ok := rec.(hotstuff.SafetyState)
		if !ok {
			continue
		}
		if v := s.LastVoted; v != nil && (old.LastVoted == nil || *v != *old.LastVoted) {
			delete(said.votes, v.View)
		}
		if t := s.LastTimeout; t != nil && (old.LastTimeout == nil || t.View != old.LastTimeout.View) {
			delete(said.timeouts, t.View)
		}
		if b := s.LastProposal; b != nil && (old.LastProposal == nil || b.ID() != old.LastProposal.ID()) && b.View > old.Reserved {
			delete(said.proposals, b.View) // in a reserved view it has left before the write
		}
	}
}

// persisted checks what a write has brought: commits follow the rule and are on the one chain; what is voted for is on
// disk, batches included (S17).
func (c *checker) persisted(r *replica, records []hotstuff.Record) {
	if !r.correct() || c.w.failure != nil {
		return
	}
	last := -1
	for i, rec := range records {
		switch rec := rec.(type) {
		case hotstuff.CommitRecord:
			last = i
			c.commit(r, rec)
		case hotstuff.CheckpointRecord:
			c.certifiedState(r, rec.Certificate)
		}
	}
	if last >= 0 {
		rec := records[last].(hotstuff.CommitRecord)
		if _, err := r.disk.snapshot(rec.Height); err != nil { // else a snapshot has shown that it is committed, or something above it
			c.threeChain(r, rec.Block)
		}
	}
	if v := r.disk.safety.LastVoted; v != nil {
		if b := r.disk.blocks[v.Block]; b == nil || !r.disk.holds(b) {
			c.w.fail("S17", "%v votes in view %d for what is not on its disk", r.id, v.View)
		}
	}
}

func (c *checker) commit(r *replica, rec hotstuff.CommitRecord) {
	w := c.w
	w.trace.event(w.now, commit, r.id, 0, uint64(rec.Height), short(rec.Block))
	if w.trace.wanted() {
		w.trace.note(w.now, "%v commits height %d: %v", r.id, rec.Height, rec.Block)
	}
	if int(rec.Height) >= len(r.disk.chain) || rec.Height == 0 {
		w.fail("S12", "%v commits height %d after %d", r.id, rec.Height, len(r.disk.chain)-1)
		return
	}
	if b := r.disk.blocks[rec.Block]; b == nil || b.Height != rec.Height ||
		b.Parent != r.disk.chain[rec.Height-1] && !r.disk.chain[rec.Height-1].IsZero() { // passed by a snapshot
		w.fail("S2", "%v commits a block at height %d that does not follow", r.id, rec.Height)
	}
	switch {
	case int(rec.Height) == len(c.chain):
		c.chain = append(c.chain, rec.Block)
		w.counts.LongestGap = max(w.counts.LongestGap, w.counts.Views-c.committedAt)
		c.committedAt = w.counts.Views
		for _, ref := range c.blocks[rec.Block].Payload {
			if b := r.disk.batches[ref.Digest]; b != nil {
				w.counts.Commands += uint64(b.Count)
			}
		}
	case c.chain[rec.Height] != rec.Block:
		w.fail("agreement", "%v commits %v at height %d, another replica %v", r.id, rec.Block, rec.Height, c.chain[rec.Height])
	}
}

// threeChain checks the rule for commits: the newest committed block lies under two more, certified in consecutive views
// (S1).
func (c *checker) threeChain(r *replica, id qc.BlockID) {
	b0 := c.blocks[id]
	for _, b2 := range c.ofView[b0.View+2] {
		if b1 := c.blocks[b2.Parent]; b1 != nil && b1.View == b0.View+1 && b1.Parent == id && c.certifiable(b2) {
			return
		}
	}
	c.w.fail("S1", "%v commits %v of view %d without three certified blocks in a row", r.id, id, b0.View)
}

// certifiable tells whether a certificate for a block can exist: one was seen, or enough correct replicas have voted for
// it, the Byzantine ones given. (What it lies on is certified by its own justify, which correct replicas have verified.)
func (c *checker) certifiable(b *blocktree.Block) bool {
	if _, seen := c.sound.blocks[b.ID()]; seen {
		return true
	}
	voters := len(c.w.cfg.Byzantine)
	for i := range c.said {
		if id, ok := c.said[i].votes[b.View]; ok && id == b.ID() {
			voters++
		}
	}
	return voters >= c.w.committee.Quorum()
}

// know remembers a block that a correct replica stores, and checks the certificates in it.
func (c *checker) know(r *replica, b *blocktree.Block) {
	if c.blocks[b.ID()] != nil {
		return
	}
	c.blocks[b.ID()] = b
	c.ofView[b.View] = append(c.ofView[b.View], b)
	c.children[b.Parent] = append(c.children[b.Parent], b)
	c.soundQC(r.id, &b.Justify)
	c.certificate(&b.Justify)
	if b.TC != nil {
		c.soundTC(r.id, b.TC)
	}
}

// certificate notes a certificate that a correct replica believes: one block a view, and on the disk of every correct
// signer with all its batches.
func (c *checker) certificate(q *qc.QuorumCertificate) {
	if q.View == 0 {
		return
	}
	known, ok := c.certified[q.View]
	if ok && known != q.Block {
		c.w.fail("certified", "view %d certifies %v and %v", q.View, known, q.Block)
	}
	if ok {
		return
	}
	c.certified[q.View] = q.Block
	for id := range q.Signers.All() {
		r := c.w.replicas[id]
		if !r.correct() {
			continue
		}
		if b := r.disk.blocks[q.Block]; q.View <= r.disk.safety.Floor {
			// It has lost what it held then.
		} else if b == nil || b.View != q.View || !r.disk.holds(b) {
			c.w.fail("S17", "%v has signed QC %s and does not hold the block", id, describeQC(q))
		} else {
			c.know(r, b)
		}
		if v, ok := c.said[id].votes[q.View]; !ok || v != q.Block {
			c.w.fail("S10", "QC %s bears a signature of %v that it never made", describeQC(q), id)
		}
	}
}

// sends checks what leaves a correct replica: it is on disk, or below what is, so that no later life can say otherwise.
func (c *checker) sends(r *replica, message any) {
	s, said := &r.disk.safety, &c.said[r.id]
	vote := func(v *qc.Vote) {
		if s.LastVoted == nil || v.View > s.LastVoted.View {
			c.w.fail("S9", "%v sends a vote in view %d that is not on disk", r.id, v.View)
		}
		if _, noted := said.votes[v.View]; !noted {
			// It was cast and overtaken by a vote in a later view within one turn.
			c.voteRule(r, &c.watches[r.id].before, s, v)
		}
		once(c, r.id, "votes", said.votes, v.View, v.Block)
	}
	switch m := message.(type) {
	case *mempool.Batch:
		c.lane(r, m)
	case *hotstuff.VoteMessage:
		vote(&m.Vote)
	case *hotstuff.TimeoutMessage:
		if s.LastTimeout == nil || m.Timeout.View > s.LastTimeout.View {
			c.w.fail("S9", "%v sends a timeout of view %d that is not on disk", r.id, m.Timeout.View)
		}
		once(c, r.id, "times out", said.timeouts, m.Timeout.View, m.Timeout.HighQC.View)
		if t := s.LastTimeout; t != nil && t.View == m.Timeout.View && (t.Signature != m.Timeout.Signature || (t.Vote == nil) != (m.Timeout.Vote == nil)) {
			c.w.fail("S9", "%v repeats its timeout of view %d otherwise than it signed it", r.id, t.View)
		}
		if m.Timeout.Vote != nil {
			vote(m.Timeout.Vote)
		}
	case *hotstuff.Proposal:
		if s.LastProposal == nil || m.Block.View > s.LastProposal.View {
			if m.Block.View > s.Reserved {
				c.w.fail("S9", "%v sends a proposal of view %d, and neither it nor its view is on disk", r.id, m.Block.View)
			}
			if c.blocks[m.Block.Parent] != nil { // else its parent is in the write that follows, and the rule is looked at then
				c.proposalRule(r, s, m.Block)
				said.judged = m.Block.ID()
			}
		}
		once(c, r.id, "proposes", said.proposals, m.Block.View, m.Block.ID())
	}
}

// lane checks what leaves of a replica's own lane: one batch at a position over all its lives, in an incarnation that is on
// disk.
func (c *checker) lane(r *replica, b *mempool.Batch) {
	if b.Origin != r.id {
		return
	}
	at := position{b.Origin, b.Incarnation, b.Seq}
	if known, ok := c.lanes[at]; ok && known != b.Digest() {
		c.w.fail("L12", "%v signs two batches for sequence %d of incarnation %v", r.id, b.Seq, b.Incarnation)
	} else if ok {
		return // again; it may be of before a lost disk, from a peer
	}
	c.lanes[at] = b.Digest()
	if r.disk.safety.Incarnation.Compare(b.Incarnation) < 0 {
		c.w.fail("S9", "%v uses incarnation %v before it is on disk", r.id, b.Incarnation)
	}
}

// entered notes a new view of a correct replica.
func (c *checker) entered(l *life, core *hotstuff.Core) {
	if !l.r.correct() {
		return
	}
	v := core.View()
	if v < l.view {
		c.w.fail("view", "%v goes back from view %d to %d", l.r.id, l.view, v)
	}
	s := core.Safety()
	if s.HighQC.View+1 != v {
		c.w.counts.ViewChanges++
	}
	c.leaves(l, v, &s)
	c.w.counts.Views = max(c.w.counts.Views, uint64(v))
	if c.w.trace.wanted() {
		c.w.trace.note(c.w.now, "%v enters view %d", l.r.id, v)
	}
}

// turned checks a correct replica after a turn.
func (c *checker) turned(l *life) {
	if !l.r.correct() {
		return
	}
	core := l.driver.Core()
	s := core.Safety()
	c.certificate(&s.HighQC)
	c.duties(l, &s)
	c.bounds(l, core)
	c.progress()
}

// executed compares applications at equal heights (S15).
func (c *checker) executed(r *replica, m *node.Machine) {
	if !r.correct() || r.corruptFrom > 0 {
		return
	}
	a := m.Applied()
	c.w.trace.event(c.w.now, execute, r.id, 0, uint64(a.Height), short(a.Digest))
	for int(a.Height) >= len(c.digests) {
		c.digests = append(c.digests, [32]byte{})
	}
	switch known := c.digests[a.Height]; {
	case known == [32]byte{}:
		c.digests[a.Height] = a.Digest
	case known != a.Digest:
		c.w.fail("S15", "%v has another state than others at height %d", r.id, a.Height)
	}
}

// applied notes that a command was applied by a correct replica.
func (c *checker) applied(connection, number uint32) {
	k := command{connection, number}
	if c.fates[k] == isRefused {
		c.w.fail("refused", "command %d of connection %d is applied after its client was told that it never is", number, connection)
	}
	c.fates[k] = isApplied
}

// acknowledged notes that a client was told a command's result.
func (c *checker) acknowledged(connection, number uint32) {
	c.answered = append(c.answered, command{connection, number})
}

func (c *checker) refusedCommand(connection, number uint32) {
	k := command{connection, number}
	if c.fates[k] == isApplied {
		c.w.fail("refused", "command %d of connection %d was applied, and its client is told that it never is", number, connection)
	}
	c.fates[k] = isRefused
}
