package sim

import (
	"encoding/binary"

	"github.com/hotstuffd/hotstuffd/app"
	"github.com/hotstuffd/hotstuffd/app/session"
	"github.com/hotstuffd/hotstuffd/node"
	"github.com/hotstuffd/hotstuffd/qc"
)

// resender is a client that has each of its commands executed exactly once: it sends a command again, to any replica,
// until it knows the result. The ledger fails the run if one is applied twice, or after a later one (L12).
type resender struct {
	w          *World
	connection uint32 // whose commands they are to the ledger
	id         uint64 // of its session; 0: none yet
	seq        uint64 // of the command that is sent, 0: the session is being opened
	resent     uint64 // how often the present command was sent again
	turn       int    // whatever it waited for before its newest turn does not matter any more
}

// resendAfter is how long a resender waits for an answer before it sends again.
const resendAfter = qc.TicksPerSecond / 2

func newResender(w *World) *resender {
	r := &resender{w: w}
	r.renew()
	return r
}

// renew gives up a session. Its last command may have been executed, so the next one is another connection's.
func (r *resender) renew() {
	r.w.check.connections++
	r.connection, r.id, r.seq = r.w.check.connections, 0, 0
}

// next has something done later, unless something else comes first.
func (r *resender) next(d qc.Ticks, do func()) {
	r.turn++
	turn := r.turn
	r.w.after(d, func() {
		if r.turn == turn {
			do()
		}
	})
}

// send sends the present command to a replica at random, and again if no answer comes.
func (r *resender) send() {
	w := r.w
	if w.calm {
		return
	}
	r.next(resendAfter, func() {
		r.resent++
		r.send()
	})
	to := w.replicas[w.random.client.IntN(w.cfg.Nodes)]
	if !to.correct() || to.life == nil {
		return
	}
	q := &app.Request{Count: 1, Words: r}
	if r.seq == 0 {
		q.Blob = session.AppendOpen(nil)
	} else {
		command := ledgerCommand(r.connection, uint32(r.seq), w.cfg.Clients.Bytes)
		q.Blob = append(session.AppendOnce(nil, r.id, r.seq, len(command)), command...)
	}
	seq, id := r.seq, r.id
	q.Complete = func(_ *app.Request, reply []byte, err error) {
		if err == nil && seq == r.seq && id == r.id {
			r.take(reply)
		}
	}
	to.life.take(node.Submitted{Blob: q.Blob, Count: 1, Owner: q})
}

// take takes the first answer to the present command, be it to an older sending: the result is the same.
func (r *resender) take(reply []byte) {
	switch {
	case r.seq == 0:
		if r.id = binary.BigEndian.Uint64(reply); r.id == 0 {
			r.w.fail("L12", "a session has no identifier")
		}
		r.seq = 1
	case len(reply) == 1 && session.Outcome(reply[0]) == session.Expired:
		r.renew()
	case len(reply) != 4 || uint64(binary.BigEndian.Uint32(reply)) != r.seq:
		r.w.fail("L12", "command %d of session %d has the result %x", r.seq, r.id, reply)
	default:
		r.w.counts.Once++
		r.w.check.acknowledged(r.connection, uint32(r.seq))
		r.w.counts.Resent += r.resent
		r.seq++
	}
	r.resent = 0
	r.next(around(r.w.random.client, r.w.cfg.Clients.Think), r.send)
}

// Opened implements session.Words.
func (r *resender) Opened(reply []byte, id uint64) []byte {
	return binary.BigEndian.AppendUint64(reply, id)
}

// Refused implements session.Words. One who sends in order is never ahead.
func (r *resender) Refused(reply []byte, o session.Outcome) []byte {
	if o != session.Expired && o != session.Forgotten {
		r.w.fail("L12", "command %d of session %d is refused: outcome %d", r.seq, r.id, o)
	}
	return append(reply, byte(o))
}
