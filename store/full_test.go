package store_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/store"
	"github.com/hotstuffd/hotstuffd/store/internal/cutdisk"
)

// fulls counts what a campaign has seen.
type fulls struct {
	disks, inits, opens, starts, calls, reads, ahead, stuck, raced, blind, images atomic.Int64
}

func (n *fulls) String() string {
	return fmt.Sprintf("%d full disks: %d noticed by Init, %d by an Open that gave up, %d by one that made do, %d by a call; %d reads of full stores; "+
		"%d times Revive found no room, %d times somebody was faster, %d of these left it closed; %d times the failed write was there; %d images opened",
		n.disks.Load(), n.inits.Load(), n.opens.Load(), n.starts.Load(), n.calls.Load(), n.reads.Load(), n.stuck.Load(), n.raced.Load(), n.blind.Load(), n.ahead.Load(),
		n.images.Load())
}

// The disk may be full at any operation, for good or for a while, and find out when it writes or when it syncs. The call
// fails with ErrFull, and everything acknowledged can be read meanwhile. A power cut then loses none of it. Once there is
// room, Revive takes the store back into use, the failed call is repeated, and all goes on as if nothing had been.
func TestFullDisks(t *testing.T) {
	failsLevelDB(t)
	var n fulls
	t.Run("seeds", func(t *testing.T) {
		for seed := range ofCampaign[uint64](4, 1) {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				r := record(t, 5000+seed, 40)
				operations := int64(r.trace.Len())
				for at := int64(1); at <= operations; at += ofCampaign[int64](17, 61*thinner) {
					for _, kind := range []string{"full", "denied", "denied once"} {
						name := pointOf("full", r.seed, at, kind)
						if !name.chosen() {
							continue
						}
						if err := r.outlives(t, name, at, kind, &n); err != nil {
							t.Fatalf("%v\nagain: go test ./store -run %s -store.point=%s", err, t.Name(), name)
						}
					}
				}
			})
		}
	})
	t.Log(&n)
	if *replay == "" && !raceDetector && (n.inits.Load() == 0 || n.starts.Load() == 0 || n.calls.Load() == 0 || n.stuck.Load() == 0 || n.raced.Load() == 0 || n.blind.Load() == 0) {
		t.Error("a kind of full disk never came: nothing is shown about it")
	}
}

// roomToOpen is enough to open a store that is small, but not for its headroom.
const roomToOpen = 48 << 10

// image is what a power cut finds of a full store.
type image struct {
	disk *cutdisk.Disk
	at   progress
}

// outlives plays the history on a disk that is full at some operation, and at others after it.
func (r *recording) outlives(t *testing.T, name point, at int64, kind string, n *fulls) (err error) {
	rng := rand.New(rand.NewPCG(name.seed(), 5))
	own, events := *r, *r.history
	r, own.history = &own, &events // it learns whether a snapshot has failed
	p := &fullPlay{recording: r, rng: rng, n: n}
	inBubble(t, func(t *testing.T) {
		disk := cutdisk.New()
		p.schedule = newSchedule(disk, identity, name.seed())
		switch kind {
		case "full":
			disk.FillAt(at)
		case "denied":
			disk.Deny(at, 1<<40, name.seed())
		case "denied once":
			disk.Deny(at, 1, name.seed())
		}
		err = p.play()
	})
	n.disks.Add(1)
	var unused cuts
	for _, i := range p.images {
		if err != nil {
			return err
		}
		err = r.survives(i.disk, i.at, &unused)
		n.images.Add(1)
	}
	return err
}

type fullPlay struct {
	*recording
	*schedule
	rng    *rand.Rand
	n      *fulls
	s      *store.Store
	images []image
}

func (p *fullPlay) play() error {
	if err := p.Run(func() error { return store.Init(storeDir, identity, onDisk(p.disk)) }); err != nil {
		p.n.inits.Add(1)
		return expected(err)
	}
	if err := p.start(0); err != nil {
		return err
	}
	for i, step := range p.steps {
		if step.restart {
			if err := p.Run(p.s.Close); err != nil && expected(err) != nil {
				return err
			}
			if err := p.start(i); err != nil {
				return err
			}
			continue
		}
		if err := p.do(i); err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
		if _, err := p.holds(p.s, i+1, false); err != nil {
			return fmt.Errorf("after step %d: %w", i, err)
		}
		if p.rng.IntN(12) == 0 {
			p.disk.FillAt(1 + p.rng.Int64N(30))
		}
	}
	p.disk.Mend()
	if err := p.Run(func() error { return p.goOn(p.s, len(p.steps)) }); !errors.Is(err, store.ErrFull) {
		return errors.Join(err, p.Run(p.s.Close))
	}
	// LevelDB had met the full disk beside the calls.
	return errors.Join(p.Run(p.s.Revive), p.Run(func() error { return p.goOn(p.s, len(p.steps)) }), p.Run(p.s.Close))
}

// do makes the call of a step, again and again while the disk is full.
func (p *fullPlay) do(i int) error {
	const often = 10
	var err error
	for range often {
		if err = p.Run(func() error { return p.steps[i].do(p.s) }); err == nil {
			return nil
		}
		if p.steps[i].snapshot != nil && !p.s.Full() { // it fails alone
			p.lax = true
			return expected(err)
		}
		if err = p.revive(i, err); err != nil {
			return err
		}
	}
	return fmt.Errorf("revived %d times, and full again", often)
}

// start opens the store, on a disk that may be full. It has what done steps have stored.
func (p *fullPlay) start(done int) (err error) {
	for p.s, err = p.tryOpen(); err != nil; p.s, err = p.tryOpen() {
		if !errors.Is(err, store.ErrFull) {
			return fmt.Errorf("start after step %d: %w, want ErrFull", done, err)
		}
		p.n.opens.Add(1)
		p.find(done, false)
		p.disk.Mend()
	}
	if p.s.Full() {
		p.n.starts.Add(1)
		p.find(done, false)
	}
	return p.reads(done, false)
}

// find keeps what a power cut would find now.
func (p *fullPlay) find(done int, begun bool) {
	loss := cutdisk.Loss(p.rng.IntN(int(cutdisk.Losses)))
	found, _ := p.disk.Cut(loss, p.rng.Uint64())
	if p.rng.IntN(4) == 0 {
		found = p.disk.Kill()
	}
	p.images = append(p.images, image{found, progress{done, begun}})
}

// reads looks at all that is stored. A store that could not be opened again says that the disk is full.
func (p *fullPlay) reads(done int, begun bool) error {
	if _, err := p.s.Recover(); errors.Is(err, store.ErrFull) {
		return nil
	}
	if p.s.Full() {
		p.n.reads.Add(1)
	}
	_, err := p.holds(p.s, done, begun)
	return err
}

// revive takes the store back into use after its step has failed, in several attempts.
func (p *fullPlay) revive(done int, failure error) error {
	if !errors.Is(failure, store.ErrFull) || !p.s.Full() {
		return fmt.Errorf("%w, want ErrFull of a store that is full: %v", failure, p.s.Full())
	}
	p.n.calls.Add(1)
	for attempt := 0; ; attempt++ {
		if err := p.reads(done, true); err != nil {
			return fmt.Errorf("read while it is full: %w", err)
		}
		p.find(done, true)
		switch {
		case attempt == 0: // no room
		case attempt == 1 && p.rng.IntN(2) == 0: // somebody takes it again
			p.disk.Mend()
			if at := 1 + p.rng.Int64N(80); p.rng.IntN(2) == 0 {
				p.disk.FillAt(at)
			} else {
				p.disk.Deny(at, 1<<40, p.rng.Uint64()) // the reserve cannot be given up either
			}
		case attempt == 2: // room to open the store, and no headroom
			p.disk.Mend()
			p.disk.Fill(roomToOpen)
		default:
			p.disk.Mend()
		}
		err := p.Run(p.s.Revive)
		if err == nil {
			break
		}
		if !errors.Is(err, store.ErrFull) || attempt > 3 {
			return fmt.Errorf("attempt %d to revive it: %w", attempt, err)
		}
		switch _, unread := p.s.Recover(); {
		case attempt == 0:
			p.n.stuck.Add(1)
		case attempt == 1:
			p.n.raced.Add(1)
			if unread != nil {
				p.n.blind.Add(1)
			}
		case unread != nil:
			return fmt.Errorf("there is room to open it, and a read gives %w", unread)
		}
		if again := p.Run(func() error { return p.steps[done].do(p.s) }); !errors.Is(again, store.ErrFull) {
			return fmt.Errorf("a write while it is full gives: %w", again)
		}
	}
	if held := reserved(p.disk); p.s.Full() || held < onDisk(p.disk).ReserveBytes {
		return fmt.Errorf("revived, and full: %v, with a reserve of %d bytes", p.s.Full(), held)
	}
	has, err := p.holds(p.s, done, true)
	if err == nil && has > done && p.steps[done].batches == nil {
		p.n.ahead.Add(1)
	}
	return err
}

// reserved returns how many bytes the store on a disk holds for when it is full.
func reserved(disk *cutdisk.Disk) int64 {
	f, err := disk.Open(storeDir + "/RESERVE")
	if err != nil {
		return 0
	}
	size, _ := f.Size() // never fails
	return size
}

// A store has its reserve from the start; an Open that finds none makes one. Whoever has filled the disk, a start finds
// room in the reserve: the store can be read at once, and takes writes when there is room for all.
func TestStartOnAFullDisk(t *testing.T) {
	disk := cutdisk.New()
	if err := store.Init(storeDir, identity, onDisk(disk)); err != nil {
		t.Fatal(err)
	}
	if want := onDisk(disk).ReserveBytes; reserved(disk) != want {
		t.Fatalf("a new store holds %d bytes, want %d", reserved(disk), want)
	}
	s := openOn(t, disk)
	appendBatches(t, s, run(0, 2)...)
	vote(t, s, 2)

	disk = disk.Kill()
	disk.Fill(0)
	s = openOn(t, disk)
	if !s.Full() || reserved(disk) != 0 {
		t.Fatalf("full: %v, with a reserve of %d bytes: nothing is shown", s.Full(), reserved(disk))
	}
	if sequence(t, s) != 2 {
		t.Errorf("it stands at %d", sequence(t, s))
	}
	held(t, s, run(0, 2)...)
	again := []hotstuff.Record{hotstuff.BlockRecord{Block: block(3)}, state(3)}
	for _, room := range []int64{0, s.Missing() - 1000} {
		disk.Fill(room)
		if err := s.Revive(); !errors.Is(err, store.ErrFull) {
			t.Errorf("revived with %d bytes of room, where %d are missing: %v", room, s.Missing(), err)
		}
		if err := s.Append(again); !errors.Is(err, store.ErrFull) {
			t.Errorf("a write gives %v, want ErrFull", err)
		}
	}
	disk.Fill(s.Missing() + 1000) // for names
	if err := s.Revive(); err != nil {
		t.Fatal(err)
	}
	if want := onDisk(disk).ReserveBytes; reserved(disk) != want {
		t.Errorf("a revived store holds %d bytes, want %d", reserved(disk), want)
	}
	vote(t, s, 3)

	disk = disk.Kill()
	if err := disk.RemoveAll(storeDir + "/RESERVE"); err != nil {
		t.Fatal(err)
	}
	openOn(t, disk)
	if want := onDisk(disk).ReserveBytes; reserved(disk) != want {
		t.Errorf("an Open that finds no reserve makes one of %d bytes, want %d", reserved(disk), want)
	}
	disk = disk.Kill()
	if err := disk.MkdirAll(storeDir + "/ROOM/7"); err != nil { // as a crash leaves it
		t.Fatal(err)
	}
	openOn(t, disk)
	if _, err := disk.List(storeDir + "/ROOM"); err == nil {
		t.Error("an Open leaves what took room for a look")
	}
}

// A write that meets a full disk frees what it has got, and a little of the reserve: the log may be on the same disk.
func TestFailedWriteLeavesSomeRoom(t *testing.T) {
	disk := cutdisk.New()
	if err := store.Init(storeDir, identity, onDisk(disk)); err != nil {
		t.Fatal(err)
	}
	s := openOn(t, disk)
	disk.Fill(1000) // less than a segment
	if err := s.AppendBatches([]*mempool.Batch{batch(0, 0, 20_000)}); !errors.Is(err, store.ErrFull) {
		t.Fatalf("got %v, want ErrFull", err)
	}
	for _, name := range disk.Files() {
		if strings.HasSuffix(name, ".new") {
			t.Errorf("it leaves %s", name)
		}
	}
	if held, want := reserved(disk), onDisk(disk).ReserveBytes; held >= want || held < want/2 {
		t.Errorf("it holds %d of %d bytes, want a little less than all", held, want)
	}
}

// Whatever has become of the write that met the full disk, it may be repeated after Revive, and another one of the same
// number may not: there is one record 3, whatever happens.
func TestFailedWriteIsRepeated(t *testing.T) {
	found := map[uint64]int{}
	for at := int64(1); ; at++ {
		disk := cutdisk.New()
		if err := store.Init(storeDir, identity, onDisk(disk)); err != nil {
			t.Fatal(err)
		}
		s := openOn(t, disk)
		vote(t, s, 2)
		records := []hotstuff.Record{hotstuff.BlockRecord{Block: block(3)}, state(3)}
		disk.Deny(at, 1, uint64(at))
		err := s.Append(records)
		if err == nil {
			break // more operations than the write has
		}
		if err := s.Revive(); err != nil {
			t.Fatal(err)
		}
		reached := sequence(t, s)
		found[reached]++
		other := state(3)
		other.LastVoted.Signer++
		if reached == 3 {
			if err := s.Append([]hotstuff.Record{other}); err == nil {
				t.Error("the disk has record 3, and another one was written")
			}
		}
		if err := s.Append(records); err != nil {
			t.Errorf("repeated with record %d on the disk: %v", reached, err)
		}
		if err := s.Append([]hotstuff.Record{other}); err == nil {
			t.Error("record 3 was repeated, and another one was written")
		}
		vote(t, s, 4)
		after, _ := disk.Cut(cutdisk.Everything, 0)
		if k := sequence(t, openOn(t, after)); k != 4 {
			t.Errorf("a restart finds record %d, want 4", k)
		}
	}
	if found[2] == 0 || found[3] == 0 {
		t.Errorf("the disk had records %v: one case is not shown", found)
	}
}

// Revive knows what was acknowledged and a restart does not: it refuses, for good, a disk that was put back meanwhile,
// though it looks whole.
func TestRevivedStoreHasWhatWasAcknowledged(t *testing.T) {
	for name, test := range map[string]struct {
		late  func(t *testing.T, s *store.Store) // acknowledged and put back
		parts []string
		want  error
	}{
		"older safety state": {func(t *testing.T, s *store.Store) { vote(t, s, 3) }, []string{"safety", "safety.slots"}, store.ErrSafetyLost},
		"fewer batches":      {func(t *testing.T, s *store.Store) { appendBatches(t, s, run(1, 2)...) }, []string{"payload"}, store.ErrPayloadLost},
		"another record":     {func(t *testing.T, s *store.Store) {}, nil, store.ErrSafetyLost},
	} {
		t.Run(name, func(t *testing.T) {
			disk := newFailingFS()
			s, dir := newStore(t, store.Options{FS: disk, SegmentBytes: options.SegmentBytes, ReserveBytes: options.ReserveBytes})
			appendBatches(t, s, run(0, 1)...)
			vote(t, s, 2)
			before := crash(t, dir)
			test.late(t, s)
			next := sequence(t, s) + 1
			disk.full.Store(true)
			if err := s.Append([]hotstuff.Record{state(next)}); !errors.Is(err, store.ErrFull) {
				t.Fatalf("got %v, want ErrFull", err)
			}
			if test.parts == nil {
				twin := open(t, before, options)
				other := state(next)
				other.LastVoted.Signer++
				if err := twin.Append([]hotstuff.Record{other}); err != nil {
					t.Fatal(err)
				}
				before, test.parts = crash(t, before), []string{"safety", "safety.slots"}
			}
			for _, part := range test.parts {
				replace(t, dir, before, part)
			}
			disk.full.Store(false)
			if err := s.Revive(); !errors.Is(err, test.want) {
				t.Errorf("revived: %v, want %v", err, test.want)
			}
			if err := s.Append([]hotstuff.Record{state(next)}); !errors.Is(err, test.want) {
				t.Errorf("a later write: %v, want %v", err, test.want)
			}
		})
	}
}
