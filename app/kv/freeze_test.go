package kv_test

import (
	"bytes"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hotstuffd/hotstuffd/app"
	"github.com/hotstuffd/hotstuffd/app/kv"
	"pgregory.net/rapid"
)

// filled returns a store with the contents of a model.
func filled(t testing.TB, m model) *kv.Store {
	s := newStore(t)
	for key, value := range m {
		do(t, s, "SET", key, value)
	}
	return s
}

// written returns the snapshot of a frozen store.
func written(t testing.TB, f app.Frozen) []byte {
	t.Helper()
	var b bytes.Buffer
	if n, err := f.WriteTo(&b); err != nil || n != int64(b.Len()) {
		t.Fatalf("%d bytes said to be written, %d are: %v", n, b.Len(), err)
	}
	return b.Bytes()
}

// restored returns a store with the contents of a snapshot.
func restored(t testing.TB, b []byte) *kv.Store {
	t.Helper()
	s := newStore(t)
	if err := s.Restore(bytes.NewReader(b)); err != nil {
		t.Fatal(err)
	}
	return s
}

// held is a frozen store, and what it must have.
type held struct {
	app.Frozen
	contents model
	used     bool
}

// check compares a frozen store with a store that was filled with its contents directly.
func (h *held) check(t *testing.T, rt *rapid.T, order []string) []byte {
	same := filled(t, h.contents)
	want := same.Freeze()
	var b []byte
	for _, what := range order {
		switch what {
		case "digest":
			if h.Digest() != want.Digest() {
				rt.Fatalf("a frozen store of %d keys has another digest than one filled with them", len(h.contents))
			}
		case "write":
			if b = written(t, h); !bytes.Equal(b, written(t, want)) {
				rt.Fatalf("a frozen store of %d keys is written differently from one filled with them", len(h.contents))
			}
			if restored(t, b).Digest() != want.Digest() {
				rt.Fatalf("a store of %d keys has another digest when it is restored", len(h.contents))
			}
		}
	}
	h.used = true
	return b
}

// Whatever is done to a store, what was frozen stays as it was, for as long as it is held, and its digest and its snapshot
// are those of its contents; the store itself is none the wiser.
func TestFrozenStandsStill(t *testing.T) {
	orders := [][]string{{"digest"}, {"write"}, {"digest", "write", "digest"}, {"write", "digest"}, {}}
	rapid.Check(t, func(rt *rapid.T) {
		s, m := newStore(t), model{}
		var frozen []*held
		snapshot, contents := written(t, s.Freeze()), model{}
		for range rapid.IntRange(1, 300).Draw(rt, "steps") {
			switch rapid.SampledFrom([]string{"command", "command", "command", "command", "command", "command", "freeze", "use",
				"release", "digest", "restore"}).Draw(rt, "step") {
			case "command":
				words := drawCommand(rt)
				if got, want := do(t, s, words...), m.do(words); got != want {
					rt.Fatalf("%q: got %q, want %q", words, got, want)
				}
			case "freeze":
				if len(frozen) < 4 {
					frozen = append(frozen, &held{Frozen: s.Freeze(), contents: maps.Clone(m)})
				}
			case "use": // the oldest that was not
				if i := slices.IndexFunc(frozen, func(h *held) bool { return !h.used }); i >= 0 {
					if b := frozen[i].check(t, rt, rapid.SampledFrom(orders).Draw(rt, "order")); b != nil {
						snapshot, contents = b, frozen[i].contents
					}
				}
			case "release": // any of them
				if len(frozen) > 0 {
					i := rapid.IntRange(0, len(frozen)-1).Draw(rt, "which")
					frozen[i].Release()
					frozen = slices.Delete(frozen, i, i+1)
				}
			case "digest":
				if len(frozen) == 0 && s.Digest() != filled(t, m).Digest() {
					rt.Fatalf("a store of %d keys has another digest than one filled with them", len(m))
				}
			case "restore":
				if rapid.IntRange(0, 9).Draw(rt, "rarely") == 0 {
					if err := s.Restore(bytes.NewReader(snapshot)); err != nil {
						rt.Fatal(err)
					}
					m = maps.Clone(contents)
				}
			}
		}
		for _, h := range frozen {
			if !h.used {
				h.check(t, rt, orders[2])
			}
			h.Release()
		}
		last := held{Frozen: s.Freeze(), contents: m}
		last.check(t, rt, orders[2])
		last.Release()
		if got, want := scanAll(t, s), slices.Sorted(maps.Keys(m)); !slices.Equal(got, want) {
			rt.Fatalf("SCAN found %q, want %q", got, want)
		}
		if s.Digest() != filled(t, m).Digest() {
			rt.Fatalf("a store of %d keys has another digest than one filled with them", len(m))
		}
	})
}

// The executor writes, reads and scans while another goroutine takes digests of what was frozen and writes it out. The race
// detector watches that neither touches what is the other's.
func TestExecutorGoesOnBesideFrozen(t *testing.T) {
	s, m := newStore(t), model{}
	frozen := make(chan *held, 3) // as many wait as are held at a time, besides the one in use
	var wait sync.WaitGroup
	wait.Go(func() {
		for h := range frozen {
			digest := h.Digest()
			b := written(t, h)
			h.Release()
			same := filled(t, h.contents)
			if want := same.Digest(); digest != want || restored(t, b).Digest() != want {
				t.Errorf("a frozen store of %d keys: another digest, or another one when it is restored", len(h.contents))
			}
		}
	})
	long := strings.Repeat("long", 300)
	for i := range 20_000 {
		key := fmt.Sprint("k", i*7919%1500)
		var words []string
		switch i % 9 {
		case 0, 1, 2:
			words = []string{"SET", key, fmt.Sprint("value", i)}
		case 3:
			words = []string{"SET", key, long}
		case 4:
			words = []string{"APPEND", key, "and more"}
		case 5, 6:
			words = []string{"DEL", key, fmt.Sprint("k", i%1500)}
		case 7:
			words = []string{"EXISTS", key, "nothing"}
		case 8:
			words = []string{"MGET", key, "nothing"}
		}
		if got, want := do(t, s, words...), m.do(words); got != want {
			t.Fatalf("%q: got %q, want %q", words, got, want)
		}
		if i%50 == 0 {
			do(t, s, "SCAN", fmt.Sprint(uint64(i)<<48), "COUNT", "50")
		}
		if i%500 == 0 {
			do(t, s, "KEYS", "*1*")
			frozen <- &held{Frozen: s.Freeze(), contents: maps.Clone(m)}
		}
	}
	close(frozen)
	wait.Wait()
	if s.Digest() != filled(t, m).Digest() {
		t.Error("the store differs from one filled with its contents")
	}
}

// costOf returns what f allocates.
func costOf(f func()) (objects, size uint64) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs, after.TotalAlloc - before.TotalAlloc
}

// A freeze costs the same whatever is in the store. The first write near a key beside a frozen store costs a copy of its
// leaf and of the nodes on the way, and no copy of its neighbours' data; the second one less; and after the release, nothing.
func TestCostOfAFreeze(t *testing.T) {
	s := newStore(t)
	big := strings.Repeat("x", 100<<10)
	for i := range 20_000 {
		do(t, s, "SET", fmt.Sprint("key", i), "value")
	}
	for i := range 50 {
		do(t, s, "SET", fmt.Sprint("big", i), big)
	}
	s.Digest()
	set := kv.AppendCommand(nil, kv.OpSet, []byte("big0"), []byte("small"))
	more := kv.AppendCommand(nil, kv.OpAppend, []byte("big1"), []byte("x"))
	reply := make([]byte, 0, 1000)
	apply := func(command []byte) func() { return func() { reply = s.Apply(app.Moment{}, command, reply[:0]) } }
	apply(more)() // has room for more now

	var f app.Frozen
	if objects, size := costOf(func() { f = s.Freeze() }); objects > 10 || size > 1000 {
		t.Errorf("a freeze of 20,050 keys allocates %d objects of %d bytes", objects, size)
	}
	for _, step := range []struct {
		what          string
		command       []byte
		objects, size uint64
	}{
		{"the first write", set, 12, 8 << 10},
		{"the next one at the same place", set, 2, 100},
		{"more for a value of 100 KiB", more, 12, 8 << 10},
		{"more for it again", more, 2, 100},
	} {
		if objects, size := costOf(apply(step.command)); objects > step.objects || size > step.size {
			t.Errorf("%s beside a frozen store allocates %d objects of %d bytes", step.what, objects, size)
		}
	}
	overwrite, extend := apply(set), apply(more)
	if allocs := testing.AllocsPerRun(100, overwrite); allocs != 0 { // it has data of its own by now
		t.Errorf("%v allocations for overwriting once more beside a frozen store", allocs)
	}
	f.Release()
	if allocs := testing.AllocsPerRun(100, func() { overwrite(); extend() }); allocs != 0 {
		t.Errorf("%v allocations for an overwrite after the release", allocs)
	}
}

// Deleting keys joins leaves, and what a frozen one brings into the new leaf stays as it was: overwriting it later makes new
// data, even if the old had room. The same goes for a value that grew in place, since its beginning is the frozen one's.
func TestDataThatMovedStaysFrozen(t *testing.T) {
	s := newStore(t)
	for i := range 200 {
		do(t, s, "SET", fmt.Sprint("key", i), "1")
		do(t, s, "APPEND", fmt.Sprint("key", i), "234") // leaves room behind it
	}
	f := s.Freeze()
	before := written(t, f)
	for i := range 180 {
		do(t, s, "DEL", fmt.Sprint("key", i))
	}
	for i := 180; i < 190; i++ {
		do(t, s, "APPEND", fmt.Sprint("key", i), "5")
	}
	for i := 180; i < 200; i++ {
		do(t, s, "SET", fmt.Sprint("key", i), "x")
	}
	if !bytes.Equal(written(t, f), before) {
		t.Error("what was frozen has changed")
	}
	f.Release()
}

// Frozen stores that are released in another order than they were made do not pile up, and hold nothing.
func TestReleasedStoresHoldNothing(t *testing.T) {
	s := newStore(t)
	do(t, s, "SET", "k", "v")
	last := s.Freeze()
	if _, size := costOf(func() {
		for range 10_000 {
			next := s.Freeze()
			last.Release()
			last = next
		}
	}); size > 10_000*60 {
		t.Errorf("a freeze among others allocates %d bytes", size/10_000)
	}
	last.Release()
}
