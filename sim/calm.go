package sim

import "github.com/hotstuffd/hotstuffd/qc"

// heal ends all faults but the dead and the Byzantine, of whom there are at most f. From here on everything must commit.
func (w *World) heal() {
	w.calm = true
	if w.cfg.Devices != nil {
		w.cfg.Devices.Calm()
	}
	if w.beyond() {
		w.check.done = true // nothing need commit
		return
	}
	w.trace.event(w.now, fault, 0, 0, 0, 0)
	w.trace.note(w.now, "the faults are over")
	for a := range qc.NodeID(w.cfg.Nodes) {
		for b := range qc.NodeID(w.cfg.Nodes) {
			if w.net.links[a][b].cuts > 0 {
				w.net.cut(a, b, -w.net.links[a][b].cuts)
			}
		}
	}
	c := w.check
	skew := int64(w.cfg.Limits.ClockSkewMax) / 2
	for _, r := range w.replicas {
		r.failing, r.unreadable = false, false
		r.skew = max(-skew, min(r.skew, skew))
		if r.life != nil {
			r.life.fuse = fuse{}
		}
		r.start()
		if r.correct() {
			probe := newClient(w, len(w.clients))
			probe.probe, probe.at = true, r
			w.clients = append(w.clients, probe)
			w.after(1, probe.begin)
		}
	}
	settle := qc.Ticks(0)
	if w.cfg.ClockSkew > skew {
		// Clocks were apart by more than the chain allows: its newest block may lie in everybody's future by so much.
		settle = qc.Ticks(w.cfg.ClockSkew+w.cfg.ClockSkew/2+skew) / (1e9 / qc.TicksPerSecond)
	}
	w.after(settle, c.healed)
	w.after(settle+calmMax, func() {
		w.fail("L7", "not everything is done %s after the faults ended: %s", clock(calmMax), c.missing())
	})
}

// healed notes where everybody stands when the count of views begins.
func (c *checker) healed() {
	c.healedHeight = qc.Height(len(c.chain) - 1)
	c.counting = true
	for _, r := range c.w.replicas {
		if r.correct() && r.life != nil {
			c.healedView = max(c.healedView, r.life.view)
		}
	}
}

// calmMax is the time in which everything must commit and be executed everywhere.
const calmMax = 120 * qc.TicksPerSecond

// progress checks, in the calm, that commits come within so many views, and notes when everything is done.
func (c *checker) progress() {
	w := c.w
	if !c.counting || c.done {
		return
	}
	if w.counts.HealedViews == 0 {
		views := max(qc.View(w.counts.Views), c.healedView) - c.healedView
		if most := w.cfg.HealedViewsMax(); views > most {
			w.fail("L7", "no commit from view %d, when the faults ended, to %d; one must come within %d", c.healedView, w.counts.Views, most)
		}
		if qc.Height(len(c.chain)-1) == c.healedHeight {
			return
		}
		w.counts.HealedViews = uint64(max(views, 1)) // a commit in the view itself counts as one
	}
	c.done = c.missing() == ""
}

// missing words what is not done yet: every probe is answered, and every correct replica has executed the same blocks.
func (c *checker) missing() string {
	w := c.w
	for _, cl := range w.clients {
		if cl.probe && !cl.answered {
			return "a request to " + cl.at.id.String() + " is not answered"
		}
	}
	height, set := qc.Height(0), false
	for _, r := range w.replicas {
		if r.lost {
			return r.id.String() + " has not rejoined"
		}
		if !r.correct() {
			continue
		}
		if r.life == nil {
			return r.id.String() + " is down"
		}
		h := r.life.driver.Core().Tree().Committed().Block.Height
		if r.life.exec.height != h || len(r.life.exec.queue) > 0 {
			return r.id.String() + " has not executed what it committed"
		}
		if set && h != height {
			return r.id.String() + " has not committed what another has"
		}
		height, set = h, true
	}
	return ""
}

// finish checks what can be told only at the end.
func (c *checker) finish() {
	if err := c.history.linearizable(); err != nil {
		c.w.fail("linearizable", "%v", err)
	}
	for _, r := range c.w.replicas {
		if r.correct() && r.life != nil {
			c.keeps(r)
		}
	}
}

// keeps checks that a replica has applied all that a client was told the result of. That each was applied once the ledger
// has seen to.
func (c *checker) keeps(r *replica) {
	a, ok := r.life.exec.app.(*ledger)
	if !ok {
		return // the key-value store's clients have their history; a corrupted application's promise nothing
	}
	for _, k := range c.answered {
		if _, applied := a.applied[k]; !applied {
			c.w.fail("acknowledged", "%v has not applied command %d of connection %d, whose result its client was told", r.id, k.number, k.connection)
			return
		}
	}
}
