package store_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/store"
	"github.com/hotstuffd/hotstuffd/store/internal/cutdisk"
)

// lasting returns a batch of node 1 with the sequence and an expiry.
func lasting(seq uint64, expiry qc.Height) *mempool.Batch {
	b := &mempool.Batch{Origin: 1, Seq: seq, Expiry: expiry, Blob: make([]byte, 1000)}
	b.Digest()
	return b
}

// chain appends the blocks of heights from to to, each of which names the batch of its height, and commits them.
func chain(t testing.TB, s *store.Store, from, to qc.Height) {
	t.Helper()
	for h := from; h <= to; h++ {
		b := lasting(uint64(h), 1000)
		appendBatches(t, s, b)
		sibling := block(h)
		sibling.View++
		records := []hotstuff.Record{hotstuff.BlockRecord{Block: block(h, b.Ref())}, hotstuff.BlockRecord{Block: &blocktree.Block{Epoch: 1,
			Height: h, View: qc.View(h) + 1, Justify: block(h).Justify}}}
		c := hotstuff.CommitRecord{Height: h, Block: block(h, b.Ref()).ID(), Lanes: lanesAt(h)}
		if err := s.Append(append(records, c)); err != nil {
			t.Fatal(err)
		}
	}
}

// lanesAt returns the lanes after the chain's block of a height.
func lanesAt(h qc.Height) blocktree.Lanes {
	lanes := make(blocktree.Lanes, nodes)
	lanes[1].Seq = uint64(h) + 1
	return lanes
}

// keeps fails unless the store has the chain from floor to top, and nothing below.
func keeps(t *testing.T, s *store.Store, floor, top qc.Height) {
	t.Helper()
	if s.Floor() != floor {
		t.Errorf("floor %d, want %d", s.Floor(), floor)
	}
	for h := qc.Height(1); h <= top; h++ {
		b := lasting(uint64(h), 1000)
		id, ok, err := s.CommittedID(h)
		if ok != (h >= floor) || err != nil || ok && id != block(h, b.Ref()).ID() {
			t.Errorf("committed at %d: %v, %v", h, ok, err)
		}
		if _, err := s.Block(block(h, b.Ref()).ID()); h >= floor && err != nil || h < floor && !errors.Is(err, store.ErrNotFound) {
			t.Errorf("block %d: %v", h, err)
		}
		passed := floor > 0 && h <= floor
		if _, err := s.Batch(b.Digest()); !passed && err != nil || passed && !errors.Is(err, store.ErrNotFound) {
			t.Errorf("batch of block %d: %v", h, err)
		}
	}
	above, err := s.BlocksAbove(0)
	if want := int(2 * (top - max(floor, 1) + 1)); err != nil || len(above) != want {
		t.Errorf("%d blocks, %v, want %d", len(above), err, want)
	}
	var seqs []uint64
	for b, err := range s.BatchesFrom(1, blocktree.Cursor{}) {
		must(t, err)
		seqs = append(seqs, b.Seq)
	}
	if want := int(top - floor); len(seqs) != want || want > 0 && seqs[0] != uint64(floor)+1 {
		t.Errorf("batches %v, want %d from %d on", seqs, want, floor+1)
	}
	if id, ok, err := s.CommittedID(0); id != genesis.ID() || !ok || err != nil {
		t.Errorf("genesis: %v, %v", ok, err)
	}
}

// segmentsIn returns the names of the segments of a store.
func segmentsIn(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "payload", "*.seg"))
	must(t, err)
	for i := range names {
		names[i] = filepath.Base(names[i])
	}
	return names
}

// What lies below the floor goes, files included, and stays away; what lies at it and above stays. The index comes to the
// same when it is made again.
func TestPrune(t *testing.T) {
	s, dir := newStore(t, options)
	chain(t, s, 1, 40)
	before := segmentsIn(t, dir)
	for _, floor := range []qc.Height{0, 1, 20, 19, 20, 33} {
		must(t, s.Prune(floor, lanesAt(floor)))
		top := max(s.Floor(), floor)
		keeps(t, s, top, 40)
		image := crash(t, dir)
		keeps(t, open(t, image, options), top, 40)
		image = crash(t, dir)
		remove(t, image, "payload/index")
		keeps(t, open(t, image, options), top, 40)
	}
	for _, b := range []uint64{1, 20, 33} {
		if ok, err := s.HasBatch(lasting(b, 1000).Digest()); ok || err != nil {
			t.Errorf("batch %d: %v, %v", b, ok, err)
		}
	}
	after := segmentsIn(t, dir)
	if want := before[33/5:]; !slices.Equal(after, want) { // a segment has room for five of the batches
		t.Errorf("segments %v, want %v", after, want)
	}
	chain(t, s, 41, 60)
	keeps(t, s, 33, 60)
	must(t, s.Close())
	s = open(t, dir, options)
	keeps(t, s, 33, 60)
	must(t, s.Prune(60, lanesAt(60)))
	keeps(t, s, 60, 60)
	if left := segmentsIn(t, dir); len(left) != 1 {
		t.Errorf("segments %v, want the newest one alone", left)
	}
	vote(t, s, 2) // vouches for all frames there ever were
	keeps(t, open(t, crash(t, dir), options), 60, 60)
}

// A caller with a bug is told, and nothing goes.
func TestPruneRefusesWhatIsNotCommitted(t *testing.T) {
	s, _ := newStore(t, options)
	chain(t, s, 1, 5)
	for name, err := range map[string]error{
		"a height above the commits": s.Prune(6, lanesAt(6)),
		"lanes of no one":            s.Prune(3, nil),
	} {
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	keeps(t, s, 0, 5)
}

// A batch that no block has named before it expired is in nobody's way, nor is one of a lane that was closed.
func TestPruneTakesWhatHasExpired(t *testing.T) {
	s, dir := newStore(t, options)
	var expired []*mempool.Batch
	for seq := range uint64(30) {
		expired = append(expired, lasting(500+seq, 7))
		appendBatches(t, s, expired[seq])
	}
	late := lasting(700, 8)
	appendBatches(t, s, late) // after six whole segments
	chain(t, s, 1, 9)
	must(t, s.Prune(7, lanesAt(7)))
	if left := segmentsIn(t, dir); left[0] != "00000007.seg" {
		t.Errorf("segments %v, want those from the late batch's on", left)
	}
	for _, s := range []*store.Store{s, open(t, crash(t, dir), options)} {
		for _, b := range expired {
			if _, err := s.Batch(b.Digest()); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("an expired batch: %v, want ErrNotFound", err)
			}
		}
		if _, err := s.Batch(late.Digest()); err != nil {
			t.Errorf("a batch that block 8 may name: %v", err)
		}
	}
	for _, b := range expired {
		if ok, err := s.HasBatch(b.Digest()); ok || err != nil {
			t.Errorf("an expired batch in a segment that is gone: %v, %v", ok, err)
		}
	}
	appendBatches(t, s, expired[0]) // somebody sends it again
	if _, err := s.Batch(expired[0].Digest()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an expired batch, stored again: %v, want ErrNotFound", err)
	}
}

// An index that a crash has put back names segments that are gone: that is no damage.
func TestIndexMayNameSegmentsThatAreGone(t *testing.T) {
	s, dir := newStore(t, options)
	chain(t, s, 1, 40)
	old := crash(t, dir)
	must(t, s.Prune(40, lanesAt(40)))
	image := crash(t, dir)
	replace(t, image, old, "payload/index")
	again := open(t, image, options)
	if ok, err := again.HasBatch(lasting(1, 1000).Digest()); ok || err != nil {
		t.Errorf("a batch in a segment that is gone: %v, %v", ok, err)
	}
	keeps(t, again, 40, 40)
	must(t, again.Prune(40, lanesAt(40)))
	keeps(t, again, 40, 40)
	keeps(t, open(t, crash(t, image), options), 40, 40)
}

// A segment may be missing at the front if Prune has given it up, and nowhere else. One that is given up and still there goes.
func TestOnlyPruneTakesSegments(t *testing.T) {
	s, dir := newStore(t, options)
	chain(t, s, 1, 40)
	whole := crash(t, dir)
	must(t, s.Prune(20, lanesAt(20)))
	left := segmentsIn(t, dir)
	for name, lost := range map[string]string{"the front": left[0], "the middle": left[1]} {
		image := crash(t, dir)
		remove(t, image, filepath.Join("payload", lost))
		t.Run(name, func(t *testing.T) { refused(t, image, store.ErrPayloadLost) })
	}
	remove(t, whole, "payload/00000001.seg")
	t.Run("the front of a whole store", func(t *testing.T) { refused(t, whole, store.ErrPayloadLost) })

	s, dir = newStore(t, options)
	chain(t, s, 1, 40)
	kept := crash(t, dir)
	must(t, s.Prune(20, lanesAt(20)))
	image := crash(t, dir)
	for _, name := range []string{"00000001.seg", "00000003.seg"} {
		replace(t, image, kept, filepath.Join("payload", name))
	}
	again := open(t, image, options)
	keeps(t, again, 20, 40)
	if got := segmentsIn(t, image); !slices.Equal(got, segmentsIn(t, dir)) {
		t.Errorf("segments %v, want those that Prune has left", got)
	}
}

// What cannot be read is not given up: there may be batches behind the damage.
func TestPruneStopsAtDamage(t *testing.T) {
	s, dir := newStore(t, options)
	chain(t, s, 1, 40)
	name := filepath.Join(dir, "payload", "00000002.seg")
	write(t, name, flip(read(t, name), 3000))
	if err := s.Prune(40, lanesAt(40)); !errors.Is(err, store.ErrPayloadLost) {
		t.Fatalf("got %v, want ErrPayloadLost", err)
	}
	if left := segmentsIn(t, dir); left[0] > "00000002.seg" {
		t.Errorf("segments %v: the damaged one is gone", left)
	}
}

// Records and batches are appended, and read, while Prune is at work; the race detector watches.
func TestPruneBesideAppends(t *testing.T) {
	s, dir := newStore(t, options)
	chain(t, s, 1, 60)
	var wg sync.WaitGroup
	wg.Go(func() { chain(t, s, 61, 90) })
	wg.Go(func() {
		for h := qc.Height(1); h <= 60; h += 7 {
			if err := s.Prune(h, lanesAt(h)); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Go(func() {
		for h := qc.Height(1); h <= 60; h++ {
			if _, err := s.Batch(lasting(uint64(h), 1000).Digest()); err != nil && !errors.Is(err, store.ErrNotFound) {
				t.Error(err)
			}
			if _, err := s.BlocksAbove(0); err != nil {
				t.Error(err)
			}
			for _, err := range s.BatchesFrom(1, blocktree.Cursor{}) {
				if err != nil {
					t.Error(err)
				}
			}
		}
	})
	wg.Wait()
	keeps(t, s, 57, 90)
	keeps(t, open(t, crash(t, dir), options), 57, 90)
}

// Prune rests between its steps, and in a rest anything else can be done: records are appended, batches are read, and the store
// can be closed, which ends it.
func TestPruneRests(t *testing.T) {
	var s *store.Store
	rests := qc.Height(0)
	o := options
	o.Rest = func() {
		rests++
		chain(t, s, 40+rests, 40+rests)
		if _, err := s.Batch(lasting(uint64(40+rests), 1000).Digest()); err != nil {
			t.Error(err)
		}
	}
	s, dir := newStore(t, o)
	chain(t, s, 1, 40)
	must(t, s.Prune(33, lanesAt(33)))
	if rests < 5 { // a segment has room for five of the batches
		t.Errorf("%d rests, want one between any two steps", rests)
	}
	keeps(t, s, 33, 40+rests)
	must(t, s.Close())

	o.Rest = func() { must(t, s.Close()) }
	s = open(t, dir, o)
	if err := s.Prune(36, lanesAt(36)); !errors.Is(err, store.ErrClosed) {
		t.Errorf("prune: %v, want %v", err, store.ErrClosed)
	}
	keeps(t, open(t, dir, options), 36, 40+rests)
}

// closingFS closes the store, beside the call that removes the first segment.
type closingFS struct {
	store.FS
	close func()
}

func (f *closingFS) RemoveAll(name string) error {
	if strings.HasSuffix(name, ".seg") && f.close != nil {
		go f.close()
		f.close = nil
	}
	return f.FS.RemoveAll(name)
}

// Close ends Prune between two steps. The next process sees the floor at once, and finishes the work when it is told to.
func TestCloseEndsPrune(t *testing.T) {
	fs := &closingFS{FS: store.OS}
	o := options
	o.FS = fs
	s, dir := newStore(t, o)
	chain(t, s, 1, 200)
	closed := make(chan error, 1)
	fs.close = func() { closed <- s.Close() }
	err := s.Prune(200, lanesAt(200))
	if fs.close != nil {
		t.Fatalf("no segment was removed: %v", err)
	}
	must(t, <-closed)
	if err != nil && !errors.Is(err, store.ErrClosed) {
		t.Fatal(err)
	}
	again := open(t, dir, options)
	keeps(t, again, 200, 200)
	must(t, again.Prune(200, lanesAt(200)))
	if left := segmentsIn(t, dir); len(left) != 1 {
		t.Errorf("segments %v, want one", left)
	}
}

// A write that fails ends the store, as any write does that later ones rely on.
func TestFailedPruneEndsTheStore(t *testing.T) {
	failsLevelDB(t)
	disk := cutdisk.New()
	must(t, store.Init(storeDir, identity, onDisk(disk)))
	s := openOn(t, disk)
	chain(t, s, 1, 40)
	disk.Fail(1, 1, 1)
	if err := s.Prune(20, lanesAt(20)); !errors.Is(err, cutdisk.ErrIO) {
		t.Fatalf("got %v, want the disk's error", err)
	}
	if _, err := s.Recover(); !errors.Is(err, cutdisk.ErrIO) {
		t.Errorf("then: %v, want the same", err)
	}
}
