package peers_test

import (
	"testing"

	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/qc/peers"
)

func anyone(qc.NodeID) bool { return true }
func nothing(qc.NodeID) int { return 0 }
func but(not qc.NodeID) func(qc.NodeID) bool {
	return func(id qc.NodeID) bool { return id != not }
}

func expectBest(t *testing.T, p *peers.Peers, now qc.Ticks, may func(qc.NodeID) bool, load func(qc.NodeID) int, want qc.NodeID, why string) {
	t.Helper()
	if got, ok := p.Best(now, 2, may, load); !ok || got != want {
		t.Fatalf("%s: asks %v (%v), want %v", why, got, ok, want)
	}
}

// TestBest: the connected first, then the least penalty, then the least load, then the next in turn; never self.
func TestBest(t *testing.T) {
	p := peers.New(2, 5)
	expectBest(t, p, 0, anyone, nothing, 3, "nobody is known to be connected: the next in turn")
	p.SetUp(4, true)
	p.SetUp(0, true)
	p.SetUp(1, true)
	expectBest(t, p, 0, anyone, nothing, 4, "connected before others")
	loads := func(id qc.NodeID) int { return []int{3, 2, 0, 0, 5}[id] }
	expectBest(t, p, 0, anyone, loads, 1, "the least load")
	p.Failed(1, 0, peers.Late)
	p.Failed(1, 0, peers.Empty)
	expectBest(t, p, 0, anyone, loads, 1, "three points are none")
	if p.Spared(1, 0) {
		t.Error("spared for three")
	}
	p.Failed(1, 0, peers.Empty)
	if !p.Spared(1, 0) {
		t.Error("not spared for four")
	}
	expectBest(t, p, 0, anyone, loads, 0, "four are: the least penalty before the least load")
	p.Failed(0, 0, peers.Wrong)
	p.Failed(4, 0, peers.Wrong)
	p.Failed(4, 0, peers.Wrong)
	expectBest(t, p, 0, but(0), loads, 1, "eight are worse")
	p.Served(1, 0)
	p.Served(0, 0)
	expectBest(t, p, 0, anyone, loads, 1, "an answer that serves takes one back")
	if _, ok := p.Best(0, 2, func(qc.NodeID) bool { return false }, nothing); ok {
		t.Error("asks somebody although nobody may be asked")
	}
	if p.Asks(2) || p.Asks(3) || !p.Asks(4) {
		t.Error("self and the disconnected are asked, or the connected is not")
	}
}

// TestPenaltiesFade: the worst peer is as good as any some seconds later.
func TestPenaltiesFade(t *testing.T) {
	p := peers.New(2, 5)
	for range 100 {
		p.Failed(3, 0, peers.Wrong)
	}
	p.Failed(4, 0, peers.Wrong)
	p.Failed(0, 0, peers.Wrong)
	p.Failed(1, 0, peers.Wrong)
	expectBest(t, p, 0, anyone, nothing, 4, "the worst is the last")
	const second = qc.TicksPerSecond
	p.Failed(3, second/2, peers.Late) // 16 is all: it does not make it worse
	expectBest(t, p, 2*second, anyone, nothing, 4, "16 are still 4 after two seconds, 4 are 1")
	expectBest(t, p, 3*second, anyone, nothing, 3, "2 after three")
}

// TestPatience follows what a peer's answers take, within bounds.
func TestPatience(t *testing.T) {
	p := peers.New(2, 5)
	wait := func(want qc.Ticks, why string) {
		t.Helper()
		if got := p.Patience(3, 100); got != want {
			t.Fatalf("%s: waits %d, want %d", why, got, want)
		}
	}
	wait(100, "nothing is known")
	p.Measure(3, 300, true)
	wait(700, "it is far away")
	p.Measure(3, 900, false)
	wait(700, "an answer that waited behind others says nothing of the way")
	if !p.Usual(3, 350, 50) || p.Usual(3, 351, 50) {
		t.Error("what is usual is not measured by the way alone")
	}
	p.Measure(3, 200, false)
	wait(500, "it was faster")
	p.Measure(3, 400, true)
	wait(900, "the way has become longer")
	p.Measure(3, 1_000_000, true)
	wait(1600, "nobody is waited for longer")
}
