package store_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/store"
	"github.com/hotstuffd/hotstuffd/store/internal/cutdisk"
)

const chunkBytes = 1 << 10

// withSnapshots are options under which a snapshot of some kilobytes has several chunks.
var withSnapshots = store.Options{SegmentBytes: options.SegmentBytes, ChunkBytes: chunkBytes}

// snapshotOf returns the bytes of the snapshot of a height: more chunks than are written without a sync, at some heights.
func snapshotOf(height qc.Height) []byte {
	data := make([]byte, []int{0, 700, chunkBytes, 3*chunkBytes + 100, 9*chunkBytes + 1}[height%5])
	for i := range data {
		data[i] = byte(i/chunkBytes) ^ byte(i) ^ byte(height)
	}
	return data
}

// metaOf returns the description of snapshotOf, under a certificate that not all replicas have.
func metaOf(height qc.Height) store.SnapshotMeta {
	data := snapshotOf(height)
	m := store.SnapshotMeta{Certificate: certified(height).Certificate, Bytes: int64(len(data)), Chunks: [][32]byte{}}
	m.Certificate.Signature[0] = 1
	for chunk := range slices.Chunk(data, chunkBytes) {
		m.Chunks = append(m.Chunks, sha256.Sum256(chunk))
	}
	return m
}

// take writes and commits the snapshot of a height.
func take(s *store.Store, height qc.Height) (store.SnapshotMeta, error) {
	w, err := s.CreateSnapshot(height)
	if err != nil {
		return store.SnapshotMeta{}, err
	}
	defer w.Abort()
	for piece := range slices.Chunk(snapshotOf(height), 900) {
		if _, err := w.Write(piece); err != nil {
			return store.SnapshotMeta{}, err
		}
	}
	if err := w.Finish(); err != nil {
		return store.SnapshotMeta{}, err
	}
	return w.Commit(certified(height).Certificate)
}

// giveUp writes a snapshot and aborts it.
func giveUp(s *store.Store, height qc.Height) error {
	w, err := s.CreateSnapshot(height)
	if err != nil {
		return err
	}
	if _, err := w.Write(snapshotOf(height)); err != nil {
		return err
	}
	return w.Abort()
}

// receive gets the chunks that are missing, at most so many, and commits if that is all.
func receive(s *store.Store, height qc.Height, most int) error {
	r, err := s.ReceiveSnapshot(metaOf(height))
	if err != nil {
		return err
	}
	defer r.Close()
	missing := r.Missing()
	slices.Reverse(missing)
	for _, i := range missing[:min(len(missing), most)] {
		if err := r.Put(i, chunkOf(height, i)); err != nil {
			return err
		}
	}
	if len(missing) > most {
		return r.Close()
	}
	reader, err := r.Open()
	if err != nil {
		return err
	}
	data, err := io.ReadAll(reader)
	if err := errors.Join(err, reader.Close()); err != nil {
		return err
	}
	if !bytes.Equal(data, snapshotOf(height)) {
		return fmt.Errorf("snapshot %d has other bytes before its commit", height)
	}
	_, err = r.Commit()
	return err
}

func chunkOf(height qc.Height, index int) []byte {
	data := snapshotOf(height)[index*chunkBytes:]
	return data[:min(len(data), chunkBytes)]
}

// heights returns the heights of the listed snapshots.
func heights(s *store.Store) (list []qc.Height) {
	for _, m := range s.Snapshots() {
		list = append(list, m.Height())
	}
	return list
}

// listed fails unless exactly these snapshots are listed, newest first, and are whole.
func listed(t *testing.T, s *store.Store, want ...qc.Height) {
	t.Helper()
	if got := heights(s); !slices.Equal(got, want) {
		t.Errorf("snapshots %v, want %v", got, want)
	}
	for _, m := range s.Snapshots() {
		if err := readWhole(s, m); err != nil {
			t.Error(err)
		}
	}
}

// readWhole reads a snapshot in both ways. An error other than ErrChunk is one of the store's promises broken.
func readWhole(s *store.Store, m store.SnapshotMeta) error {
	want := metaOf(m.Height())
	if m.Root() != want.Root() {
		return fmt.Errorf("snapshot %d is described as another", m.Height())
	}
	reader, err := s.OpenSnapshot(m.Height())
	if err != nil {
		return err
	}
	defer reader.Close()
	data, err := io.ReadAll(reader)
	if !bytes.HasPrefix(snapshotOf(m.Height()), data) {
		return fmt.Errorf("snapshot %d reads as other bytes", m.Height())
	}
	for i := range m.Chunks {
		chunk, e := s.SnapshotChunk(nil, m.Height(), i)
		if e == nil && !bytes.Equal(chunk, chunkOf(m.Height(), i)) {
			return fmt.Errorf("chunk %d of snapshot %d has other bytes", i, m.Height())
		}
		err = errors.Join(err, e)
	}
	if err == nil && len(data) != len(snapshotOf(m.Height())) {
		return fmt.Errorf("snapshot %d ends after %d bytes", m.Height(), len(data))
	}
	return err
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// snapshotFiles returns the names in the directory of snapshots.
func snapshotFiles(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "snapshots"))
	must(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// What was committed comes back after a kill and after a close, of every size; the newest two are kept.
func TestSnapshotsSurvive(t *testing.T) {
	s, dir := newStore(t, withSnapshots)
	listed(t, s)
	for height := qc.Height(1); height <= 9; height++ {
		m, err := take(s, height)
		must(t, err)
		want := metaOf(height)
		if m.Root() != want.Root() || m.Bytes != want.Bytes || m.Height() != height {
			t.Errorf("snapshot %d: %+v, want %+v", height, m, want)
		}
		kept := []qc.Height{height, height - 1}[:min(height, 2)]
		listed(t, s, kept...)
		listed(t, open(t, crash(t, dir), withSnapshots), kept...)
	}
	if _, err := s.SnapshotChunk(nil, 7, 0); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a chunk of a snapshot that was removed: %v, want ErrNotFound", err)
	}
	if _, err := s.OpenSnapshot(7); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a snapshot that was removed: %v, want ErrNotFound", err)
	}
	for _, index := range []int{-1, len(metaOf(9).Chunks)} {
		if _, err := s.SnapshotChunk(nil, 9, index); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("chunk %d: %v, want ErrNotFound", index, err)
		}
	}
	must(t, s.Close())
	listed(t, open(t, dir, withSnapshots), 9, 8)
	if got, want := snapshotFiles(t, dir), []string{"00000008.meta", "00000008.snap", "00000009.meta", "00000009.snap"}; !slices.Equal(got, want) {
		t.Errorf("files %v, want %v", got, want)
	}
}

// Snapshots that somebody is reading outlive newer ones, within a bound, until they are held no more.
func TestHeldSnapshotsStay(t *testing.T) {
	s, _ := newStore(t, withSnapshots)
	after := func(height qc.Height, want ...qc.Height) {
		t.Helper()
		_, err := take(s, height)
		must(t, err)
		listed(t, s, want...)
	}
	after(1, 1)
	after(2, 2, 1)
	after(3, 3, 2)
	s.HoldSnapshots(2)
	after(4, 4, 3, 2)
	after(5, 5, 4, 3, 2)
	after(6, 6, 5, 4, 3) // the bound
	s.HoldSnapshots(math.MaxUint64)
	after(7, 7, 6)
}

// An older one that comes late is not kept in place of a newer one.
func TestOlderSnapshotIsNotKept(t *testing.T) {
	s, dir := newStore(t, withSnapshots)
	for _, height := range []qc.Height{8, 9, 3} {
		_, err := take(s, height)
		must(t, err)
	}
	listed(t, s, 9, 8)
	listed(t, open(t, crash(t, dir), withSnapshots), 9, 8)
}

// Real chunks have a size of their own, that replicas agree on.
func TestChunksOfAMebibyte(t *testing.T) {
	s, _ := newStore(t, options)
	w, err := s.CreateSnapshot(1)
	must(t, err)
	data := bytes.Repeat([]byte("snapshot"), 300_000)
	_, err = w.Write(data)
	must(t, errors.Join(err, w.Finish()))
	m, err := w.Commit(certified(1).Certificate)
	must(t, err)
	if len(m.Chunks) != 3 || m.Chunks[2] != sha256.Sum256(data[2<<20:]) {
		t.Errorf("%d chunks of %d bytes", len(m.Chunks), m.Bytes)
	}
	if chunk, err := s.SnapshotChunk(nil, 1, 1); err != nil || len(chunk) != store.SnapshotChunkBytes {
		t.Errorf("chunk of %d bytes, %v", len(chunk), err)
	}
}

// hollowFS takes all writes and keeps nothing.
type hollowFS struct{ store.FS }

type hollowFile struct{ store.File }

func (f hollowFS) Create(name string) (store.File, error) {
	file, err := f.FS.Create(name)
	return hollowFile{file}, err
}

func (hollowFile) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }
func (hollowFile) Sync() error                            { return nil }

// A snapshot that could not be described is given up: nobody would take it, this replica included.
func TestSnapshotIsTooLarge(t *testing.T) {
	s, dir := newStore(t, options)
	must(t, s.Close())
	s = open(t, dir, store.Options{FS: hollowFS{store.OS}, ChunkBytes: 1})
	for size, want := range map[int]bool{store.SnapshotChunksMax: true, store.SnapshotChunksMax + 1: false} {
		w, err := s.CreateSnapshot(1)
		must(t, err)
		n, err := w.Write(make([]byte, size))
		if n != store.SnapshotChunksMax || (err == nil) != want {
			t.Errorf("%d bytes of %d were taken, %v", n, size, err)
		}
		if err := w.Finish(); (err == nil) != want {
			t.Errorf("finished: %v", err)
		}
		must(t, w.Abort())
	}
}

// The root is the same on all replicas that have the same state, and another one for whatever else is in the description.
func TestRootNamesTheStateAlone(t *testing.T) {
	base := metaOf(3)
	seen := map[[32]byte]string{base.Root(): "the state"}
	for name, change := range map[string]func(*store.SnapshotMeta){
		"height": func(m *store.SnapshotMeta) { m.Certificate.Checkpoint.Height++ },
		"block":  func(m *store.SnapshotMeta) { m.Certificate.Checkpoint.Block[1]++ },
		"digest": func(m *store.SnapshotMeta) { m.Certificate.Checkpoint.Digest[1]++ },
		"bytes":  func(m *store.SnapshotMeta) { m.Bytes++ },
		"chunk":  func(m *store.SnapshotMeta) { m.Chunks[1][1]++ },
		"chunks": func(m *store.SnapshotMeta) { m.Chunks = m.Chunks[:2] },
	} {
		m := metaOf(3)
		change(&m)
		if other, ok := seen[m.Root()]; ok {
			t.Errorf("another %s has the root of %s", name, other)
		}
		seen[m.Root()] = name
	}
	m := metaOf(3)
	m.Certificate.Signers[0] ^= 2
	m.Certificate.Signature[5]++
	if m.Root() != base.Root() {
		t.Error("the root depends on who has signed")
	}
}

// A writer ends by Commit, by Abort, or with the process; then the next one may begin. Nothing is listed before Commit.
func TestOneWriterAtATime(t *testing.T) {
	s, dir := newStore(t, withSnapshots)
	w, err := s.CreateSnapshot(4)
	must(t, err)
	_, err = w.Write(snapshotOf(4))
	must(t, err)
	if _, err := s.CreateSnapshot(5); err == nil {
		t.Error("a second writer began")
	}
	if _, err := w.Commit(certified(4).Certificate); err == nil {
		t.Error("committed before Finish")
	}
	must(t, w.Finish())
	if _, err := w.Write([]byte("more")); err == nil {
		t.Error("written to after Finish")
	}
	if _, err := w.Commit(certified(5).Certificate); err == nil {
		t.Error("committed with the certificate of another height")
	}
	listed(t, s)
	left := crash(t, dir)
	listed(t, open(t, left, withSnapshots))
	if names := snapshotFiles(t, left); len(names) > 0 {
		t.Errorf("left behind: %v", names)
	}
	must(t, w.Abort())
	if _, err := w.Write(nil); !errors.Is(err, store.ErrClosed) {
		t.Errorf("written to after Abort: %v, want ErrClosed", err)
	}
	if names := snapshotFiles(t, dir); len(names) > 0 {
		t.Errorf("left behind: %v", names)
	}
	_, err = take(s, 5)
	must(t, err)
	w, err = s.CreateSnapshot(6)
	must(t, err)
	must(t, s.Close())
	if _, err := w.Write([]byte("x")); !errors.Is(err, store.ErrClosed) {
		t.Errorf("written to after Close: %v, want ErrClosed", err)
	}
	listed(t, open(t, dir, withSnapshots), 5)
}

// A snapshot of a height that is there already takes its place: the same one at once, another one after it is gone.
func TestSnapshotIsReplaced(t *testing.T) {
	s, dir := newStore(t, withSnapshots)
	_, err := take(s, 3)
	must(t, err)
	name := filepath.Join(dir, "snapshots", "00000003.snap")
	write(t, name, flip(read(t, name), 50))
	if err := readWhole(s, metaOf(3)); !errors.Is(err, store.ErrChunk) {
		t.Fatalf("got %v, want ErrChunk", err)
	}
	must(t, receive(s, 3, 100))
	listed(t, s, 3)

	w, err := s.CreateSnapshot(3)
	must(t, err)
	_, err = w.Write([]byte("other"))
	must(t, errors.Join(err, w.Finish()))
	m, err := w.Commit(certified(3).Certificate)
	must(t, err)
	for _, s := range []*store.Store{s, open(t, crash(t, dir), withSnapshots)} {
		chunk, err := s.SnapshotChunk(nil, 3, 0)
		if got := s.Snapshots(); len(got) != 1 || got[0].Root() != m.Root() || string(chunk) != "other" || err != nil {
			t.Errorf("%d snapshots, %q, %v", len(got), chunk, err)
		}
	}
}

// A reader goes on with a snapshot that is removed under it, as peers that fetch it slowly hope.
func TestReaderOutlivesItsSnapshot(t *testing.T) {
	s, _ := newStore(t, withSnapshots)
	_, err := take(s, 3)
	must(t, err)
	reader, err := s.OpenSnapshot(3)
	must(t, err)
	head := make([]byte, 100)
	_, err = io.ReadFull(reader, head)
	must(t, err)
	for height := qc.Height(4); height <= 5; height++ {
		_, err := take(s, height)
		must(t, err)
	}
	rest, err := io.ReadAll(reader)
	must(t, errors.Join(err, reader.Close()))
	if !bytes.Equal(append(head, rest...), snapshotOf(3)) {
		t.Error("it reads as other bytes")
	}
}

// A flipped byte anywhere in a snapshot's files is noticed: it is not listed, or reading it is an error.
func TestDamagedSnapshotIsNoticed(t *testing.T) {
	s, dir := newStore(t, withSnapshots)
	_, err := take(s, 3)
	must(t, err)
	must(t, s.Close())
	for _, name := range []string{"00000003.snap", "00000003.meta"} {
		whole := read(t, filepath.Join(dir, "snapshots", name))
		for _, damaged := range [][]byte{whole[:len(whole)-1], append(slices.Clone(whole), 0), {}, flip(whole, 0), flip(whole, 20),
			flip(whole, 60), flip(whole, 100), flip(whole, len(whole)-1)} {
			image := crash(t, dir)
			write(t, filepath.Join(image, "snapshots", name), damaged)
			s := open(t, image, withSnapshots)
			if len(damaged) != len(whole) || strings.HasSuffix(name, ".meta") {
				listed(t, s)
				if left := snapshotFiles(t, image); len(left) > 0 {
					t.Errorf("left behind: %v", left)
				}
			} else if err := readWhole(s, s.Snapshots()[0]); !errors.Is(err, store.ErrChunk) {
				t.Errorf("a flipped byte in %s: %v, want ErrChunk", name, err)
			}
			vote(t, s, 2)
		}
	}
	image := crash(t, dir)
	write(t, filepath.Join(image, "snapshots", "00000009.meta"), read(t, filepath.Join(image, "snapshots", "00000003.meta")))
	write(t, filepath.Join(image, "snapshots", "00000009.snap"), read(t, filepath.Join(image, "snapshots", "00000003.snap")))
	listed(t, open(t, image, withSnapshots), 3)
}

// Before format 4 slots had no copies, and nothing but the state in them.
func toFormat3(t *testing.T, slots []byte) (old []byte) {
	t.Helper()
	const header, sum = 84, 52
	for i := range 2 {
		slot := make([]byte, slotBytes)
		old = append(old, slot...)
		slot = old[i*slotBytes:]
		now := slots[i*slotBytes:]
		if string(now[:8]) != "hsd-slt2" {
			t.Fatalf("slot %d begins with %q", i, now[:8])
		}
		length := copy(slot[header:], now[header+12:header+12+binary.BigEndian.Uint32(now[header+8:])])
		copy(slot, "hsd-slot")
		copy(slot[8:], now[8:48]) // owner and k
		binary.BigEndian.PutUint32(slot[48:], uint32(length))
		hash := sha256.Sum256(slices.Concat(slot[:sum], slot[header:header+length]))
		copy(slot[sum:], hash[:])
	}
	return old
}

// A store of an older format is opened, and its format is raised: the directory of snapshots is made where it is missing, and
// slots get their copies. But a store of this format whose slots have none has lost them.
func TestOlderFormatIsRaised(t *testing.T) {
	s, dir := newStore(t, withSnapshots)
	vote(t, s, 2)
	must(t, s.Close())
	mine := string(read(t, filepath.Join(dir, "CHAIN")))
	older := strings.Replace(mine, "format 4\n", "format 1\n", 1)
	name := filepath.Join(dir, "safety.slots")
	write(t, name, toFormat3(t, read(t, name)))
	refused(t, crash(t, dir), store.ErrSafetyLost)
	write(t, filepath.Join(dir, "CHAIN"), []byte(older))
	remove(t, dir, "snapshots")
	again := open(t, dir, withSnapshots)
	if got := string(read(t, filepath.Join(dir, "CHAIN"))); got != mine || older == mine {
		t.Errorf("CHAIN is %q, want %q", got, mine)
	}
	if got := sequence(t, again); got != 2 {
		t.Errorf("safety state %d, want 2", got)
	}
	_, err := take(again, 3)
	must(t, err)
	listed(t, open(t, crash(t, dir), withSnapshots), 3)
	for k := uint64(3); k <= 5; k++ {
		vote(t, again, k)
		for _, slot := range []int{int(k%2) * slotBytes, slotCopies + int(k%2)*slotBytes} {
			image := crash(t, dir)
			flipIn(t, filepath.Join(image, "safety.slots"), slot+100)
			if got := sequence(t, open(t, image, withSnapshots)); got != k {
				t.Errorf("slot at %d flipped: safety state %d, want %d", slot, got, k)
			}
		}
	}
}

// A disk that is full, or fails, while a snapshot is written or received: the snapshot fails, its file is gone, and the store
// goes on with all else.
func TestSnapshotsFailAlone(t *testing.T) {
	for name, call := range map[string]func(*store.Store) error{
		"taken":    func(s *store.Store) error { _, err := take(s, 9); return err },
		"received": func(s *store.Store) error { return receive(s, 9, 100) },
		"in part":  func(s *store.Store) error { return receive(s, 9, 5) },
	} {
		for after := int64(1); ; after++ {
			disk := cutdisk.New()
			must(t, store.Init(storeDir, identity, onDisk(disk)))
			s := openOn(t, disk)
			for height := qc.Height(7); height <= 8; height++ {
				_, err := take(s, height)
				must(t, err)
			}
			if disk.Fail(after, 1, uint64(after)); after%3 == 0 {
				disk.Mend()
				disk.Fill(400 * after)
			}
			err := call(s)
			disk.Mend()
			if err != nil && expected(err) != nil {
				t.Fatalf("%s: %v", name, err)
			}
			vote(t, s, 2)
			appendBatches(t, s, run(0, 1)...)
			got := heights(s)
			whole := slices.Equal(got, []qc.Height{8, 7}) || slices.Equal(got, []qc.Height{9, 8})
			if !whole || err == nil && name != "in part" && got[0] != 9 {
				t.Fatalf("%s, operation %d: snapshots %v after %v", name, after, got, err)
			}
			listed(t, s, got...)
			if err != nil {
				for _, file := range disk.Files() {
					if strings.HasPrefix(file, "store/snapshots/00000009") && got[0] != 9 {
						t.Errorf("%s, operation %d: %s is left after %v", name, after, file, err)
					}
				}
			}
			must(t, receive(s, 9, 100))
			listed(t, s, 9, 8)
			if err == nil && after%3 != 0 {
				break
			}
		}
	}
}

// onTrace plays what a call does to a disk, and gives each disk that a cut may leave, and before it the one of a kill.
func onTrace(t *testing.T, call func(*store.Store) error, look func(killed *cutdisk.Disk, cuts []*cutdisk.Disk)) {
	t.Helper()
	disk := cutdisk.New()
	must(t, store.Init(storeDir, identity, onDisk(disk)))
	s := openOn(t, disk)
	_, err := take(s, 3)
	must(t, err)
	trace := disk.Record()
	must(t, call(s))
	for p := trace.Play(); ; {
		var cuts []*cutdisk.Disk
		for loss := range cutdisk.Losses {
			for seed := range uint64(3) {
				image, _ := p.Disk.Cut(loss, seed)
				cuts = append(cuts, image)
			}
		}
		look(p.Disk.Kill(), cuts)
		if !p.Next() {
			return
		}
	}
}

// The store cannot be written: one line says which directory, and what to do, and nothing was touched.
func TestReadOnlyDirectoryIsRefused(t *testing.T) {
	s, dir := newStore(t, withSnapshots)
	must(t, s.Close())
	for name, fs := range refusing {
		fs.FS = store.OS
		o := withSnapshots
		o.FS = fs
		before := files(t, dir)
		_, openErr := store.Open(dir, identity, o)
		_, rejoinErr := store.Rejoin(dir, identity, o, store.RejoinOptions{Discard: true})
		for call, err := range map[string]error{"open": openErr, "init": store.Init(dir, identity, o), "rejoin": rejoinErr} {
			if !errors.Is(err, store.ErrReadOnly) || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), dir) {
				t.Errorf("%s, %s: %v\nwant one line with the directory and ErrReadOnly", name, call, err)
			}
		}
		if !reflect.DeepEqual(files(t, dir), before) {
			t.Errorf("%s: the store was touched", name)
		}
	}
}
