package hotstuff_test

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
)

// state is what a correct application has come to after a block.
func state(b *blocktree.Block) qc.Checkpoint {
	return qc.Checkpoint{Height: b.Height, Block: b.ID(), Digest: sha256.Sum256(binary.BigEndian.AppendUint64([]byte("state"), uint64(b.Height)))}
}

// execute tells the core what the application has come to, where a checkpoint is due.
func (c *cluster) execute(r *replica, b *blocktree.Block) {
	if r.core == nil || c.opt.every == 0 || b.Height%c.opt.every != 0 {
		return
	}
	cp := state(b)
	if r.wrongAt > 0 && b.Height >= r.wrongAt {
		cp.Digest[0] ^= 1
	}
	c.turn(r, hotstuff.Executed{Checkpoint: cp})
}

// executeStored executes the committed blocks on disk again, as a start does.
func (c *cluster) executeStored(r *replica) {
	for _, id := range r.disk.chain {
		c.execute(r, r.disk.blocks[id])
	}
}

// newCheckpointed starts four replicas that compare their states every four blocks, and stop payload twelve blocks above
// the last certified one.
func newCheckpointed(t *testing.T) *cluster {
	o := defaults(4)
	o.every, o.lag = 4, 12
	c := newCluster(t, o)
	c.trace = true
	return c
}

func (c *cluster) startAll() {
	for _, r := range c.nodes {
		c.start(r)
	}
}

// work has batches ordered, one after the other, until the chain has grown by some blocks.
func (c *cluster) work(blocks qc.Height) {
	for i, end := 0, c.height()+blocks; c.height() < end && i < 1000; i++ {
		c.submit(0, fmt.Sprintf("w%d.%d", c.now, i))
		c.quiet()
		c.run(1000, true)
	}
}

func (c *cluster) height() qc.Height { return qc.Height(len(c.chain) - 1) }

// payload counts the batches in the committed chain.
func (c *cluster) ordered() (n int) {
	for _, id := range c.chain {
		for _, b := range c.ofView {
			for _, x := range b {
				if x.ID() == id {
					n += len(x.Payload)
				}
			}
		}
	}
	return n
}

// TestStatesAreCertified: a quorum of equal states makes a certificate on every replica, the one that was away included;
// it is on disk, and a restart stands on it.
func TestStatesAreCertified(t *testing.T) {
	c := newCheckpointed(t)
	for _, r := range c.nodes[:3] {
		c.start(r)
	}
	c.work(20)
	c.start(c.nodes[3])
	c.run(60_000, true)
	for _, r := range c.nodes {
		s := r.core.Checkpoints()
		if s.Certified < 20 || s.Certified%4 != 0 || s.Stalled || len(s.Differ) > 0 {
			t.Errorf("n%d: %+v at height %d", r.id, s, c.height())
		}
		if r.disk.certified == nil || r.disk.certified.Checkpoint.Height != s.Certified || c.certs().Checkpoint(r.disk.certified) != nil {
			t.Errorf("n%d: on disk %+v, want a certificate of height %d", r.id, r.disk.certified, s.Certified)
		}
	}
	r := c.nodes[1]
	before := r.core.Checkpoints()
	c.crash(r)
	c.start(r)
	if after := r.core.Checkpoints(); after.Certified != before.Certified {
		t.Errorf("after a restart %+v, before it %+v", after, before)
	}
}

// TestDivergedHalts: the replica whose state differs halts, with both digests, and the others go on (S15). A restart that
// comes to the same state halts again.
func TestDivergedHalts(t *testing.T) {
	c := newCheckpointed(t)
	c.nodes[2].wrongAt = 7
	c.startAll()
	c.work(40)
	wrong := c.nodes[2]
	var d *hotstuff.DivergedError
	if wrong.core != nil || !errors.As(wrong.halted, &d) || d.Height != 8 || d.Own == d.Certified {
		t.Fatalf("n2: halted with %v, want over height 8", wrong.halted)
	}
	for _, id := range []int{0, 1, 3} {
		if r := c.nodes[id]; r.core == nil || r.core.Checkpoints().Certified < 36 {
			t.Errorf("n%d does not go on: %v", id, r.halted)
		}
	}
	c.start(wrong)
	c.run(30_000, true)
	if !errors.As(wrong.halted, &d) {
		t.Errorf("after a restart n2 halts with %v, want DivergedError", wrong.halted)
	}
}

// TestPayloadStopsWithoutCertificates: where states differ in pairs there is no quorum of equal ones. Blocks get no
// payload from then on, voting goes on, nobody halts, and everybody can tell who differs.
func TestPayloadStopsWithoutCertificates(t *testing.T) {
	c := newCheckpointed(t)
	c.nodes[2].wrongAt, c.nodes[3].wrongAt = 9, 9
	c.startAll()
	c.work(10)
	certified := c.nodes[0].core.Checkpoints().Certified
	for i := range 40 {
		c.submit(1, fmt.Sprint("late", i))
		c.quiet()
		c.run(1000, true)
	}
	ordered, height, view := c.ordered(), c.height(), c.nodes[0].core.View()
	for i := range 5 {
		c.submit(1, fmt.Sprint("never", i))
		c.quiet()
		c.run(10_000, true)
	}
	if c.ordered() != ordered {
		t.Errorf("%d batches ordered beyond what is known to be agreed", c.ordered()-ordered)
	}
	if c.height() <= height || c.nodes[0].core.View() <= view {
		t.Errorf("voting has stopped at height %d, view %d", c.height(), view)
	}
	for id, differ := range map[int][]qc.NodeID{0: {2, 3}, 1: {2, 3}, 2: {0, 1}, 3: {0, 1}} {
		s := c.nodes[id].core.Checkpoints()
		if !s.Stalled || s.Certified != certified || !slices.Equal(s.Differ, differ) || len(s.Silent) > 0 {
			t.Errorf("n%d: %+v, want stalled above %d, and %v to differ", id, s, certified, differ)
		}
	}
}

// TestLostStatesAreRepeated: signatures that are lost come again until a certificate is known, and whoever repeats itself
// in vain is given the certificate.
func TestLostStatesAreRepeated(t *testing.T) {
	c := newCheckpointed(t)
	lose := true
	c.drops = append(c.drops, func(p packet) bool {
		return lose && p.to == 1 && (kind(p.msg) == "state" || kind(p.msg) == "certified state")
	})
	c.startAll()
	c.work(6)
	if got := c.nodes[1].core.Checkpoints(); got.Certified != 0 || len(got.Silent) != 3 {
		t.Fatalf("n1 knows of others' states: %+v", got)
	}
	lose = false
	c.run(3*qc.TicksPerSecond, true)
	if got, want := c.nodes[1].core.Checkpoints().Certified, c.nodes[0].core.Checkpoints().Certified; got != want || got < 4 {
		t.Errorf("n1 knows the certificate of height %d, n0 of %d", got, want)
	}
}

// TestLateReplicaLearnsTheCertificate: a replica that comes back long after, with or without its disk, learns what is
// certified although nothing new is: otherwise its blocks would have no payload. It signs no state before it has rejoined.
func TestLateReplicaLearnsTheCertificate(t *testing.T) {
	for name, lost := range map[string]bool{"stopped": false, "disk lost": true} {
		t.Run(name, func(t *testing.T) {
			o := defaults(4)
			o.every, o.lag = 64, 70
			c := newCluster(t, o)
			c.startAll()
			late := c.nodes[3]
			c.crash(late)
			c.work(80)
			if lost {
				c.lose(late)
				c.drops = append(c.drops, func(p packet) bool {
					if p.from == 3 && kind(p.msg) == "state" && late.core.Rejoining() {
						t.Error("signs a state while it rejoins")
					}
					return false
				})
			}
			c.start(late)
			c.run(4*qc.TicksPerSecond, true)
			if c.height() >= 128 {
				t.Fatalf("height %d: another checkpoint came", c.height())
			}
			got, want := late.core.Checkpoints(), c.nodes[0].core.Checkpoints()
			if got.Certified != want.Certified || got.Stalled || late.core.Rejoining() {
				t.Errorf("n3: %+v, rejoining %v; n0: %+v", got, late.core.Rejoining(), want)
			}
		})
	}
}

// TestCheckpointsAreChecked: a signature counts for its signer alone, at heights where one is due; a bad one is named, and
// no forged certificate is taken.
func TestCheckpointsAreChecked(t *testing.T) {
	s := &solo{cluster: newCheckpointed(t), t: t}
	s.r = s.nodes[0]
	s.start(s.r)
	cp := qc.Checkpoint{Height: 4, Block: qc.BlockID{4}, Digest: [32]byte{1}}
	signed := func(id qc.NodeID, cp qc.Checkpoint) *hotstuff.CheckpointMessage {
		return &hotstuff.CheckpointMessage{Signed: &qc.SignedCheckpoint{Checkpoint: cp, Signer: id, Signature: s.signers[id].Sign(s.committee.CheckpointMessage(cp))}}
	}
	odd := cp
	odd.Height = 5
	for name, tt := range map[string]struct {
		from qc.NodeID
		m    *hotstuff.CheckpointMessage
		want error
	}{
		"empty":            {1, &hotstuff.CheckpointMessage{}, hotstuff.ErrMessage},
		"another's":        {1, signed(2, cp), hotstuff.ErrSender},
		"not due":          {1, signed(1, odd), hotstuff.ErrMessage},
		"of genesis":       {1, signed(1, qc.Checkpoint{}), hotstuff.ErrMessage},
		"forged quorum":    {1, &hotstuff.CheckpointMessage{Certificate: &qc.CheckpointCertificate{Epoch: 1, Checkpoint: cp, Signers: qc.Bitmap{7}}}, qc.ErrSignature},
		"less than quorum": {1, &hotstuff.CheckpointMessage{Certificate: &qc.CheckpointCertificate{Epoch: 1, Checkpoint: cp, Signers: qc.Bitmap{3}}}, qc.ErrQuorum},
	} {
		if _, err := s.r.verifier.Verify(s.r.core.Window(), tt.from, tt.m); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	forged := signed(3, cp)
	forged.Signed.Signature[0] ^= 1
	s.give(1, signed(1, cp))
	s.give(2, signed(2, cp))
	s.takeTrace()
	s.give(3, forged)
	if got := s.r.core.Checkpoints().Certified; got != 0 {
		t.Errorf("certified %d by two and a forged signature", got)
	}
	if why := s.refused(); !strings.Contains(why, hotstuff.ErrBadCheckpoint.Error()) {
		t.Errorf("nobody is named: %q", why)
	}
	s.turn(s.r, hotstuff.Executed{Checkpoint: cp}) // our own is the third
	if got := s.r.core.Checkpoints().Certified; got != 4 {
		t.Errorf("certified %d by three of four, want 4", got)
	}
}

// TestStatesOfOneSignerAreBounded: who signs a thousand heights fills its own place and nobody else's.
func TestStatesOfOneSignerAreBounded(t *testing.T) {
	s := &solo{cluster: newCheckpointed(t), t: t}
	s.r = s.nodes[0]
	s.start(s.r)
	at := func(h qc.Height) qc.Checkpoint {
		return qc.Checkpoint{Height: h, Block: qc.BlockID{1}, Digest: [32]byte{1}}
	}
	sign := func(id qc.NodeID, h qc.Height) {
		cp := at(h)
		s.give(id, &hotstuff.CheckpointMessage{Signed: &qc.SignedCheckpoint{Checkpoint: cp, Signer: id, Signature: s.signers[id].Sign(s.committee.CheckpointMessage(cp))}})
	}
	for h := qc.Height(4); h <= 4000; h += 4 {
		sign(3, h)
	}
	sign(1, 40)
	sign(2, 40)
	if got := s.r.core.Checkpoints().Certified; got != 0 {
		t.Errorf("certified %d: what n3 signed 990 checkpoints ago is still held", got)
	}
	sign(1, 4000)
	sign(2, 4000)
	if got := s.r.core.Checkpoints().Certified; got != 4000 {
		t.Errorf("certified %d, want 4000", got)
	}
}
