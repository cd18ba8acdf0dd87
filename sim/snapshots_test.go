package sim_test

import (
	"testing"
	"time"

	"github.com/hotstuffd/hotstuffd/node"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/sim"
)

// pruning is a run in which replicas take a snapshot every few checkpoints, and keep no log below the newest.
func pruning(seed uint64, n int) sim.Config {
	c := sim.Calm(seed, n)
	c.Duration = 6 * qc.TicksPerSecond
	c.Limits.CheckpointInterval = 4
	c.Snapshots = node.KeeperConfig{Bytes: 128 << 10}
	c.Clients.Count, c.Clients.Think, c.Clients.Bytes = 3, 1000, 64
	return c
}

// TestForgottenReplicaIsBroughtUp: a replica that has lost its disk comes back although nobody keeps the log any more, by a
// snapshot of the others, and rejoins; while a Byzantine one says that more is gone than is, offers spoilt snapshots, and
// shows it its own old votes (PROTOCOL §7, §9).
func TestForgottenReplicaIsBroughtUp(t *testing.T) {
	var total sim.Counts
	began := time.Now()
	runs := ofCampaign(80, 6)
	for seed := range uint64(runs) {
		c := pruning(seed, 7)
		c.Duration = 7 * qc.TicksPerSecond
		if seed%2 == 1 {
			c.Leaders = "reputation"
		}
		c.SnapshotsApart = seed%3 > 0
		forgetful := qc.NodeID(seed % 7)
		c.Forgetful, c.DiskLosses = &forgetful, sim.Rate{Every: 2 * qc.TicksPerSecond}
		c.Byzantine = map[qc.NodeID]sim.Behaviors{qc.NodeID((seed + 3) % 7): sim.LieInSync | sim.Replay}
		r := sim.Run(c, nil)
		total.Add(r.Counts)
		if r.Failure != nil {
			t.Fatalf("seed %d: %v", seed, r.Failure)
		}
	}
	summary(t, "runs with lost disks and pruned logs", runs, total, began)
	t.Logf("%d disks were lost, replicas rejoined %d times, %d snapshots were taken and %d taken over; logs began as high as %d",
		total.Losses, total.Rejoins, total.Snapshots, total.Restored, total.Pruned/uint64(runs))
	if total.Restored < total.Losses/2 || total.Losses < uint64(runs) {
		t.Errorf("%d disks were lost, and %d snapshots taken over", total.Losses, total.Restored)
	}
}

// TestLaggardIsBroughtUp: a replica that was away for longer than the others keep their log follows by a snapshot, and
// executes nothing twice.
func TestLaggardIsBroughtUp(t *testing.T) {
	var total sim.Counts
	for seed := range uint64(ofCampaign(60, 12)) {
		c := pruning(seed, 4)
		c.Crashes = sim.Rate{Every: 2 * qc.TicksPerSecond, For: 3 * qc.TicksPerSecond}
		c.Clients.KeyValue = seed%2 == 0
		r := sim.Run(c, nil)
		total.Add(r.Counts)
		if r.Failure != nil {
			t.Fatalf("seed %d: %v", seed, r.Failure)
		}
	}
	t.Logf("%d snapshots taken, %d taken over", total.Snapshots, total.Restored)
	if total.Restored == 0 {
		t.Error("nobody took a snapshot over")
	}
}

// TestSpoiltSnapshotsAreFoundOut: a liar offers a state with one byte changed, under the newest certificate, and no two others
// offer the same, so that a laggard takes the liar's first; it notices, takes another, and goes on (S15).
func TestSpoiltSnapshotsAreFoundOut(t *testing.T) {
	var total sim.Counts
	for seed := range uint64(ofCampaign(60, 24)) {
		c := pruning(seed, 4)
		c.SnapshotsApart = true
		c.Crashes = sim.Rate{Every: qc.TicksPerSecond, For: 3 * qc.TicksPerSecond}
		c.Clients.KeyValue = seed%2 == 0
		c.Byzantine = map[qc.NodeID]sim.Behaviors{qc.NodeID(seed % 4): sim.LieInSync}
		r := sim.Run(c, nil)
		total.Add(r.Counts)
		if r.Failure != nil {
			t.Fatalf("seed %d: %v", seed, r.Failure)
		}
	}
	t.Logf("%d snapshots taken over, %d were spoilt", total.Restored, total.Spoilt)
	if total.Restored == 0 || total.Spoilt == 0 {
		t.Errorf("%d snapshots were taken over, and %d found to be spoilt", total.Restored, total.Spoilt)
	}
}
