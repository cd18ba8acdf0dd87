package store_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/store"
	"github.com/hotstuffd/hotstuffd/store/internal/cutdisk"
)

func rejoin(t testing.TB, dir string, r store.RejoinOptions) store.Rejoining {
	t.Helper()
	done, err := store.Rejoin(dir, identity, options, r)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// lostStore makes a store that has voted, and loses a part of it.
func lostStore(t testing.TB, part string) (dir string) {
	t.Helper()
	s, dir := newStore(t, options)
	vote(t, s, 2)
	appendBatches(t, s, batch(0, 0, 100))
	vote(t, s, 3)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	remove(t, dir, part)
	return dir
}

// recovered is the safety state that a start finds.
func recovered(t testing.TB, dir string) hotstuff.SafetyState {
	t.Helper()
	s := open(t, dir, options)
	r, err := s.Recover()
	if err != nil {
		t.Fatal(err)
	}
	if r.Commit.Height != 0 {
		t.Errorf("the fresh store has a commit of height %d", r.Commit.Height)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return r.Safety
}

// A store that has lost any part makes way for a fresh one, which stands at genesis and has a nonce of its own; and
// nothing of the old one goes: it is all there under another name (S13).
func TestRejoinAfterEachLoss(t *testing.T) {
	nonces := map[hotstuff.Nonce]bool{}
	for _, part := range []string{"CHAIN", "safety.slots", "safety", "payload", "safety/CURRENT"} {
		dir := lostStore(t, part)
		write(t, filepath.Join(dir, "kept"), []byte("by the operator"))
		done := rejoin(t, dir, store.RejoinOptions{})
		if done.Already || done.Loss == nil || done.Moved != dir+".lost-1" {
			t.Fatalf("without %s: %+v", part, done)
		}
		if kept := read(t, filepath.Join(done.Moved, "kept")); string(kept) != "by the operator" {
			t.Errorf("without %s: of the old store's files one holds %q", part, kept)
		}
		got := recovered(t, dir)
		if got.Nonce != done.Nonce || got.Nonce.IsZero() || got.LastVoted != nil || got.HighQC.View != 0 ||
			got.LockBlock != genesis.ID() || got.Floor != 0 || got.Sequence != 1 {
			t.Errorf("without %s: the fresh safety state is %+v", part, got)
		}
		if nonces[got.Nonce] {
			t.Error("one nonce was drawn twice")
		}
		nonces[got.Nonce] = true
	}
}

// With no directory at all there is nothing to move.
func TestRejoinWithoutAnything(t *testing.T) {
	dir := lostStore(t, ".")
	if done := rejoin(t, dir, store.RejoinOptions{}); done.Moved != "" || done.Nonce.IsZero() {
		t.Errorf("%+v", done)
	}
	if recovered(t, dir).Nonce.IsZero() {
		t.Error("no nonce")
	}
}

// A store that is whole is left as it is, unless it is to be discarded, or a closer look finds it damaged.
func TestRejoinOfASoundStore(t *testing.T) {
	s, dir := newStore(t, options)
	vote(t, s, 2)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Rejoin(dir, identity, options, store.RejoinOptions{}); !errors.Is(err, store.ErrSound) {
		t.Fatalf("got %v, want ErrSound", err)
	}
	if k := sequence(t, open(t, crash(t, dir), options)); k != 2 {
		t.Fatalf("the sound store stands at record %d, want 2", k)
	}
	look := errors.New("block 7 is missing")
	done := rejoin(t, dir, store.RejoinOptions{Check: func(*store.Store) error { return look }})
	if done.Loss == nil || !strings.Contains(done.Loss.Error(), look.Error()) || done.Moved != dir+".lost-1" {
		t.Errorf("after a closer look: %+v", done)
	}
	// Now it rejoins: the same again does nothing, and a nonce that was not used may be given up for another.
	again := rejoin(t, dir, store.RejoinOptions{})
	if !again.Already || again.Nonce != done.Nonce || again.Moved != "" {
		t.Errorf("again: %+v, want nonce %v", again, done.Nonce)
	}
	if n := recovered(t, dir).Nonce; n != done.Nonce {
		t.Errorf("the nonce became %v", n)
	}
	voted := rejoined(t, dir)
	other := rejoin(t, dir, store.RejoinOptions{Discard: true})
	if other.Already || other.Loss != nil || other.Nonce == done.Nonce || other.Moved != dir+".lost-2" {
		t.Errorf("discarded: %+v", other)
	}
	if k := sequence(t, open(t, other.Moved, options)); k != voted {
		t.Errorf("the discarded store stands at record %d, want %d", k, voted)
	}
}

// rejoined writes that the rejoin is over, and returns the sequence of that state.
func rejoined(t *testing.T, dir string) uint64 {
	t.Helper()
	s := open(t, dir, options)
	over := state(2)
	over.Floor = 9
	if err := s.Append([]hotstuff.Record{over}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return 2
}

// What is not this replica's, or runs, is left alone.
func TestRejoinRefuses(t *testing.T) {
	s, dir := newStore(t, options)
	vote(t, s, 2)
	discard := store.RejoinOptions{Discard: true}
	if _, err := store.Rejoin(dir, identity, options, discard); !errors.Is(err, store.ErrInUse) {
		t.Errorf("of a running node: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before := listing(t, dir)
	for name, change := range map[string]func(*store.Identity){
		"replica": func(id *store.Identity) { id.Node++ },
		"chain":   func(id *store.Identity) { id.Chain[0]++ },
	} {
		other := identity
		change(&other)
		if _, err := store.Rejoin(dir, other, options, discard); !errors.Is(err, store.ErrOtherChain) {
			t.Errorf("another %s: %v", name, err)
		}
	}
	if after := listing(t, dir); after != before {
		t.Errorf("touched:\n%s%s", before, after)
	}
}

// stoppingFS fails every operation from the n-th on: the power is gone.
type stoppingFS struct {
	store.FS
	left int
}

var errPower = errors.New("no power")

func (f *stoppingFS) spend() error {
	if f.left--; f.left < 0 {
		return errPower
	}
	return nil
}

func (f *stoppingFS) Rename(from, to string) error {
	if err := f.spend(); err != nil {
		return err
	}
	return f.FS.Rename(from, to)
}

func (f *stoppingFS) RemoveAll(name string) error {
	if err := f.spend(); err != nil {
		return err
	}
	return f.FS.RemoveAll(name)
}

func (f *stoppingFS) Create(name string) (store.File, error) {
	if err := f.spend(); err != nil {
		return nil, err
	}
	return f.FS.Create(name)
}

func (f *stoppingFS) SyncDir(dir string) error {
	if err := f.spend(); err != nil {
		return err
	}
	return f.FS.SyncDir(dir)
}

// Wherever the power fails, a start refuses as before or finds the fresh store whole; and another Rejoin completes it.
// The old store is never gone.
func TestRejoinIsCutAnywhere(t *testing.T) {
	refusals, finished := 0, 0
	for n := 0; finished < 3; n++ {
		dir := lostStore(t, "safety.slots")
		fs := &stoppingFS{FS: store.OS, left: n}
		o := store.Options{FS: fs, SegmentBytes: options.SegmentBytes}
		_, err := store.Rejoin(dir, identity, o, store.RejoinOptions{})
		if err != nil && !errors.Is(err, errPower) {
			t.Fatalf("cut after %d operations: %v", n, err)
		}
		s, openErr := store.Open(dir, identity, options)
		if openErr == nil {
			if r, err := s.Recover(); err != nil || r.Safety.Nonce.IsZero() {
				t.Fatalf("cut after %d operations: it starts with %+v, %v", n, r.Safety, err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			finished++
		} else if !errors.Is(openErr, store.ErrSafetyLost) {
			t.Fatalf("cut after %d operations: %v", n, openErr)
		} else {
			refusals++
		}
		rejoin(t, dir, store.RejoinOptions{})
		if recovered(t, dir).Nonce.IsZero() {
			t.Fatalf("cut after %d operations, then completed: no nonce", n)
		}
		if old, err := filepath.Glob(dir + ".lost-*/payload/*.seg"); err != nil || len(old) == 0 {
			t.Fatalf("cut after %d operations: the old store is gone", n)
		}
		if _, err := os.Stat(dir + ".rejoin"); !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("cut after %d operations: %s.rejoin is left: %v", n, dir, err)
		}
	}
	if refusals < 5 {
		t.Errorf("only %d cuts came before the end", refusals)
	}
}

// The power may fail at any operation of Rejoin, and of what was not synced anything may be lost. A start then refuses
// as before, or finds the fresh store whole; another Rejoin completes it; and the old store is always there, under one
// name or the other.
func TestPowerCutsOfRejoin(t *testing.T) {
	const dir = "/home/store"
	disk := cutdisk.New()
	o := store.Options{FS: disk, SegmentBytes: options.SegmentBytes}
	if err := store.Init(dir, identity, o); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(dir, identity, o)
	if err != nil {
		t.Fatal(err)
	}
	vote(t, s, 2)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	kept, err := disk.Create(dir + "/kept")
	if err == nil {
		err = errors.Join(kept.Sync(), disk.RemoveAll(dir+"/safety.slots"), disk.SyncDir(dir))
	}
	if err != nil {
		t.Fatal(err)
	}
	trace := disk.Record()
	if _, err := store.Rejoin(dir, identity, o, store.RejoinOptions{}); err != nil {
		t.Fatal(err)
	}
	images, fresh := 0, 0
	for p := trace.Play(); p.Next(); {
		seen := map[string]bool{} // the same fates give the same image
		seeds := uint64(3)
		if p.At() > trace.Len()-6 { // names change
			seeds = 24
		} else if p.At()%thinner != 0 {
			continue
		}
		for seed := range seeds {
			loss := []cutdisk.Loss{cutdisk.Mixed, cutdisk.Suffix, cutdisk.Prefix}[seed%3]
			image, fates := p.Disk.Cut(loss, seed)
			if seen[fates] {
				continue
			}
			seen[fates] = true
			images++
			if completes(t, image, dir, fmt.Sprintf("cut after operation %d by %v: %q", p.At(), loss, fates)) {
				fresh++
			}
		}
	}
	t.Logf("%d power cuts at %d operations: %d found the fresh store, the others none", images, trace.Len(), fresh)
	if fresh == 0 || fresh > images/2 {
		t.Error("the cuts do not show both sides")
	}
}

// completes checks an image that a power cut has left, and rejoins from it.
func completes(t *testing.T, image *cutdisk.Disk, dir, cut string) (fresh bool) {
	t.Helper()
	o := store.Options{FS: image, SegmentBytes: options.SegmentBytes}
	nonce := func() (n hotstuff.Nonce, err error) {
		s, err := store.Open(dir, identity, o)
		if err != nil {
			return n, err
		}
		r, err := s.Recover()
		return r.Safety.Nonce, errors.Join(err, s.Close())
	}
	found, err := nonce()
	if fresh = err == nil; fresh && found.IsZero() || !fresh && !errors.Is(err, store.ErrSafetyLost) {
		t.Fatalf("%s: a start finds nonce %v, %v", cut, found, err)
	}
	done, err := store.Rejoin(dir, identity, o, store.RejoinOptions{})
	if err != nil || fresh && (!done.Already || done.Nonce != found) {
		t.Fatalf("%s: Rejoin again: %+v, %v; found nonce %v", cut, done, err, found)
	}
	if again, err := nonce(); err != nil || again != done.Nonce {
		t.Fatalf("%s: completed, it has nonce %v and not %v: %v", cut, again, done.Nonce, err)
	}
	if files := strings.Join(image.Files(), " "); !strings.Contains(files, "/kept") {
		t.Fatalf("%s: the old store is gone: %s", cut, files)
	}
	return fresh
}

// A rejoin that discards draws a nonce of its own each time: one drawn before may be older than what the key has signed
// elsewhere since.
func TestDiscardDrawsAnotherNonce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if err := store.Init(dir, identity, options); err != nil {
		t.Fatal(err)
	}
	discard := func() store.Rejoining {
		done, err := store.Rejoin(dir, identity, options, store.RejoinOptions{Discard: true})
		if err != nil || done.Already || done.Moved == "" {
			t.Fatalf("%+v, %v", done, err)
		}
		return done
	}
	one, two := discard(), discard()
	if one.Nonce == two.Nonce || one.Moved == two.Moved {
		t.Errorf("discarded to %+v, then to %+v", one, two)
	}
	again, err := store.Rejoin(dir, identity, options, store.RejoinOptions{})
	if err != nil || !again.Already || again.Nonce != two.Nonce {
		t.Errorf("without discarding: %+v, %v; want the last nonce", again, err)
	}
}
