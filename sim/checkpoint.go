package sim

import (
	"errors"

	"github.com/hotstuffd/hotstuffd/app"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/node"
	"github.com/hotstuffd/hotstuffd/qc"
)

// corrupted is an application whose state goes wrong without a word at some block, as a bad memory cell would have it. A
// replica with one follows the protocol, and counts among the f all the same.
type corrupted struct {
	app.Application
	from, at uint64 // heights
}

// Apply implements app.Application.
func (a *corrupted) Apply(at app.Moment, command, reply []byte) []byte {
	a.at = at.Height
	return a.Application.Apply(at, command, reply)
}

// Digest implements app.Application.
func (a *corrupted) Digest() [32]byte {
	d := a.Application.Digest()
	if a.at >= a.from {
		d[0] ^= 1
	}
	return d
}

// diverged takes the end of a corrupted replica: its operator leaves it off.
func (l *life) diverged(err error) bool {
	var d *hotstuff.DivergedError
	if !errors.As(err, &d) || l.r.corruptFrom == 0 {
		return false
	}
	w := l.r.w
	if d.Height < l.r.corruptFrom {
		w.fail("S15", "%v halts over the state of height %d, where it was right", l.r.id, d.Height)
	}
	if !l.r.dead {
		w.counts.Diverged++
	}
	l.r.dead = true
	return true
}

// checkpointed notes the state that a correct replica signs: all sign the same at one height (S15).
func (c *checker) checkpointed(r *replica, e node.Checkpointed) {
	if !r.correct() || r.corruptFrom > 0 {
		return
	}
	known, ok := c.states[e.Checkpoint.Height]
	if ok && known != e.Checkpoint {
		c.w.fail("S15", "%v comes to another state than others at height %d", r.id, known.Height)
	}
	c.states[e.Checkpoint.Height] = e.Checkpoint
}

// certifiedState checks a certificate that a correct replica keeps: of the state that correct replicas come to, after a
// block that is committed.
func (c *checker) certifiedState(r *replica, cert *qc.CheckpointCertificate) {
	cp := cert.Checkpoint
	if known, ok := c.states[cp.Height]; !ok || known != cp {
		c.w.fail("S15", "%v keeps a certificate of a state at height %d that no correct replica has come to", r.id, cp.Height)
	}
	c.w.counts.Checkpoints = max(c.w.counts.Checkpoints, uint64(cp.Height))
}
