package sim

import (
	"errors"
	"fmt"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/node"
	"github.com/hotstuffd/hotstuffd/qc"
)

// The edges of the driver, as package node has them around it.

// Append implements node.Store: nothing of the turn leaves before the write is over.
func (l *life) Append(records []hotstuff.Record) error {
	w, r := l.r.w, l.r
	if r.failing {
		return errDiskFull
	}
	if l.over || l.fuse.at == beforeWrite {
		return errCrash
	}
	r.rejoins(records)
	w.check.persists(r, records)
	if err := l.appends(records); err != nil {
		return err
	}
	if err := r.disk.write(records); err != nil {
		w.fail("persist", "%v: %v", r.id, err)
	}
	w.check.persisted(r, records)
	w.trace.event(w.now, persist, r.id, 0, uint64(len(records)), r.disk.safety.Sequence)
	l.spend()
	l.busy = max(l.busy, w.now) + r.syncTime()
	if l.fuse.at == afterWrite {
		return errCrash
	}
	return nil
}

func (r *replica) syncTime() qc.Ticks {
	w := r.w
	if !w.calm && chance(w.random.disk, w.cfg.SlowSyncs) {
		return between(w.random.disk, w.cfg.SyncTime, w.cfg.SlowSyncTime)
	}
	return w.cfg.SyncTime
}

// Send implements node.Transport.
func (l *life) Send(to qc.NodeID, message any) {
	if l.fused() {
		return
	}
	if m := l.r.mind; m != nil {
		m.sends(to, message)
		return
	}
	l.r.w.check.sends(l.r, message)
	l.r.w.check.sent(l, to, false, message)
	l.emit(to, message)
}

// Broadcast implements node.Transport.
func (l *life) Broadcast(message any) {
	m := l.r.mind
	var p packet
	if m == nil {
		l.r.w.check.sends(l.r, message)
		l.r.w.check.sent(l, 0, true, message)
		p, _ = l.r.w.net.pack(message) // once for all receivers; what a correct replica says always fits the schema
	}
	for to := range qc.NodeID(l.r.w.cfg.Nodes) {
		if to == l.r.id || l.fused() {
			continue
		}
		if m != nil {
			m.sends(to, message)
		} else {
			l.dispatch(to, message, p)
		}
	}
}

func (l *life) emit(to qc.NodeID, message any) bool {
	p, ok := l.r.w.net.pack(message)
	return ok && l.dispatch(to, message, p)
}

// dispatch sends a packed message when the write under way is over.
func (l *life) dispatch(to qc.NodeID, message any, p packet) bool {
	w := l.r.w
	if w.trace.wanted() {
		w.trace.note(w.now, "%v -> %v %s", l.r.id, to, describe(message))
	}
	return w.net.send(l.r.id, to, p, max(w.now, l.busy))
}

// fused tells whether the power has failed between two sends of this turn; the rest of it never happens.
func (l *life) fused() bool {
	if l.over {
		return true
	}
	if l.fuse.at == betweenSends {
		if l.fuse.sends--; l.fuse.sends < 0 {
			l.r.crash()
			return true
		}
	}
	return false
}

func (l *life) replyTo(to qc.NodeID, message any) bool {
	if m := l.r.mind; m != nil {
		return m.replies(to, message)
	}
	return l.emit(to, message)
}

// checkTicksMax is how long the check of a sum takes at most, where no costs are modelled.
const checkTicksMax = qc.TicksPerSecond / 500

// Sum implements node.Verifier.
func (l *life) Sum(r hotstuff.VerifyRequest) {
	w := l.r.w
	if l.cpu != nil {
		l.spend()
		at := l.busyUntil()
		sum := l.verifier.Sum(r, func(u hotstuff.Unchecked) {
			w.check.addedUp(l, u.Certificate())
			at = l.cpu.run(at, l.cpu.meter.take())
			w.at(at, func() { l.take(node.AddedUp{Sum: u}) })
		})
		w.at(l.cpu.run(at, l.cpu.meter.take()), func() { l.take(node.Summed{Sum: sum}) })
		return
	}
	w.after(1, func() {
		if l.over {
			return
		}
		var unchecked *hotstuff.Unchecked
		sum := l.verifier.Sum(r, func(u hotstuff.Unchecked) { unchecked = &u })
		if unchecked == nil {
			l.take(node.Summed{Sum: sum})
			return
		}
		w.check.addedUp(l, unchecked.Certificate())
		l.take(node.AddedUp{Sum: *unchecked})
		w.after(between(w.random.check, 1, checkTicksMax), func() {
			if !l.over {
				l.take(node.Summed{Sum: sum})
			}
		})
	})
}

// Sync implements node.Verifier: one write at a time, of all that has come meanwhile.
func (l *life) Sync(batches []*mempool.Batch) {
	l.payload = append(l.payload, batches...)
	if l.writing == nil {
		l.writePayload()
	}
}

func (l *life) writePayload() {
	l.writing, l.payload = l.payload, nil
	if len(l.writing) == 0 {
		l.writing = nil
		return
	}
	if l.device != nil {
		l.endWrite = l.device.BeginBatches(l.writing)
	}
	l.r.w.after(l.r.syncTime(), func() {
		if l.over {
			return
		}
		if l.r.failing {
			l.halt(fmt.Errorf("payload store: %w", errDiskFull))
			return
		}
		if err := l.appended(); errors.Is(err, ErrPowerCut) {
			l.r.crash()
			return
		} else if err != nil {
			l.halt(fmt.Errorf("payload store: %w", err))
			return
		}
		for _, b := range l.writing {
			l.r.disk.addBatch(b)
		}
		l.take(node.Synced{Batches: l.writing})
		l.writePayload()
	})
}

// Load implements node.Verifier.
func (l *life) Load(digests []blocktree.Digest) {
	l.r.w.after(2, func() {
		var found []*mempool.Batch
		for _, d := range digests {
			switch b, err := l.stored().Batch(d); {
			case err == nil:
				found = append(found, b)
			case diskFault(err) || errors.Is(err, ErrPowerCut):
				l.cannotRead(err)
				return
			}
		}
		l.take(node.Loaded{Asked: digests, Found: found})
	})
}

// receive takes a message from the network: what node's peers do with a frame.
func (l *life) receive(from qc.NodeID, message any, size int) {
	w, r := l.r.w, l.r
	w.trace.event(w.now, deliver, r.id, from, uint64(typeOf(message)), 0)
	if r.mind != nil && !r.mind.receives(from, message) {
		return
	}
	switch m := message.(type) {
	case *mempool.Batch:
		if b, err := mempool.Verify(w.committee, w.keys.roster, m); err == nil {
			l.checked(from, message, size, node.ReceivedBatch{From: from, Batch: b})
		} else {
			l.refused(from, message, err)
		}
	case *mempool.BatchRequest:
		l.server.Batches(from, m)
	case *hotstuff.BlockRequest:
		l.server.Blocks(from, m)
	case *hotstuff.SnapshotRequest:
		l.server.Snapshots(from, m)
	case *hotstuff.ChunkRequest:
		l.server.Chunk(from, m)
	case hotstuff.Message:
		if v, err := l.verifier.Verify(l.window, from, m); err == nil {
			l.checked(from, message, size, node.Received{Verified: v})
		} else {
			l.refused(from, message, err)
		}
	}
}

// checked takes what has passed its checks, when a worker has made them.
func (l *life) checked(from qc.NodeID, message any, size int, e node.Event) {
	take := func() {
		l.r.w.check.received(l, from, message)
		l.take(e)
	}
	if l.cpu == nil {
		take()
		return
	}
	l.r.w.at(l.cpu.check(l.r.w.now, from, message, size), take)
}

// spend has the loop pay for what it has done in this turn so far: it is busy for that long.
func (l *life) spend() {
	if l.cpu != nil {
		l.busy = max(l.busy, l.cpu.spend(l.busyUntil()))
	}
}

func (l *life) busyUntil() qc.Ticks { return max(l.busy, l.r.w.now) }

// refused notes a message that did not verify. Correct replicas never send one that is worse than late, but what rests on a
// sum that a Byzantine one has spoilt.
func (l *life) refused(from qc.NodeID, message any, err error) {
	w := l.r.w
	excused := err != hotstuff.ErrStale && w.replicas[from].correct() && w.check.spoilt(from, message)
	if !excused {
		w.check.received(l, from, message)
	}
	if l.cpu != nil {
		l.cpu.run(w.now, l.cpu.meter.take()+l.cpu.meter.costs.Message)
	}
	if w.trace.wanted() {
		w.trace.note(w.now, "%v refuses %s of %v: %v", l.r.id, describe(message), from, err)
	}
	if err != hotstuff.ErrStale && w.replicas[from].correct() && l.r.correct() && !excused {
		w.fail("verify", "%v refuses %s of %v: %v", l.r.id, describe(message), from, err)
	}
}
