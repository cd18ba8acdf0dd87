package app

import "io"

// Snapshotter is an Application whose state can be frozen and read by another goroutine while commands are applied to it,
// and restored elsewhere. Replicas with one take snapshots, start from them, bring others up by them, and prune their log.
type Snapshotter interface {
	Application
	// Freeze returns the present state as it stands, in constant time or nearly so. It is called by the executor, between
	// commands.
	Freeze() Frozen
	// Restore replaces the state by the one that Frozen.WriteTo wrote, and reads r to its end. After an error the state is
	// undefined, and Restore is called again before anything else, or nothing is. The bytes are a stranger's: they must not
	// cost more memory than a small multiple of them, nor panic. Whether they are the right ones, Digest tells.
	Restore(r io.Reader) error
}

// Frozen is a state at one point of the log. Its methods are called by other goroutines than the executor, one method at a
// time. Digest is called first, and for several Frozen of one application one after the other, in the order in which they
// were made. WriteTo may run while Digest is called of those made later: what that writes, it must not read.
// Application.Digest is not called while a Frozen is unreleased.
type Frozen interface {
	// Digest returns what Application.Digest would have. Its cost follows what has changed since the last digest, not the
	// size of the state.
	Digest() [32]byte
	// WriteTo writes the state for Restore. The bytes are a function of the contents alone: equal states give equal ones.
	WriteTo(w io.Writer) (int64, error)
	// Release is called once, when the state is no longer needed. Any goroutine may call it.
	Release()
}
