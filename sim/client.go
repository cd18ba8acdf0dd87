package sim

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/hotstuffd/hotstuffd/app"
	"github.com/hotstuffd/hotstuffd/app/kv"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/node"
	"github.com/hotstuffd/hotstuffd/qc"
)

// client sends requests over one connection at a time, to a correct replica.
type client struct {
	w          *World
	index      int
	at         *replica
	connection uint32 // numbers all connections of a run, from 1; 0: none
	number     uint32 // of the last command
	acked      uint32 // the highest command that was answered
	underway   map[*app.Request]*request
	waiting    bool // for admission, or for its turn
	probe      bool // asks once in the calm
	answered   bool // the probe was
}

// request is one request under way.
type request struct {
	c     *client
	first uint32 // number of its first command
	count uint32
	key   int // of the key-value store
	op    int // in the history
	asked qc.Ticks
}

func newClient(w *World, index int) *client {
	return &client{w: w, index: index, underway: make(map[*app.Request]*request)}
}

// begin goes on with the client's work: it connects if need be, and sends what it may send.
func (c *client) begin() {
	c.waiting = false
	if c.probe && c.answered || c.w.calm && !c.probe {
		return
	}
	if c.connection == 0 && !c.connect() {
		c.pause(500)
		return
	}
	limit := c.w.cfg.Clients.Pipeline
	if c.w.cfg.Clients.Open {
		limit = 64
	}
	if c.w.cfg.Clients.Steady {
		limit = math.MaxInt // whoever asks at a rate does not wait for the answers
	}
	if c.probe {
		limit = 1
	}
	if len(c.underway) >= limit {
		if c.w.cfg.Clients.Open {
			c.pause(around(c.w.random.client, c.w.cfg.Clients.Think))
		}
		return
	}
	// An admission that is paused makes a client wait; one in a while is let through and refused.
	if !c.w.cfg.Clients.Steady && !c.at.life.driver.Pool().Admitting() && c.w.random.client.IntN(20) > 0 {
		c.pause(50)
		return
	}
	c.submit()
	c.pause(around(c.w.random.client, c.w.cfg.Clients.Think))
}

func (c *client) pause(d qc.Ticks) {
	if !c.waiting {
		c.waiting = true
		c.w.after(d, c.begin)
	}
}

func (c *client) connect() bool {
	r := c.at
	switch {
	case c.probe:
	case c.w.cfg.Clients.Steady:
		r = c.w.steady(c.index)
	default:
		r = c.w.replicas[c.w.random.client.IntN(c.w.cfg.Nodes)]
	}
	if !r.correct() || r.life == nil {
		return false
	}
	c.w.check.connections++
	c.at, c.connection, c.number, c.acked = r, c.w.check.connections, 0, 0
	return true
}

// lost ends a connection to a replica that crashed: whatever was under way has an unknown outcome.
func (c *client) lost(id qc.NodeID) {
	if c.connection == 0 || c.at.id != id {
		return
	}
	clear(c.underway) // order does not matter: nothing happens but forgetting
	c.connection = 0
	c.pause(200)
}

// steady is the replica of a steady client: the index-th of the correct ones, in turns.
func (w *World) steady(index int) *replica {
	var correct []*replica
	for _, r := range w.replicas {
		if r.correct() {
			correct = append(correct, r)
		}
	}
	return correct[index%len(correct)]
}

func (c *client) submit() {
	r := &app.Request{}
	q := &request{c: c, asked: c.w.now}
	if c.w.cfg.Clients.KeyValue {
		c.askStore(r, q)
	} else {
		c.askLedger(r, q)
	}
	connection := c.connection
	r.Complete = func(r *app.Request, reply []byte, err error) { c.complete(connection, r, reply, err) }
	c.underway[r] = q
	extra := 0
	for i := range r.Locals {
		extra += len(r.Locals[i].Query)
	}
	c.at.life.take(node.Submitted{Blob: r.Blob, Count: r.Count, Owner: r, Extra: extra})
}

// askLedger asks for a few commands in order, and reads in between.
func (c *client) askLedger(r *app.Request, q *request) {
	random := c.w.random.client
	q.first = c.number + 1
	if c.w.cfg.Clients.Steady {
		c.number++
		q.count, r.Count = 1, 1
		r.Blob = mempool.AppendCommand(nil, ledgerCommand(c.connection, c.number, c.w.cfg.Clients.Bytes))
		return
	}
	q.count = uint32(1 + random.IntN(3))
	reads := chance(random, c.w.cfg.Clients.Reads)
	if reads && random.IntN(2) == 0 {
		q.count = 0
	}
	for range q.count {
		c.number++
		r.Blob = mempool.AppendCommand(r.Blob, ledgerCommand(c.connection, c.number, random.IntN(2*c.w.cfg.Clients.Bytes)))
	}
	r.Count = q.count
	for after := uint32(0); reads && after <= q.count; after++ {
		r.Locals = append(r.Locals, app.Local{After: after, Query: binary.BigEndian.AppendUint32(nil, c.connection)})
	}
}

// askStore asks for one operation on one of a few keys.
func (c *client) askStore(r *app.Request, q *request) {
	random := c.w.random.client
	q.key = random.IntN(3)
	key := fmt.Appendf(nil, "k%d", q.key)
	if chance(random, c.w.cfg.Clients.Reads) {
		r.Locals = []app.Local{{Query: kv.AppendCommand(nil, kv.OpGet, key)}}
		q.op = c.w.check.history.begin(c.w.now, c.index, q.key, "")
		return
	}
	c.number++
	value := fmt.Sprintf("%d.%d", c.connection, c.number)
	r.Blob = mempool.AppendCommand(nil, kv.AppendCommand(nil, kv.OpSet, key, []byte(value)))
	r.Count = 1
	q.op = c.w.check.history.begin(c.w.now, c.index, q.key, value)
}

// refused is the driver's word on a request that the application will not answer.
func (w *World) refused(owner any, err error) {
	r := owner.(*app.Request)
	r.Complete(r, nil, err)
}

// complete takes the outcome of a request.
func (c *client) complete(connection uint32, r *app.Request, reply []byte, err error) {
	if connection != c.connection {
		return // nobody listens any more
	}
	q := c.underway[r]
	if q == nil {
		c.w.fail("outcome", "a request of connection %d has two outcomes", connection)
		return
	}
	delete(c.underway, r)
	if o := c.w.cfg.Observer; o != nil && !c.probe {
		o.Answered(c.at.id, q.asked, c.w.now, err)
	}
	c.w.trace.event(c.w.now, outcome(err), c.at.id, 0, uint64(connection), uint64(q.first))
	if err != nil {
		c.refuse(q, err)
	} else {
		c.w.counts.Requests++
		c.w.counts.SlowestAnswer = max(c.w.counts.SlowestAnswer, c.w.now-q.asked)
		c.answered = true
		c.believe(q, r, reply)
	}
	if !c.w.cfg.Clients.Open {
		c.pause(around(c.w.random.client, c.w.cfg.Clients.Think))
	}
}

func outcome(err error) kind {
	if err != nil {
		return refuse
	}
	return reply
}

// refuse takes a refusal: what is said not to be applied never is.
func (c *client) refuse(q *request, err error) {
	if errors.Is(err, app.ErrUnknownOutcome) {
		return
	}
	c.w.check.history.cancel(q.op)
	for i := range q.count {
		c.w.check.refusedCommand(c.connection, q.first+i)
	}
}

// believe checks an answer.
func (c *client) believe(q *request, r *app.Request, reply []byte) {
	if c.w.cfg.Clients.KeyValue {
		c.w.check.history.end(c.w.now, q.op, string(reply))
		return
	}
	local := 0
	next := func() (n uint32) {
		if len(reply) < 4 {
			c.w.fail("reply", "connection %d gets too short an answer", c.connection)
			return 0
		}
		n, reply = binary.BigEndian.Uint32(reply), reply[4:]
		return n
	}
	for i := uint32(0); i <= q.count; i++ {
		for ; local < len(r.Locals) && r.Locals[local].After == i; local++ {
			if seen := next(); seen > q.first+i-1 || seen < c.acked || i > 0 && seen != q.first+i-1 {
				c.w.fail("read", "connection %d reads %d after command %d; %d was answered", c.connection, seen, q.first+i-1, c.acked)
			}
		}
		if i == q.count {
			break
		}
		if n := next(); n != q.first+i {
			c.w.fail("reply", "connection %d gets the result of %d for command %d", c.connection, n, q.first+i)
		}
	}
	if q.count > 0 {
		if q.first <= c.acked {
			c.w.fail("L10", "connection %d: command %d is answered after %d", c.connection, q.first, c.acked)
		}
		c.acked = q.first + q.count - 1
		for i := range q.count {
			c.w.check.acknowledged(c.connection, q.first+i)
		}
	}
}
