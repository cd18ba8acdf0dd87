package hotstuff

import (
	"math"

	"github.com/hotstuffd/hotstuffd/qc"
)

// Rejoining after the safety state was lost (PROTOCOL §7; S13).
//
// A replica that has forgotten what it signed could contradict it. It draws a nonce, and has it committed as a command,
// which others order for it. Until then it signs nothing: no vote, timeout, proposal, batch or checkpoint. It follows the others
// all the same: it verifies certificates, moves views, fetches and commits. When a block with the nonce has been
// executed, w is the view of the highest certificate known, and from then on it signs in views above w alone.
//
// Theorem (nothing is signed twice). Every view u in which the replica signed before the loss lies below w. If u = 1
// that is so because a commit takes a certificate of view 3 at least. Otherwise it had entered u by a certificate of
// view u−1, or proposed there on a sum of q votes of view u−1 that turned out to be spoilt (ahead.go). Of the q signers, q−f at
// least are honest and others, for this replica is one of the f, and a vote is taken from its signer alone. The block of view
// w−2 that was committed, and with it the nonce, is that which names the nonce or a descendant, so the q votes for it
// were cast after the nonce was drawn, which nobody could guess, and so after the loss. 2q−f > n: one honest replica
// has signed in view u−1 before the loss and in view w−2 after it. Its views never go back, so u−1 ≤ w−2. A certificate
// higher than the one that committed the block only makes w higher.
//
// The lock that was forgotten guarded a block of a view below u−1. The commit has locked one of view w−1.
//
// Crashes. The nonce is on disk before it is first sent. A restart goes on with the same one: nothing was signed since
// it was drawn. That it is over is one write: nonce cleared, floor set, incarnation raised. Without it the restart
// executes the block again and comes to the same point with the same or a higher w. A second loss draws another nonce:
// rejoins of before it name the old one, and w grows, since QC(w) of the first rejoin had been signed before the second
// loss.

// rejoinRequest is when the nonce is next sent to all. A peer that comes up is sent it at once.
type rejoinRequest struct {
	due   qc.Ticks
	after qc.Ticks // between the last two; doubles up to requestEveryMax
}

const (
	requestEveryMin = 1 * qc.TicksPerSecond
	requestEveryMax = 30 * qc.TicksPerSecond
)

// Rejoining tells whether this replica has lost its safety state and waits for its nonce to be committed.
func (c *Core) Rejoining() bool { return c.safety.rejoining() }

// onRejoined ends the rejoin, if the nonce is the one that was drawn after the last loss.
// Timeouts of the present view may have come meanwhile: it joins them.
func (c *Core) onRejoined(in Rejoined) error {
	if !c.Rejoining() || in.Nonce != c.safety.state.Nonce {
		return nil
	}
	c.safety.rejoin()
	c.gated = true
	c.signNewest()
	return c.countTimeouts()
}

// requestDue is when the nonce is next sent to all; never, if there is none.
func (c *Core) requestDue() qc.Ticks {
	if !c.Rejoining() {
		return math.MaxUint64
	}
	return c.request.due
}

// repeatRejoinRequest sends the nonce to all again when it is due: a request may be lost, or its command's lane may
// end.
func (c *Core) repeatRejoinRequest() {
	if c.now < c.requestDue() {
		return
	}
	c.broadcast(&RejoinRequest{Nonce: c.safety.state.Nonce})
	c.request.after = min(max(2*c.request.after, requestEveryMin), requestEveryMax)
	c.request.due = c.now + c.request.after
}
