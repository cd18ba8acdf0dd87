package hotstuff

import (
	"fmt"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/pacemaker"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/qc/peers"
)

// Config is a replica's part in the protocol. Limits and Leaders are fixed by genesis; Timing is this replica's own.
type Config struct {
	Self      qc.NodeID
	Committee *qc.Committee
	Signer    qc.Signer    // votes and timeouts
	Certs     *qc.Verifier // sums verified timeouts; the core's own
	Identity  qc.Identity  // proposals
	Leaders   Leaders
	Limits    Limits
	Timing    pacemaker.Config
	// CheckpointLag is how many blocks above the certified state leaders still give payload.
	CheckpointLag qc.Height
}

// Leaders is the leader function: pacemaker.LeaderRule, but where a test writes down who leads. Its answers depend on its
// arguments alone and are the same on every replica of the chain, or their votes would never meet (L11).
type Leaders interface {
	// Leader returns leader(v, P), P being the tip of the branch.
	Leader(v qc.View, branch pacemaker.Branch) qc.NodeID
	// Depth is how many blocks below the tip Leader may read.
	Depth() int
}

// Limits are the genesis limits that the validity of a block depends on.
type Limits struct {
	BlockBatchesMax   uint32    // batches named by one block
	BlockBytesMax     uint64    // sum of their blobs, bytes
	BatchBytesMax     uint32    // one blob, bytes
	ExpiryDistanceMax qc.Height // batch expiry above the height of the naming block
	ClockSkewMax      int64     // nanoseconds: how far in a voter's future a block's time may lie
	CheckpointEvery   qc.Height // blocks between two checkpoints; 0: none, for tests
}

// Recovered is what a replica starts from: all zero but Safety, Committed and Lanes on the first start.
type Recovered struct {
	Safety    SafetyState
	Committed *blocktree.Block          // the highest block known to be committed; genesis at first
	Lanes     blocktree.Lanes           // next(Committed)
	Below     []*blocktree.Block        // ancestors of Committed in ascending order, as many as Leaders.Depth
	Above     []*blocktree.Block        // other blocks stored, in ascending order of height
	Certified *qc.CheckpointCertificate // the highest known; nil before the first
	// Unnoted are commits up to Committed that are not on disk as such, in ascending order: a snapshot shows them. Nor need
	// Committed and Below be on disk as blocks, then.
	Unnoted []CommitRecord
	// Unstored are Committed and some of Below, if a snapshot alone has them: a log that begins there needs its first block.
	Unstored []*blocktree.Block
}

// Core is the protocol of one replica. It belongs to one goroutine.
type Core struct {
	cfg    Config
	tree   *blocktree.Tree
	pace   *pacemaker.Pacemaker
	safety safety

	now      qc.Ticks
	wall     int64
	peerDown []bool // known to be down
	heavy    bool   // views are paced

	// Proposals of the present view, in order of arrival, whose place in the tree is known (vote.go).
	// Bound: blocksPerView of each proposer.
	candidates []*candidate
	// The newest proposal of each proposer whose parent is not held yet. Bound: one a proposer.
	orphans map[qc.NodeID]*blocktree.Block
	// The newest votes of each signer, ascending by view. Bound: votesPerSigner each.
	votes [][]qc.Vote
	// Sums of votes that are being verified. Bound: sumsMax.
	sums     []sumKey
	ahead    ahead  // what has left before the sum that it rests on was checked
	spoilers []bool // whose votes have spoiled a sum: none with one of theirs is trusted before it is checked
	// Timeouts of the present view by signer.
	timeouts    []*qc.Timeout
	rebroadcast qc.Ticks   // when our own timeout of the present view is due again; 0: not signed
	answered    []qc.Ticks // when each peer was last sent our highest certificate

	includable bool // an includable batch is held
	pushed     bool // Ready.Push was given in this view
	build      *PayloadRequest
	require    []Requirement
	shared     bool // our certificate for this view was broadcast
	refused    bool // the last Payload for this view was empty although work waits
	led        led
	walk       *walk
	branch     pacemaker.Branch // walk.link: made once, for the leader is asked several times a view
	fetches    []fetch          // wanted, highest view first. Bound: fetchesMax
	asking     asking
	peers      *peers.Peers // as sources of blocks
	askedAt    []qc.Ticks   // when each peer was last asked for blocks; 0: it has answered

	request     rejoinRequest // while the replica rejoins
	checkpoints checkpoints

	cast    uint64  // votes since New
	votedIn qc.View // of the newest one since New
	votedAt qc.Ticks
	commits []CommitRecord // not yet persisted
	gated   bool           // the safety state must be persisted before the next send

	reserving, reserved qc.View // SafetyState.Reserved in the last Ready, and on disk, since New
	out                 Ready
}

const (
	// votesPerSigner bounds the votes kept of one signer: the newest ones (PROTOCOL §3).
	votesPerSigner = 8
	// sumsMax bounds the sums of votes under verification at once.
	sumsMax = 4
	// answerEvery is the least time between two certificates sent to a peer that is behind: 20 ms.
	answerEvery = qc.TicksPerSecond / 50
	// forgetAfter is for how many views a block that was never certified stays held.
	forgetAfter = 64
)

// New returns the core of a replica that stands where the recovered state left it, and repeats what it may have
// said before: its last vote, its last timeout, its last proposal (PROTOCOL §7).
// Expected errors: a recovered state that does not fit together.
func New(cfg Config, rec Recovered, at Tick) (*Core, error) {
	n := cfg.Committee.Size()
	tree, err := blocktree.New(rec.Committed, rec.Lanes, rec.Below, qc.Height(cfg.Leaders.Depth()), cfg.Limits.ExpiryDistanceMax)
	if err != nil {
		return nil, err
	}
	c := &Core{
		cfg: cfg, tree: tree, now: at.Now, wall: at.Wall,
		safety:   newSafety(cfg, rec.Safety),
		peers:    peers.New(cfg.Self, n),
		askedAt:  make([]qc.Ticks, n),
		peerDown: make([]bool, n),
		orphans:  make(map[qc.NodeID]*blocktree.Block),
		votes:    make([][]qc.Vote, n),
		spoilers: make([]bool, n),
		timeouts: make([]*qc.Timeout, n),
		answered: make([]qc.Ticks, n),

		walk: &walk{},

		commits:     rec.Unnoted,
		checkpoints: newCheckpoints(n, cfg.Limits, cfg.CheckpointLag, rec.Certified),
	}
	c.branch = c.walk.link
	for _, b := range rec.Unstored {
		c.out.Persist = append(c.out.Persist, BlockRecord{Block: b})
	}
	view := rec.Safety.HighQC.View
	if tc := rec.Safety.LastTC; tc != nil {
		view = max(view, tc.View)
	}
	c.pace = pacemaker.New(cfg.Timing, view+1, at.Now)
	for _, b := range rec.Above {
		if err := c.insertStored(b); err != nil {
			return nil, fmt.Errorf("hotstuff: stored block %v at height %d: %w", b.ID(), b.Height, err)
		}
	}
	if err := c.onCertificate(&c.safety.state.HighQC, cfg.Self); err != nil {
		return nil, err
	}
	if err := c.reconsider(rec.Above); err != nil {
		return nil, err
	}
	if len(rec.Unnoted) > 0 {
		c.persistRoot(rec.Committed, rec.Below)
	}
	c.repeat()
	return c, c.settle()
}

// insertStored puts back a block from the store. Blocks of branches that lost are left out.
func (c *Core) insertStored(b *blocktree.Block) error {
	switch e, err := c.tree.Insert(b); err {
	case nil:
		// What is on disk was verified once, so the certificate is known. A vote for the block would otherwise be cast, and the
		// view timed out, beside an older high QC: the timeouts of the block's voters must show the QC that they voted on.
		if b.Justify.View > c.safety.state.HighQC.View {
			c.safety.state.HighQC = b.Justify
		}
		return c.applyCertificate(e.Parent(), &b.Justify)
	case blocktree.ErrUnknownParent, blocktree.ErrOld:
		return nil
	default:
		return err
	}
}

// reconsider takes up stored proposals of the present view, our own among them: they may be voted for still.
func (c *Core) reconsider(stored []*blocktree.Block) error {
	for _, b := range stored {
		if b.View == c.pace.View() && c.tree.Get(b.ID()) != nil {
			if err := c.placeProposal(b, b.Proposer); err != nil {
				return err
			}
		}
	}
	return nil
}

// repeat sends again what was signed before a restart and may not have left. What was signed is on disk, so others may
// count on it; a repeat is always the same bytes.
func (c *Core) repeat() {
	s := &c.safety.state
	if v := s.LastVoted; v != nil && v.View > s.HighQC.View {
		c.collect(*v, c.cfg.Self)
		c.broadcast(&VoteMessage{Vote: *v})
	}
	if t := s.LastTimeout; t != nil && t.View >= c.pace.View() {
		c.timeouts[c.cfg.Self] = t
		c.broadcast(&TimeoutMessage{Timeout: t})
		c.rebroadcast = c.now + c.pace.RebroadcastEvery()
	}
	if b := s.LastProposal; b != nil && b.View == c.pace.View() {
		c.broadcast(&Proposal{Block: b})
	}
}

// Step takes one input. What peers can cause is never an error: it is dropped and counted.
// Expected errors: ErrKeyInUse, ErrAssumption, blocktree.ErrConflictingCommit. After an error the node must stop.
func (c *Core) Step(in Input) error {
	var err error
	switch in := in.(type) {
	case Tick:
		c.now, c.wall = max(c.now, in.Now), in.Wall
	case Verified:
		err = c.stepMessage(in)
	case Payload:
		err = c.onPayload(in)
	case PayloadStatus:
		c.onPayloadStatus(in)
	case Work:
		c.includable = in.Includable
		c.refused = false
	case Peer:
		c.onPeer(in)
	case Load:
		c.heavy = in.Heavy
	case OpenLane:
		if !c.Rejoining() {
			c.safety.raiseIncarnation(in.AtLeast)
			c.gated = true
		}
	case Rejoined:
		err = c.onRejoined(in)
	case Unchecked:
		c.onUnchecked(in.cert)
	case Sum:
		err = c.onSum(in)
	case Executed:
		err = c.onExecuted(in.Checkpoint)
	case Restored:
		err = c.onRestored(in)
	default:
		return fmt.Errorf("hotstuff: unknown input %T", in)
	}
	if err != nil {
		return err
	}
	return c.settle()
}

// stepMessage routes a verified message. Certificates in it come first, whatever its view (L2).
func (c *Core) stepMessage(v Verified) error {
	switch m := v.msg.(type) {
	case *Proposal:
		return c.onProposal(m.Block, v.from)
	case *VoteMessage:
		if m.Vote.Signer == c.cfg.Self {
			return c.onOwnVote(m.Vote)
		}
		c.collect(m.Vote, v.from)
		return nil
	case *TimeoutMessage:
		return c.onTimeout(m.Timeout, v)
	case *CertificateMessage:
		return c.onCertificates(m.QC, m.TC, v.from)
	case *BlockResponse:
		return c.onBlocks(m, v.from)
	case *CheckpointMessage:
		return c.onCheckpoint(m, v.from)
	}
	c.drop(v.from, ErrMessage)
	return nil
}

// settle does what has become possible: vote, time out, propose, fetch. It runs after every input, so that no input has
// to know what it makes possible.
func (c *Core) settle() error {
	if err := c.placeOrphans(); err != nil {
		return err
	}
	c.pace.SetWork(c.now, c.includable || c.uncommittedPayload())
	c.updateLeaderDown()
	if err := c.tryVote(); err != nil {
		return err
	}
	if err := c.checkDeadline(); err != nil {
		return err
	}
	c.maybePush()
	c.maybePropose()
	c.shareWhileHolding()
	c.retryFetches()
	c.repeatRejoinRequest()
	c.repeatCheckpoint()
	return nil
}

// tip returns the block of the high QC, on which the next one stands; nil while it is not held, or if it lies below the
// committed block, as it may where a snapshot was taken over.
func (c *Core) tip() *blocktree.Entry {
	e := c.tree.Get(c.safety.state.HighQC.Block)
	if e == nil || e.Block.Height < c.tree.Committed().Block.Height {
		return nil
	}
	return e
}

// uncommittedPayload tells whether the branch of the high QC has payload that is not committed.
func (c *Core) uncommittedPayload() bool {
	e := c.tip()
	return e != nil && c.tailOpen(e)
}

// tailOpen tells whether blocks must follow at once on the branch that ends in e: it has payload that is not committed, or
// nothing but genesis is, for a chain is in service once it has committed a block.
func (c *Core) tailOpen(e *blocktree.Entry) bool {
	return c.tree.Committed().Block.Height == 0 || c.tree.UncommittedPayload(e)
}

func (c *Core) onPeer(p Peer) {
	if !c.cfg.Committee.Has(p.ID) || p.ID == c.cfg.Self {
		return
	}
	c.peers.SetUp(p.ID, p.Up)
	c.peerDown[p.ID] = !p.Up
	if p.Up && c.Rejoining() {
		c.send(p.ID, &RejoinRequest{Nonce: c.safety.state.Nonce})
	}
}

// Self returns which replica this is.
func (c *Core) Self() qc.NodeID { return c.cfg.Self }

// Committee returns the committee that it belongs to.
func (c *Core) Committee() *qc.Committee { return c.cfg.Committee }

// View returns the present view.
func (c *Core) View() qc.View { return c.pace.View() }

// BaseTimeout returns the timeout of a view with work before the backoff, as measured views have made it.
func (c *Core) BaseTimeout() qc.Ticks { return c.pace.Base() }

// Window returns what Verifier.Verify needs to know of this replica's progress.
func (c *Core) Window() Window {
	return Window{View: c.pace.View(), HighQC: c.safety.state.HighQC.View, Checkpoint: c.checkpoints.height()}
}

// Votes returns how many votes were cast since New.
func (c *Core) Votes() uint64 { return c.cast }

// Safety returns the present safety state. Its pointers must not be written through.
func (c *Core) Safety() SafetyState { return c.safety.state }

// Tree returns the block tree, for reading.
func (c *Core) Tree() *blocktree.Tree { return c.tree }

// Frontier is what the mempool measures work against.
type Frontier struct {
	Known  bool // the block of the high QC is held
	Lanes  blocktree.Lanes
	Height qc.Height // of the block of the high QC
	View   qc.View
	Leader qc.NodeID // of View on that block
}

// Frontier returns where the next block would stand.
func (c *Core) Frontier() Frontier {
	f := Frontier{View: c.pace.View()}
	if e := c.tip(); e != nil {
		f.Known, f.Lanes, f.Height, f.Leader = true, e.Lanes, e.Block.Height, c.leader(f.View, e)
	}
	return f
}

// Deadline returns when the next Tick must come at the latest.
func (c *Core) Deadline() qc.Ticks {
	at := c.pace.Deadline()
	if !c.safety.maySign(c.pace.View()) {
		at = c.requestDue() // no view is timed out
	} else if c.rebroadcast != 0 {
		at = c.rebroadcast
	} else if half, ok := c.pace.HalfTime(); ok && half > c.now {
		at = min(at, half)
	}
	if due, ok := c.proposalDue(); ok {
		at = min(at, due)
	}
	if k := &c.checkpoints; k.repeated != nil {
		at = min(at, k.due)
	}
	if due, ok := c.fetchDue(); ok {
		at = min(at, due)
	}
	for _, x := range c.candidates {
		if due, ok := c.dueAt(x); ok {
			at = min(at, due)
		}
	}
	return at
}
