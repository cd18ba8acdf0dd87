package sim

import (
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/hotstuffd/hotstuffd/api/wire"
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/config"
	"github.com/hotstuffd/hotstuffd/node"
	"github.com/hotstuffd/hotstuffd/qc"
)

// World is one run: replicas, network, disks, clients, faults and checks, on one clock that moves from event to event.
// It belongs to one goroutine.
type World struct {
	cfg    Config
	now    qc.Ticks
	queue  eventQueue
	random random
	trace  *trace
	counts Counts

	genesis   *config.Genesis
	root      *blocktree.Block
	committee *qc.Committee
	settings  config.Config
	limits    wire.Limits
	keys      keys
	meter     *meter       // of what work costs; nil: nothing
	certs     *qc.Verifier // of those who only watch

	replicas []*replica
	net      *network
	clients  []*client
	check    *checker
	calm     bool // the faults are over
	failure  *Failure
}

// Counts is what a run came to.
type Counts struct {
	Views       uint64 // the highest view that a correct replica entered
	ViewChanges uint64 // views entered by a timeout certificate, over all correct replicas
	Commits     uint64 // height of the committed chain
	Commands    uint64 // in it
	Crashes     uint64 // of correct replicas
	Messages    uint64 // delivered
	Requests    uint64 // answered by the application
	Checkpoints uint64 // the highest certified state
	Diverged    uint64 // replicas that halted over a state of their own
	Once        uint64 // commands of sessions that were answered
	Resent      uint64 // sendings of them beside the first
	Losses      uint64 // of disks
	Rejoins     uint64 // of replicas that had lost theirs
	Snapshots   uint64 // taken by correct replicas
	Restored    uint64 // of others, taken over
	Spoilt      uint64 // of them, found to be of another state than was certified
	Pruned      uint64 // the highest floor of a log
	LongestGap  uint64 // views from one commit to the next, at most
	HealedViews uint64 // from the end of the faults to the next commit

	SlowestAnswer qc.Ticks // of a request, from its submission
	Ticks         qc.Ticks
}

// Add adds up counts of several runs.
func (c *Counts) Add(o Counts) {
	c.Views += o.Views
	c.ViewChanges += o.ViewChanges
	c.Commits += o.Commits
	c.Commands += o.Commands
	c.Crashes += o.Crashes
	c.Messages += o.Messages
	c.Requests += o.Requests
	c.Checkpoints += o.Checkpoints
	c.Diverged += o.Diverged
	c.Once += o.Once
	c.Resent += o.Resent
	c.Losses += o.Losses
	c.Rejoins += o.Rejoins
	c.Snapshots += o.Snapshots
	c.Restored += o.Restored
	c.Spoilt += o.Spoilt
	c.Pruned += o.Pruned
	c.LongestGap = max(c.LongestGap, o.LongestGap)
	c.HealedViews = max(c.HealedViews, o.HealedViews)
	c.SlowestAnswer = max(c.SlowestAnswer, o.SlowestAnswer)
	c.Ticks += o.Ticks
}

// Failure is a rule that a run broke.
type Failure struct {
	Rule string // which check
	At   qc.Ticks
	Text string
}

// Error implements error.
func (f *Failure) Error() string { return fmt.Sprintf("%s at %s: %s", f.Rule, clock(f.At), f.Text) }

// Result is the outcome of a run.
type Result struct {
	Hash    [sha256.Size]byte // over every event: the same for the same configuration
	Counts  Counts
	Failure error // nil, or a *Failure
}

// Run plays a configuration from its beginning: faults for cfg.Duration, then a time of calm in which everything must
// commit. trace may be nil; it gets each event as one line.
func Run(cfg Config, lines func(string)) Result {
	w := newWorld(cfg, lines)
	w.run()
	r := Result{Hash: w.trace.sum(), Counts: w.counts}
	if w.failure != nil {
		r.Failure = w.failure
	}
	return r
}

func newWorld(cfg Config, lines func(string)) *World {
	w := &World{cfg: cfg, random: newRandom(cfg.Seed), trace: newTrace(lines)}
	w.genesis = &config.Genesis{Name: "simulation", Epoch: 1, Leaders: cfg.Leaders, Limits: cfg.Limits, Chain: sha256.Sum256([]byte("simulation"))}
	w.genesis.Nodes = make([]config.Member, cfg.Nodes)
	var err error
	if w.committee, err = qc.NewCommittee(w.genesis.Chain, w.genesis.Epoch, cfg.Nodes); err != nil {
		panic(err) // a Config of this package's own making
	}
	w.root = blocktree.Genesis(w.committee.Chain, w.committee.Epoch, cfg.Nodes)
	w.settings = config.Default()
	w.settings.Pacemaker, w.settings.Mempool = cfg.Pacemaker, cfg.Mempool
	w.limits = node.WireLimits(w.genesis)
	w.keys = newKeys(cfg.Nodes, cfg.BLS)
	w.certs = qc.NewVerifier(w.committee, w.keys.scheme(), make(certificates), blocktree.GenesisQC(w.root, cfg.Nodes))
	if cfg.Costs != nil {
		w.meter = &meter{costs: *cfg.Costs, nodes: cfg.Nodes}
		w.keys = meterKeys(w.keys, w.meter)
	}
	w.check = newChecker(w)
	w.net = newNetwork(w)
	for id := range qc.NodeID(cfg.Nodes) {
		w.replicas = append(w.replicas, newReplica(w, id))
	}
	for i := range cfg.Clients.Count {
		w.clients = append(w.clients, newClient(w, i))
	}
	return w
}

// eventsMax ends a run that does not move on: two thousand times what a second of the busiest one takes.
const eventsMax = 20_000_000

func (w *World) run() {
	for _, r := range w.replicas {
		if !r.dead {
			after := qc.Ticks(w.random.start.Uint64N(uint64(w.cfg.StartWithin) + 1))
			if late, ok := w.cfg.Late[r.id]; ok {
				after = late
			}
			w.after(after, func() { r.start() })
			if at, ok := w.cfg.CrashAt[r.id]; ok {
				w.after(at, func() { r.crash() })
			}
		}
	}
	for _, c := range w.clients {
		w.after(w.cfg.Clients.After+qc.Ticks(w.random.start.Uint64N(1000)), c.begin)
	}
	for range w.cfg.Clients.Sessions {
		w.after(w.cfg.Clients.After+qc.Ticks(w.random.start.Uint64N(1000)), newResender(w).send)
	}
	w.scheduleFaults()
	if o := w.cfg.Observer; o != nil {
		w.after(w.cfg.Duration, func() { o.Over(w.usage()) })
	}
	w.after(w.cfg.Duration, w.heal)
	for i := 0; w.failure == nil && len(w.queue.events) > 0 && !w.check.done; i++ {
		e := w.queue.pop()
		w.now = e.at
		e.do()
		if i == max(eventsMax, w.cfg.Events) {
			w.fail("L1", "%d events and no end", i)
		}
	}
	if w.failure == nil && !w.check.done {
		w.fail("L1", "nothing happens any more")
	}
	if w.failure == nil {
		w.check.finish()
	}
	w.counts.Ticks = w.now
	w.counts.Commits = uint64(len(w.check.chain)) - 1
}

// after has something done later.
func (w *World) after(d qc.Ticks, do func()) { w.at(w.now+d, do) }

func (w *World) at(at qc.Ticks, do func()) { w.queue.push(max(at, w.now), do) }

// fail ends the run. The first failure counts.
func (w *World) fail(rule, format string, args ...any) {
	if w.failure == nil && !(w.beyond() && slices.Contains(promised, rule)) {
		w.failure = &Failure{Rule: rule, At: w.now, Text: fmt.Sprintf(format, args...)}
		w.trace.note(w.now, "FAILURE %v", w.failure)
	}
}

// wall is a replica's wall clock.
func (w *World) wall(skew int64) int64 {
	const epoch, nanosPerTick = 1_700_000_000_000_000_000, 1e9 / int64(qc.TicksPerSecond)
	return epoch + int64(w.now)*nanosPerTick + skew
}
