package sim_test

import (
	"math"
	"testing"
	"time"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/sim"
)

// blind is a sim.Observer that sees nothing.
type blind struct{}

func (blind) Sent(sim.Message)                                    {}
func (blind) Entered(qc.NodeID, qc.View, bool, qc.Ticks)          {}
func (blind) Executed(qc.NodeID, *blocktree.Block, int, qc.Ticks) {}
func (blind) Answered(qc.NodeID, qc.Ticks, qc.Ticks, error)       {}
func (blind) Over([]sim.Usage)                                    {}

// catchUp watches a replica that starts late come to where the others were then.
type catchUp struct {
	blind
	late   qc.NodeID
	from   qc.Ticks
	goal   qc.Height         // of the others at from
	took   qc.Ticks          // 0: it is not there yet
	blocks map[qc.NodeID]int // requests, until it is there
	bytes  map[qc.NodeID]int // of blocks and batches, until it is there
}

// Sent implements sim.Observer.
func (o *catchUp) Sent(m sim.Message) {
	switch {
	case o.took > 0:
	case m.From == o.late && m.Kind == sim.KindBlockRequest:
		o.blocks[m.To]++
	case m.To == o.late && (m.Kind == sim.KindBlocks || m.Kind == sim.KindBatch):
		o.bytes[m.From] += m.Bytes
	}
}

// Executed implements sim.Observer.
func (o *catchUp) Executed(id qc.NodeID, b *blocktree.Block, _ int, at qc.Ticks) {
	switch {
	case id != o.late && at <= o.from:
		o.goal = max(o.goal, b.Height)
	case id == o.late && o.took == 0 && b.Height >= o.goal:
		o.took = at - o.from
	}
}

func (o *catchUp) total() (bytes int) {
	for _, b := range o.bytes {
		bytes += b
	}
	return bytes
}

// farBehind is a run of seven replicas in one rack and the last of them 40 ms away, which starts late.
func farBehind(seed uint64, late qc.Ticks, bytes int) (sim.Config, *catchUp) {
	const n = 7
	c := sim.Calm(seed, n)
	c.Latency = sim.Latency{Jitter: 1, Matrix: make([][]qc.Ticks, n)}
	for i := range n {
		c.Latency.Matrix[i] = make([]qc.Ticks, n)
		for j := range n {
			if c.Latency.Matrix[i][j] = 2; i == n-1 || j == n-1 {
				c.Latency.Matrix[i][j] = 400
			}
		}
	}
	c.Pacemaker.MinView = time.Millisecond
	c.SyncTime, c.ApplyTime, c.Uplink = 5, 0, 12_500_000
	c.Late, c.Duration = map[qc.NodeID]qc.Ticks{n - 1: late}, late+10*qc.TicksPerSecond
	c.Clients = sim.Clients{Count: 4, Open: true, Steady: true, Think: 40, Bytes: bytes}
	c.Events = math.MaxInt
	o := &catchUp{late: n - 1, from: late, blocks: map[qc.NodeID]int{}, bytes: map[qc.NodeID]int{}}
	c.Observer = o
	return c, o
}

// catchUpRun plays a run, and fails if the late replica does not come to where the others were within a time.
func catchUpRun(t *testing.T, c sim.Config, o *catchUp, within qc.Ticks) {
	t.Helper()
	r := sim.Run(c, nil)
	t.Logf("%d blocks in %d ms; blocks asked of %v, bytes came from %v", o.goal, 1000*o.took/qc.TicksPerSecond, o.blocks, o.bytes)
	if r.Failure != nil || o.goal < 1200 || o.took == 0 || o.took > within {
		t.Errorf("seed %d: %d blocks in %d ticks, want them within %d; %v", c.Seed, o.goal, o.took, within, r.Failure)
	}
}

// TestCatchUp: a replica that is far behind asks several peers for blocks, and for batches all of them, none for much more
// than its share. A crash in the middle costs what was under way: nothing of what was here is fetched again (L5).
func TestCatchUp(t *testing.T) {
	c, whole := farBehind(1, 6*qc.TicksPerSecond, 1024)
	catchUpRun(t, c, whole, 2*qc.TicksPerSecond)
	if len(whole.blocks) < 3 || len(whole.bytes) < 6 {
		t.Errorf("blocks were asked of %d peers, and anything came from %d; want 3 and 6", len(whole.blocks), len(whole.bytes))
	}
	for id, bytes := range whole.bytes {
		if bytes > whole.total()/3 {
			t.Errorf("%d of %d bytes came from %v", bytes, whole.total(), id)
		}
	}
	c, halves := farBehind(1, 6*qc.TicksPerSecond, 1024)
	c.CrashAt = map[qc.NodeID]qc.Ticks{halves.late: halves.from + 2*whole.took/3}
	catchUpRun(t, c, halves, 3*qc.TicksPerSecond)
	if halves.took <= whole.took {
		t.Errorf("it took %d ticks with a crash, %d without", halves.took, whole.took)
	}
	if 4*halves.total() > 5*whole.total() {
		t.Errorf("%d bytes came in two lives, %d suffice for one", halves.total(), whole.total())
	}
}

// TestCatchUpDespitePeers: of six peers one is dead, one lies, and one is a second away. The others bring what is missing
// (L5).
func TestCatchUpDespitePeers(t *testing.T) {
	for seed := range uint64(ofCampaign(12, 2)) {
		c, o := farBehind(seed, 7*qc.TicksPerSecond, 256)
		liar, dead, slow := qc.NodeID(seed%6), qc.NodeID((seed+1)%6), qc.NodeID((seed+3)%6)
		c.Byzantine, c.Dead = map[qc.NodeID]sim.Behaviors{liar: sim.LieInSync}, []qc.NodeID{dead}
		c.Latency.Matrix[slow][o.late], c.Latency.Matrix[o.late][slow] = qc.TicksPerSecond, qc.TicksPerSecond
		catchUpRun(t, c, o, 3*qc.TicksPerSecond)
		if o.bytes[slow] > o.total()/4 {
			t.Errorf("seed %d: %d of %d bytes came from the slow peer", seed, o.bytes[slow], o.total())
		}
	}
}

// lag watches for how long any replica is behind the first that executes a block.
type lag struct {
	blind
	first map[qc.Height]qc.Ticks
	most  qc.Ticks
	where qc.NodeID
}

// Executed implements sim.Observer.
func (o *lag) Executed(id qc.NodeID, b *blocktree.Block, _ int, at qc.Ticks) {
	first, ok := o.first[b.Height]
	if !ok {
		o.first[b.Height] = at
	} else if at-first > o.most {
		o.most, o.where = at-first, id
	}
}

// TestNobodyStaysBehind: where one message in twenty is lost and the load is a command now and then, nobody is a block behind
// for longer than the next heartbeat and a few requests take: what others do shows it that it is, and it asks (L5).
func TestNobodyStaysBehind(t *testing.T) {
	for seed := range uint64(ofCampaign(40, 8)) {
		c := sim.Calm(seed, 4+int(seed%4))
		c.Loss, c.Duration, c.Pacemaker.Heartbeat = 0.05, 30*qc.TicksPerSecond, time.Second
		o := &lag{first: map[qc.Height]qc.Ticks{}}
		c.Observer = o
		if r := sim.Run(c, nil); r.Failure != nil || r.Counts.Commits < 30 {
			t.Errorf("seed %d: %d commits, %v", seed, r.Counts.Commits, r.Failure)
		}
		t.Logf("seed %d: %v was behind for %d ticks at most", seed, o.where, o.most)
		if o.most > qc.TicksPerSecond*5/4 {
			t.Errorf("seed %d: %v was behind for %d ticks", seed, o.where, o.most)
		}
	}
}
