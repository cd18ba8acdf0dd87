package redis

import (
	"time"

	"github.com/hotstuffd/hotstuffd/app"
)

// write answers requests in order until the reader has ended and all are answered, or the client does not take them.
func (c *conn) write() {
	defer close(c.gone)
	defer c.sock.Close() // wakes the reader
	alarm := time.NewTimer(0)
	defer alarm.Stop()
	var ready []answer
	var out []byte
	for rang := false; ; {
		var at time.Time
		var last bool
		ready, at, last = c.answers(ready[:0], rang)
		rang = false
		if !at.IsZero() {
			alarm.Reset(time.Until(at))
		}
		if len(ready) > 0 {
			signal(c.room)
			var err error
			if out, err = c.reply(out[:0], ready); err != nil {
				c.server.log.Debug("redis: client closed, it does not take its replies",
					"client", c.sock.RemoteAddr(), "error", err)
				return
			}
			continue // more may be done by now
		}
		if last {
			return
		}
		select {
		case <-c.wake:
		case <-alarm.C:
			rang = true
		}
	}
}

// reply sends answers, in as few writes as writeChunkBytes allows. out is lent as the buffer.
func (c *conn) reply(out []byte, ready []answer) ([]byte, error) {
	for i, a := range ready {
		if !a.expired && a.r.err == nil {
			ready[i].executed = a.r.Executed
			reply := a.r.reply
			if len(out) > 0 && len(out)+len(reply) > writeChunkBytes {
				if err := c.transmit(out); err != nil {
					return out, err
				}
				out = out[:0]
			}
			if len(reply) > writeChunkBytes {
				if err := c.transmit(reply); err != nil {
					return out, err
				}
			} else {
				out = append(out, reply...)
			}
			a.r.release()
			continue
		}
		line := outcome(app.ErrUnknownOutcome)
		if !a.expired {
			line = outcome(a.r.err)
			a.r.release()
		}
		for range a.commands {
			out = append(out, line...)
		}
	}
	err := c.transmit(out)
	if err == nil && c.server.cfg.Replied != nil {
		now := time.Now()
		for _, a := range ready {
			if !a.executed.IsZero() {
				c.server.cfg.Replied(now.Sub(a.executed))
			}
		}
	}
	if cap(out) > 2*writeChunkBytes {
		out = nil
	}
	return out, err
}

// transmit sends bytes in chunks, each of which the client must take in within WriteTimeout.
func (c *conn) transmit(b []byte) error {
	for len(b) > 0 {
		n := min(len(b), writeChunkBytes)
		if err := c.sock.SetWriteDeadline(time.Now().Add(c.server.cfg.WriteTimeout)); err != nil {
			return err
		}
		if _, err := c.sock.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}
