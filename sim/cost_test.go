package sim

import (
	"testing"
	"time"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	hsnet "github.com/hotstuffd/hotstuffd/net"
	"github.com/hotstuffd/hotstuffd/qc"
)

const millisecond = qc.TicksPerSecond / 1000

// Two workers have two jobs done at once; the third waits for the first that is free.
func TestWorkersShareTheWork(t *testing.T) {
	p := newProcessor(&meter{costs: Costs{Workers: 2}}, 4)
	for i, want := range []qc.Ticks{10, 20, 25, 30} {
		work := []time.Duration{10, 20, 15, 10}[i] * time.Millisecond
		if got := p.run(0, work); got != want*millisecond {
			t.Errorf("job %d is done at %d, want %d", i, got, want*millisecond)
		}
	}
	if got := p.run(100*millisecond, time.Millisecond); got != 101*millisecond {
		t.Errorf("after a rest a job is done at %d", got)
	}
	if p.usage.Workers != 56*time.Millisecond {
		t.Errorf("the workers were busy for %v", p.usage.Workers)
	}
}

// A peer's messages stay in order, however long each is checked; another peer's need not wait.
func TestPeersMessagesStayInOrder(t *testing.T) {
	p := newProcessor(&meter{costs: Costs{Workers: 3}}, 4)
	vote := &hotstuff.VoteMessage{}
	p.meter.sum = 5 * time.Millisecond
	slow := p.check(0, 1, vote, 0)
	p.meter.sum = time.Millisecond
	if next := p.check(0, 1, vote, 0); slow != 5*millisecond || next != slow {
		t.Errorf("checked at %d and %d", slow, next)
	}
	p.meter.sum = time.Millisecond
	if other := p.check(0, 2, vote, 0); other != millisecond {
		t.Errorf("another peer's is checked at %d", other)
	}
}

// Work far shorter than a tick adds up.
func TestShortWorkAddsUp(t *testing.T) {
	p := newProcessor(&meter{}, 4)
	var free qc.Ticks
	for range 1000 {
		p.meter.sum = 7 * time.Microsecond
		free = p.spend(0)
	}
	if free != 7*millisecond {
		t.Errorf("a thousand times 7 µs take until tick %d", free)
	}
}

// Consensus does not wait for bulk on the way out, but bulk for all; what is too much for the queues is refused.
func TestUplink(t *testing.T) {
	var u uplink
	const rate = 1_000_000
	bulk, vote := packet{size: 10_000, class: hsnet.Bulk}, packet{size: 1000, class: hsnet.Consensus}
	for i, want := range []qc.Ticks{10, 1, 21, 2} {
		p := []packet{bulk, vote, bulk, vote}[i]
		if got := u.leave(0, p, rate); got != want*millisecond {
			t.Errorf("packet %d has left at %d, want %d", i, got, want*millisecond)
		}
	}
	c := &Config{Nodes: 2, Uplink: rate}
	if u.full(0, bulk, c, 40_000) || !u.full(0, bulk, c, 30_000) || u.full(20*millisecond, bulk, c, 15_000) || u.full(0, vote, c, 1) {
		t.Error("the queue of 22 ms is full at the wrong time")
	}
}

// Every signature, made or checked, is charged: the same run without costs takes no processor, and with them each replica
// has signed about a vote a view and checked a certificate.
func TestSignaturesAreCharged(t *testing.T) {
	c := Calm(1, 4)
	c.Duration = 2 * qc.TicksPerSecond
	c.Costs = &Costs{Sign: time.Millisecond, Verify: 2 * time.Millisecond, Workers: 2}
	o := &usageOnly{}
	c.Observer = o
	r := Run(c, nil)
	if r.Failure != nil || len(o.usage) != 4 {
		t.Fatalf("%v, usage %v", r.Failure, o.usage)
	}
	views := time.Duration(r.Counts.Views)
	for id, u := range o.usage {
		if u.Loop < views*time.Millisecond/4 || u.Workers < views*2*time.Millisecond/4 {
			t.Errorf("n%d: loop %v, workers %v in %d views", id, u.Loop, u.Workers, views)
		}
	}
}

// usageOnly is an Observer that looks at nothing else.
type usageOnly struct {
	silent
	usage []Usage
}

func (o *usageOnly) Over(usage []Usage) { o.usage = usage }

type silent struct{}

func (silent) Sent(Message)                                        {}
func (silent) Entered(qc.NodeID, qc.View, bool, qc.Ticks)          {}
func (silent) Executed(qc.NodeID, *blocktree.Block, int, qc.Ticks) {}
func (silent) Answered(qc.NodeID, qc.Ticks, qc.Ticks, error)       {}
