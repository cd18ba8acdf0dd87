package store

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"github.com/hotstuffd/hotstuffd/qc"
)

// SnapshotReceiver takes the chunks of a snapshot of another replica, in any order. Its methods may be called by several
// goroutines. After a failed write its file is gone and every call returns the failure; the store is not touched by it.
type SnapshotReceiver struct {
	s    *Store
	meta SnapshotMeta

	mu       sync.Mutex
	f        File
	have     []bool // by chunk
	missing  int
	unsynced int   // chunks
	err      error // what every later call returns; ErrClosed after Commit, Abort and Close
}

// ReceiveSnapshot begins to receive a snapshot, or goes on with one of the same root that a Close or a crash has left: what
// is there of it is hashed again and kept. What is there of another one goes. There is at most one receiver at a time: it
// ends by Commit, Abort, Close, or a failure.
// Expected errors: ErrSnapshotMeta.
func (s *Store) ReceiveSnapshot(meta SnapshotMeta) (*SnapshotReceiver, error) {
	r, found, err := s.beginReceiver(meta)
	if err == nil && found {
		err = r.resume()
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// beginReceiver opens the file; found is whether it was there.
func (s *Store) beginReceiver(meta SnapshotMeta) (r *SnapshotReceiver, found bool, err error) {
	if err := s.beginWrite(); err != nil {
		return nil, false, err
	}
	defer s.end()
	x := s.snapshots
	if !meta.fits(x.chunkBytes) {
		return nil, false, ErrSnapshotMeta
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.receiver != nil {
		return nil, false, fmt.Errorf("store: snapshot %d: that of height %d is still received", meta.Height(), x.receiver.meta.Height())
	}
	r = &SnapshotReceiver{s: s, meta: meta, have: make([]bool, len(meta.Chunks)), missing: len(meta.Chunks)}
	if r.f, found, err = x.openPart(&meta); err != nil {
		return nil, false, fmt.Errorf("store: snapshot %d: %w", meta.Height(), err)
	}
	x.receiver = r
	return r, found, nil
}

// openPart opens the file of what was received of a snapshot, or makes it. x.mu is held.
func (x *snapshots) openPart(m *SnapshotMeta) (f File, found bool, err error) {
	for _, suffix := range []string{partSuffix, wantSuffix} {
		if err := x.removeAll(suffix, m.Height()); err != nil {
			return nil, false, err
		}
	}
	name := join(x.dir, snapshotName(m.Height(), partSuffix))
	want, ok, err := x.readMeta(m.Height(), wantSuffix)
	if err != nil {
		return nil, false, err
	}
	if ok && want.Root() == m.Root() {
		if f, err = x.fs.Open(name); err == nil || !errors.Is(err, fs.ErrNotExist) {
			return f, true, err
		}
	}
	data, err := sealMeta(x.id.owner(), m)
	if err != nil {
		return nil, false, err
	}
	if f, err = x.fs.Create(name); err != nil {
		return nil, false, err
	}
	if err := writeFile(x.fs, x.dir, snapshotName(m.Height(), wantSuffix), data, 0); err != nil {
		return nil, false, errors.Join(err, f.Close(), x.removePart(m.Height()))
	}
	return f, false, nil
}

func (x *snapshots) removePart(height qc.Height) error {
	var errs []error
	for _, suffix := range []string{partSuffix, wantSuffix, wantSuffix + temporarySuffix} {
		errs = append(errs, x.fs.RemoveAll(join(x.dir, snapshotName(height, suffix))))
	}
	return errors.Join(errs...)
}

// resume finds out which chunks are there. Reading all of a large snapshot takes long: Close need not wait for it.
func (r *SnapshotReceiver) resume() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	x := r.s.snapshots
	var size int64
	var buf []byte
	for i := -1; i < len(r.meta.Chunks); i++ {
		if err := r.begin(); err != nil {
			return err
		}
		var err error
		if i < 0 {
			size, err = r.adopt()
		} else if int64(i)*x.chunkBytes+r.meta.chunkSize(i, x.chunkBytes) <= size {
			var chunk []byte
			if chunk, err = x.chunk(r.f, &r.meta, i, buf); err == nil {
				r.have[i] = true
				r.missing--
				buf = chunk
			} else if errors.Is(err, ErrChunk) {
				err = nil
			}
		}
		if err != nil {
			err = r.fail(err)
		}
		if r.s.end(); err != nil {
			return err
		}
	}
	return nil
}

// adopt makes durable what a process before this one has left in the file, and returns its size.
func (r *SnapshotReceiver) adopt() (int64, error) {
	if err := r.f.Reread(); err != nil {
		return 0, err
	}
	size, err := r.f.Size()
	if err == nil && size > r.meta.Bytes {
		size, err = r.meta.Bytes, r.f.Truncate(r.meta.Bytes)
	}
	return size, err
}

// begin starts a call, as Store.begin does. r.mu is held.
func (r *SnapshotReceiver) begin() error {
	if r.err != nil {
		return r.err
	}
	return r.s.begin()
}

// Missing returns which chunks are missing, in ascending order.
func (r *SnapshotReceiver) Missing() []int {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]int, 0, r.missing)
	for i, have := range r.have {
		if !have {
			list = append(list, i)
		}
	}
	return list
}

// Put stores a chunk. One that is there already is not stored again.
// Expected errors: ErrChunk, if there is no such chunk or its size or its hash is another: nothing is written then.
func (r *SnapshotReceiver) Put(index int, chunk []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.begin(); err != nil {
		return err
	}
	defer r.s.end()
	x := r.s.snapshots
	if index < 0 || index >= len(r.have) || int64(len(chunk)) != r.meta.chunkSize(index, x.chunkBytes) ||
		sha256.Sum256(chunk) != r.meta.Chunks[index] {
		return fmt.Errorf("store: chunk %d of snapshot %d: %w", index, r.meta.Height(), ErrChunk)
	}
	if r.have[index] {
		return nil
	}
	if _, err := r.f.WriteAt(chunk, int64(index)*x.chunkBytes); err != nil {
		return r.fail(err)
	}
	if r.unsynced++; r.unsynced == syncedChunks {
		r.unsynced = 0
		if err := r.f.Sync(); err != nil {
			return r.fail(err)
		}
	}
	r.have[index] = true
	r.missing--
	return nil
}

// Open returns a reader of the whole snapshot, as OpenSnapshot does: to compare it with the certificate before Commit.
// Chunks must not be missing.
// Expected errors: of a read: ErrChunk.
func (r *SnapshotReceiver) Open() (io.ReadCloser, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.begin(); err != nil {
		return nil, err
	}
	defer r.s.end()
	if err := r.complete(); err != nil {
		return nil, err
	}
	x := r.s.snapshots
	f, err := x.fs.Open(join(x.dir, snapshotName(r.meta.Height(), partSuffix)))
	if err != nil {
		return nil, fmt.Errorf("store: snapshot %d: %w", r.meta.Height(), err)
	}
	return &snapshotReader{s: r.s, f: f, meta: r.meta}, nil
}

func (r *SnapshotReceiver) complete() error {
	if r.missing > 0 {
		return fmt.Errorf("store: snapshot %d: %d chunks of %d are missing", r.meta.Height(), r.missing, len(r.have))
	}
	return nil
}

// Commit makes the whole snapshot one of the store's, as SnapshotWriter.Commit does.
func (r *SnapshotReceiver) Commit() (SnapshotMeta, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.begin(); err != nil {
		return SnapshotMeta{}, err
	}
	defer r.s.end()
	if err := r.complete(); err != nil {
		return SnapshotMeta{}, err
	}
	if err := r.f.Sync(); err != nil {
		return SnapshotMeta{}, r.fail(err)
	}
	x := r.s.snapshots
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := r.leave(ErrClosed); err != nil {
		return SnapshotMeta{}, fmt.Errorf("store: snapshot %d: %w", r.meta.Height(), err)
	}
	m, err := x.committed(snapshotName(r.meta.Height(), partSuffix), r.meta)
	return m, errors.Join(err, x.removePart(r.meta.Height()))
}

// Abort removes what was received. After Commit, Abort, Close or a failure it does nothing.
func (r *SnapshotReceiver) Abort() error { return r.part(true) }

// Close keeps what was received for a later ReceiveSnapshot. After Commit, Abort, Close or a failure it does nothing.
func (r *SnapshotReceiver) Close() error { return r.part(false) }

func (r *SnapshotReceiver) part(remove bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return nil
	}
	if err := r.s.begin(); err != nil {
		return err
	}
	defer r.s.end()
	x := r.s.snapshots
	x.mu.Lock()
	defer x.mu.Unlock()
	err := r.leave(ErrClosed)
	if remove {
		err = errors.Join(err, x.removePart(r.meta.Height()))
	}
	return err
}

// leave closes the file and makes room for the next receiver. The store's mu is held too.
func (r *SnapshotReceiver) leave(reason error) error {
	r.s.snapshots.receiver, r.err = nil, reason
	return r.f.Close()
}

// fail ends the receiver.
func (r *SnapshotReceiver) fail(err error) error {
	x := r.s.snapshots
	x.mu.Lock()
	defer x.mu.Unlock()
	err = fmt.Errorf("store: snapshot %d: %w", r.meta.Height(), err)
	return errors.Join(err, r.leave(err), x.removePart(r.meta.Height()))
}
