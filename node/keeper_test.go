package node

import (
	"fmt"
	"io"
	"math"
	"slices"
	"testing"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/store"
)

// keptNowhere writes down what a keeper asks of its store.
type keptNowhere struct {
	did   []string
	noted qc.Height // commits up to it are on disk
}

// WriteSnapshot implements SnapshotStore.
func (k *keptNowhere) WriteSnapshot(cert *qc.CheckpointCertificate, write func(io.Writer) error) (store.SnapshotMeta, error) {
	k.did = append(k.did, fmt.Sprint("snapshot ", cert.Checkpoint.Height))
	return store.SnapshotMeta{Certificate: cert}, write(io.Discard)
}

// HoldSnapshots implements SnapshotStore.
func (k *keptNowhere) HoldSnapshots(qc.Height) {}

// CommittedID implements SnapshotStore.
func (k *keptNowhere) CommittedID(h qc.Height) (id qc.BlockID, ok bool, err error) {
	return id, h <= k.noted, nil
}

// Prune implements SnapshotStore.
func (k *keptNowhere) Prune(floor qc.Height, _ blocktree.Lanes) error {
	k.did = append(k.did, fmt.Sprint("prune ", floor))
	return nil
}

// keeperTest is a keeper for whom a snapshot is due at each checkpoint.
type keeperTest struct {
	*testing.T
	*Keeper
	disk *keptNowhere
}

func newKeeperTest(t *testing.T) *keeperTest {
	disk := &keptNowhere{}
	return &keeperTest{t, NewKeeper(disk, KeeperConfig{Bytes: 1}, NewHolds(), func() qc.Ticks { return 0 }), disk}
}

func (x *keeperTest) executed(height qc.Height) qc.Checkpoint {
	x.Helper()
	m, _ := newState(x.T, height)
	s := m.Freeze()
	cp := s.Checkpoint()
	if _, err := x.Executed(s); err != nil {
		x.Fatal(err)
	}
	return cp
}

func (x *keeperTest) certified(cp qc.Checkpoint) {
	x.Helper()
	if _, err := x.Certified(&qc.CheckpointCertificate{Checkpoint: cp}); err != nil {
		x.Fatal(err)
	}
}

func (x *keeperTest) expect(did ...string) {
	x.Helper()
	if !slices.Equal(x.disk.did, did) {
		x.Errorf("%q, want %q", x.disk.did, did)
	}
}

// Certificates that are slower than checkpoints keep nobody from taking snapshots: a state that is due waits for its own, until
// a higher one shows that it never comes.
func TestKeeperWaitsForCertificates(t *testing.T) {
	x := newKeeperTest(t)
	x.disk.noted = 100
	two := x.executed(2)
	x.executed(4)
	x.executed(6)
	x.certified(two)
	x.expect("snapshot 2", "prune 2")
	x.executed(8)
	x.certified(qc.Checkpoint{Height: 10})
	twelve := x.executed(12)
	x.executed(14)
	x.certified(twelve)
	x.expect("snapshot 2", "prune 2", "snapshot 12", "prune 12")
	sixteen, _ := newState(t, 16)
	s := sixteen.Freeze()
	x.certified(s.Checkpoint()) // before the state
	if _, err := x.Executed(s); err != nil {
		t.Fatal(err)
	}
	x.expect("snapshot 2", "prune 2", "snapshot 12", "prune 12", "snapshot 16", "prune 16")
}

// A snapshot may be durable before the note that its block is committed. The log is pruned as soon as that is there: what is
// said of its beginning would otherwise stay wrong until the next snapshot.
func TestKeeperPrunesWhenTheCommitIsNoted(t *testing.T) {
	x := newKeeperTest(t)
	x.certified(x.executed(2))
	x.expect("snapshot 2")
	x.certified(qc.Checkpoint{Height: 4})
	x.expect("snapshot 2")
	x.disk.noted = 2
	x.certified(qc.Checkpoint{Height: 6})
	x.certified(qc.Checkpoint{Height: 8})
	x.expect("snapshot 2", "prune 2")
}

// A snapshot is due at the multiples of a period that is no less than the last one, and less than twice that.
func TestWhenASnapshotIsDue(t *testing.T) {
	for _, c := range []struct {
		bytes  uint64
		size   int64
		period uint64
	}{
		{0, 0, 1}, {1, 1, 1}, {1, 2, 2}, {1, 3, 3},
		{100, 0, 100}, {100, 100, 100}, {100, 101, 150}, {100, 150, 150}, {100, 151, 200}, {100, 201, 300}, {100, 301, 400},
		{101, 150, 151}, {101, 152, 202}, {64 << 20, 75 << 20, 96 << 20}, {64 << 20, math.MaxInt64, 1 << 63},
	} {
		k := NewKeeper(&keptNowhere{}, KeeperConfig{Bytes: c.bytes}, NewHolds(), func() qc.Ticks { return 0 })
		k.size = c.size
		due := func(weight uint64) bool { return k.due(&State{height: 9, head: stateHead{weight: weight}}) }
		if due(c.period-1) || !due(c.period) {
			t.Errorf("every %d bytes, the last one of %d: due at %d: %v, at %d: %v", c.bytes, c.size, c.period-1, due(c.period-1), c.period, due(c.period))
		}
	}
}
