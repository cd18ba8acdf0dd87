package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"
)

// Errors that keep a store from being opened. ErrOtherChain, ErrNewerFormat, ErrInUse, ErrReadOnly
// and ErrExists leave it untouched.
var (
	// ErrSafetyLost: the safety state is missing, damaged, or older than what this replica may have signed (S13).
	ErrSafetyLost = errors.New("safety state is lost and this replica must not vote: see \"When safety state is lost\" in docs/operations.md, then run hotstuffd rejoin")
	// ErrPayloadLost: batches that this replica vouched for with a vote are missing or damaged (S17). Reads give it too.
	ErrPayloadLost = errors.New("stored batches are lost and this replica must not vote: see \"When safety state is lost\" in docs/operations.md, then run hotstuffd rejoin")
	// ErrOtherChain: the store belongs to another chain or another replica.
	ErrOtherChain = errors.New("store of another chain or replica: check the genesis document and the storage directory")
	// ErrNewerFormat: a newer version of the program wrote the store.
	ErrNewerFormat = errors.New("store of a newer version: run that version of hotstuffd")
	// ErrInUse: another process has the store open.
	ErrInUse = errors.New("store is in use by another process: stop that one first")
	// ErrReadOnly: the directory, or a file in it, cannot be written.
	ErrReadOnly = errors.New("the storage directory cannot be written: make it writable, with all that is in it, for the user that runs hotstuffd")
	// ErrSound: Rejoin finds nothing that is lost.
	ErrSound = errors.New("nothing is lost here: start the node as it is")
	// ErrExists: Init finds files where it should make a store.
	ErrExists = errors.New("directory is not empty: a safety state is never overwritten, choose another directory")
)

// Errors of an open store.
var (
	// ErrNotFound: no such block or batch is stored.
	ErrNotFound = errors.New("store: not found")
	// ErrFull: the disk has no room. Nothing is lost, reads go on, and Revive takes the store back into use. Of Open: not even
	// the reserve is enough to open the store.
	ErrFull = errors.New("disk full")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("store: closed")
	// ErrChunk: a chunk of a snapshot is damaged, or not the one that its hash names.
	ErrChunk = errors.New("its bytes are not what their hash says")
	// ErrSnapshotMeta: the description of a snapshot contradicts itself.
	ErrSnapshotMeta = errors.New("snapshot: size and number of chunks do not agree, or it is too large")
)

// refuse says in one line which directory, what is wrong, and what to do.
func refuse(dir string, kind error, format string, args ...any) error {
	return fmt.Errorf("store: %s: %s: %w", dir, fmt.Sprintf(format, args...), kind)
}

// refuseReadOnly gives ErrReadOnly for an error that says that nothing can be written.
func refuseReadOnly(dir string, err error) error {
	if errors.Is(err, syscall.EROFS) || errors.Is(err, fs.ErrPermission) {
		return refuse(dir, ErrReadOnly, "%v", err)
	}
	return err
}

// joinClose closes c after a failure and keeps both errors.
func joinClose(err error, c io.Closer) error { return errors.Join(err, c.Close()) }
