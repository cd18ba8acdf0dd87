package mempool_test

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
)

// cluster is several pools with disks, links that lose and delay, and a consensus of its own that forks freely but commits only what a quorum called
// available. A schedule of numbers drives it, so that a failing one shrinks and any one repeats.
type cluster struct {
	t fataler
	*roster
	nodes   []*replica
	now     qc.Ticks
	view    qc.View
	blocks  []*proposed // the tree; blocks[0] is genesis
	chain   []*proposed // the committed part, from genesis
	fate    map[string]*fate
	trace   []string // all that the pools gave out
	submits int
}

type proposed struct {
	*blocktree.Block
	parent    *proposed
	lanes     blocktree.Lanes
	available map[qc.NodeID]bool
}

// replica is one pool with what surrounds it. A crash keeps disk, starts and what was executed.
type replica struct {
	id       qc.NodeID
	pool     *mempool.Pool
	disk     map[blocktree.Digest]*mempool.Batch
	starts   uint64
	inbox    []any    // *mempool.Batch or request
	fed      int      // committed blocks given to this pool
	executed int      // blocks of the chain whose execution is finished
	logs     []string // commands by block, executed or being executed
}

type request struct {
	from    qc.NodeID
	digests []blocktree.Digest
}

// fate is what became of one command.
type fate struct {
	at       qc.NodeID
	order    int // of submission
	lost     bool
	answered string // "", "applied" or "dead"
}

const clusterSize = 4

func newCluster(t fataler) *cluster {
	c := &cluster{t: t, roster: newRoster(t, clusterSize), fate: map[string]*fate{}}
	genesis := &proposed{Block: &blocktree.Block{}, lanes: make(blocktree.Lanes, clusterSize)}
	c.blocks, c.chain = []*proposed{genesis}, []*proposed{genesis}
	for i := range clusterSize {
		n := &replica{id: qc.NodeID(i), disk: map[blocktree.Digest]*mempool.Batch{}, logs: []string{""}}
		c.nodes = append(c.nodes, n)
		c.start(n)
	}
	return c
}

// start begins a new life of a replica from its disk.
func (c *cluster) start(n *replica) {
	n.starts++
	cfg := testConfig(c.roster, n.id)
	cfg.ExpiryDistanceMax = 8
	cfg.BlockBatchesMax = 4
	at := c.chain[n.executed]
	rec := mempool.Recovered{Incarnation: blocktree.Incarnation{Starts: n.starts}, Height: at.Height, Lanes: at.lanes}
	digests := make([]blocktree.Digest, 0, len(n.disk))
	for d := range n.disk {
		digests = append(digests, d)
	}
	slices.SortFunc(digests, func(a, b blocktree.Digest) int { return strings.Compare(string(a[:]), string(b[:])) })
	for _, d := range digests {
		rec.Held = append(rec.Held, n.disk[d])
	}
	n.pool = newPool(c.t, cfg, rec)
	n.inbox = nil
	n.fed = n.executed
	n.logs = n.logs[:n.executed+1]
	for _, f := range c.fate {
		if f.at == n.id && f.answered == "" {
			f.lost = true
		}
	}
}

// step carries out one number of a schedule.
func (c *cluster) step(x uint32) {
	n := c.nodes[x>>4%clusterSize]
	arg := int(x >> 8)
	switch x % 16 {
	case 0, 1, 2:
		c.submit(n)
	case 3, 4:
		c.deliver(n, arg%4)
	case 5:
		if len(n.inbox) > 0 { // a message is lost
			n.inbox = slices.Delete(n.inbox, arg%len(n.inbox), arg%len(n.inbox)+1)
		}
	case 6, 7:
		c.propose(n, c.fork(arg))
	case 8, 9:
		c.require(n, c.fork(arg))
	case 10:
		c.commit(c.fork(arg))
	case 11, 12:
		c.feed(n)
	case 13:
		c.execute(n)
	case 14:
		c.now += qc.Ticks(arg % 40)
	case 15:
		if arg%4 == 0 {
			c.start(n)
		}
		n.pool.PeerHeld(qc.NodeID(arg%clusterSize), c.nodes[arg%clusterSize].pool.Held())
	}
	c.turn(n)
}

// fork chooses a block that does not conflict with the committed chain: its tip or a block above it.
func (c *cluster) fork(arg int) *proposed {
	tip := c.chain[len(c.chain)-1]
	open := []*proposed{tip}
	for _, b := range c.blocks {
		if b.Height > tip.Height && c.descends(b, tip) {
			open = append(open, b)
		}
	}
	return open[len(open)-1-arg%len(open)]
}

func (c *cluster) descends(b, from *proposed) bool {
	for b.Height > from.Height {
		b = b.parent
	}
	return b == from
}

func (c *cluster) submit(n *replica) {
	c.submits++
	name := fmt.Sprintf("%v-%d", n.id, c.submits)
	if err := n.pool.Submit(blob(name), 1, name, 0); err == nil {
		c.fate[name] = &fate{at: n.id, order: c.submits}
	}
}

func (c *cluster) deliver(n *replica, count int) {
	for range min(count+1, len(n.inbox)) {
		m := n.inbox[0]
		n.inbox = n.inbox[1:]
		switch m := m.(type) {
		case *mempool.Batch:
			n.pool.Receive(m.Origin, c.verified(c.t, m))
		case request:
			for _, d := range m.digests {
				b := n.pool.Lookup(d)
				if b == nil {
					b = n.disk[d]
				}
				if b != nil {
					c.nodes[m.from].inbox = append(c.nodes[m.from].inbox, b)
				}
			}
		}
	}
}

func (c *cluster) propose(n *replica, parent *proposed) {
	c.view++
	n.pool.SetFrontier(parent.lanes, parent.Height, c.view, qc.NodeID(uint64(c.view)%clusterSize))
	b := &blocktree.Block{Epoch: 1, View: c.view, Height: parent.Height + 1, Parent: parent.ID(), Proposer: n.id,
		Payload: n.pool.Build(parent.lanes, parent.Height+1)}
	lanes, err := parent.lanes.Extend(b.Payload, b.Height, 8, nil)
	if err != nil {
		c.t.Fatalf("Build made an invalid payload: %v", err)
	}
	p := &proposed{Block: b, parent: parent, lanes: lanes, available: map[qc.NodeID]bool{}}
	c.blocks = append(c.blocks, p)
	c.require(n, p)
}

func (c *cluster) require(n *replica, b *proposed) {
	if b.parent != nil {
		n.pool.Require(b.Block, b.parent.lanes)
	}
}

// commit commits a block and its ancestors, if a quorum voted for each.
func (c *cluster) commit(b *proposed) {
	tip := c.chain[len(c.chain)-1]
	var branch []*proposed
	for ; b != tip; b = b.parent {
		if len(b.available) < c.committee.Quorum() {
			return
		}
		branch = append(branch, b)
	}
	slices.Reverse(branch)
	c.chain = append(c.chain, branch...)
}

func (c *cluster) feed(n *replica) {
	if n.fed+1 < len(c.chain) {
		n.fed++
		n.pool.Committed(c.chain[n.fed].Block, c.chain[n.fed].lanes)
	}
}

// execute finishes what the executor has.
func (c *cluster) execute(n *replica) {
	if n.executed = len(n.logs) - 1; n.executed > 0 {
		n.pool.Executed(c.chain[n.executed].Height)
	}
}

// turn ends a driver's turn: it drains Ready and carries it out.
func (c *cluster) turn(n *replica) {
	n.pool.Tick(c.now)
	n.pool.Flush()
	for {
		r := n.pool.Ready()
		line := fmt.Sprintf("%v %v %v %v %v %v %v %v", n.id, digests(r.Persist), digests(r.Broadcast), len(r.Push), r.Load, r.Available, r.Dead, r.OpenLane)
		for _, b := range r.Persist {
			n.disk[b.Digest()] = b
		}
		for _, b := range r.Broadcast {
			for _, peer := range c.nodes {
				if peer != n {
					peer.inbox = append(peer.inbox, b)
				}
			}
		}
		for _, push := range r.Push {
			c.nodes[push.To].inbox = append(c.nodes[push.To].inbox, push.Batch)
		}
		for _, f := range r.Fetch {
			line += fmt.Sprint(" ", f.To, f.Request.Digests)
			c.nodes[f.To].inbox = append(c.nodes[f.To].inbox, request{n.id, f.Request.Digests})
		}
		for _, id := range r.Available {
			for _, b := range c.blocks {
				if b.ID() == id {
					b.available[n.id] = true
				}
			}
		}
		if len(r.Invalid) > 0 {
			c.t.Fatalf("%v calls an honest payload invalid", n.id)
		}
		for _, e := range r.Execute {
			line += fmt.Sprint(" x", e.Block.Height)
			c.apply(n, e)
		}
		for _, owner := range r.Dead {
			c.answer(n, owner.(string), "dead")
		}
		if r.OpenLane != (blocktree.Incarnation{}) {
			n.starts = r.OpenLane.Starts
			n.pool.Opened(r.OpenLane)
		}
		c.trace = append(c.trace, line)
		n.pool.Persisted(r.Persist)
		if len(r.Load) > 0 {
			var found []*mempool.Batch
			for _, d := range r.Load {
				if b := n.disk[d]; b != nil {
					found = append(found, b)
				}
			}
			n.pool.Loaded(r.Load, found)
		}
		if len(r.Persist)+len(r.Load)+len(r.Execute)+len(r.Dead)+len(r.Available) == 0 && r.OpenLane == (blocktree.Incarnation{}) {
			return
		}
	}
}

// apply records an execution and answers its owners.
func (c *cluster) apply(n *replica, e mempool.Execution) {
	want := c.chain[len(n.logs)]
	if e.Block != want.Block {
		c.t.Fatalf("%v executes height %d, want %d", n.id, e.Block.Height, want.Height)
	}
	var log []string
	for i, b := range e.Batches {
		if b.Ref() != e.Block.Payload[i] {
			c.t.Fatalf("%v executes another batch than the block names", n.id)
		}
		list := commands(b)
		log = append(log, list...)
		for _, s := range e.Spans[i] {
			if list[s.First] != s.Owner {
				c.t.Fatalf("%v: command %d is %s, its owner %v", n.id, s.First, list[s.First], s.Owner)
			}
			c.answer(n, s.Owner.(string), "applied")
		}
	}
	n.logs = append(n.logs, strings.Join(log, " "))
}

func (c *cluster) answer(n *replica, name, outcome string) {
	f := c.fate[name]
	if f.at != n.id || f.answered != "" || f.lost {
		c.t.Fatalf("%s of %v is answered %q after %+v", name, n.id, outcome, *f)
	}
	f.answered = outcome
}

// calm is the synchronous tail: nothing is lost, everybody proposes in turn, votes and commits.
func (c *cluster) calm(rounds int) {
	for round := range rounds {
		c.propose(c.nodes[round%clusterSize], c.chain[len(c.chain)-1])
		b := c.blocks[len(c.blocks)-1]
		for range 6 {
			c.now += 30
			for _, n := range c.nodes {
				c.require(n, b)
				c.deliver(n, len(n.inbox))
				c.turn(n)
			}
		}
		c.commit(b)
		for _, n := range c.nodes {
			for n.fed+1 < len(c.chain) {
				c.feed(n)
			}
			c.turn(n)
			c.execute(n)
			c.turn(n)
		}
	}
}

func (c *cluster) traceHash() string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(c.trace, "\n"))))
}

func digests(batches []*mempool.Batch) (ds []blocktree.Digest) {
	for _, b := range batches {
		ds = append(ds, b.Digest())
	}
	return ds
}
