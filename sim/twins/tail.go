package twins

import "github.com/hotstuffd/hotstuffd/qc"

// tailViewsMax bounds the views of the tail until an honest replica has committed one of its blocks.
//
// Who lacks certified blocks asks the others for them in turn, one in the time of a view. At least f+1 honest replicas hold
// them, so after less than n views all honest replicas vote. A rotation has f twinned leaders and 2f+1 others in at most f
// runs, so one run of three at the least; that of the rotation under way may have begun, so the next one counts; and
// its third certificate may fall to a twinned leader and be rebuilt in the view after.
func tailViewsMax(n int) qc.View { return qc.View(3*n + 1) }

// tailTimeMax bounds the time until all honest replicas have: those views, and again less than n requests for blocks.
func tailTimeMax(n int) qc.Ticks { return (qc.Ticks(tailViewsMax(n)) + qc.Ticks(n)) * base }

// hop is how long a message takes in the tail. Two make a view without trouble.
const hop = base / 100

// playTail mends the network and waits for every honest replica to commit a block of the tail. All clocks go at one pace.
func (w *world) playTail() {
	w.round = 0
	w.noteRound()
	for _, x := range w.instances {
		x.silent = w.scenario.silent(x.index)
	}
	w.release()
	for w.tailOpen() {
		d := qc.Ticks(hop)
		if len(w.queue) == 0 {
			d = w.nextTimer()
		}
		w.tailTime += d
		for _, x := range w.instances {
			x.now += d
		}
		w.wave()
		for _, x := range w.instances {
			if !x.silent && x.core.Deadline() <= x.now {
				w.wake(x)
			}
		}
	}
}

// nextTimer returns how long it is until a timer is due.
func (w *world) nextTimer() qc.Ticks {
	d := qc.Ticks(base)
	for _, x := range w.instances {
		if !x.silent {
			d = min(d, max(x.core.Deadline(), x.now+1)-x.now)
		}
	}
	return d
}

// tailOpen tells whether an honest replica has committed no block of the tail yet; it fails if one should have by now.
func (w *world) tailOpen() bool {
	rounds := qc.View(len(w.scenario.Rounds))
	var late *instance
	var view qc.View
	committed := false
	for _, x := range w.instances {
		if x.twin != nil {
			continue
		}
		if view = max(view, x.core.View()); x.committed.View > rounds {
			committed = true
		} else {
			late = x
		}
	}
	if !committed && view > rounds {
		w.tailViews = view - rounds
	}
	switch n := w.scenario.Replicas; {
	case late == nil:
		return false
	case w.tailViews > tailViewsMax(n):
		w.fail(late, "has committed no block of the tail, nor has any other, in %d views of it", tailViewsMax(n))
	case w.tailTime > tailTimeMax(n):
		w.fail(late, "has committed no block of the tail in the time of %d views", tailTimeMax(n)/base)
	}
	return true
}
