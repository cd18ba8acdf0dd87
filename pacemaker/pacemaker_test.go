package pacemaker_test

import (
	"testing"

	"github.com/hotstuffd/hotstuffd/pacemaker"
	"github.com/hotstuffd/hotstuffd/qc"
)

var timing = pacemaker.Config{Base: 100, Max: 5000, Heartbeat: 1000, MinView: 7}

func wantDeadline(t *testing.T, p *pacemaker.Pacemaker, want qc.Ticks, when string) {
	t.Helper()
	if got := p.Deadline(); got != want {
		t.Errorf("%s: deadline %d, want %d", when, got, want)
	}
}

// TestDeadline is min(entry + heartbeat + base, t + base), t being the later of entry and the first moment of work.
func TestDeadline(t *testing.T) {
	p := pacemaker.New(timing, 5, 50)
	wantDeadline(t, p, 50+1000+100, "idle")
	p.SetWork(300, true)
	wantDeadline(t, p, 300+100, "work from 300")
	p.SetWork(350, true)
	wantDeadline(t, p, 300+100, "work goes on")
	if at, ok := p.HalfTime(); !ok || at != 350 {
		t.Errorf("half time %d, %v", at, ok)
	}
	p.Enter(6, 400, false)
	wantDeadline(t, p, 400+100, "work is there on entry")
	p.SetWork(410, false)
	wantDeadline(t, p, 400+1000+100, "idle again")
	if _, ok := p.HalfTime(); ok {
		t.Error("a half time without work")
	}
	p.SetWork(1390, true)
	wantDeadline(t, p, 1390+100, "work at last")
	p.Enter(7, 1400, true)
	p.SetWork(1400, false)
	p.SetWork(2450, true)
	wantDeadline(t, p, 1400+1000+100, "work too late to matter")
}

// TestLeaderDown: a leader known to be down has no time at all, but the next one has.
func TestLeaderDown(t *testing.T) {
	p := pacemaker.New(timing, 5, 50)
	p.LeaderDown(true)
	wantDeadline(t, p, 50, "down")
	p.LeaderDown(false)
	wantDeadline(t, p, 1150, "up again")
	p.LeaderDown(true)
	p.Enter(6, 60, false)
	wantDeadline(t, p, 60+1100, "the next view")
}

// TestEnter goes forward only, by any number of views (L4).
func TestEnter(t *testing.T) {
	p := pacemaker.New(timing, 5, 0)
	for _, c := range []struct {
		v    qc.View
		want bool
	}{{5, false}, {4, false}, {6, true}, {1000, true}, {999, false}} {
		if got := p.Enter(c.v, 10, true); got != c.want {
			t.Errorf("enter %d: %v", c.v, got)
		}
	}
	if p.View() != 1000 || p.Entered() != 10 {
		t.Errorf("view %d entered %d", p.View(), p.Entered())
	}
}

// TestBackoff doubles with each timeout after the first, up to the cap, and decays with commits; certificates alone change
// nothing (L7).
func TestBackoff(t *testing.T) {
	p := pacemaker.New(timing, 1, 0)
	v := qc.View(1)
	next := func(progress bool) qc.Ticks {
		v++
		p.Enter(v, 0, progress)
		return p.Timeout()
	}
	for i, want := range []qc.Ticks{100, 200, 400, 800, 1600, 3200, 5000, 5000} {
		if got := next(false); got != want {
			t.Errorf("after %d timeouts in a row: %d, want %d", i+1, got, want)
		}
	}
	for range 100 {
		next(false)
	}
	if p.Timeout() != timing.Max {
		t.Errorf("%d, above the cap", p.Timeout())
	}
	for range 2 {
		p.Committed()
	}
	if got := p.Timeout(); got != 800 {
		t.Errorf("after two commits: %d, want 800", got)
	}
	if got := next(true); got != 800 {
		t.Errorf("after a certificate: %d, want 800", got)
	}
	for range 3 {
		p.Committed()
	}
	for _, progress := range []bool{true, true, false} {
		if got := next(progress); got != 100 {
			t.Errorf("the backoff went below nothing: %d, want 100", got)
		}
	}
}

// TestBaseFollowsTheMeasured: slow answers raise the base, longer than the present timeout or not, up to half of the cap;
// quick ones lower it again, no further than configured. A third that are slow, as faulty leaders may have it, change
// nothing; and neither does how long views last.
func TestBaseFollowsTheMeasured(t *testing.T) {
	p := pacemaker.New(timing, 1, 0)
	p.SetWork(0, true)
	for v := qc.View(2); v < 40; v++ {
		p.Enter(v, qc.Ticks(v)*60, true)
	}
	for _, step := range []struct {
		measures []qc.Ticks
		times    int
		want     qc.Ticks
	}{
		{nil, 0, 100},
		{[]qc.Ticks{5}, 1, 100},
		{[]qc.Ticks{40}, 31, 320},
		{[]qc.Ticks{40, 9000, 40}, 30, 320},
		{[]qc.Ticks{150}, 31, 1200}, // more than the base itself
		{[]qc.Ticks{9000}, 31, 2500},
		{[]qc.Ticks{5}, 31, 100},
	} {
		for range step.times {
			for _, d := range step.measures {
				p.Measure(d)
			}
		}
		if got := p.Timeout(); got != step.want {
			t.Errorf("after %d times %v: timeout %d, want %d", step.times, step.measures, got, step.want)
		}
	}
}

// TestOtherMoments of a view.
func TestOtherMoments(t *testing.T) {
	p := pacemaker.New(timing, 1, 40)
	if p.HeartbeatAt() != 1040 {
		t.Errorf("heartbeat %d", p.HeartbeatAt())
	}
	if soon, late := p.PacedAt(38), p.PacedAt(20); soon != 45 || late != 40 {
		t.Errorf("paced %d after a vote at 38, want 45; %d after one at 20, want 40", soon, late)
	}
	if p.RebroadcastEvery() != 25 || p.RetryEvery() != 100 {
		t.Errorf("rebroadcast every %d, want a quarter of the timeout; retry every %d", p.RebroadcastEvery(), p.RetryEvery())
	}
	for v := qc.View(2); v < 20; v++ {
		p.Enter(v, 0, false)
	}
	if p.RebroadcastEvery() != 1000 || p.RetryEvery() != 1000 {
		t.Errorf("rebroadcast every %d and retry every %d under backoff, want ten bases", p.RebroadcastEvery(), p.RetryEvery())
	}
}
