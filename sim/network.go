package sim

import (
	"github.com/hotstuffd/hotstuffd/api/wire"
	hsnet "github.com/hotstuffd/hotstuffd/net"
	"github.com/hotstuffd/hotstuffd/node"
	"github.com/hotstuffd/hotstuffd/qc"
)

// network carries messages between replicas, and tells them of connections as the real one does. A message needs a
// connection to be sent; afterwards it may be lost, doubled, overtaken or late, and come when the connection is gone.
type network struct {
	w       *World
	links   [][]channel // by sender and receiver
	pairs   [][]pair    // by the lower and the higher ID
	latency [][]qc.Ticks
	uplinks []uplink // by sender
	limits  [hsnet.Classes]hsnet.Limits
}

// channel is one direction between two replicas.
type channel struct {
	cuts   int // partitions that lie across it
	queues [hsnet.Classes][]packet
	bytes  [hsnet.Classes]int
	busy   bool                    // a packet is being put on the wire
	last   [hsnet.Classes]qc.Ticks // arrival of the last packet that keeps the order
}

// packet is one message that is sent: encoded, or as it is.
type packet struct {
	message any
	size    int // of the frame, bytes; 0 as it is
	class   hsnet.Class
}

// pair is a connection. Each side learns of it by itself.
type pair struct {
	epoch uint64    // grows when a side crashes: a new life is a new connection
	told  [2]uint64 // what the lower and the higher ID believe: the epoch+1 of the connection that is up, or 0
}

func newNetwork(w *World) *network {
	n := w.cfg.Nodes
	net := &network{w: w, links: make([][]channel, n), pairs: make([][]pair, n), latency: w.cfg.Latency.matrix(n, w.random.latency), limits: node.QueueLimits(w.limits)}
	net.uplinks = make([]uplink, n)
	for i := range n {
		net.links[i], net.pairs[i] = make([]channel, n), make([]pair, n)
	}
	return net
}

func (n *network) pair(a, b qc.NodeID) (p *pair, side int) {
	if a < b {
		return &n.pairs[a][b], 0
	}
	return &n.pairs[b][a], 1
}

// connected tells whether a side believes that its connection is up.
func (n *network) connected(at, to qc.NodeID) bool {
	p, side := n.pair(at, to)
	return p.told[side] != 0
}

// up tells whether two replicas could talk.
func (n *network) up(a, b qc.NodeID) bool {
	alive := n.w.replicas[a].life != nil && n.w.replicas[b].life != nil
	return alive && (n.links[a][b].cuts == 0 && n.links[b][a].cuts == 0 || n.w.cfg.OneWayStaysUp && (n.links[a][b].cuts == 0 || n.links[b][a].cuts == 0))
}

// reassess has both sides find out, after a while, how it stands between two replicas.
func (n *network) reassess(a, b qc.NodeID) {
	delay := between(n.w.random.partition, 10, 300)
	if !n.up(a, b) {
		delay = between(n.w.random.partition, 100, n.w.cfg.DetectWithin)
	}
	n.w.after(delay, func() { n.tell(a, b); n.tell(b, a) })
}

// tell brings a side's belief up to date, as PeerUp and PeerDown do, in turns.
func (n *network) tell(at, other qc.NodeID) {
	p, side := n.pair(at, other)
	r := n.w.replicas[at]
	now := uint64(0)
	if n.up(at, other) {
		now = p.epoch + 1
	}
	if r.life == nil || p.told[side] == now {
		return
	}
	if p.told[side] != 0 {
		r.life.take(node.PeerChange{ID: other})
	}
	if now != 0 {
		r.life.take(node.PeerChange{ID: other, Up: true})
	}
	p.told[side] = now
	n.w.trace.event(n.w.now, link, at, other, now, 0)
	if n.w.trace.wanted() {
		n.w.trace.note(n.w.now, "%v sees %v up: %v", at, other, now != 0)
	}
}

// changed says that a replica has started or crashed.
func (n *network) changed(id qc.NodeID) {
	for other := range qc.NodeID(n.w.cfg.Nodes) {
		if other == id {
			continue
		}
		p, side := n.pair(id, other)
		if n.w.replicas[id].life == nil {
			p.epoch++
		}
		p.told[side] = 0
		n.reassess(id, other)
	}
}

// cut puts a partition across a direction, or takes it away.
func (n *network) cut(from, to qc.NodeID, by int) {
	n.links[from][to].cuts += by
	n.reassess(from, to)
}

// pack makes a packet of a message. ok is false for what does not fit the schema, as what a Byzantine replica makes up may
// not.
func (n *network) pack(message any) (p packet, ok bool) {
	p = packet{message: message, class: node.ClassOf(message)}
	if n.w.cfg.Codec {
		frame, err := wire.Encode(message)
		if err != nil {
			return p, false
		}
		p.message, p.size = frame, len(frame)
	} else if c := &n.w.cfg; c.Uplink > 0 || c.Costs != nil || c.Observer != nil {
		if frame, err := wire.Encode(message); err == nil { // what does not fit the schema has no size
			p.size = len(frame)
		}
	}
	return p, true
}

// send takes a packet at a moment not before now. It reports whether there was room for it.
func (n *network) send(from, to qc.NodeID, p packet, at qc.Ticks) bool {
	if from == to || int(to) >= n.w.cfg.Nodes || !n.connected(from, to) {
		return false
	}
	if !n.w.cfg.Codec {
		p.message = copyOf(p.message)
	}
	if l := n.w.replicas[from].life; l != nil && l.cpu != nil {
		at = l.cpu.send(at, p.size)
	}
	if n.w.cfg.Uplink > 0 {
		if n.uplinks[from].full(n.w.now, p, &n.w.cfg, n.limits[p.class].QueueBytes) {
			return false
		}
		at = n.uplinks[from].leave(at, p, int64(n.w.cfg.Uplink))
	}
	if n.w.cfg.Bandwidth == 0 {
		n.launch(from, to, p, at)
		return true
	}
	if !n.enqueue(from, to, p) {
		return false
	}
	if l := &n.links[from][to]; !l.busy {
		l.busy = true
		n.w.at(at, func() { n.transmit(from, to) })
	}
	return true
}

// enqueue keeps the bounds of the production queues: consensus drops its oldest, the others refuse the newest.
func (n *network) enqueue(from, to qc.NodeID, p packet) bool {
	l, class, bound := &n.links[from][to], p.class, n.limits[p.class]
	for len(l.queues[class]) >= bound.QueueFrames || l.bytes[class]+p.size > bound.QueueBytes {
		if class != hsnet.Consensus {
			return false
		}
		l.bytes[class] -= l.queues[class][0].size
		l.queues[class] = l.queues[class][1:]
	}
	l.queues[class] = append(l.queues[class], p)
	l.bytes[class] += p.size
	return true
}

// uplink is a replica's way into the network, which all its links share: until when it is taken by consensus alone, and by
// anything, in nanoseconds of the run. Consensus goes first, as its stream is never behind bulk.
type uplink struct{ consensus, all int64 }

// full tells whether what waits to leave is more than the production queues of all links hold. Consensus always fits: it
// waits for nothing but itself.
func (u *uplink) full(now qc.Ticks, p packet, c *Config, queueBytes int) bool {
	waiting := max(0, u.all-int64(now)*nanosPerTick) / 1000 * int64(c.Uplink) / 1e6
	return p.class != hsnet.Consensus && waiting+int64(p.size) > int64(queueBytes)*int64(c.Nodes-1)
}

// leave takes a packet at some time, and returns when its last byte has left.
func (u *uplink) leave(at qc.Ticks, p packet, bytesPerSecond int64) qc.Ticks {
	begin, takes := int64(at)*nanosPerTick, int64(p.size)*1e9/bytesPerSecond
	u.all = max(u.all, begin) + takes
	if p.class != hsnet.Consensus {
		return nearestTick(u.all)
	}
	u.consensus = max(u.consensus, begin) + takes
	return nearestTick(u.consensus)
}

// transmit puts the next packet on the wire: consensus first, as its stream is never behind bulk.
func (n *network) transmit(from, to qc.NodeID) {
	l := &n.links[from][to]
	for class := range hsnet.Class(hsnet.Classes) {
		if len(l.queues[class]) == 0 {
			continue
		}
		p := l.queues[class][0]
		l.queues[class] = l.queues[class][1:]
		l.bytes[class] -= p.size
		n.launch(from, to, p, n.w.now)
		n.w.after(1+qc.Ticks(p.size)*qc.TicksPerSecond/n.w.cfg.Bandwidth, func() { n.transmit(from, to) })
		return
	}
	l.busy = false
}

// launch sends a packet on its way, or loses it.
func (n *network) launch(from, to qc.NodeID, p packet, at qc.Ticks) {
	w, class := n.w, p.class
	l := &n.links[from][to]
	if l.cuts > 0 || !w.calm && chance(w.random.loss, w.cfg.Loss) {
		w.trace.event(w.now, lose, from, to, uint64(class), 0)
		return
	}
	copies := 1
	if !w.calm && chance(w.random.loss, w.cfg.Duplicate) {
		copies++
	}
	life := w.replicas[from].life
	for range copies {
		arrival := at + n.latency[from][to] + between(w.random.latency, 1, 1+w.cfg.Latency.Jitter)
		if !w.calm && chance(w.random.loss, w.cfg.Reorder) {
			arrival += between(w.random.latency, 0, w.cfg.ReorderWithin)
		} else {
			arrival = max(arrival, l.last[class])
			l.last[class] = arrival
		}
		if o := w.cfg.Observer; o != nil {
			o.Sent(Message{From: from, To: to, Kind: kindOf(p.message), View: viewOf(p.message), Bytes: p.size, Sent: at, Arrives: arrival})
		}
		w.at(arrival, func() {
			if life != nil && life.over && life.overAt < at {
				return // its sender crashed during the write that it waited for
			}
			n.arrive(from, to, p)
		})
	}
}

func (n *network) arrive(from, to qc.NodeID, p packet) {
	life := n.w.replicas[to].life
	if life == nil {
		return
	}
	message := p.message
	if frame, encoded := message.([]byte); encoded {
		var err error
		if message, err = wire.Decode(frame, n.w.limits); err != nil {
			if !n.w.replicas[from].byzantine() {
				n.w.fail("wire", "%v cannot read what %v sent: %v", to, from, err)
			}
			return
		}
	}
	n.w.counts.Messages++
	life.receive(from, message, p.size)
}
