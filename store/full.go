package store

import (
	"crypto/sha256"
	"fmt"
)

// A full disk is the one failure that an open store outlives. The write that met it fails with ErrFull, and so does every
// later one; reads go on. Revive then makes the store usable again, in the way of a restart: nothing in memory is believed
// that a restart would not find on the disk, and what LevelDB does after a failed write does not matter, for that handle is
// closed. It is stricter than a restart, which cannot know what was acknowledged.

// promise is what the disk must have when the parts are opened again: all that was acknowledged.
type promise struct {
	k       uint64            // sequence of the newest acknowledged safety state
	sum     [sha256.Size]byte // of its bytes
	attempt [sha256.Size]byte // of the state after it, if a write of that has failed: it may be there, whole
	frame   uint64            // newest payload frame that a vote may rely on
}

// Full tells whether the disk is full: writes fail with ErrFull, until Revive has succeeded.
func (s *Store) Full() bool { return s.full.Load() != nil }

// Missing returns how many bytes must be free on the disk for Revive to succeed.
func (s *Store) Missing() int64 { return s.reserve.missing() }

// Revive makes a store usable again that was full, if there is room now: for its reserve, and for some headroom, so that it
// is not full again with the next write. Otherwise it returns ErrFull, and may be called again; it may be called at any
// time, by one caller at a time. After success the write that failed is to be repeated, the same: it may have reached the
// disk.
// Expected errors: ErrFull; every other one is final.
func (s *Store) Revive() error {
	s.alive.Lock()
	defer s.alive.Unlock()
	if failure := s.broken.Load(); failure != nil {
		return *failure
	}
	if !s.Full() {
		return nil
	}
	if s.safety == nil { // an earlier call was stuck half way: make it readable at least
		if err := s.reopen(); err != nil {
			return err
		}
	}
	// Looked for before anything is closed: while there is no room, reads go on.
	if err := s.reserve.find(); isFull(err) {
		return s.becomeFull(err)
	} else if err != nil {
		return s.fail(err)
	}
	if !s.sound.Load() {
		if err := s.reopen(); err != nil {
			return err
		}
		if !s.reserve.whole() { // somebody else was faster
			return *s.full.Load()
		}
	}
	s.full.Store(nil)
	return nil
}

// reopen closes the parts, opens them as after a crash, and checks that they have what was promised.
func (s *Store) reopen() error {
	if s.safety != nil {
		s.promised = promise{s.safety.k, s.safety.sum, s.safety.attempt, s.payload.durable.Load()}
	}
	_ = s.closeParts() // it says once more that the disk is full, and nothing rests on what it does
	if err := s.openParts(); err != nil {
		return s.fail(err)
	}
	if err := s.kept(); err != nil {
		return s.fail(err)
	}
	return nil
}

// kept checks the parts against the promise.
// Expected errors: ErrSafetyLost, ErrPayloadLost.
func (s *Store) kept() error {
	p, now := s.promised, s.safety
	same := now.k == p.k && now.sum == p.sum
	if attempted := now.k == p.k+1 && now.sum == p.attempt; !same && !attempted {
		return refuse(s.dir, ErrSafetyLost, "after the disk was full it holds another record %d than was written; %d was acknowledged", now.k, p.k)
	}
	if has := s.payload.durable.Load(); has < p.frame {
		return refuse(s.dir, ErrPayloadLost, "after the disk was full it holds %d frames, %d were acknowledged", has, p.frame)
	}
	return nil
}

// openParts opens the parts. If there is no room for that, it gives up the reserve and tries once more.
func (s *Store) openParts() error {
	err := s.open(s.options)
	if isFull(err) && s.reserve.giveUp() {
		_ = s.closeParts()
		err = s.open(s.options)
	}
	if err != nil {
		_ = s.closeParts()
	}
	s.sound.Store(err == nil)
	return err
}

// holdReserve sees to it that a store which takes writes has its reserve. One that cannot have it is full: it opens, can
// be read, and takes writes after Revive.
func (s *Store) holdReserve() error {
	if err := s.reserve.sweep(); err != nil {
		return err
	}
	if s.reserve.whole() {
		return nil
	}
	err := s.reserve.find()
	if isFull(err) {
		_ = s.becomeFull(err) // for the calls that write
		return nil
	}
	return err
}

// becomeFull remembers that the disk is full, and returns the error of all writes from now on.
func (s *Store) becomeFull(err error) error {
	s.reserve.lend()
	const mebibyte = 1 << 20
	err = fmt.Errorf("store: %s: %w: %d MiB must be free to go on (%w)", s.dir, ErrFull, (s.reserve.missing()+mebibyte-1)/mebibyte, err)
	s.full.CompareAndSwap(nil, &err)
	return *s.full.Load()
}
