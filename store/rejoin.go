package store

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/hotstuffd/hotstuffd/hotstuff"
)

// Rejoining is what Rejoin did, or found.
type Rejoining struct {
	Nonce hotstuff.Nonce
	// Already: the store was made by an earlier Rejoin, and its replica has not finished; nothing was done.
	Already bool
	// Loss is what was wrong with the old store; nil if it was discarded though it is sound.
	Loss error
	// Moved is where the old store is now; empty if there was none.
	Moved string
}

// RejoinOptions say when a store counts as lost.
type RejoinOptions struct {
	// Check looks further into a store that opens. Its error counts as a loss. nil: no further look.
	Check func(*Store) error
	// Discard makes a store count as lost that is sound: its replica's key was used elsewhere (S14), so that it does
	// not tell all that was signed. One whose replica rejoins already counts as lost too: its nonce may be older than what
	// was signed elsewhere meanwhile.
	Discard bool
}

// Rejoin makes a fresh store in place of one that is lost: the safety state of genesis, and a random nonce, which must
// be committed before the replica signs anything (PROTOCOL §7). Nothing of the old store is used, and nothing is
// deleted: it is moved aside, to a name of its own beside it. The nonce is drawn here, under the lock and after the
// loss was found, so that it is younger than everything that the replica can have signed.
//
// A crash in the middle leaves the old store or none, and none counts as lost: call it again.
// Expected errors: ErrSound, ErrInUse, ErrOtherChain, ErrNewerFormat, ErrReadOnly.
func Rejoin(dir string, id Identity, o Options, r RejoinOptions) (Rejoining, error) {
	out, err := rejoin(dir, id, o.withDefaults(), r)
	return out, refuseReadOnly(dir, err)
}

func rejoin(dir string, id Identity, o Options, r RejoinOptions) (Rejoining, error) {
	if err := id.fitsSlot(); err != nil {
		return Rejoining{}, err
	}
	loss := checkChain(o.FS, dir, id)
	if loss != nil && !errors.Is(loss, ErrSafetyLost) {
		return Rejoining{}, loss
	}
	if err := o.FS.MkdirAll(dir); err != nil {
		return Rejoining{}, err
	}
	old, err := newStore(dir, id, o)
	if err != nil {
		return Rejoining{}, err
	}
	out, err := old.rejoin(o, r, loss)
	return out, errors.Join(err, old.Close())
}

// rejoin does the work of Rejoin under the lock of the old store.
func (s *Store) rejoin(o Options, r RejoinOptions, loss error) (Rejoining, error) {
	if loss == nil {
		state, err := s.judge(o, r)
		if err == nil && !state.Nonce.IsZero() && !r.Discard {
			return Rejoining{Nonce: state.Nonce, Already: true}, nil
		}
		if err == nil && !r.Discard {
			return Rejoining{}, refuse(s.dir, ErrSound, "the safety state is whole")
		}
		if loss = err; loss != nil && !errors.Is(loss, ErrSafetyLost) && !errors.Is(loss, ErrPayloadLost) {
			return Rejoining{}, loss
		}
	}
	out := Rejoining{Loss: loss}
	rand.Read(out.Nonce[:]) // never fails
	fresh := s.dir + freshSuffix
	if err := o.FS.RemoveAll(fresh); err != nil { // of a Rejoin that crashed: its nonce was never used
		return Rejoining{}, err
	}
	if err := makeFresh(fresh, s.id, o, out.Nonce); err != nil {
		return Rejoining{}, err
	}
	// Closed first: a database writes by its path, where the fresh one will be.
	err := s.closeParts()
	if err != nil && out.Loss == nil {
		return Rejoining{}, err
	}
	if out.Moved, err = moveAside(o.FS, s.dir); err != nil {
		return Rejoining{}, err
	}
	if err := o.FS.Rename(fresh, s.dir); err != nil {
		return Rejoining{}, err
	}
	return out, o.FS.SyncDir(filepath.Dir(s.dir))
}

// judge opens the old store and looks into it.
func (s *Store) judge(o Options, r RejoinOptions) (hotstuff.SafetyState, error) {
	if err := s.open(o); err != nil {
		return hotstuff.SafetyState{}, err
	}
	recovered, err := s.Recover()
	if err == nil && r.Check != nil {
		err = r.Check(s)
	}
	if err != nil {
		return hotstuff.SafetyState{}, refuse(s.dir, ErrSafetyLost, "%v", err)
	}
	return recovered.Safety, nil
}

func makeFresh(dir string, id Identity, o Options, nonce hotstuff.Nonce) error {
	if err := o.FS.MkdirAll(dir); err != nil {
		return err
	}
	s, err := newStore(dir, id, o)
	if err != nil {
		return err
	}
	return errors.Join(s.init(o, nonce), s.Close())
}

// Names beside a store's directory.
const (
	freshSuffix = ".rejoin"
	lostSuffix  = ".lost-"
)

// moveAside gives a directory the first free name among dir.lost-1, dir.lost-2 and so on. One that holds nothing but a
// lock is removed instead: moved is empty then.
func moveAside(fsys FS, dir string) (moved string, err error) {
	names, err := fsys.List(dir)
	if err != nil {
		return "", err
	}
	if len(names) == 1 && names[0] == lockFileName {
		return "", errors.Join(fsys.RemoveAll(dir), fsys.SyncDir(filepath.Dir(dir)))
	}
	parent, base := filepath.Dir(dir), filepath.Base(dir)+lostSuffix
	siblings, err := fsys.List(parent)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	last := 0
	for _, name := range siblings {
		if number, ok := strings.CutPrefix(name, base); ok {
			if n, err := strconv.Atoi(number); err == nil {
				last = max(last, n)
			}
		}
	}
	moved = join(parent, base+strconv.Itoa(last+1))
	if err := fsys.Rename(dir, moved); err != nil {
		return "", err
	}
	return moved, fsys.SyncDir(parent) // before its name is given to another
}
