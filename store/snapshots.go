package store

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/hotstuffd/hotstuffd/qc"
)

// snapshots is the directory of snapshots. A snapshot is two files: its bytes and its description. It is there when both
// are, and the bytes take their name last, when the description is durable: so one that is received in part keeps what it
// has until it is there. Nothing here gates a vote: a write that fails is an error of the snapshot alone.
type snapshots struct {
	fs         FS
	dir        string
	id         Identity
	chunkBytes int64
	list       atomic.Pointer[[]SnapshotMeta] // newest first; never changed, only replaced
	held       *atomic.Uint64                 // the store's: from this height up, snapshotsHeld are kept; nil in a view, which keeps none

	damaged []qc.Height // removed by Open

	mu       sync.Mutex        // of the names in the directory, and of what follows
	writer   *SnapshotWriter   // nil: none
	receiver *SnapshotReceiver // nil: none
}

const (
	snapshotsDir  = "snapshots"
	snapshotsKept = 2 // the newest
	snapshotsHeld = 4 // the newest, as long as they are held

	dataSuffix = ".snap" // the bytes
	metaSuffix = ".meta" // what they are
	partSuffix = ".part" // what is received of them
	wantSuffix = ".want" // what is being received

	// syncedChunks is after how many chunks a file in the making is synced: one sync of it all at the end would keep the disk
	// busy for long, and votes waiting.
	syncedChunks = 8
)

func snapshotName(height qc.Height, suffix string) string {
	return fmt.Sprintf("%08d%s", height, suffix)
}

// snapshotHeight returns the height in a name that snapshotName gives with a suffix.
func snapshotHeight(name, suffix string) (height qc.Height, ok bool) {
	digits, ok := strings.CutSuffix(name, suffix)
	n, err := strconv.ParseUint(digits, 10, 64)
	return qc.Height(n), ok && err == nil && snapshotName(qc.Height(n), suffix) == name
}

func newSnapshots(o Options, dir string, id Identity) *snapshots {
	x := &snapshots{fs: o.FS, dir: join(dir, snapshotsDir), id: id, chunkBytes: o.ChunkBytes}
	x.list.Store(new([]SnapshotMeta))
	return x
}

// HoldSnapshots has newer snapshots leave those from a height up, as long as they are among the newest four: somebody is
// reading them. Of the others the newest two are kept. Without a call, and after a start, none is held.
func (s *Store) HoldSnapshots(from qc.Height) { s.held.Store(uint64(from)) }

// DamagedSnapshots returns the heights of the snapshots that Open, or View, has found with both their files and not whole: the
// description is damaged, or not that of the bytes. Open has removed them.
func (s *Store) DamagedSnapshots() []qc.Height { return s.snapshots.damaged }

// openSnapshots lists the snapshots and removes what a crash has left of others.
func openSnapshots(o Options, dir string, id Identity, held *atomic.Uint64) (*snapshots, error) {
	x := newSnapshots(o, dir, id)
	x.held = held
	names, err := x.fs.List(x.dir)
	if errors.Is(err, fs.ErrNotExist) { // an older store
		return x, x.fs.MkdirAll(x.dir)
	}
	if err != nil {
		return nil, err
	}
	// A process that was killed may have given a snapshot its name and not synced the directory.
	if err := x.fs.SyncDir(x.dir); err != nil {
		return nil, err
	}
	list, damaged, err := x.readAll()
	if err != nil {
		return nil, err
	}
	x.damaged = damaged
	list = list[:min(len(list), snapshotsKept)]
	x.list.Store(&list)
	for _, name := range names {
		if !x.belongs(name, names) {
			if err := x.fs.RemoveAll(join(x.dir, name)); err != nil {
				return nil, err
			}
		}
	}
	return x, nil
}

func newestFirst(a, b SnapshotMeta) int {
	if a.Height() > b.Height() {
		return -1
	}
	return 1
}

// belongs tells whether a file is a listed snapshot's, or one of the two of a snapshot that is being received.
func (x *snapshots) belongs(name string, names []string) bool {
	if strings.HasSuffix(name, temporarySuffix) {
		return false
	}
	for _, suffix := range []string{dataSuffix, metaSuffix} {
		if height, ok := snapshotHeight(name, suffix); ok {
			_, listed := x.find(height)
			return listed
		}
	}
	for suffix, other := range map[string]string{partSuffix: wantSuffix, wantSuffix: partSuffix} {
		if height, ok := snapshotHeight(name, suffix); ok {
			return slices.Contains(names, snapshotName(height, other))
		}
	}
	return true // not ours
}

// read returns the description of a snapshot; whole is false if it is damaged or the file of the snapshot has another size.
func (x *snapshots) read(height qc.Height) (m SnapshotMeta, whole bool, err error) {
	m, ok, err := x.readMeta(height, metaSuffix)
	if !ok || err != nil {
		return m, false, err
	}
	f, err := x.fs.Open(join(x.dir, snapshotName(height, dataSuffix)))
	if errors.Is(err, fs.ErrNotExist) {
		return m, false, nil
	}
	if err != nil {
		return m, false, err
	}
	size, err := f.Size()
	return m, size == m.Bytes, errors.Join(err, f.Close())
}

// readMeta reads a description; ok is false if it is damaged or not there.
func (x *snapshots) readMeta(height qc.Height, suffix string) (m SnapshotMeta, ok bool, err error) {
	const most = metaHeader + 4096 + SnapshotChunksMax*40 // more than any
	data, err := readSmall(x.fs, join(x.dir, snapshotName(height, suffix)), most)
	if errors.Is(err, fs.ErrNotExist) {
		return m, false, nil
	}
	if err != nil {
		return m, false, err
	}
	m, ok = parseMeta([]byte(data), x.id.owner(), x.id.Limits)
	return m, ok && m.fits(x.chunkBytes) && m.Height() == height, nil
}

func (x *snapshots) whole() []SnapshotMeta { return slices.Clone(*x.list.Load()) }

func (x *snapshots) find(height qc.Height) (m SnapshotMeta, ok bool) {
	for _, m := range *x.list.Load() {
		if m.Height() == height {
			return m, true
		}
	}
	return m, false
}

// place makes a snapshot of a temporary file whose bytes are synced, and then keeps the newest two, and what is held. If it fails the file is
// gone, unless it is placed and an older one could not be removed. x.mu is held.
func (x *snapshots) place(temporary string, m *SnapshotMeta) (placed bool, err error) {
	old, again := x.find(m.Height())
	again = again && old.Root() == m.Root()
	if err := x.give(temporary, m, again); err != nil {
		errs := []error{err, x.fs.RemoveAll(join(x.dir, temporary))}
		if !again { // else it is whole, by the old bytes or by the same ones
			errs = append(errs, x.remove(m.Height()))
		}
		return false, errors.Join(errs...)
	}
	list := slices.DeleteFunc(x.whole(), func(o SnapshotMeta) bool { return o.Height() == m.Height() })
	list = append(list, *m)
	slices.SortFunc(list, newestFirst)
	x.list.Store(&list)
	var errs []error
	for i, o := range list {
		if held := i < snapshotsHeld && uint64(o.Height()) >= x.held.Load(); i >= snapshotsKept && !held {
			errs = append(errs, x.remove(o.Height()))
		}
	}
	return true, errors.Join(errs...)
}

// give makes the description durable, and then gives the bytes their name. A snapshot that is there already keeps its files
// up to that moment if it is the same one, damaged as it may be. Another one of that height must go first: a crash would
// otherwise leave the one's bytes with the other's description.
func (x *snapshots) give(temporary string, m *SnapshotMeta, again bool) error {
	meta, err := sealMeta(x.id.owner(), m)
	if err != nil {
		return err
	}
	if _, ok := parseMeta(meta, x.id.owner(), x.id.Limits); !ok || !m.fits(x.chunkBytes) {
		return errors.New("its certificate or size is not one of this chain")
	}
	if !again {
		if err := x.remove(m.Height()); err != nil {
			return err
		}
		if err := x.fs.SyncDir(x.dir); err != nil {
			return err
		}
	}
	if err := writeFile(x.fs, x.dir, snapshotName(m.Height(), metaSuffix), meta, 0); err != nil {
		return err
	}
	if err := x.fs.Rename(join(x.dir, temporary), join(x.dir, snapshotName(m.Height(), dataSuffix))); err != nil {
		return err
	}
	return x.fs.SyncDir(x.dir)
}

// remove takes a snapshot off the list and removes its files.
func (x *snapshots) remove(height qc.Height) error {
	list := slices.DeleteFunc(x.whole(), func(m SnapshotMeta) bool { return m.Height() == height })
	x.list.Store(&list)
	return errors.Join(x.fs.RemoveAll(join(x.dir, snapshotName(height, metaSuffix))),
		x.fs.RemoveAll(join(x.dir, snapshotName(height, metaSuffix+temporarySuffix))),
		x.fs.RemoveAll(join(x.dir, snapshotName(height, dataSuffix))))
}

// removeAll removes the files whose names have a suffix and any height but one.
func (x *snapshots) removeAll(suffix string, but qc.Height) error {
	names, err := x.fs.List(x.dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if height, ok := snapshotHeight(name, suffix); ok && height != but {
			if err := x.fs.RemoveAll(join(x.dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// close closes the files in the making and leaves them to the next Open.
func (x *snapshots) close() error {
	var errs []error
	if x.writer != nil && x.writer.f != nil {
		errs = append(errs, x.writer.f.Close())
	}
	if x.receiver != nil && x.receiver.f != nil {
		errs = append(errs, x.receiver.f.Close())
	}
	return errors.Join(errs...)
}
