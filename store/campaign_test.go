package store_test

import (
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hotstuffd/hotstuffd/store"
	"github.com/hotstuffd/hotstuffd/store/internal/cutdisk"
)

// campaign is whether the full campaigns are asked for, minutes of two processors, not a newcomer's run.
var campaign = os.Getenv("CI") != "" && !raceDetector

// TestMain lets the heap grow: a store that is opened makes much that soon goes, and keeps little.
func TestMain(m *testing.M) {
	flag.Parse()
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}

// ofCampaign returns one number for the full campaign and another one for everybody's run.
func ofCampaign[T any](full, short T) T {
	if campaign {
		return full
	}
	return short
}

// replay is the one point of a campaign that is to be played again: what its failure has printed.
var replay = flag.String("store.point", "", "play this one point of a campaign again, as its failure has named it")

// point names a point of a campaign.
type point string

func pointOf(parts ...any) point {
	name := fmt.Sprint(parts[0])
	for _, part := range parts[1:] {
		name += fmt.Sprintf("/%v", part)
	}
	return point(name)
}

// chosen tells whether a point is to be played.
func (p point) chosen() bool { return *replay == "" || *replay == string(p) }

// seed returns a number that depends on the point alone.
func (p point) seed() uint64 {
	h := uint64(14695981039346656037) // FNV-1a
	for _, c := range []byte(p) {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}

const storeDir = "/store"

// onDisk are the options of a store on a simulated disk: everything is small, so that segments roll, journals turn over
// and tables merge within a short history.
func onDisk(d *cutdisk.Disk) store.Options {
	return store.Options{FS: d, SegmentBytes: 8 << 10, WriteBuffer: 4 << 10, ReserveBytes: 64 << 10, ChunkBytes: chunkBytes}
}

// progress is how far a history had come: its first done steps were acknowledged, and the next one may have begun.
type progress struct {
	done  int
	begun bool
}

// unborn stands before the end of Init.
var unborn = progress{done: -1}

// recording is a history with all that it did to a disk. The trace has a progress before each operation where it changes.
type recording struct {
	*history
	trace  *cutdisk.Trace
	repair bool // it is that of a repair, not of the history's making
}

// record plays a history on a simulated disk. LevelDB's own goroutines run between and beside the calls, as the seed says.
func record(t *testing.T, seed uint64, length int) *recording {
	return recordAs(t, identity, seed, length)
}

func recordAs(t *testing.T, id store.Identity, seed uint64, length int) *recording {
	return newHistory(seed, length).record(t, id)
}

func (h *history) record(t *testing.T, id store.Identity) *recording {
	r, seed := &recording{history: h}, h.seed
	inBubble(t, func(t *testing.T) {
		disk := cutdisk.New()
		r.trace = disk.Record()
		c := newSchedule(disk, id, seed)
		disk.Mark(unborn)
		if err := c.Run(func() error { return store.Init(storeDir, id, onDisk(disk)) }); err != nil {
			t.Fatal(err)
		}
		disk.Mark(progress{})
		s := c.open(t)
		for i, step := range r.steps {
			disk.Mark(progress{i, true})
			if step.restart {
				c.close(t, s)
				s = c.open(t)
			} else if err := c.Run(func() error { return step.do(s) }); err != nil {
				t.Fatal(err)
			}
			disk.Mark(progress{done: i + 1})
		}
		c.close(t, s)
	})
	return r
}

// inBubble runs f in a bubble of synctest, and then lets the time pass that LevelDB's last goroutines take to end. It is
// the bubble's time: no clock is waited for, here or in cutdisk's Schedule.
func inBubble(t *testing.T, f func(t *testing.T)) {
	synctest.Test(t, func(t *testing.T) {
		f(t)
		time.Sleep(time.Minute)
	})
}

// schedule runs the calls of one store, and what LevelDB does beside them.
type schedule struct {
	*cutdisk.Schedule
	disk *cutdisk.Disk
	id   store.Identity
}

// newSchedule must be called in a bubble of synctest.
func newSchedule(disk *cutdisk.Disk, id store.Identity, seed uint64) *schedule {
	return &schedule{cutdisk.NewSchedule(disk, &cutdisk.Gate{}, seed), disk, id}
}

func (c *schedule) tryOpen() (s *store.Store, err error) {
	err = c.Run(func() (err error) {
		s, err = store.Open(storeDir, c.id, onDisk(c.disk))
		return err
	})
	return s, err
}

func (c *schedule) open(t *testing.T) *store.Store {
	s, err := c.tryOpen()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (c *schedule) close(t *testing.T, s *store.Store) {
	if err := c.Run(s.Close); err != nil {
		t.Fatal(err)
	}
}
