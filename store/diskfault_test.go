package store_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/hotstuffd/hotstuffd/store"
	"github.com/hotstuffd/hotstuffd/store/internal/cutdisk"
)

// A disk that fails, once or for a while, at any operation. A call that cannot do its work says so,
// and so does every later one until the store is opened again. What was acknowledged is there then, with or without a
// power cut in between, and the store goes on once the disk does: nothing is corrupted, and nothing is refused (S9, S17).
func TestFailingDisks(t *testing.T) {
	failsLevelDB(t)
	var n diskFaults
	t.Run("seeds", func(t *testing.T) {
		for seed := range ofCampaign[uint64](8, 2) {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				h := newHistory(3000+seed, 40)
				operations := record(t, 3000+seed, 40).trace.Len()
				for i := range ofCampaign(60, 8) {
					name := pointOf("disk", h.seed, i)
					if !name.chosen() {
						continue
					}
					if err := h.onFailingDisk(t, name, operations, &n); err != nil {
						t.Fatalf("%v\nagain: go test ./store -run %s -store.point=%s", err, t.Name(), name)
					}
				}
			})
		}
	})
	t.Logf("%d failing disks: %d noticed by Init, %d by Open, %d by a call, %d by a snapshot alone, %d by nobody; then %d stores opened",
		n.disks.Load(), n.inits.Load(), n.opens.Load(), n.calls.Load(), n.snapshots.Load(), n.unseen.Load(), n.reopened.Load())
	if n.calls.Load() == 0 || n.opens.Load() == 0 || campaign && n.snapshots.Load() == 0 {
		t.Error("a kind of failure never came: nothing is shown about it")
	}
}

// diskFaults counts what a campaign has seen.
type diskFaults struct {
	disks, inits, calls, opens, snapshots, unseen, reopened atomic.Int64
}

// onFailingDisk plays the history until the disk's failure shows, and then opens what is left in several ways.
func (h *history) onFailingDisk(t *testing.T, name point, operations int, n *diskFaults) (err error) {
	rng := rand.New(rand.NewPCG(name.seed(), 3))
	disk := cutdisk.New()
	at := unborn
	own := *h
	h = &own // it learns whether a snapshot has failed
	inBubble(t, func(t *testing.T) {
		c := newSchedule(disk, identity, name.seed())
		disk.Fail(1+rng.Int64N(int64(operations)), []int64{1, 3, 1 << 40}[rng.IntN(3)], name.seed())
		at, err = h.until(c, n)
	})
	n.disks.Add(1)
	if err != nil || at == unborn {
		return err // no store was made, and nothing was promised
	}
	disk.Mend()
	images := []*cutdisk.Disk{disk.Kill()}
	for loss := range cutdisk.Losses {
		image, _ := disk.Cut(loss, name.seed())
		images = append(images, image)
	}
	r := recording{history: h}
	var unused cuts
	for i, image := range images {
		if err := r.survives(image, at, &unused); err != nil {
			return fmt.Errorf("image %d: %w", i, err)
		}
		n.reopened.Add(1)
	}
	return nil
}

// Each operation of the first Open may fail, and the power with it: what was done so far survives in part, and there is no
// older manifest to fall back on.
func TestOpenFailsAnywhere(t *testing.T) {
	failsLevelDB(t)
	whole := cutdisk.New()
	must(t, store.Init(storeDir, identity, onDisk(whole)))
	good := whole.Kill()
	trace := good.Record()
	must(t, openOn(t, good).Close())
	failed := 0
	for after := int64(1); after <= int64(trace.Len()); after++ {
		disk := whole.Kill()
		disk.Fail(after, 1, uint64(after))
		s, err := store.Open(storeDir, identity, onDisk(disk))
		if err == nil { // nothing relies on that operation
			_ = s.Close()
			continue
		}
		failed++
		seen := map[string]bool{}
		for _, loss := range []cutdisk.Loss{cutdisk.Everything, cutdisk.Suffix, cutdisk.Prefix} {
			for seed := range uint64(40 / thinner) { // mostly the same few
				image, fates := disk.Cut(loss, seed)
				if seen[fates] {
					continue
				}
				seen[fates] = true
				if got := sequence(t, openOn(t, image)); got != 1 {
					t.Fatalf("operation %d, %v lost: safety state %d, want 1", after, loss, got)
				}
			}
		}
	}
	if failed < 20 {
		t.Errorf("%d of %d operations of Open fail it", failed, trace.Len())
	}
}

// until plays the history until a call fails, and returns how far it came. It fails if a call succeeds after one has
// failed. A snapshot fails alone: the history goes on.
func (h *history) until(c *schedule, n *diskFaults) (progress, error) {
	if err := c.Run(func() error { return store.Init(storeDir, identity, onDisk(c.disk)) }); err != nil {
		n.inits.Add(1)
		return unborn, expected(err)
	}
	s, err := c.tryOpen()
	if err != nil {
		n.opens.Add(1)
		return progress{}, expected(err)
	}
	for i, step := range h.steps {
		now := progress{i, true}
		if step.restart {
			_ = c.Run(s.Close) // LevelDB may say here what went wrong beside the calls
			if s, err = c.tryOpen(); err != nil {
				n.opens.Add(1)
				return now, expected(err)
			}
			continue
		}
		if err = c.Run(func() error { return step.do(s) }); err == nil {
			continue
		}
		if step.snapshot != nil && !h.lax {
			n.snapshots.Add(1)
		}
		if step.snapshot != nil {
			if h.lax = true; expected(err) != nil {
				return now, expected(err)
			}
			continue
		}
		n.calls.Add(1)
		c.disk.Mend()
		later := c.Run(func() error { return step.do(s) })
		_, read := s.Recover()
		_ = c.Run(s.Close)
		if later == nil || read == nil {
			return now, fmt.Errorf("after %w a later call gives: %v, a read: %v", err, later, read)
		}
		return now, expected(err)
	}
	_ = c.Run(s.Close)
	n.unseen.Add(1)
	return progress{done: len(h.steps)}, nil
}

// expected passes an error that is not the disk's own. LevelDB keeps of some nothing but the text.
func expected(err error) error {
	if text := err.Error(); strings.Contains(text, cutdisk.ErrIO.Error()) || strings.Contains(text, syscall.ENOSPC.Error()) {
		return nil
	}
	return fmt.Errorf("not the disk's error: %w", err)
}
