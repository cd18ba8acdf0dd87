package store_test

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/store"
)

// held fails unless the store has exactly these batches of node 1, in this order and to the byte.
func held(t *testing.T, s *store.Store, want ...*mempool.Batch) {
	t.Helper()
	var got []*mempool.Batch
	for b, err := range s.BatchesFrom(1, blocktree.Cursor{}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, b)
	}
	if len(got) != len(want) {
		t.Fatalf("%d batches, want %d", len(got), len(want))
	}
	for i := range want {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Fatalf("batch %d is %+v\nwant %+v", i, got[i].Ref(), want[i].Ref())
		}
	}
}

// run returns batches from to to-1 of one lane, of 1 kB each.
func run(from, to uint64) (batches []*mempool.Batch) {
	for seq := from; seq < to; seq++ {
		batches = append(batches, batch(0, seq, 1000))
	}
	return batches
}

// Batches survive a close and a kill, over many segments, the largest larger than a segment.
func TestBatchesSurvive(t *testing.T) {
	s, dir := newStore(t, options)
	all := append(run(0, 30), batch(0, 30, 20_000), batch(0, 31, 0))
	for _, b := range all {
		appendBatches(t, s, b)
	}
	held(t, open(t, crash(t, dir), options), all...)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, dir, options)
	held(t, again, all...)
	if b, err := again.Batch(all[30].Digest()); err != nil || !reflect.DeepEqual(b, all[30]) {
		t.Errorf("batch of 20 kB: %v", err)
	}
	if _, err := again.Batch(batch(9, 9, 9).Digest()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("unknown batch: %v, want ErrNotFound", err)
	}
	more := batch(0, 32, 1000)
	appendBatches(t, again, more)
	held(t, open(t, crash(t, dir), options), append(all, more)...)
}

// A lane's order is incarnation, then sequence, whatever order batches came in; another origin's are apart.
func TestBatchesFromFollowsTheLanes(t *testing.T) {
	s, _ := newStore(t, options)
	rejoined := &mempool.Batch{Origin: 1, Incarnation: blocktree.Incarnation{Rejoin: 5}}
	other := &mempool.Batch{Origin: 2, Incarnation: blocktree.Incarnation{Starts: 1}, Seq: 300}
	twin := batch(1, 300, 11)
	appendBatches(t, s, rejoined, other, batch(2, 0, 10), batch(1, 300, 10))
	appendBatches(t, s, batch(1, 2, 10), twin, batch(0, 7, 10))

	at := blocktree.Cursor{Incarnation: blocktree.Incarnation{Starts: 1}, Seq: 3}
	var got []blocktree.BatchRef
	for b, err := range s.BatchesFrom(1, at) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, b.Ref())
	}
	first, second := batch(1, 300, 10).Ref(), twin.Ref() // one position: in the order of their digests
	if string(first.Digest[:]) > string(second.Digest[:]) {
		first, second = second, first
	}
	if want := []blocktree.BatchRef{first, second, batch(2, 0, 10).Ref(), rejoined.Ref()}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	for b := range s.BatchesFrom(1, blocktree.Cursor{}) {
		if b.Seq != 7 {
			t.Errorf("first batch has sequence %d, want 7", b.Seq)
		}
		break
	}
}

// A power cut in the middle of AppendBatches: wherever the frame is torn, what came before is there, what was torn is
// not, and the store goes on.
func TestTornSegmentEndIsNormal(t *testing.T) {
	small := store.Options{SegmentBytes: 4 << 10}
	s, dir := newStore(t, small)
	first, lost := batch(0, 0, 30), batch(0, 1, 30)
	appendBatches(t, s, first)
	vote(t, s, 2) // relies on the first
	before := crash(t, dir)
	appendBatches(t, s, lost)
	name := filepath.Join("payload", "00000001.seg")
	old, whole := read(t, filepath.Join(before, name)), read(t, filepath.Join(dir, name))
	start, end := differ(old, whole)
	for at := start; at < end; at += thinner {
		for kind, spoil := range map[string]func(torn []byte){
			"tail lost": func(torn []byte) { copy(torn[at:], old[at:]) },
			"bit lost":  func(torn []byte) { torn[at] ^= 0x40 },
		} {
			torn := append([]byte(nil), whole...)
			spoil(torn)
			image := crash(t, before)
			write(t, filepath.Join(image, name), torn)
			again, err := store.Open(image, identity, small)
			if err != nil {
				t.Fatalf("%s at %d of %d: %v", kind, at-start, end-start, err)
			}
			held(t, again, first)
			appendBatches(t, again, batch(0, 1, 40))
			held(t, again, first, batch(0, 1, 40))
			if err := again.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// differ returns where two files begin to differ and where that ends.
func differ(a, b []byte) (start, end int) {
	for start = 0; a[start] == b[start]; start++ {
	}
	for end = len(a); a[end-1] == b[end-1]; end-- {
	}
	return start, end
}

// What a torn write leaves is wiped: here the commands in it look like the frame that comes next.
func TestTornFrameCannotForgeALaterOne(t *testing.T) {
	s, dir := newStore(t, options)
	forged := batch(3, 0, 50)
	appendBatches(t, s, forged)
	segment := filepath.Join("payload", "00000001.seg")
	const sector = 512
	frame := append([]byte(nil), read(t, filepath.Join(dir, segment))[sector:2*sector]...)
	binary.BigEndian.PutUint64(frame[4:], 2) // as the second frame
	length := binary.BigEndian.Uint32(frame[12:])
	table := crc32.MakeTable(crc32.Castagnoli)
	binary.BigEndian.PutUint32(frame[16:], crc32.Update(crc32.Checksum(frame[4:16], table), table, frame[20:20+length]))

	s, dir = newStore(t, options)
	torn := crash(t, dir)
	image := read(t, filepath.Join(torn, segment))
	copy(image[2*sector:], frame) // the head of the first frame is lost, this is its body
	write(t, filepath.Join(torn, segment), image)
	again := open(t, torn, options)
	honest := batch(0, 0, 50) // one sector: the next frame stands where the forged one stood
	appendBatches(t, again, honest)
	held(t, open(t, crash(t, torn), options), honest)
	held(t, s)
}

// S17: what a vote relies on is there, or the replica does not vote.
func TestLostFramesThatVotesRelyOnAreRefused(t *testing.T) {
	s, dir := newStore(t, options)
	appendBatches(t, s, run(0, 2)...)
	before := crash(t, dir)
	appendBatches(t, s, run(2, 4)...)
	name := filepath.Join("payload", "00000001.seg")
	start, _ := differ(read(t, filepath.Join(before, name)), read(t, filepath.Join(dir, name)))

	unvouched := crash(t, dir)
	replace(t, unvouched, before, name)
	held(t, open(t, unvouched, options), run(0, 2)...)

	vote(t, s, 2)
	for _, index := range []string{"index kept", "index lost"} {
		rolled, flipped := crash(t, dir), crash(t, dir)
		replace(t, rolled, before, name)
		write(t, filepath.Join(flipped, name), flip(read(t, filepath.Join(flipped, name)), start+30))
		for _, image := range []string{rolled, flipped} {
			if index == "index lost" {
				remove(t, image, "payload/index")
			}
			refused(t, image, store.ErrPayloadLost)
		}
	}
}

// A batch that rots on disk is an error when it is read, never another batch.
func TestDamagedBatchIsAnError(t *testing.T) {
	s, dir := newStore(t, options)
	appendBatches(t, s, run(0, 3)...)
	name := filepath.Join(dir, "payload", "00000001.seg")
	write(t, name, flip(read(t, name), 1200)) // in the first one's blob
	if _, err := s.Batch(batch(0, 0, 1000).Digest()); !errors.Is(err, store.ErrPayloadLost) {
		t.Errorf("got %v, want ErrPayloadLost", err)
	}
	held := 0
	for _, err := range s.BatchesFrom(1, blocktree.Cursor{}) {
		if held++; !errors.Is(err, store.ErrPayloadLost) {
			t.Errorf("lane: got %v, want ErrPayloadLost", err)
		}
	}
	if held != 1 {
		t.Errorf("%d batches from a lane that is damaged at its head, want one error", held)
	}
}

// The index is a cache: lost, old, or with a hole, it is made again from the segments.
func TestIndexIsRebuilt(t *testing.T) {
	s, dir := newStore(t, options)
	empty := crash(t, dir)
	for _, b := range run(0, 10) {
		appendBatches(t, s, b)
	}
	ten := crash(t, dir)
	for _, b := range run(10, 20) {
		appendBatches(t, s, b)
	}
	vote(t, s, 2)
	t.Run("lost", func(t *testing.T) {
		image := crash(t, dir)
		remove(t, image, "payload/index")
		held(t, open(t, image, options), run(0, 20)...)
	})
	for name, old := range map[string]string{"empty": empty, "old": ten} {
		t.Run(name, func(t *testing.T) {
			image := crash(t, dir)
			replace(t, image, old, "payload/index")
			held(t, open(t, image, options), run(0, 20)...)
		})
	}
	t.Run("hole", func(t *testing.T) {
		image := crash(t, dir)
		journal := newest(t, image, "payload/index/*.log")
		write(t, journal, flip(read(t, journal), 300))
		held(t, open(t, image, options), run(0, 20)...)
	})
	t.Run("of other segments", func(t *testing.T) {
		other, otherDir := newStore(t, options)
		appendBatches(t, other, run(50, 90)...)
		image := crash(t, dir)
		replace(t, image, otherDir, "payload/index")
		held(t, open(t, image, options), run(0, 20)...)
	})
}

// Segments are numbered and name their first frame: none can be lost, cut, or swapped for another's unseen.
func TestDamagedSegmentsAreLoss(t *testing.T) {
	s, dir := newStore(t, options)
	for _, b := range run(0, 30) {
		appendBatches(t, s, b)
	}
	unvouched := crash(t, dir)
	vote(t, s, 2)
	segment := func(n string) string { return filepath.Join("payload", n+".seg") }
	for name, spoil := range map[string]func(image string){
		"middle missing": func(image string) { remove(t, image, segment("00000003")) },
		"newest missing": func(image string) {
			name := newest(t, image, "payload/*.seg")
			remove(t, image, filepath.Join("payload", filepath.Base(name)))
		},
		"middle cut": func(image string) {
			name := filepath.Join(image, segment("00000003"))
			write(t, name, read(t, name)[:3000])
			remove(t, image, "payload/index")
		},
		"header flipped": func(image string) {
			name := newest(t, image, "payload/*.seg")
			write(t, name, flip(read(t, name), 20))
		},
		"header cut": func(image string) { write(t, newest(t, image, "payload/*.seg"), nil) },
		"swapped": func(image string) {
			write(t, filepath.Join(image, segment("00000004")), read(t, filepath.Join(image, segment("00000002"))))
			remove(t, image, "payload/index")
		},
	} {
		t.Run(name, func(t *testing.T) {
			image := crash(t, dir)
			spoil(image)
			refused(t, image, store.ErrPayloadLost)
		})
	}
	// Frames before a later segment were synced, whether or not a vote relies on them.
	name := filepath.Join(unvouched, segment("00000003"))
	write(t, name, flip(read(t, name), 1500))
	remove(t, unvouched, "payload/index")
	refused(t, unvouched, store.ErrPayloadLost)
}

// A crash while the next segment was in the making leaves a temporary file, which goes.
func TestSegmentInTheMakingIsRemoved(t *testing.T) {
	s, dir := newStore(t, options)
	appendBatches(t, s, run(0, 2)...)
	image := crash(t, dir)
	write(t, filepath.Join(image, "payload", "00000002.seg.new"), []byte("half"))
	again := open(t, image, options)
	held(t, again, run(0, 2)...)
	if names, err := filepath.Glob(filepath.Join(image, "payload", "*.new")); len(names) != 0 || err != nil {
		t.Errorf("left behind: %v, %v", names, err)
	}
}
