package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"sync"
	"testing"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/store"
	"github.com/hotstuffd/hotstuffd/store/internal/cutdisk"
)

// verdicts counts what became of damaged stores, by damage and outcome.
type verdicts struct {
	mu    sync.Mutex
	total int
	of    map[string]map[string]int
}

func (v *verdicts) add(damage, verdict string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.of[damage] == nil {
		v.of[damage] = map[string]int{}
	}
	v.of[damage][verdict]++
	v.total++
}

// Outcomes of opening a damaged store. All are right; which one it is depends on what was hit.
const (
	intact      = "intact"            // all is there that anybody was told of
	foundOnRead = "refused when read" // it opened, and what was hit is an error when it is read, or written over
)

// refusals are the errors by which Open may refuse a damaged store.
var refusals = map[string]error{
	"safety lost":  store.ErrSafetyLost,
	"payload lost": store.ErrPayloadLost,
	"other chain":  store.ErrOtherChain,
	"newer format": store.ErrNewerFormat,
}

// Whatever happens to the files of a store: it opens with all that a message has told others, to the byte, or it refuses
// and says why, at the latest when what is damaged is read. An older safety state is never accepted. What was stored
// after the newest safety state, and so rests on the others, may be missing at the end of a log that was cut there.
func TestDamagedStores(t *testing.T) {
	v := verdicts{of: map[string]map[string]int{}}
	t.Run("seeds", func(t *testing.T) {
		for seed := range ofCampaign[uint64](16, max(1, 2/thinner)) {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				damageMuch(t, 2000+seed, ofCampaign(1300, 300/thinner), &v)
			})
		}
	})
	t.Logf("%d damaged stores", v.total)
	for _, damage := range slices.Sorted(maps.Keys(v.of)) {
		t.Logf("%-26s %v", damage, v.of[damage])
	}
	if want := ofCampaign(20_000, 300/thinner); v.total < want && *replay == "" {
		t.Errorf("%d damaged stores, want %d at least", v.total, want)
	}
}

// moment is a store at rest in the course of a history.
type moment struct {
	disk *cutdisk.Disk
	done int
}

// damageMuch damages a history's store at many moments.
func damageMuch(t *testing.T, seed uint64, count int, v *verdicts) {
	r := record(t, seed, 60)
	neighbour := identity
	neighbour.Node = 1
	foreign := moments(recordAs(t, neighbour, seed+5000, 60))
	own := moments(r)
	for i := range count {
		name := pointOf("damage", seed, i)
		if !name.chosen() {
			continue
		}
		rng := rand.New(rand.NewPCG(name.seed(), 2))
		at := rng.IntN(len(own))
		x := mishap{rng: rng, disk: own[at].disk.Kill(), old: own[rng.IntN(at+1)].disk, foreign: foreign[rng.IntN(len(foreign))].disk}
		damage, what := x.happen()
		verdict, err := r.judge(x.disk, own[at].done)
		if err != nil {
			t.Fatalf("%s, step %d: %v\nagain: go test ./store -run %s -store.point=%s", what, own[at].done, err, t.Name(), name)
		}
		v.add(damage, verdict)
	}
}

// moments returns the states of the disk between the steps of a history, as a process that was killed then leaves them.
func moments(r *recording) (list []moment) {
	for p := r.trace.Play(); ; {
		p.Marks(func(note any) {
			if now := note.(progress); now != unborn && !now.begun {
				image, _ := p.Disk.Cut(cutdisk.Nothing, 0)
				list = append(list, moment{image, now.done})
			}
		})
		if !p.Next() {
			return list
		}
	}
}

// mishap does damage to a disk.
type mishap struct {
	rng     *rand.Rand
	disk    *cutdisk.Disk
	old     *cutdisk.Disk // the same one earlier
	foreign *cutdisk.Disk // another replica's
}

// happen does one kind of damage. It returns the kind, and what was done, for people.
func (x *mishap) happen() (kind, what string) {
	files := x.disk.Files()
	name := files[x.rng.IntN(len(files))]
	bytewise := map[string]func([]byte) []byte{
		"one bit flipped":   func(p []byte) []byte { return x.flip(p, 1) },
		"bits flipped":      func(p []byte) []byte { return x.flip(p, 2+x.rng.IntN(8)) },
		"cut short":         func(p []byte) []byte { return p[:x.somewhere(p)] },
		"sector zeroed":     func(p []byte) []byte { clear(x.sector(p)); return p },
		"sector of rubbish": func(p []byte) []byte { x.rubbish(x.sector(p)); return p },
		"rubbish appended":  func(p []byte) []byte { return append(p, x.rubbish(make([]byte, 1+x.rng.IntN(2000)))...) },
	}
	wholes := []string{"file lost", "directory lost", "older file", "older directory", "foreign file", "another file"}
	kinds := append(slices.Sorted(maps.Keys(bytewise)), wholes...)
	kind = kinds[x.rng.IntN(len(kinds))]
	dir := []string{"store/safety", "store/payload", "store/payload/index", "store/snapshots"}[x.rng.IntN(4)]
	switch kind {
	case "file lost":
		x.disk.Lose(name)
	case "directory lost":
		name = dir
		x.disk.Lose(dir)
	case "older file":
		x.disk.Take(name, x.old, name)
	case "older directory":
		name = dir
		x.disk.Take(dir, x.old, dir)
	case "foreign file":
		x.disk.Take(name, x.foreign, name)
	case "another file":
		other := files[x.rng.IntN(len(files))]
		x.disk.Take(name, x.disk, other)
		return kind, fmt.Sprintf("%s: %s in place of %s", kind, other, name)
	default:
		x.disk.Rot(name, bytewise[kind])
	}
	return kind + " in " + path.Dir(name), kind + ": " + name
}

// somewhere returns an offset in p, most often one where something is.
func (x *mishap) somewhere(p []byte) int {
	at := x.rng.IntN(len(p) + 1)
	for range 200 {
		if at < len(p) && p[at] != 0 {
			break
		}
		at = x.rng.IntN(len(p) + 1)
	}
	return at
}

func (x *mishap) flip(p []byte, bits int) []byte {
	for range bits {
		if at := x.somewhere(p); at < len(p) {
			p[at] ^= 1 << x.rng.IntN(8)
		}
	}
	return p
}

// sector returns the sector around some place, whole or up to the end.
func (x *mishap) sector(p []byte) []byte {
	at := x.somewhere(p) &^ 511
	return p[at:min(len(p), at+512)]
}

func (x *mishap) rubbish(p []byte) []byte {
	for i := range p {
		p[i] = byte(x.rng.Uint32())
	}
	return p
}

// judge opens a damaged store in which done steps were done, and says what became of it. It fails if something is
// missing or wrong and the store does not say so.
func (r *recording) judge(disk *cutdisk.Disk, done int) (verdict string, err error) {
	s, err := store.Open(storeDir, identity, onDisk(disk))
	if err != nil {
		for name, refusal := range refusals {
			if errors.Is(err, refusal) {
				return name, nil
			}
		}
		return "", fmt.Errorf("refused without a reason that operators know: %w", err)
	}
	wrong, damaged := r.look(s, r.after[done])
	if wrong == nil && damaged == nil {
		damaged = r.goOn(s, done)
	}
	damaged = errors.Join(damaged, s.Close())
	switch {
	case wrong != nil:
		return "", wrong
	case damaged != nil:
		return foundOnRead, nil
	}
	err = r.opens(disk, func(s *store.Store) error { return r.wentOn(s, done) })
	return intact, err
}

// look reads all that should be there. wrong is what no store may show; damaged is the first error that the store gave.
func (r *recording) look(s *store.Store, all tally) (wrong, damaged error) {
	l := looker{recording: r, s: s, all: all, told: *all.gated}
	for _, part := range []func() error{l.state, l.floor, l.blocks, l.committed, l.batches, l.lanes, l.snapshots} {
		if err := part(); err != nil {
			return err, nil
		}
	}
	return nil, l.damaged
}

type looker struct {
	*recording
	s         *store.Store
	all, told tally
	damaged   error
}

// found takes an error by which the store says that something is damaged; it is not for ErrNotFound.
func (l *looker) found(err error) bool {
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		l.damaged = errors.Join(l.damaged, err)
		return true
	}
	return false
}

func (l *looker) state() error {
	got, err := l.s.Recover()
	if l.found(err) {
		return nil
	}
	if !bytes.Equal(stateBytes(got.Safety), stateBytes(l.states[l.all.k-1])) {
		return fmt.Errorf("safety state %d, want %d", got.Safety.Sequence, l.all.k)
	}
	if n := int(got.Commit.Height); n < l.told.commits || n > l.all.commits || n > 0 && got.Commit.Block != l.commits[n-1].Block {
		return fmt.Errorf("commit of height %d, want %d or at least %d", n, l.all.commits, l.told.commits)
	}
	return nil
}

// floor may have been lost, with what has gone since: nothing is asked of what lies below the newest one.
func (l *looker) floor() error {
	if got := l.s.Floor(); got < l.told.floor || got > l.all.floor {
		return fmt.Errorf("floor %d, want one from %d to %d", got, l.told.floor, l.all.floor)
	}
	return nil
}

func (l *looker) blocks() error {
	want := 0
	for i, b := range l.recording.blocks[:l.all.blocks] {
		must := i < l.told.blocks && b.Height >= l.all.floor
		if must {
			want++
		}
		if _, err := l.s.Block(b.ID()); !l.found(err) && err != nil && must {
			return fmt.Errorf("block %d of %d is lost in silence", i, l.told.blocks)
		}
	}
	above, err := l.s.BlocksAbove(0)
	if !l.found(err) && len(above) < want {
		return fmt.Errorf("%d blocks above genesis, want %d", len(above), want)
	}
	return nil
}

func (l *looker) committed() error {
	for i, c := range l.commits[:l.all.commits] {
		id, ok, err := l.s.CommittedID(c.Height)
		if !l.found(err) && (ok && id != c.Block || !ok && i < l.told.commits && c.Height >= l.all.floor) {
			return fmt.Errorf("committed at %d: %v, %v", c.Height, id, ok)
		}
	}
	return nil
}

func (l *looker) batches() error {
	for i, want := range l.recording.batches[:l.all.batches] {
		got, err := l.s.Batch(want.Digest())
		switch {
		case l.found(err):
		case err == nil && !bytes.Equal(got.Blob, want.Blob):
			return fmt.Errorf("batch %d has other bytes", i)
		case err != nil && i < l.told.batches && !l.gone(want, l.all.floor):
			return fmt.Errorf("batch %d of %d is lost in silence", i, l.told.batches)
		}
	}
	return nil
}

func (l *looker) lanes() error {
	count := 0
	for origin := range qc.NodeID(nodes) {
		for _, err := range l.s.BatchesFrom(origin, blocktree.Cursor{}) {
			if l.found(err) {
				return nil
			}
			count++
		}
	}
	want := 0
	for _, b := range l.recording.batches[:l.told.batches] {
		if !l.gone(b, l.all.floor) {
			want++
		}
	}
	if count < want {
		return fmt.Errorf("%d batches in lanes, want %d", count, want)
	}
	return nil
}

// snapshots gate nothing, so a damaged one may be missing. One that is listed never reads as other bytes.
func (l *looker) snapshots() error {
	for _, m := range l.s.Snapshots() {
		if err := readWhole(l.s, m); errors.Is(err, store.ErrChunk) {
			l.damaged = errors.Join(l.damaged, err)
		} else if err != nil {
			return err
		}
	}
	return nil
}
