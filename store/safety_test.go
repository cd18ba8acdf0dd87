package store_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/store"
)

const (
	slotBytes  = 1 << 20
	slotCopies = 2 * slotBytes // where the copies of both begin
)

// flipIn flips bits in a file, at each of some places.
func flipIn(t testing.TB, name string, places ...int) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, at := range places {
		var b [1]byte
		if _, err := f.ReadAt(b[:], int64(at)); err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(flip(b[:], 0), int64(at)); err != nil {
			t.Fatal(err)
		}
	}
}

// settle has LevelDB sync all that it holds.
func settle(t testing.TB, s *store.Store) {
	t.Helper()
	if err := s.Append([]hotstuff.Record{certified(1)}); err != nil {
		t.Fatal(err)
	}
}

func flip(data []byte, at int) []byte {
	data = append([]byte(nil), data...)
	data[at] ^= 0x40
	return data
}

// S13: a start without any one part of the store refuses. Absence always means loss.
func TestMissingPartsAreLoss(t *testing.T) {
	s, dir := newStore(t, options)
	vote(t, s, 2)
	appendBatches(t, s, batch(0, 0, 100))
	settle(t, s)
	vote(t, s, 3)
	for part, want := range map[string]error{
		".":                    store.ErrSafetyLost,
		"CHAIN":                store.ErrSafetyLost,
		"safety.slots":         store.ErrSafetyLost,
		"safety":               store.ErrSafetyLost,
		"safety/CURRENT":       store.ErrSafetyLost,
		"safety/MANIFEST-*":    store.ErrSafetyLost,
		"safety/*.log":         store.ErrSafetyLost,
		"payload":              store.ErrPayloadLost,
		"payload/00000001.seg": store.ErrPayloadLost,
	} {
		t.Run(part, func(t *testing.T) {
			image := crash(t, dir)
			if err := os.RemoveAll(newest(t, image, part)); err != nil {
				t.Fatal(err)
			}
			refused(t, image, want)
		})
	}
}

// Either slot may be torn or flipped, or a copy, or both of them: there is the other, or LevelDB has that state, or the slot is
// the older one. Then the store goes on.
func TestOneBadSlotIsRepaired(t *testing.T) {
	s, dir := newStore(t, options)
	vote(t, s, 2)
	vote(t, s, 3)
	for _, slot := range []int{0, slotBytes} { // of states 2 and 3
		for _, bad := range [][]int{{slot}, {slot, slotCopies + slot}} {
			offsets := []int{0, 8, 40, 47, 50, 52, 84, 100}
			if len(bad) > 1 {
				offsets = offsets[:1]
			}
			for _, at := range offsets {
				image := crash(t, dir)
				for _, slot := range bad {
					flipIn(t, filepath.Join(image, "safety.slots"), slot+at)
				}
				again := open(t, image, options)
				if k := sequence(t, again); k != 3 {
					t.Fatalf("slots at %d flipped at %d: restarted at record %d, want 3", bad, at, k)
				}
				vote(t, again, 4)
				open(t, crash(t, image), options)
			}
		}
	}
}

func TestTwoBadSlotsAreLoss(t *testing.T) {
	s, dir := newStore(t, options)
	vote(t, s, 2)
	name := filepath.Join(dir, "safety.slots")
	whole := crash(t, dir)
	flipIn(t, name, 90, slotBytes+90, slotCopies+90)
	refused(t, crash(t, dir), store.ErrSafetyLost)
	for _, size := range []int64{2*slotCopies - 1, slotCopies, slotBytes + 1, 1, 0} {
		if err := os.Truncate(filepath.Join(whole, "safety.slots"), size); err != nil {
			t.Fatal(err)
		}
		refused(t, crash(t, whole), store.ErrSafetyLost)
	}
}

// What LevelDB has not synced is in the newest slot, and in its copy: whatever becomes of it, and of one of those two, all is
// there after a crash. At some point LevelDB is synced, and then a slot need carry nothing: it does not grow for ever.
func TestSlotCarriesWhatLevelDBLacks(t *testing.T) {
	s, dir := newStore(t, options)
	behind, synced := crash(t, dir), uint64(1) // LevelDB as of its last sync
	carried := 0
	for k := uint64(2); k <= 24; k++ {
		vote(t, s, k)
		image := crash(t, dir)
		replace(t, image, behind, "safety")
		flipIn(t, filepath.Join(image, "safety.slots"), int(k%2)*slotBytes+int(k/2%2)*slotCopies+100)
		again, err := store.Open(image, identity, options)
		if errors.Is(err, store.ErrSafetyLost) { // the slot says that LevelDB has been synced since
			if k-synced < 8 {
				t.Fatalf("LevelDB was synced with record %d and with %d", synced, k)
			}
			behind, synced = crash(t, dir), k
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		carried++
		if got := sequence(t, again); got != k {
			t.Fatalf("LevelDB of record %d: restarted at %d, want %d", synced, got, k)
		}
		for i := uint64(2); i <= k; i++ {
			if _, err := again.Block(block(qc.Height(i)).ID()); err != nil {
				t.Fatalf("LevelDB of record %d, slot %d: block %d: %v", synced, k, i, err)
			}
		}
		vote(t, again, k+1)
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
		if got := sequence(t, open(t, image, options)); got != k+1 {
			t.Fatalf("went on to record %d, want %d", got, k+1)
		}
	}
	if carried < 20 || synced == 1 {
		t.Errorf("%d of 23 records were in their slot alone, and LevelDB was synced with record %d", carried, synced)
	}
}

// The crash may come between the two writes: LevelDB is one ahead. Open then finishes the second write, or the next
// crash, in the middle of the write after it, would leave no whole slot.
func TestLevelDBOneAheadIsFinished(t *testing.T) {
	s, dir := newStore(t, options)
	vote(t, s, 2)
	behind := crash(t, dir)
	vote(t, s, 3)
	image := crash(t, dir)
	replace(t, image, behind, "safety.slots")
	again := open(t, image, options)
	if k := sequence(t, again); k != 3 {
		t.Fatalf("restarted at record %d, want 3", k)
	}
	vote(t, again, 4)
	torn := crash(t, image)
	flipIn(t, filepath.Join(torn, "safety.slots"), 0*slotBytes+100) // state 4 torn
	if k := sequence(t, open(t, torn, options)); k != 4 {
		t.Errorf("restarted at record %d, want 4", k)
	}
}

// Amnesia: either place put back from an older copy refuses; so does a state with the right number and other content.
func TestRolledBackStoreIsLoss(t *testing.T) {
	s, dir := newStore(t, options)
	vote(t, s, 2)
	two := crash(t, dir)
	vote(t, s, 3)
	settle(t, s)
	vote(t, s, 4)
	for name, c := range map[string]struct{ part, image string }{
		"LevelDB by two": {"safety", two},
		"slots by two":   {"safety.slots", two},
	} {
		t.Run(name, func(t *testing.T) {
			image := crash(t, dir)
			replace(t, image, c.image, c.part)
			refused(t, image, store.ErrSafetyLost)
		})
	}
	t.Run("LevelDB by what gates nothing", func(t *testing.T) { // as a floor, or a commit
		vote(t, s, 5)
		five := crash(t, dir)
		settle(t, s)
		vote(t, s, 6)
		image := crash(t, dir)
		replace(t, image, five, "safety")
		refused(t, image, store.ErrSafetyLost)
	})
	t.Run("another history", func(t *testing.T) {
		ourDir, otherDir := crash(t, two), crash(t, two)
		ours, other := open(t, ourDir, options), open(t, otherDir, options)
		vote(t, ours, 3)
		three := state(3)
		three.LockView = 77
		if err := other.Append([]hotstuff.Record{three}); err != nil {
			t.Fatal(err)
		}
		image := crash(t, ourDir)
		replace(t, image, crash(t, otherDir), "safety")
		refused(t, image, store.ErrSafetyLost)
		vote(t, ours, 4) // its slot would lead on from another state
		image = crash(t, ourDir)
		replace(t, image, crash(t, otherDir), "safety")
		refused(t, image, store.ErrSafetyLost)
	})
}

// A flipped bit anywhere in what LevelDB has synced is found, or changes nothing: no record vanishes in silence.
func TestFlippedJournalByteIsFound(t *testing.T) {
	s, dir := newStore(t, options)
	for k := uint64(2); k <= 7; k++ {
		vote(t, s, k)
	}
	settle(t, s)
	vote(t, s, 8)
	journal := newest(t, filepath.Join(dir, "safety"), "*.log")
	size := len(read(t, journal))
	if size < 2000 {
		t.Fatalf("the journal has %d bytes: it does not hold the records", size)
	}
	found := 0
	for at := 0; at < size; at += 97 {
		image := crash(t, dir)
		name := filepath.Join(image, "safety", filepath.Base(journal))
		write(t, name, flip(read(t, name), at))
		again, err := store.Open(image, identity, options)
		if err != nil {
			found++
			continue
		}
		blocks, err := again.BlocksAbove(0)
		if err != nil || len(blocks) != 7 || sequence(t, again) != 8 {
			t.Errorf("byte %d flipped: opened with %d blocks at record %d, %v", at, len(blocks), sequence(t, again), err)
		}
		if err := again.Close(); err != nil {
			t.Error(err)
		}
	}
	if found == 0 {
		t.Error("no flipped byte was found")
	}
}

// The same with a journal of several LevelDB blocks of 32 KiB: a damaged one must not be skipped.
func TestDamagedJournalBlockIsNotSkipped(t *testing.T) {
	s, dir := newStore(t, options)
	records := []hotstuff.Record{state(2)}
	for h := qc.Height(1); h <= 200; h++ {
		records = append(records, hotstuff.BlockRecord{Block: block(h)})
	}
	for k := uint64(2); k <= 4; k++ {
		records[0] = state(k)
		if err := s.Append(records); err != nil {
			t.Fatal(err)
		}
	}
	journal := newest(t, filepath.Join(dir, "safety"), "*.log")
	for at := 1000; at < len(read(t, journal)); at += 32 << 10 {
		image := crash(t, dir)
		name := filepath.Join(image, "safety", filepath.Base(journal))
		write(t, name, flip(read(t, name), at))
		refused(t, image, store.ErrSafetyLost)
	}
}

// A power cut in the middle of a LevelDB write leaves a torn record, which nobody relies on: wherever it is torn, the
// store opens, at the record before it or at it, and goes on.
func TestTornJournalEndIsNormal(t *testing.T) {
	s, dir := newStore(t, options)
	vote(t, s, 2)
	before := crash(t, dir)
	vote(t, s, 3)
	journal := newest(t, filepath.Join(dir, "safety"), "*.log")
	base := filepath.Base(journal)
	whole := read(t, journal)
	start := len(read(t, filepath.Join(before, "safety", base)))
	for at := start; at < len(whole); at += 61 {
		for name, end := range map[string][]byte{"cut": nil, "zeros": make([]byte, len(whole)-at)} {
			torn := append(whole[:at:at], end...)
			want := uint64(2)
			if bytes.Equal(torn, whole) {
				want = 3 // its last bytes are zeros themselves
			}
			image := crash(t, before)
			write(t, filepath.Join(image, "safety", base), torn)
			again := open(t, image, options)
			if k := sequence(t, again); k != want {
				t.Fatalf("torn after %d of %d bytes (%s): restarted at record %d, want %d", at-start, len(whole)-start, name, k, want)
			}
			vote(t, again, want+1)
			if k := sequence(t, open(t, crash(t, image), options)); k != want+1 {
				t.Fatalf("torn after %d bytes (%s): then at record %d, want %d", at-start, name, k, want+1)
			}
		}
	}
}

// One write may be larger than LevelDB's write buffer (here 2.5 times), and the journal turns over as it grows: what a kill finds is the
// newest record through all of it.
func TestLargeWritesSurvive(t *testing.T) {
	o := options
	o.WriteBuffer = 1 << 20
	s, dir := newStore(t, o)
	payload := make([]blocktree.BatchRef, 64)
	var records []hotstuff.Record
	for h := qc.Height(1); h <= 900; h++ {
		records = append(records, hotstuff.BlockRecord{Block: block(h, payload...)})
	}
	for k := uint64(2); k <= 4; k++ {
		if err := s.Append(append(records, state(k))); err != nil {
			t.Fatal(err)
		}
		again := open(t, crash(t, dir), o)
		if got := sequence(t, again); got != k {
			t.Fatalf("restarted at record %d, want %d", got, k)
		}
		if blocks, err := again.BlocksAbove(0); err != nil || len(blocks) != len(records) {
			t.Fatalf("%d blocks, %v; want %d", len(blocks), err, len(records))
		}
	}
}
