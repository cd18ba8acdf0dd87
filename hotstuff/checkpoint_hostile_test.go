package hotstuff_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
)

// signedState is a message with a replica's signature of a state.
func (c *cluster) signedState(id qc.NodeID, cp qc.Checkpoint) *hotstuff.CheckpointMessage {
	return &hotstuff.CheckpointMessage{Signed: &qc.SignedCheckpoint{Checkpoint: cp, Signer: id, Signature: c.signers[id].Sign(c.committee.CheckpointMessage(cp))}}
}

// lateSolo is a core with a checkpoint every four blocks, whose sums take their time.
func lateSolo(t *testing.T) *solo {
	o := defaults(4)
	o.every, o.lag, o.lateSum = 4, 12, true
	s := &solo{cluster: newCluster(t, o), t: t}
	s.r = s.nodes[0]
	s.start(s.r)
	s.take()
	return s
}

func stateAt(h qc.Height, digest byte) qc.Checkpoint {
	return qc.Checkpoint{Height: h, Block: qc.BlockID{byte(h), byte(h >> 8), 1}, Digest: [32]byte{digest}}
}

// TestSignatureDuringSum: a good signature that comes while a sum with a forged one is checked counts afterwards.
func TestSignatureDuringSum(t *testing.T) {
	s, cp := lateSolo(t), stateAt(4, 1)
	forged := s.signedState(3, cp)
	forged.Signed.Signature[0] ^= 1
	s.deliver(packet{from: 3, to: 0, msg: forged})
	s.turn(s.r, hotstuff.Executed{Checkpoint: cp})
	s.deliver(packet{from: 1, to: 0, msg: s.signedState(1, cp)}) // a quorum: its sum is under way
	s.deliver(packet{from: 2, to: 0, msg: s.signedState(2, cp)}) // meanwhile
	s.run(qc.TicksPerSecond/2, true)
	if got := s.r.core.Checkpoints().Certified; got != 4 {
		t.Errorf("certified %d, want 4: three good signatures are held", got)
	}
}

// TestOneForgerStopsNothing: a Byzantine replica signs every state wrongly, ahead of all others, and payload flows.
func TestOneForgerStopsNothing(t *testing.T) {
	o := defaults(4)
	o.every, o.lag, o.lateSum = 4, 12, true
	c := newCluster(t, o)
	seen := map[qc.Checkpoint]bool{}
	c.drops = append(c.drops, func(p packet) bool {
		if m, ok := p.msg.(*hotstuff.CheckpointMessage); ok && m.Signed != nil && p.from != 3 && !seen[m.Signed.Checkpoint] {
			seen[m.Signed.Checkpoint] = true
			for to := range qc.NodeID(3) {
				forged := c.signedState(3, m.Signed.Checkpoint)
				forged.Signed.Signature = c.signers[3].Sign([]byte("nothing"))
				c.queue = append(c.queue, packet{from: 3, to: to, msg: forged})
			}
		}
		return false
	})
	for _, r := range c.nodes[:3] {
		c.start(r)
	}
	for i := range 60 {
		c.submit(0, fmt.Sprint("w", i))
		c.quiet()
		c.run(1000, true)
	}
	c.run(qc.TicksPerSecond, true) // the rest of the tail
	if got := c.ordered(); got != 60 {
		t.Errorf("%d of 60 batches are ordered: %+v", got, c.nodes[0].core.Checkpoints())
	}
}

// TestManyStatesAtOnce: as after a restart of all, when each has executed far and nobody has heard of the others.
func TestManyStatesAtOnce(t *testing.T) {
	s := lateSolo(t)
	for _, id := range []qc.NodeID{1, 2} {
		for h := qc.Height(4); h <= 64; h += 4 {
			s.deliver(packet{from: id, to: 0, msg: s.signedState(id, stateAt(h, 1))})
		}
	}
	for h := qc.Height(4); h <= 64; h += 4 {
		s.turn(s.r, hotstuff.Executed{Checkpoint: stateAt(h, 1)})
	}
	s.run(qc.TicksPerSecond/2, true)
	if got := s.r.core.Checkpoints().Certified; got != 64 {
		t.Errorf("certified %d, want 64", got)
	}
}

// TestLaggardIsCompared: a replica that is always an interval behind is compared with each certificate, as it comes to its
// height, and not with the newest alone (S15).
func TestLaggardIsCompared(t *testing.T) {
	s := lateSolo(t)
	for h := qc.Height(4); h <= 40; h += 4 {
		var signed []qc.SignedCheckpoint
		for id := qc.NodeID(1); id < 4; id++ {
			signed = append(signed, *s.signedState(id, stateAt(h, 1)).Signed)
		}
		cert, _ := s.certs().CollectCheckpoints(stateAt(h, 1), signed)
		s.deliver(packet{from: 1, to: 0, msg: &hotstuff.CheckpointMessage{Certificate: cert}})
		if wrong := h - 4; wrong > 0 && s.r.core != nil {
			digest := byte(1)
			if wrong >= 20 {
				digest = 2
			}
			s.turn(s.r, hotstuff.Executed{Checkpoint: stateAt(wrong, digest)})
		}
	}
	var d *hotstuff.DivergedError
	if !errors.As(s.r.halted, &d) || d.Height != 20 {
		t.Errorf("halted with %v, want at height 20", s.r.halted)
	}
}

// TestCorrectedSignature: a replica that had a wrong state, was mended and started again, is heard at the same height.
func TestCorrectedSignature(t *testing.T) {
	s := lateSolo(t)
	s.turn(s.r, hotstuff.Executed{Checkpoint: stateAt(4, 1)})
	s.deliver(packet{from: 1, to: 0, msg: s.signedState(1, stateAt(4, 1))})
	s.deliver(packet{from: 2, to: 0, msg: s.signedState(2, stateAt(4, 2))})
	s.deliver(packet{from: 2, to: 0, msg: s.signedState(2, stateAt(4, 1))})
	s.run(qc.TicksPerSecond/2, true)
	if got := s.r.core.Checkpoints().Certified; got != 4 {
		t.Errorf("certified %d, want 4", got)
	}
}

// TestHeightsOfOneSignerAreOrdered, however far apart: one signer has one place a height.
func TestHeightsOfOneSignerAreOrdered(t *testing.T) {
	s := lateSolo(t)
	for _, h := range []qc.Height{4, 1 << 62, 1<<63 + 64, 1<<63 + 128, 4} {
		s.deliver(packet{from: 3, to: 0, msg: s.signedState(3, qc.Checkpoint{Height: h, Block: qc.BlockID{1}})})
	}
	s.take()
	s.deliver(packet{from: 1, to: 0, msg: s.signedState(1, qc.Checkpoint{Height: 4, Block: qc.BlockID{1}})})
	if len(s.queue) > 0 {
		t.Error("two signers are taken for a quorum of three")
	}
}
