package sim

import (
	"math/rand/v2"

	"github.com/hotstuffd/hotstuffd/qc"
)

// scheduleFaults sets the faults going that come by themselves.
func (w *World) scheduleFaults() {
	n := w.cfg.Nodes
	w.repeat(w.cfg.Crashes, w.random.crash, func(qc.Ticks) { w.replicas[w.random.crash.IntN(n)].cutPower() })
	w.repeat(w.cfg.AllCrash, w.random.crash, func(qc.Ticks) {
		for _, r := range w.replicas {
			r.crash()
		}
	})
	w.repeat(w.cfg.Pauses, w.random.pause, func(d qc.Ticks) {
		if l := w.replicas[w.random.pause.IntN(n)].life; l != nil {
			l.busy = max(l.busy, w.now+d)
		}
	})
	w.repeat(w.cfg.ClockSteps, w.random.clock, func(qc.Ticks) {
		w.replicas[w.random.clock.IntN(n)].skew = w.random.clock.Int64N(2*w.cfg.ClockSkew+1) - w.cfg.ClockSkew
	})
	w.repeat(w.cfg.DiskFailures, w.random.disk, func(d qc.Ticks) {
		r := w.replicas[w.random.disk.IntN(n)]
		r.failing = true
		w.after(d, func() { r.failing = false })
	})
	w.repeat(w.cfg.ReadFailures, w.random.disk, func(d qc.Ticks) {
		r := w.replicas[w.random.disk.IntN(n)]
		r.unreadable = true
		w.after(d, func() { r.unreadable = false })
	})
	w.repeat(w.cfg.DiskLosses, w.random.disk, func(qc.Ticks) { w.replicas[*w.cfg.Forgetful].loseDisk() })
	w.repeat(w.cfg.Partitions, w.random.partition, w.partition)
	w.repeat(w.cfg.OneWay, w.random.partition, w.cutOneWay)
}

// repeat has something happen at a rate until the calm.
func (w *World) repeat(rate Rate, source *rand.Rand, do func(d qc.Ticks)) {
	if rate.Every == 0 {
		return
	}
	var next func()
	next = func() {
		if w.calm {
			return
		}
		d := around(source, rate.For)
		w.trace.event(w.now, fault, 0, 0, uint64(d), 0)
		do(d)
		w.after(around(source, rate.Every), next)
	}
	w.after(around(source, rate.Every), next)
}

// cutPower crashes a replica: now, or in its next turn, before or after its write or between two messages.
func (r *replica) cutPower() {
	if r.life == nil {
		return
	}
	random := r.w.random.crash
	switch at := fuseAt(random.IntN(int(betweenSends) + 1)); at {
	case never:
		r.crash()
	default:
		r.life.fuse = fuse{at: at, sends: random.IntN(r.w.cfg.Nodes)}
	}
}

// partition splits the replicas in two for a while.
func (w *World) partition(d qc.Ticks) {
	side := make([]bool, w.cfg.Nodes)
	for i := range side {
		side[i] = w.random.partition.IntN(2) == 0
	}
	w.trace.note(w.now, "a partition: %v", side)
	for a := range qc.NodeID(w.cfg.Nodes) {
		for b := range qc.NodeID(w.cfg.Nodes) {
			if side[a] != side[b] {
				w.cutFor(a, b, d)
			}
		}
	}
}

// cutOneWay cuts what one replica sends to some others for a while.
func (w *World) cutOneWay(d qc.Ticks) {
	from := qc.NodeID(w.random.partition.IntN(w.cfg.Nodes))
	for to := range qc.NodeID(w.cfg.Nodes) {
		if to != from && w.random.partition.IntN(2) == 0 {
			w.cutFor(from, to, d)
		}
	}
}

func (w *World) cutFor(from, to qc.NodeID, d qc.Ticks) {
	w.net.cut(from, to, +1)
	w.after(d, func() {
		if !w.calm { // the calm has taken all cuts away
			w.net.cut(from, to, -1)
		}
	})
}
