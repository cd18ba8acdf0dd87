package store

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/hotstuffd/hotstuffd/qc"
)

// SnapshotWriter takes the bytes of a snapshot of this replica's own state. It belongs to one goroutine. After a failure its
// file is gone and every call returns the failure; the store is not touched by it.
type SnapshotWriter struct {
	s        *Store
	height   qc.Height
	f        File   // nil once finished
	chunk    []byte // of the chunk that is being filled
	bytes    int64  // written
	chunks   [][sha256.Size]byte
	finished bool
	err      error // what every later call returns; ErrClosed after Commit and Abort
}

// CreateSnapshot begins a snapshot of the state after the block of a height. There is at most one writer at a time: it ends
// by Commit, Abort, or a failure. What a writer before it has left behind goes.
func (s *Store) CreateSnapshot(height qc.Height) (*SnapshotWriter, error) {
	if err := s.beginWrite(); err != nil {
		return nil, err
	}
	defer s.end()
	x := s.snapshots
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.writer != nil {
		return nil, fmt.Errorf("store: snapshot %d: that of height %d is not committed or aborted", height, x.writer.height)
	}
	w := &SnapshotWriter{s: s, height: height, chunk: make([]byte, 0, x.chunkBytes)}
	err := x.removeAll(dataSuffix+temporarySuffix, height)
	if err == nil {
		w.f, err = x.fs.Create(join(x.dir, w.temporary()))
	}
	if err != nil {
		return nil, fmt.Errorf("store: snapshot %d: %w", height, err)
	}
	x.writer = w
	return w, nil
}

func (w *SnapshotWriter) temporary() string {
	return snapshotName(w.height, dataSuffix+temporarySuffix)
}

// begin starts a call, as Store.begin does.
func (w *SnapshotWriter) begin() error {
	if w.err != nil {
		return w.err
	}
	return w.s.begin()
}

// Write implements io.Writer.
func (w *SnapshotWriter) Write(p []byte) (int, error) {
	if err := w.begin(); err != nil {
		return 0, err
	}
	defer w.s.end()
	if w.finished {
		return 0, fmt.Errorf("store: snapshot %d: written to after Finish", w.height)
	}
	for done := 0; done < len(p); {
		n := min(len(p)-done, cap(w.chunk)-len(w.chunk))
		w.chunk = append(w.chunk, p[done:done+n]...)
		done += n
		if len(w.chunk) == cap(w.chunk) {
			if err := w.flush(); err != nil {
				return done - n, w.fail(err)
			}
		}
	}
	return len(p), nil
}

// flush writes the chunk that is being filled.
func (w *SnapshotWriter) flush() error {
	if len(w.chunks) == SnapshotChunksMax {
		return fmt.Errorf("it is larger than %d bytes", w.bytes)
	}
	if _, err := w.f.WriteAt(w.chunk, w.bytes); err != nil {
		return err
	}
	w.chunks = append(w.chunks, sha256.Sum256(w.chunk))
	w.bytes += int64(len(w.chunk))
	w.chunk = w.chunk[:0]
	if len(w.chunks)%syncedChunks == 0 {
		return w.f.Sync()
	}
	return nil
}

// Finish makes the bytes durable. They wait for their certificate, and are gone if the process ends before Commit.
func (w *SnapshotWriter) Finish() error {
	if err := w.begin(); err != nil {
		return err
	}
	defer w.s.end()
	if w.finished {
		return nil
	}
	var err error
	if len(w.chunk) > 0 {
		err = w.flush()
	}
	if err == nil {
		err = w.f.Sync()
	}
	if err == nil {
		f := w.f
		w.f, w.finished, w.chunk = nil, true, nil
		err = f.Close()
	}
	if err != nil {
		return w.fail(err)
	}
	return nil
}

// Commit makes a finished snapshot one of the store's, durably, and then keeps the newest two. An error beside a
// description that is not empty is about one that was to be removed: the snapshot is there.
func (w *SnapshotWriter) Commit(cert *qc.CheckpointCertificate) (SnapshotMeta, error) {
	if err := w.begin(); err != nil {
		return SnapshotMeta{}, err
	}
	defer w.s.end()
	if !w.finished || cert.Checkpoint.Height != w.height {
		return SnapshotMeta{}, fmt.Errorf("store: snapshot %d: finished: %v, with a certificate of height %d", w.height, w.finished,
			cert.Checkpoint.Height)
	}
	m := SnapshotMeta{Certificate: cert, Bytes: w.bytes, Chunks: w.chunks}
	x := w.s.snapshots
	x.mu.Lock()
	defer x.mu.Unlock()
	x.writer, w.err = nil, ErrClosed
	return x.committed(w.temporary(), m)
}

// committed places a snapshot and says what became of it.
func (x *snapshots) committed(temporary string, m SnapshotMeta) (SnapshotMeta, error) {
	placed, err := x.place(temporary, &m)
	if err != nil {
		err = fmt.Errorf("store: snapshot %d: %w", m.Height(), err)
	}
	if !placed {
		return SnapshotMeta{}, err
	}
	return m, err
}

// Abort removes the file. After Commit, Abort or a failure it does nothing.
func (w *SnapshotWriter) Abort() error {
	if w.err != nil {
		return nil
	}
	if err := w.s.begin(); err != nil {
		return err
	}
	defer w.s.end()
	err := w.discard()
	w.err = ErrClosed
	return err
}

// discard closes and removes the file, and makes room for the next writer.
func (w *SnapshotWriter) discard() error {
	x := w.s.snapshots
	x.mu.Lock()
	defer x.mu.Unlock()
	x.writer = nil
	var err error
	if w.f != nil {
		err = w.f.Close()
		w.f = nil
	}
	return errors.Join(err, x.fs.RemoveAll(join(x.dir, w.temporary())))
}

// fail ends the writer.
func (w *SnapshotWriter) fail(err error) error {
	w.err = fmt.Errorf("store: snapshot %d: %w", w.height, errors.Join(err, w.discard()))
	return w.err
}
