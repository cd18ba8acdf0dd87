package hotstuff_test

import (
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
)

// send queues an envelope for whom it is meant, once the invariants hold for it.
func (c *cluster) send(r *replica, e hotstuff.Envelope) {
	c.learn(e.Message)
	c.checkSend(r, e.Message)
	if e.Broadcast {
		c.note(r.id, "sends %s", c.describe(e.Message))
	} else {
		c.note(r.id, "sends %s to %v", c.describe(e.Message), e.To)
	}
	for _, to := range c.nodes {
		if to.id != r.id && (e.Broadcast || e.To == to.id) {
			c.post(packet{from: r.id, to: to.id, msg: e.Message})
		}
	}
}

func (c *cluster) post(p packet) {
	for _, lost := range c.drops {
		if lost(p) {
			return
		}
	}
	c.queue = append(c.queue, p)
}

// deliver hands one packet over.
func (c *cluster) deliver(p packet) {
	r := c.nodes[p.to]
	if r.core == nil {
		return
	}
	if p.sum != nil {
		c.turn(r, p.sum)
		return
	}
	if req, ok := p.msg.(*hotstuff.BlockRequest); ok {
		c.serve(r, p.from, req)
		return
	}
	v, err := r.verifier.Verify(r.core.Window(), p.from, p.msg)
	if err != nil {
		if err != hotstuff.ErrStale {
			c.note(r.id, "refuses %s from %v: %v", c.describe(p.msg), p.from, err)
		}
		return
	}
	if m, ok := v.Message().(*hotstuff.RejoinRequest); ok {
		c.orderRejoin(r, v.From(), m.Nonce)
		return
	}
	c.turn(r, v)
}

// serve answers a block request as the driver does: from the branch that ends in the target, or from the committed chain
// if the target is not held, the first blocks, as many as fit.
func (c *cluster) serve(r *replica, to qc.NodeID, req *hotstuff.BlockRequest) {
	resp := &hotstuff.BlockResponse{Target: req.Target}
	committed := r.core.Tree().Committed().Block
	b := r.disk.blocks[req.Target]
	if b == nil {
		b = committed
	}
	for ; b != nil && b.Height >= req.From; b = r.disk.blocks[b.Parent] {
		resp.Blocks = append([]*blocktree.Block{b}, resp.Blocks...)
	}
	resp.Blocks = resp.Blocks[:min(len(resp.Blocks), c.opt.chunk)]
	c.note(r.id, "sends %s to %v", c.describe(resp), to)
	c.post(packet{from: r.id, to: to, msg: resp})
}

// quiet delivers, first come first served, until nothing is under way.
func (c *cluster) quiet() {
	for range 10_000 {
		if len(c.queue) == 0 {
			return
		}
		wave := c.queue
		c.queue = nil
		for _, p := range wave {
			c.deliver(p)
		}
		c.flush()
	}
	c.tb.Fatal("messages never end")
}

// nextDeadline returns the earliest deadline of all replicas that run.
func (c *cluster) nextDeadline() (at qc.Ticks, ok bool) {
	for _, r := range c.nodes {
		if r.core != nil && (!ok || r.core.Deadline() < at) {
			at, ok = r.core.Deadline(), true
		}
	}
	return at, ok
}

// run lets time pass, each replica being ticked when its deadline is due. With settled, messages take no time; without,
// they wait.
func (c *cluster) run(d qc.Ticks, settled bool) {
	end := c.now + d
	for {
		at, ok := c.nextDeadline()
		if !ok || at > end {
			break
		}
		c.now = max(c.now, at)
		for _, r := range c.nodes {
			if r.core != nil && r.core.Deadline() <= c.now {
				c.turn(r, c.tick())
			}
		}
		c.flush()
		if settled {
			c.quiet()
		}
	}
	c.now = end
	for _, r := range c.nodes {
		c.turn(r, c.tick())
	}
}
