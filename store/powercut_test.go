package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/store"
	"github.com/hotstuffd/hotstuffd/store/internal/cutdisk"
)

// cuts counts what a campaign has seen.
type cuts struct {
	positions, images, repeats, unborn, ahead atomic.Int64
}

func (n *cuts) String() string {
	images, unborn, ahead := n.images.Load(), n.unborn.Load(), n.ahead.Load()
	return fmt.Sprintf("%d power cuts at %d operations: %d found what was acknowledged, %d the call under way besides, %d no store yet "+
		"(%d more were equal to others)", images, n.positions.Load(), images-unborn-ahead, ahead, unborn, n.repeats.Load())
}

// The power may fail at any operation on the disk, and whatever is not synced then may be there, or not, or in part. The
// store always opens again. It has everything that was acknowledged and, of the call under way, all or nothing. It goes
// on as if nothing had been (S9, S13, S17).
func TestPowerCuts(t *testing.T) {
	var n cuts
	t.Run("seeds", func(t *testing.T) {
		for seed := range ofCampaign[uint64](9, max(1, 2/thinner)) {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				r := record(t, seed, ofCampaign(60, 24/thinner))
				r.everywhere(t, "cut", r.trace, unborn, ofCampaign(3, 1000), &n, r.survives)
			})
		}
	})
	t.Log(&n)
	if want := ofCampaign[int64](20_000, 500/thinner); n.images.Load() < want && *replay == "" {
		t.Errorf("%d power cuts, want %d at least", n.images.Load(), want)
	}
}

// story commits some blocks, and then does little but prune and make snapshots of each kind.
func story(seed uint64, rounds int) *history {
	kinds := slices.Clone(prelude)
	for range rounds {
		kinds = append(kinds, ofSnapshot, ofSnapshot, ofFloor, ofSnapshot, ofVote, ofCommits, ofBatches, ofFloor, ofSnapshot, ofRestart)
	}
	return newStory(seed, kinds...)
}

var prelude = []int{ofBatches, ofBatches, ofVote, ofVote, ofVote, ofVote, ofVote, ofBatches, ofBatches, ofBatches, ofVote, ofVote, ofCommits}

// The same where it is dense: while snapshots are written, received, kept and dropped, and while what lies below a floor
// goes. No snapshot is listed that is not whole, none that was committed is missing among the newest two. The floor is the
// one that was acknowledged, or that of the call under way, and nothing at it or above is lost.
func TestPowerCutsOfSnapshotsAndPruning(t *testing.T) {
	var n cuts
	t.Run("seeds", func(t *testing.T) {
		for seed := range ofCampaign[uint64](3, 1) {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				r := story(500+seed, ofCampaign(2, 1)).record(t, identity)
				r.everywhere(t, "cut", r.trace, unborn, ofCampaign(2, 1000), &n, func(image *cutdisk.Disk, now any, n *cuts) error {
					if now.(progress).done < len(prelude) {
						return nil
					}
					return r.survives(image, now, n)
				})
				r.killEverywhere(t, ofCampaign[uint64](40, 10*thinner), ofCampaign(3, 20), func(_ *cutdisk.Player, at progress) bool {
					return at.done >= len(prelude)
				}, &n)
			})
		}
	})
	t.Log(&n)
	if want := ofCampaign[int64](3_000, 400/thinner); n.images.Load() < want && *replay == "" {
		t.Errorf("%d power cuts, want %d at least", n.images.Load(), want)
	}
}

// The power may fail again while the store is being repaired, and a process may be killed before the power fails: what
// it wrote is read by the next one, and yet is not durable. Nothing that a repaired store has shown goes away.
func TestPowerCutsDuringRecovery(t *testing.T) {
	var n cuts
	t.Run("seeds", func(t *testing.T) {
		for seed := range ofCampaign[uint64](8, 2) {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				r := record(t, 1000+seed, 40)
				r.killEverywhere(t, ofCampaign[uint64](60, 150*thinner), 3, anywhere, &n)
			})
		}
	})
	t.Log(&n)
	if want := ofCampaign[int64](5_000, 100/thinner); n.images.Load() < want && *replay == "" {
		t.Errorf("%d power cuts, want %d at least", n.images.Load(), want)
	}
}

// The power may fail while the format is raised: no store is refused for what an older one need not have.
func TestPowerCutsWhileTheFormatIsRaised(t *testing.T) {
	disk := cutdisk.New()
	must(t, store.Init(storeDir, identity, onDisk(disk)))
	s := openOn(t, disk)
	vote(t, s, 2)
	must(t, s.Close())
	disk.Rot(storeDir+"/safety.slots", func(slots []byte) []byte { return toFormat3(t, slots) })
	disk.Rot(storeDir+"/CHAIN", func(text []byte) []byte { return bytes.Replace(text, []byte("format 4"), []byte("format 3"), 1) })
	trace := disk.Record()
	must(t, openOn(t, disk).Close())
	images, raised := 0, 0
	for p := trace.Play(); p.Next(); {
		seen := map[string]bool{} // the same fates give the same image
		for loss := range cutdisk.Losses {
			for seed := range uint64(6) {
				image, fates := p.Disk.Cut(loss, seed)
				if seen[fates] {
					continue
				}
				seen[fates] = true
				again, err := store.Open(storeDir, identity, onDisk(image))
				if err != nil {
					t.Fatalf("cut after operation %d by %v: %v", p.At(), loss, err)
				}
				if k := sequence(t, again); k != 2 {
					t.Fatalf("cut after operation %d by %v: safety state %d, want 2", p.At(), loss, k)
				}
				must(t, again.Close())
				images++
			}
		}
	}
	for p := trace.Play(); p.Next(); { // the slots lose their size again, once CHAIN says that they have it
		image, _ := p.Disk.Cut(cutdisk.Everything, 0)
		if f, err := image.Open(storeDir + "/CHAIN"); err == nil {
			text := make([]byte, 32)
			_, _ = f.ReadAt(text, 0)
			if bytes.Contains(text, []byte("format 4")) {
				raised++
			}
		}
	}
	if t.Logf("%d power cuts", images); images < 50 || raised == 0 {
		t.Errorf("%d power cuts, and format 4 was on the disk at %d operations: nothing is shown", images, raised)
	}
}

// A write with nothing new in it changes nothing, and what was written before it is as durable as it was.
func TestRepeatedStateSyncsNothing(t *testing.T) {
	disk := cutdisk.New()
	must(t, store.Init(storeDir, identity, onDisk(disk)))
	s := openOn(t, disk)
	vote(t, s, 2)
	vote(t, s, 3)
	must(t, s.Append([]hotstuff.Record{state(3)}))
	vote(t, s, 4)
	image, _ := disk.Cut(cutdisk.Everything, 0)
	again := openOn(t, image)
	if k := sequence(t, again); k != 4 {
		t.Errorf("safety state %d, want 4", k)
	}
	for h := qc.Height(2); h <= 4; h++ {
		if _, err := again.Block(block(h).ID()); err != nil {
			t.Errorf("block %d: %v", h, err)
		}
	}
}

// The same before every sync of a short history, which begins a segment and votes.
func TestKillThenPowerCut(t *testing.T) {
	r := record(t, 18, 6)
	end := r.trace.Play()
	for end.Next() {
	}
	if files := end.Disk.Files(); !slices.Contains(files, "store/payload/00000002.seg") {
		t.Fatalf("no second segment was begun: %v", files)
	}
	var n cuts
	r.killEverywhere(t, thinner, 1<<30, func(p *cutdisk.Player, at progress) bool { return p.BeforeSync() && at != unborn }, &n)
	t.Log(&n)
}

func anywhere(*cutdisk.Player, progress) bool { return true }

// killEverywhere ends the process at one operation of share, now and then by a power cut, opens what is left, and cuts the
// power on the way.
func (r *recording) killEverywhere(t *testing.T, share uint64, stride int, where func(*cutdisk.Player, progress) bool, n *cuts) {
	at := unborn
	for p := r.trace.Play(); p.Next(); {
		p.Marks(func(note any) { at = note.(progress) })
		name := pointOf("recovery", r.seed, p.At())
		if name.seed()%share != 0 || !where(p, at) {
			continue
		}
		image := p.Disk.Kill()
		if name.seed()/share%3 == 0 && at != unborn {
			image, _ = p.Disk.Cut(cutdisk.Mixed, name.seed())
		}
		r.twice(t, name, image, at, stride, n)
	}
}

// opened is a note of a trace: the store was repaired, and has so many steps. went: it went on from there.
type opened struct{ done int }
type went struct{ done int }

// twice opens an image, goes on, and cuts the power everywhere on that way.
func (r *recording) twice(t *testing.T, name point, image *cutdisk.Disk, at progress, stride int, n *cuts) {
	again := &recording{history: r.history, repair: true}
	inBubble(t, func(t *testing.T) {
		again.trace = image.Record()
		c := newSchedule(image, identity, name.seed())
		s, err := c.tryOpen()
		if at == unborn && err != nil {
			return // Init was not done
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		done, err := r.holds(s, max(0, at.done), at.begun)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		image.Mark(opened{done})
		if err := c.Run(func() error { return r.goOn(s, done) }); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		image.Mark(went{done})
		c.close(t, s)
	})
	again.everywhere(t, string(name), again.trace, at, stride, n, func(image *cutdisk.Disk, now any, n *cuts) error {
		switch now := now.(type) {
		case opened: // going on may have begun
			return r.opens(image, func(s *store.Store) error {
				if r.wentOn(s, now.done) == nil {
					return nil
				}
				return r.atLeast(s, now.done)
			})
		case went:
			return r.opens(image, func(s *store.Store) error { return r.wentOn(s, now.done) })
		default:
			return r.survives(image, at, n)
		}
	})
}

// everywhere cuts the power before and after each operation of a trace and checks what is left; now is the newest note of
// the trace. Of the images that differ, one in stride is checked, and at least one at each place. In the trace of a repair
// the places are those before a sync.
func (r *recording) everywhere(t *testing.T, name string, trace *cutdisk.Trace, now any, stride int, n *cuts,
	check func(image *cutdisk.Disk, now any, n *cuts) error) {
	different := 0
	for p := trace.Play(); ; {
		p.Marks(func(note any) { now = note })
		if r.repair && !p.BeforeSync() {
			p.Next()
			continue
		}
		n.positions.Add(1)
		seen := map[string]bool{}
		for loss := range cutdisk.Losses {
			for variant := range variants(loss) {
				name := pointOf(name, r.seed, p.At(), loss, variant)
				image, fates := p.Disk.Cut(loss, name.seed())
				if seen[fates] {
					n.repeats.Add(1)
					continue
				}
				if different++; len(seen) > 0 && different%stride != 0 {
					continue
				}
				seen[fates] = true
				if !name.chosen() {
					continue
				}
				n.images.Add(1)
				if err := check(image, now, n); err != nil {
					t.Fatalf("%v\nagain: go test ./store -run %s -store.point=%s\nthe last operations, and the one that was not done:\n%s",
						err, t.Name(), name, strings.Join(p.Recent(), "\n"))
				}
			}
		}
		if !p.Next() {
			return
		}
	}
}

// variants returns how often a loss that chance has a part in is tried at one place.
func variants(loss cutdisk.Loss) int {
	switch loss {
	case cutdisk.Mixed:
		return 3
	case cutdisk.Suffix, cutdisk.Prefix:
		return 2
	}
	return 1
}

// survives opens what a cut has left, looks at all of it, goes on, cuts the power again and looks at that.
func (r *recording) survives(image *cutdisk.Disk, now any, n *cuts) error {
	at := now.(progress)
	s, err := store.Open(storeDir, identity, onDisk(image))
	if at == unborn && err != nil {
		n.unborn.Add(1)
		return r.initAgain(image, err)
	}
	if err != nil {
		return err
	}
	done, err := r.holds(s, max(0, at.done), at.begun)
	if err == nil {
		err = r.goOn(s, done)
	}
	if done > at.done && at != unborn {
		n.ahead.Add(1)
	}
	after, _ := image.Cut(cutdisk.Everything, 0)
	if err := errors.Join(err, s.Close()); err != nil {
		return err
	}
	return r.opens(after, func(s *store.Store) error {
		err := r.wentOn(s, done)
		if r.after[done].floor > 0 { // goOn has pruned again
			err = errors.Join(err, r.stored(s, r.after[done]))
		}
		return err
	})
}

// opens opens the store on a disk, looks at it, and closes it.
func (r *recording) opens(image *cutdisk.Disk, look func(*store.Store) error) error {
	s, err := store.Open(storeDir, identity, onDisk(image))
	if err != nil {
		return err
	}
	return errors.Join(look(s), s.Close())
}

// initAgain checks what a cut in the middle of Init leaves: nothing that opens, and nothing that is overwritten.
func (r *recording) initAgain(image *cutdisk.Disk, err error) error {
	if !errors.Is(err, store.ErrSafetyLost) {
		return fmt.Errorf("before Init was done: %w", err)
	}
	if err := store.Init(storeDir, identity, onDisk(image)); err != nil && !errors.Is(err, store.ErrExists) {
		return fmt.Errorf("Init again: %w", err)
	}
	return nil
}
