package node_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/node"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/store"
)

// A replica whose application is not deterministic stops at the next checkpoint and names both digests; it stops again when
// it is started again, and comes back with an application that is right. The others go on meanwhile (S15).
func TestDivergedReplicaStops(t *testing.T) {
	c := newCluster(t, 4)
	c.wrong[2] = true
	for i := range 4 {
		c.start(i)
	}
	stopped := func() {
		t.Helper()
		var d *hotstuff.DivergedError
		defer func() { c.proved(2, d) }()
		select {
		case err := <-c.done[2]:
			if !errors.As(err, &d) || d.Own == d.Certified {
				t.Fatalf("node 2 ends with %v, want two digests", err)
			}
			c.nodes[2] = nil
		case <-time.After(20 * time.Second):
			t.Fatal("node 2 goes on with a state of its own")
		}
	}
	for k := range 40 {
		c.do(0, fmt.Sprint("command", k))
	}
	stopped()
	c.wrong[2] = false
	c.start(2)
	c.do(2, "back")
	c.agree()
	for _, i := range []int{0, 1, 3} {
		if s := c.nodes[i].Status(); s.CheckpointHeight == 0 || s.CheckpointStalled || len(s.CheckpointDiffer) > 0 {
			t.Errorf("node %d: %+v", i, s)
		}
	}
}

// proved checks that what has proved a replica wrong is on its disk: the next start need not wait for the others to tell it.
func (c *cluster) proved(i int, d *hotstuff.DivergedError) {
	c.t.Helper()
	if c.t.Failed() {
		return
	}
	s, err := store.View(filepath.Join(c.home(i), "data"), node.StoreIdentity(c.genesis, qc.NodeID(i)), store.Options{})
	if err != nil {
		c.t.Fatal(err)
	}
	defer s.Close()
	r, err := s.Recover()
	if err != nil {
		c.t.Fatal(err)
	}
	if r.Certified == nil || r.Certified.Checkpoint.Height != d.Height || r.Certified.Checkpoint.Digest != d.Certified {
		c.t.Errorf("on the disk of node %d is the certificate %+v, want that of height %d", i, r.Certified, d.Height)
	}
}

// A checkpoint is due at multiples of its interval alone, and its digest covers the application's state and where every
// lane stands: it is what the next blocks are judged by.
func TestStateCoversLanes(t *testing.T) {
	genesis := blocktree.Genesis(qc.ChainID{1}, 1, 4)
	state := func(change func(*mempool.Batch)) [32]byte {
		m := node.NewMachine(&counter{}, genesis, machineConfig)
		var got []qc.Checkpoint
		m.OnCheckpoint(func() {
			s := m.Freeze()
			got = append(got, s.Checkpoint())
			s.Release()
		})
		for h := qc.Height(1); h <= 3; h++ {
			b := &mempool.Batch{Origin: 2, Seq: uint64(h - 1), Count: 1, Blob: mempool.AppendCommand(nil, []byte("x"))}
			if h == 2 {
				change(b)
			}
			m.Apply(mempool.Execution{Block: &blocktree.Block{Height: h, Parent: m.Applied().Block}, Batches: []*mempool.Batch{b}})
		}
		if len(got) != 1 || got[0].Height != 2 {
			t.Fatalf("checkpoints %v, want one at height 2", got)
		}
		return got[0].Digest
	}
	same := state(func(*mempool.Batch) {})
	for name, change := range map[string]func(*mempool.Batch){
		"nothing":     func(*mempool.Batch) {},
		"origin":      func(b *mempool.Batch) { b.Origin = 1 },
		"sequence":    func(b *mempool.Batch) { b.Seq = 7 },
		"incarnation": func(b *mempool.Batch) { b.Incarnation.Starts = 1 },
		"rejoin":      func(b *mempool.Batch) { b.Incarnation.Rejoin = 1 },
		"expiry":      func(b *mempool.Batch) { b.Expiry = 1 }, // by the digest of the batch, which the next must name
		"command":     func(b *mempool.Batch) { b.Blob = mempool.AppendCommand(nil, []byte("y")) },
	} {
		if got := state(change); (got == same) != (name == "nothing") {
			t.Errorf("another %s: digest equal %v", name, got == same)
		}
	}
}
