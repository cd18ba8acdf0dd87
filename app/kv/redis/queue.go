package redis

import (
	"time"

	"github.com/hotstuffd/hotstuffd/app"
)

// enqueue gives a request its place in the order of replies. It waits for a free one: that is what holds back a client
// that sends faster than it is served, or that does not read. A request whose replies are known, local, is not submitted;
// neither is one that waits too long because the submitter still holds requests that have timed out: that is busy.
// ok is false if the client is gone.
func (c *conn) enqueue(r *request, local bool) (submit, ok bool) {
	var late <-chan time.Time // made only if there is something to wait for
	for busy := false; ; {
		c.mu.Lock()
		if c.queued < requestsMax && (local || busy || c.submitted < requestsMax) {
			submit = !local && !busy
			switch {
			case submit:
				c.submitted++
			case local:
				r.done, r.reply = true, r.texts
			default:
				r.done, r.err = true, app.ErrBusy
			}
			c.queue[(c.head+c.queued)%requestsMax] = r
			c.queued++
			look := r.done || !c.armed
			c.mu.Unlock()
			if look {
				signal(c.wake)
			}
			return submit, true
		}
		c.mu.Unlock()
		if late == nil {
			timer := time.NewTimer(c.server.cfg.Timeout)
			defer timer.Stop()
			late = timer.C
		}
		select {
		case <-c.room:
		case <-late:
			busy = true
		case <-c.gone:
			return false, false
		}
	}
}

// answer is a request taken from the queue. expired is set if its time is over, and then it still belongs to the
// submitter: commands is all that may be known of it.
type answer struct {
	r        *request
	commands int
	expired  bool
	executed time.Time // when, if it was
}

// answers takes from the queue's head what can be answered. rang says that the alarm did; alarm is when to set it to
// next, zero if it needs no setting. last is true if nothing can come any more.
func (c *conn) answers(dst []answer, rang bool) (ready []answer, alarm time.Time, last bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.armed = c.armed && !rang
	var now time.Time
	for c.queued > 0 {
		r := c.queue[c.head]
		a := answer{r: r, commands: r.commands}
		if !r.done {
			if now.IsZero() {
				now = time.Now()
			}
			if now.Before(r.deadline) {
				// One alarm is enough for all. It is set anew only after it rang, so most requests never touch it.
				if !c.armed {
					c.armed, alarm = true, r.deadline
				}
				return dst, alarm, false
			}
			a.r, a.expired = nil, true
		}
		c.pop()
		dst = append(dst, a)
	}
	return dst, time.Time{}, c.draining
}

// pop takes the head off the queue.
func (c *conn) pop() {
	c.queue[c.head] = nil
	c.head, c.queued = (c.head+1)%requestsMax, c.queued-1
}
