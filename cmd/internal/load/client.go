package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"time"
)

// drain is how long replies are waited for after the end. A node answers within its own timeout, which is shorter.
const drain = 15 * time.Second

// nap is the shortest wait of a client in open loop: what is due meanwhile is sent together. It costs latency, which is
// counted, and spares the processors.
const nap = time.Millisecond

// burst is how many requests a client in open loop writes at most at once.
const burst = 256

// client is one connection at a time, and its commands in a row. It belongs to one goroutine; in open loop another one
// writes, which shares nothing with it but the connection.
type client struct {
	run      *run
	id       int
	at       int // its target
	conn     net.Conn
	forget   func() bool // that conn is closed when the run is
	in       *bufio.Reader
	requests *requests

	answered int64   // commands
	sent     int64   // closed loop: when the present ones were
	good     []int64 // when replies were due that are not counted yet, and
	refused  []int64 // those that are errors
}

func (r *run) newClient(id int) *client {
	room := r.o.Pipeline
	if r.o.Rate > 0 {
		room = min(burst, max(1, batchMax/max(1, r.o.Payload)))
	}
	return &client{run: r, id: id, at: id % len(r.o.Targets), in: bufio.NewReaderSize(nil, repliesBytes),
		requests: newRequests(room, r.o.Payload, r.o.Keys, rand.New(rand.NewPCG(r.o.Seed, uint64(id+1))))}
}

// connect connects the client to its target.
func (c *client) connect(ctx context.Context) error {
	t := c.run.o.Targets[c.at]
	conn, err := c.run.o.dial(ctx, t.Address)
	if err != nil {
		return fmt.Errorf("%s: cannot connect: %w: does it run, and is this its clients.listen?", t.Name, err)
	}
	c.conn = conn
	c.in.Reset(conn)
	// Whatever waits for the connection fails then, which is all that can be wrong with closing it.
	c.forget = context.AfterFunc(ctx, func() { _ = conn.Close() })
	return nil
}

// patience bounds the wait for replies, and for a server that reads no more.
func (c *client) patience() error {
	return c.conn.SetDeadline(c.run.begun.Add(time.Duration(c.run.recorder.to) + drain))
}

func (c *client) close() {
	if c.conn != nil {
		c.forget()
		_ = c.conn.Close() // nothing is under way
	}
}

// work is the client's part of the run.
func (c *client) work(ctx context.Context) error {
	if err := c.patience(); err != nil {
		return err
	}
	if c.run.o.Rate > 0 {
		return c.openLoop(ctx)
	}
	return c.closedLoop(ctx)
}

// closedLoop sends commands and waits for their replies, again and again until the end.
func (c *client) closedLoop(ctx context.Context) error {
	for {
		if c.sent = c.run.now(); c.sent >= c.run.recorder.to {
			return nil
		}
		count := c.requests.room()
		batch := c.requests.fill(count)
		from := c.answered
		for c.answered < from+int64(count) {
			_, err := c.conn.Write(batch[int(c.answered-from)*c.requests.size:])
			if err == nil {
				err = c.read(from + int64(count))
			}
			if err == nil {
				break
			}
			if over, err := c.lost(ctx, err, from+int64(count)); over || err != nil {
				return err
			}
		}
	}
}

// openLoop sends commands when they are due, until the end.
func (c *client) openLoop(ctx context.Context) error {
	total := c.run.total(c.id)
	for c.answered < total {
		first := c.answered
		quit, wrote := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(wrote)
			c.write(quit, first, total)
		}()
		err := c.read(total)
		close(quit)
		if err != nil {
			_ = c.conn.Close() // so that the writer does not wait for it
		}
		<-wrote
		if err == nil {
			return nil
		}
		if over, err := c.lost(ctx, err, total); over || err != nil {
			return err
		}
	}
	return nil
}

// due is when a command is to be sent.
func (c *client) due(n int64) int64 {
	if c.run.o.Rate == 0 {
		return c.sent
	}
	return c.run.due(c.id, n)
}

// read reads and counts replies until there have been so many.
// Expected errors: errNotRedis, wrapped; those of the connection.
func (c *client) read(until int64) error {
	for seen := c.answered; seen < until; {
		refusal, err := readReply(c.in)
		if err == nil && refusal == nil {
			c.good = append(c.good, c.due(seen))
			seen++
		} else if err == nil {
			c.run.recorder.refused(refusal)
			c.refused = append(c.refused, c.due(seen))
			seen++
		}
		// What was received together is counted together, by the time when it has been read.
		if err != nil || c.in.Buffered() == 0 || seen == until {
			c.run.recorder.replies(c.run.now(), c.good, c.refused)
			c.good, c.refused = c.good[:0], c.refused[:0]
			c.answered = seen
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// lost says what follows from a connection that has failed: the replies that are still missing are given up after the
// end (over), or the client goes on at another target if its own was ended on purpose.
func (c *client) lost(ctx context.Context, cause error, until int64) (over bool, err error) {
	t := c.run.o.Targets[c.at]
	switch {
	case ctx.Err() != nil:
		return true, context.Cause(ctx)
	case errors.Is(cause, os.ErrDeadlineExceeded):
		var missing int64
		for n := c.answered; n < until; n++ {
			if c.due(n) >= c.run.recorder.from {
				missing++
			}
		}
		c.run.recorder.lost(missing)
		return true, nil
	case errors.Is(cause, errNotRedis):
		return true, fmt.Errorf("%s: %w", t.Name, cause)
	case !t.IsGone():
		if errors.Is(cause, io.EOF) {
			cause = errors.New("it was closed")
		}
		return true, fmt.Errorf("%s: the connection is lost: %w: look whether the server still runs", t.Name, cause)
	}
	c.close()
	for range c.run.o.Targets {
		c.at = (c.at + 1) % len(c.run.o.Targets)
		if !c.run.o.Targets[c.at].IsGone() {
			if err := c.connect(ctx); err != nil {
				return true, err
			}
			return false, c.patience()
		}
	}
	return true, errors.New("all servers were ended: leave one to be measured")
}
