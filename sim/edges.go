package sim

import (
	"crypto/ed25519"
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
	w.check.persists(r, records)
	if err := r.disk.write(records); err != nil {
		w.fail("persist", "%v: %v", r.id, err)
	}
	w.check.persisted(r, records)
	w.trace.event(w.now, persist, r.id, 0, uint64(len(records)), r.disk.safety.Sequence)
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
	l.emit(to, message)
}

// Broadcast implements node.Transport.
func (l *life) Broadcast(message any) {
	if m := l.r.mind; m == nil {
		l.r.w.check.sends(l.r, message)
	}
	for to := range qc.NodeID(l.r.w.cfg.Nodes) {
		if to == l.r.id || l.fused() {
			continue
		}
		if m := l.r.mind; m != nil {
			m.sends(to, message)
		} else {
			l.emit(to, message)
		}
	}
}

func (l *life) emit(to qc.NodeID, message any) bool {
	w := l.r.w
	if w.trace.wanted() {
		w.trace.note(w.now, "%v -> %v %s", l.r.id, to, describe(message))
	}
	return w.net.send(l.r.id, to, message, max(w.now, l.busy))
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

// Sum implements node.Verifier.
func (l *life) Sum(r hotstuff.VerifyRequest) {
	l.r.w.after(1, func() {
		if !l.over {
			l.take(node.Summed{Sum: l.verifier.Sum(r)})
		}
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
	l.r.w.after(l.r.syncTime(), func() {
		if l.over {
			return
		}
		if l.r.failing {
			l.halt(fmt.Errorf("payload store: %w", errDiskFull))
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
			if b, err := l.r.disk.Batch(d); err == nil {
				found = append(found, b)
			}
		}
		l.take(node.Loaded{Asked: digests, Found: found})
	})
}

// receive takes a message from the network: what node's peers do with a frame.
func (l *life) receive(from qc.NodeID, message any) {
	w, r := l.r.w, l.r
	w.trace.event(w.now, deliver, r.id, from, uint64(typeOf(message)), 0)
	if r.mind != nil && !r.mind.receives(from, message) {
		return
	}
	switch m := message.(type) {
	case *mempool.Batch:
		if b, err := w.verifyBatch(m); err == nil {
			l.take(node.ReceivedBatch{From: from, Batch: b})
		} else {
			l.refused(from, message, err)
		}
	case *mempool.BatchRequest:
		l.server.Batches(from, m)
	case *hotstuff.BlockRequest:
		l.server.Blocks(from, m)
	case hotstuff.Message:
		if v, err := l.verifier.Verify(l.window, from, m); err == nil {
			l.take(node.Received{Verified: v})
		} else {
			l.refused(from, message, err)
		}
	}
}

// refused notes a message that did not verify. Correct replicas never send one that is worse than late.
func (l *life) refused(from qc.NodeID, message any, err error) {
	w := l.r.w
	if w.trace.wanted() {
		w.trace.note(w.now, "%v refuses %s of %v: %v", l.r.id, describe(message), from, err)
	}
	if err != hotstuff.ErrStale && w.replicas[from].correct() && l.r.correct() {
		w.fail("verify", "%v refuses %s of %v: %v", l.r.id, describe(message), from, err)
	}
}

// signedBatch is all that the verification of a batch depends on.
type signedBatch struct {
	digest    blocktree.Digest
	signature [ed25519.SignatureSize]byte
}

// verifyBatch verifies a batch once for all replicas, for Ed25519 is what a run would mostly spend its time on. Batches are
// never written, so replicas may share them.
func (w *World) verifyBatch(b *mempool.Batch) (mempool.Verified, error) {
	key := signedBatch{b.Digest(), b.Signature}
	if v, ok := w.batches[key]; ok {
		return v, nil
	}
	v, err := mempool.Verify(w.committee, w.identities, b)
	if err == nil {
		w.batches[key] = v
	}
	return v, err
}
