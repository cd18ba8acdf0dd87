package sim

import (
	"slices"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/config"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
)

// Beyond is the run of a seed with more Byzantine replicas than f: all of four but one, who act as one. Nothing is
// promised of such a chain. But the correct replica still keeps each rule for what it signs, locks and commits, and the
// cabal, whose keys make a quorum, can lead it to every rule by any path: certificates for any tree of blocks, timeouts
// that list any view. So a rule is tested here by itself, even one that another line of defence covers while at most f
// are faulty (docs/model.md, "Two lines of defence").
func Beyond(seed uint64) Config {
	c := Calm(seed, 4)
	c.Duration = 4 * qc.TicksPerSecond
	c.Latency = Latency{Min: 1, Max: 3, Jitter: 1}
	c.Clients.Count = 0
	c.Crashes = Rate{Every: 5000, For: 100}
	c.Leaders = config.LeadersRoundRobin
	c.Byzantine = make(map[qc.NodeID]Behaviors)
	for id := range qc.NodeID(c.Nodes) {
		if id != qc.NodeID(seed%4) {
			c.Byzantine[id] = Cabal
		}
	}
	return c
}

// beyond tells whether more replicas are faulty than the protocol bears.
func (w *World) beyond() bool { return len(w.cfg.Byzantine)+len(w.cfg.Dead) > (w.cfg.Nodes-1)/3 }

// promised lists the rules that hold only while at most f replicas are faulty. The others a correct replica keeps by
// itself.
var promised = []string{"agreement", "certified", "S15", "L1", "L7", "L8", "L10",
	"linearizable", "refused", "halt", "spin"}

// cabal is the common mind of the Byzantine replicas of such a run. The lowest of them thinks for all.
type cabal struct {
	m      *mind
	victim qc.NodeID
	blocks []*blocktree.Block // made, or seen; genesis first
	view   qc.View            // the present one of the victim, as far as it can be known
}

func newCabal(m *mind) *cabal {
	c := &cabal{m: m, blocks: []*blocktree.Block{m.r.w.root}}
	for _, r := range m.r.w.replicas {
		if r.correct() {
			c.victim = r.id
		}
	}
	return c
}

// conspires has the lowest mind think for all, and takes note of what the victim says.
func (m *mind) conspires(msg hotstuff.Message) {
	if slices.IndexFunc(m.r.w.replicas, (*replica).byzantine) != int(m.r.id) {
		return
	}
	if m.cabal == nil {
		m.cabal = newCabal(m)
		m.cabal.schemes()
	}
	switch x := msg.(type) {
	case *hotstuff.Proposal:
		m.cabal.blocks = append(m.cabal.blocks, x.Block)
	case *hotstuff.BlockRequest:
		m.cabal.serves(x)
	}
}

// serves answers a request for blocks.
func (c *cabal) serves(q *hotstuff.BlockRequest) {
	var path []*blocktree.Block
	for b := c.block(q.Target); b != nil && b.Height >= max(q.From, 1); b = c.block(b.Parent) {
		path = append(path, b)
	}
	slices.Reverse(path)
	c.tell(&hotstuff.BlockResponse{Target: q.Target, Blocks: path})
}

func (c *cabal) block(id qc.BlockID) *blocktree.Block {
	for _, b := range c.blocks {
		if b.ID() == id {
			return b
		}
	}
	return nil
}

// forget leaves only what stands on the victim's committed block, most of the time: two conflicting commits stop it,
// and that is soon seen enough.
func (c *cabal) forget() {
	disk := c.m.r.w.replicas[c.victim].disk
	root, err := disk.Block(disk.chain[len(disk.chain)-1])
	if err != nil || c.m.random.IntN(10) == 0 {
		return
	}
	kept := []*blocktree.Block{root}
	for _, b := range c.blocks { // parents come before their children
		if slices.ContainsFunc(kept, func(p *blocktree.Block) bool { return p.ID() == b.Parent }) {
			kept = append(kept, b)
		}
	}
	if len(kept) > blocksKept {
		kept = append(kept[:1], kept[len(kept)-blocksKept+1:]...)
	}
	c.blocks = kept
}

// schemes does a few things to the victim, which is all that the cabal lives for.
func (c *cabal) schemes() {
	w := c.m.r.w
	w.after(around(c.m.random, 20), c.schemes)
	victim := w.replicas[c.victim].life
	if victim == nil {
		return
	}
	c.forget()
	c.view = victim.view // it answers timeouts with its highest certificate: this is no secret
	if c.m.random.IntN(400) == 0 {
		c.steals()
	}
	switch c.m.random.IntN(8) {
	case 0:
		q := c.certify(c.some())
		c.tell(&hotstuff.CertificateMessage{QC: &q})
	case 1:
		tc := c.timeout(c.view, c.some())
		c.tell(&hotstuff.CertificateMessage{TC: tc})
	case 2:
		c.timesOut()
	default:
		c.proposes()
	}
}

// steals shows the victim a vote under its own key that it never cast. It must stop for good reason, and is started
// again.
func (c *cabal) steals() {
	w := c.m.r.w
	v := qc.Vote{View: c.view + qc.View(c.m.random.IntN(3)), Block: c.some().ID(), Signer: c.victim}
	v.Signature = w.keys.signers[c.victim].Sign(w.committee.VoteMessage(v.View, v.Block))
	c.tell(&hotstuff.VoteMessage{Vote: v})
}

// some returns a block, a new one more likely than an old one.
func (c *cabal) some() *blocktree.Block {
	n := len(c.blocks)
	back := 0
	for back < n-1 && c.m.random.IntN(2) == 0 {
		back++
	}
	return c.blocks[n-1-back]
}

// certify returns a certificate for a block, by the cabal's keys alone.
func (c *cabal) certify(b *blocktree.Block) qc.QuorumCertificate {
	w := c.m.r.w
	if b.Height == 0 {
		return blocktree.GenesisQC(w.root, w.cfg.Nodes)
	}
	q := qc.QuorumCertificate{Epoch: w.committee.Epoch, View: b.View, Block: b.ID(), Signers: qc.NewBitmap(w.cfg.Nodes)}
	var sigs []qc.Signature
	for id := range qc.NodeID(w.cfg.Nodes) {
		if w.replicas[id].byzantine() {
			q.Signers.Set(id)
			sigs = append(sigs, w.keys.signers[id].Sign(w.committee.VoteMessage(b.View, b.ID())))
		}
	}
	q.Signature, _ = w.keys.scheme().Sum(sigs)
	return q
}

// timeout returns a timeout certificate of a view with the QC of a block, most often a good one.
func (c *cabal) timeout(v qc.View, b *blocktree.Block) *qc.TimeoutCertificate {
	w, random := c.m.r.w, c.m.random
	tc := &qc.TimeoutCertificate{Epoch: w.committee.Epoch, View: v, HighQC: c.certify(b),
		Signers: qc.NewBitmap(w.cfg.Nodes)}
	listed := b.View
	switch random.IntN(8) {
	case 0:
		listed = qc.View(random.Uint64N(uint64(v) + 3))
	case 1:
		listed = b.View + qc.View(random.IntN(3))
	}
	var sigs []qc.Signature
	for id := range qc.NodeID(w.cfg.Nodes) {
		if !w.replicas[id].byzantine() {
			continue
		}
		says := listed
		if len(sigs) > 0 {
			says = qc.View(random.Uint64N(uint64(listed) + 1))
		}
		tc.Signers.Set(id)
		tc.HighQCViews = append(tc.HighQCViews, says)
		sigs = append(sigs, w.keys.signers[id].Sign(w.committee.TimeoutMessage(v, says)))
	}
	tc.Signature, _ = w.keys.scheme().Sum(sigs)
	return tc
}

// proposes shows the victim a block on any other, for its view or one of the next, by whoever leads that view.
func (c *cabal) proposes() {
	w, random := c.m.r.w, c.m.random
	parent := c.some()
	view := c.view + qc.View(random.IntN(2))
	if view <= parent.View {
		view = parent.View + 1 + qc.View(random.IntN(2))
	}
	leader := qc.NodeID(uint64(view) % uint64(w.cfg.Nodes))
	signer := leader
	if leader == c.victim {
		signer = (leader + 1) % qc.NodeID(w.cfg.Nodes)
		switch random.IntN(8) {
		case 0: // in the victim's own name
		case 1: // by one that does not lead
			leader = signer
		default:
			leader = signer
			view++
		}
	}
	b := blocktree.Block{Epoch: w.committee.Epoch, View: view, Height: parent.Height + 1, Parent: parent.ID(),
		Justify: c.certify(parent), Proposer: leader, Time: max(w.wall(0), parent.Time+1)}
	if parent.View+1 != view {
		tcBlock := parent
		if random.IntN(6) == 0 {
			tcBlock = c.some()
		}
		b.TC = c.timeout(view-1, tcBlock)
	}
	switch random.IntN(40) {
	case 0:
		b.Height++
	case 1:
		b.Time = parent.Time
	case 2:
		b.Time = w.wall(0) + 2*int64(w.cfg.Limits.ClockSkewMax)
	case 3:
		b.TC = c.timeout(view-1, parent)
	case 4:
		b.TC = nil
	case 5:
		b.Justify.View++
	}
	b.Signature = w.keys.identities[signer].Sign(blocktree.SigningMessage(w.committee.Chain, b.ID()))
	block := &b
	if c.certifies(block, parent) {
		c.blocks = append(c.blocks, block)
	}
	c.from(signer, &hotstuff.Proposal{Block: block})
}

// certifies tells whether the cabal may certify a block. What is certified and fetched is not checked again: a quorum
// has. So with a certificate for a malformed block it would be the assumption that breaks, not a rule.
func (c *cabal) certifies(b, parent *blocktree.Block) bool {
	linked := b.Height == parent.Height+1 && b.Justify.View == parent.View && b.Time > parent.Time
	if !linked || b.Proposer == c.victim || (b.Justify.View+1 == b.View) != (b.TC == nil) {
		return false
	}
	if b.TC == nil {
		return true
	}
	rule, _ := c.m.r.w.check.sound.tc(b.TC)
	return rule == "" && b.TC.View+1 == b.View && b.Justify.View >= b.TC.HighQC.View
}

// timesOut has two of the cabal time out the victim's view, so that it joins them.
func (c *cabal) timesOut() {
	w := c.m.r.w
	on := c.some()
	t := &qc.Timeout{Epoch: w.committee.Epoch, View: c.view, HighQC: c.certify(on)}
	if on.View+1 != c.view {
		t.TC = c.timeout(c.view-1, on)
	}
	for id := range qc.NodeID(w.cfg.Nodes) {
		if w.replicas[id].byzantine() {
			own := *t
			own.Signer, own.Signature = id, w.keys.signers[id].Sign(w.committee.TimeoutMessage(t.View, t.HighQC.View))
			c.from(id, &hotstuff.TimeoutMessage{Timeout: &own})
		}
	}
}

func (c *cabal) tell(message any) { c.from(c.m.r.id, message) }

func (c *cabal) from(id qc.NodeID, message any) {
	if l := c.m.r.w.replicas[id].life; l != nil {
		l.emit(c.victim, message)
	}
}
