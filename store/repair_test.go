package store_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/store"
	"github.com/hotstuffd/hotstuffd/store/internal/cutdisk"
)

// openOn opens the store on a simulated disk. It need not be closed.
func openOn(t *testing.T, disk *cutdisk.Disk) *store.Store {
	t.Helper()
	s, err := store.Open(storeDir, identity, onDisk(disk))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // the disk may have failed
	return s
}

// A sync that failed may leave a frame that reads show and that is not on the disk. The next process must not append
// behind it: both would be lost with the power.
func TestFailedSyncIsNotBelieved(t *testing.T) {
	for seed := range uint64(20) {
		disk := cutdisk.New()
		if err := store.Init(storeDir, identity, onDisk(disk)); err != nil {
			t.Fatal(err)
		}
		s := openOn(t, disk)
		appendBatches(t, s, run(0, 1)...)
		disk.Fail(2, 1, seed) // the sync of the next frame
		if err := s.AppendBatches(run(1, 2)); !errors.Is(err, cutdisk.ErrIO) {
			t.Fatalf("got %v, want the disk's error", err)
		}
		disk.Mend()
		disk = disk.Kill()
		s = openOn(t, disk)
		_, err := s.Batch(batch(0, 1, 1000).Digest())
		appendBatches(t, s, run(2, 3)...)
		vote(t, s, 2)
		after, _ := disk.Cut(cutdisk.Everything, 0)
		s = openOn(t, after)
		if err == nil {
			held(t, s, run(0, 3)...)
		} else {
			held(t, s, run(0, 1)[0], run(2, 3)[0])
		}
	}
}

// A damaged index is made again: at once if Open finds out, else by the next one. It is no reason to stop for good.
func TestDamagedIndexIsMadeAgain(t *testing.T) {
	const steps = 120
	r := record(t, 4004, steps)
	disk := moments(r)[steps].disk
	for _, when := range []string{"before it is opened", "while it is open"} {
		t.Run(when, func(t *testing.T) {
			found := 0
			for _, table := range tablesIn(disk, "store/payload/index/") {
				image := disk.Kill()
				if damage := r.readsBeside(t, image, table, when == "before it is opened"); damage != nil {
					found++
					if errors.Is(damage, store.ErrNotFound) || errors.Is(damage, store.ErrPayloadLost) {
						t.Errorf("read: %v, want the index's damage", damage)
					}
				}
				if err := r.exactlyBatches(openOn(t, image), r.after[steps]); err != nil {
					t.Errorf("then: %v", err)
				}
			}
			if when == "while it is open" && found == 0 {
				t.Error("no read has found damage: nothing is shown")
			}
		})
	}
}

// readsBeside opens the store, before or after a table is damaged, reads all batches and returns the error of that.
func (r *recording) readsBeside(t *testing.T, image *cutdisk.Disk, table string, before bool) (damage error) {
	inBubble(t, func(t *testing.T) {
		if before {
			image.Rot(table, spoil)
		}
		c := newSchedule(image, identity, 1)
		s := c.open(t)
		if !before {
			image.Rot(table, spoil)
		}
		damage = r.exactlyBatches(s, r.after[len(r.steps)])
		_ = c.Run(s.Close) // LevelDB may name the damage once more
		image.Hold(nil)
	})
	return damage
}

// spoil damages every part of a file.
func spoil(data []byte) []byte {
	for at := 0; at < len(data); at += 100 {
		data[at] ^= 0x10
	}
	return data
}

// tablesIn returns LevelDB's tables in a directory, oldest first.
func tablesIn(disk *cutdisk.Disk, dir string) []string {
	return slices.DeleteFunc(disk.Files(), func(name string) bool {
		return !strings.HasPrefix(name, dir) || filepath.Ext(name) != ".ldb"
	})
}

// A table that is not whole is found when the store is opened, whether or not anything is read from it.
func TestTableCutShortIsLoss(t *testing.T) {
	disk := moments(record(t, 4006, 40))[40].disk
	inBubble(t, func(t *testing.T) { // the tables that are not needed any more go
		c := newSchedule(disk, identity, 1)
		c.close(t, c.open(t))
		disk.Hold(nil)
	})
	tables := tablesIn(disk, "store/safety/")
	if len(tables) < 2 {
		t.Fatalf("tables %v: nothing is shown", tables)
	}
	for _, name := range tables {
		image := disk.Kill()
		image.Rot(name, func(data []byte) []byte { return data[:len(data)-1] })
		if s, err := store.Open(storeDir, identity, onDisk(image)); !errors.Is(err, store.ErrSafetyLost) {
			t.Errorf("%s has lost a byte: %v, want ErrSafetyLost", name, err)
			if err == nil {
				_ = s.Close()
			}
		}
	}
}

// Another replica of the same chain keeps its store beside this one's in a testnet. None of its files passes for ours.
func TestNeighboursFilesAreRefused(t *testing.T) {
	s, dir := newStore(t, options)
	vote(t, s, 2)
	appendBatches(t, s, run(0, 2)...)
	vote(t, s, 3)
	neighbour := identity
	neighbour.Node = 1
	other := filepath.Join(t.TempDir(), "other")
	if err := store.Init(other, neighbour, options); err != nil {
		t.Fatal(err)
	}
	n, err := store.Open(other, neighbour, options)
	if err != nil {
		t.Fatal(err)
	}
	appendBatches(t, n, run(7, 9)...)
	for k := uint64(2); k <= 4; k++ { // one ahead of ours
		st := state(k)
		st.LastVoted.Signer = neighbour.Node
		if err := n.Append([]hotstuff.Record{st}); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	for part, want := range map[string]error{
		"CHAIN":                store.ErrOtherChain,
		"safety":               store.ErrSafetyLost,
		"safety.slots":         store.ErrSafetyLost,
		"payload/00000001.seg": store.ErrPayloadLost,
		"payload":              store.ErrPayloadLost,
	} {
		t.Run(part, func(t *testing.T) {
			image := crash(t, dir)
			replace(t, image, other, part)
			refused(t, image, want)
		})
	}
}

// A journal that is lost, with a newer one still there, takes blocks with it that no other file misses. LevelDB opens
// without a word.
func TestLostJournalIsNoticed(t *testing.T) {
	r := record(t, 4000, 60)
	verdicts := map[string]int{}
	for p := r.trace.Play(); p.Next(); {
		done := -1
		p.Marks(func(note any) { done = note.(progress).done })
		var journals []string
		for _, name := range p.Disk.Files() {
			if strings.HasPrefix(name, "store/safety/") && filepath.Ext(name) == ".log" {
				journals = append(journals, name)
			}
		}
		if done < 0 || len(journals) < 2 { // in the middle of a call, or all is in one journal
			continue
		}
		image := p.Disk.Kill()
		image.Lose(journals[0])
		verdict, err := r.judge(image, done)
		if err != nil {
			t.Fatalf("step %d: %v", done, err)
		}
		verdicts[verdict]++
	}
	if t.Log(verdicts); verdicts["safety lost"] == 0 {
		t.Error("no lost journal was noticed")
	}
}

// Each byte of the manifest counts, and another store's manifest is none.
func TestDamagedManifestIsFound(t *testing.T) {
	list := moments(record(t, 4001, 40))
	others := moments(record(t, 4002, 40))
	r := recording{history: newHistory(4001, 40)}
	verdicts := map[string]int{}
	judge := func(image *cutdisk.Disk, done int, what string) {
		verdict, err := r.judge(image, done)
		if err != nil {
			t.Errorf("step %d, %s: %v", done, what, err)
		}
		verdicts[verdict]++
	}
	for i, m := range list {
		for _, name := range m.disk.Files() {
			if !strings.HasPrefix(name, "store/safety/MANIFEST") {
				continue
			}
			for at := i % 31; at < 600; at += 31 * thinner {
				image := m.disk.Kill()
				image.Rot(name, func(data []byte) []byte {
					if at < len(data) {
						data[at] ^= 1
					}
					return data
				})
				judge(image, m.done, "a bit flipped")
			}
			for _, other := range others[min(i, len(others)-1):min(i+4, len(others))] {
				image := m.disk.Kill()
				image.Take(name, other.disk, name)
				judge(image, m.done, "another store's")
			}
		}
	}
	if t.Log(verdicts); verdicts["safety lost"] == 0 {
		t.Error("no damage was found")
	}
}
