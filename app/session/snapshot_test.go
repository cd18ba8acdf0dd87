package session_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/hotstuffd/hotstuffd/app/session"
	"github.com/hotstuffd/hotstuffd/app/snapshot"
	"pgregory.net/rapid"
)

// written returns the snapshot of a frozen table.
func written(t testing.TB, f *session.Frozen) []byte {
	t.Helper()
	var b bytes.Buffer
	if n, err := f.WriteTo(&b); err != nil || n != int64(b.Len()) {
		t.Fatalf("%d bytes said to be written, %d are: %v", n, b.Len(), err)
	}
	return b.Bytes()
}

func restored(t testing.TB, l session.Limits, b []byte) *session.Table {
	t.Helper()
	table := session.NewTable(l)
	if err := table.Restore(bytes.NewReader(b)); err != nil {
		t.Fatal(err)
	}
	return table
}

// event is what was done to a table; a table is a function of its events.
type event struct {
	open      bool
	session   int // the how manieth that was opened
	seq       uint64
	resultLen int
}

// history plays events.
type history struct {
	*session.Table
	ids []uint64
}

func (h *history) play(events ...event) (outcomes []string) {
	for _, e := range events {
		if e.open {
			h.ids = append(h.ids, h.Open([32]byte{byte(len(h.ids)), byte(len(h.ids) >> 8)}))
			continue
		}
		reply, o := h.Once(h.ids[e.session], e.seq, []byte{byte(e.seq)}, nil, func(b []byte) []byte {
			return append(b, bytes.Repeat([]byte{byte(e.seq)}, e.resultLen)...)
		})
		outcomes = append(outcomes, fmt.Sprint(o, string(reply)))
	}
	return outcomes
}

func drawEvent(rt *rapid.T, sessions int) event {
	if sessions == 0 || rapid.IntRange(0, 30).Draw(rt, "open") == 0 {
		return event{open: true}
	}
	return event{session: rapid.IntRange(max(0, sessions-6), sessions-1).Draw(rt, "session"), seq: uint64(rapid.IntRange(0, 20).Draw(rt, "seq")),
		resultLen: rapid.SampledFrom([]int{0, 1, 100, session.ResultBytesMax, session.ResultBytesMax + 1}).Draw(rt, "size")}
}

// frozenTable is a frozen table, and how it came to be.
type frozenTable struct {
	*session.Frozen
	events []event
}

// check compares it with a table that was told the same, and returns its snapshot.
func (f *frozenTable) check(t testing.TB, fail func(string, ...any), l session.Limits) []byte {
	same := &history{Table: session.NewTable(l)}
	same.play(f.events...)
	want := same.Freeze()
	if f.Digest() != want.Digest() {
		fail("after %d events a frozen table has another digest than one that was told the same", len(f.events))
	}
	b := written(t, f.Frozen)
	if !bytes.Equal(b, written(t, want)) {
		fail("after %d events a frozen table is written differently from one that was told the same", len(f.events))
	}
	want.Release()
	again := restored(t, l, b)
	if again.Digest() != same.Digest() || again.Len() != same.Len() || again.Bytes() != same.Bytes() {
		fail("after %d events a table is another one when it is restored", len(f.events))
	}
	return b
}

// Whatever is done to a table, what was frozen stays as it was; and a restored table goes on like the one that was frozen.
func TestFrozenStandsStill(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		limits := session.Limits{Sessions: rapid.IntRange(1, 8).Draw(rt, "sessions"), Bytes: rapid.IntRange(1, 100_000).Draw(rt, "bytes")}
		table := &history{Table: session.NewTable(limits)}
		var events []event
		var frozen []frozenTable
		var twin *history // was restored, and gets the same from then on
		for range rapid.IntRange(1, 300).Draw(rt, "steps") {
			switch step := rapid.IntRange(0, 20).Draw(rt, "step"); {
			case step == 0 && len(frozen) < 4:
				frozen = append(frozen, frozenTable{table.Freeze(), slices.Clone(events)})
			case step == 1 && len(frozen) > 0:
				b := frozen[0].check(t, rt.Fatalf, limits)
				if len(frozen[0].events) == len(events) {
					twin = &history{Table: restored(t, limits, b), ids: slices.Clone(table.ids)}
				}
				frozen[0].Release()
				frozen = frozen[1:]
			case step == 2 && len(frozen) == 0:
				table.Digest()
			default:
				e := drawEvent(rt, len(table.ids))
				events = append(events, e)
				got := table.play(e)
				if twin != nil && !slices.Equal(twin.play(e), got) {
					rt.Fatalf("%+v: a restored table answers differently", e)
				}
			}
		}
		for _, f := range append(frozen, frozenTable{table.Freeze(), events}) {
			f.check(t, rt.Fatalf, limits)
			f.Release()
		}
		if twin != nil && twin.Digest() != table.Digest() {
			rt.Fatal("a restored table has come to another state")
		}
	})
}

// The executor goes on while another goroutine takes digests of frozen tables and writes them out. The race detector watches
// that neither touches what is the other's.
func TestExecutorGoesOnBesideFrozen(t *testing.T) {
	limits := session.Limits{Sessions: 20, Bytes: 1 << 20}
	table := &history{Table: session.NewTable(limits)}
	frozen := make(chan frozenTable, 2)
	var wait sync.WaitGroup
	wait.Go(func() {
		for f := range frozen {
			f.check(t, t.Errorf, limits)
			f.Release()
		}
	})
	var events []event
	for i := range 6000 {
		e := event{open: i%100 == 0, session: max(0, i/100-i%15), seq: uint64(i/15%400 + 1), resultLen: i % 50}
		events = append(events, e)
		table.play(e)
		if i%400 == 399 {
			frozen <- frozenTable{table.Freeze(), slices.Clone(events)}
		}
	}
	close(frozen)
	wait.Wait()
}

// The first write to a session beside a frozen table copies it; the next ones, and those after the release, do not.
func TestWriteBesideFrozenCopiesOnce(t *testing.T) {
	table, n := session.NewTable(wide), 0
	id := table.Open([32]byte{1})
	for seq := uint64(1); seq <= 3*session.Window; seq++ {
		once(table, id, seq, &n)
	}
	next := uint64(3 * session.Window)
	cost := func() uint64 {
		next++
		return costOf(func() { once(table, id, next, &n) })
	}
	for cost() > 1000 { // until there is room behind the results
	}
	f := table.Freeze()
	if size := cost(); size < session.Window*48 {
		t.Errorf("the first write allocates %d bytes: it has not copied the session", size)
	}
	if size := cost(); size > 1000 {
		t.Errorf("the second write allocates %d bytes", size)
	}
	f.Release()
	table.Freeze().Release()
	if size := cost(); size > 1000 {
		t.Errorf("a write after the release allocates %d bytes", size)
	}
}

// costOf returns how many bytes f allocates.
func costOf(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

const tableHead, tableEnd = "hotstuffd/sessions/state\x00\x01", "end\n"

func number(n uint64) string { return string(binary.BigEndian.AppendUint64(nil, n)) }

// state is a snapshot of sessions as given.
func state(opened, count uint64, sessions ...string) string {
	return tableHead + number(opened) + number(count) + strings.Join(sessions, "") + tableEnd
}

// one is a session of a snapshot, with results as given.
func one(id, floor uint64, results ...string) string {
	return number(id) + number(floor) + string(binary.AppendUvarint(nil, uint64(len(results)))) + strings.Join(results, "")
}

// kept is a result of a snapshot; those that were too large are not kept.
func kept(seq uint64, result string) string {
	b := number(seq) + strings.Repeat("h", 16)
	if len(result) > session.ResultBytesMax {
		return b + "\x00"
	}
	return b + "\x01" + string(binary.AppendUvarint(nil, uint64(len(result)))) + result
}

// run is the results of many numbers.
func run(from, to uint64) []string { return runOf(from, to, "r") }

func runOf(from, to uint64, result string) (results []string) {
	for seq := from; seq <= to; seq++ {
		results = append(results, kept(seq, result))
	}
	return results
}

// A snapshot is taken in one form alone, if the rules can have led to it, and within the limits.
func TestRestoreIsStrict(t *testing.T) {
	table := session.NewTable(session.Limits{Sessions: 3, Bytes: 200_000})
	large := strings.Repeat("x", session.ResultBytesMax+1)
	for what, b := range map[string]string{
		"none":                      state(0, 0),
		"one":                       state(1, 1, one(7, 1)),
		"others have gone":          state(9, 2, one(7, 1), one(5, 1)),
		"results below":             state(1, 1, one(7, 3, kept(1, "a"), kept(2, large))),
		"results above":             state(1, 1, one(7, 1, kept(2, ""), kept(256, "x"))),
		"both":                      state(1, 1, one(7, 2, kept(1, ""), kept(3, "x"))),
		"a window of results":       state(1, 1, one(7, 1000, run(744, 999)...)),
		"full windows":              state(1, 1, one(7, 1000, append(run(744, 999), run(1001, 1255)...)...)),
		"one above the limit":       state(1, 1, one(7, 1000, runOf(744, 999, strings.Repeat("x", session.ResultBytesMax))...)),
		"as many as there may be":   state(3, 3, one(1, 1), one(2, 1), one(1<<63-1, 1)),
		"with results, and without": state(2, 2, one(1, 1), one(2, 1000, append(run(744, 998), kept(999, strings.Repeat("x", 4000)))...)),
	} {
		if err := table.Restore(iotest.OneByteReader(strings.NewReader(b))); err != nil || string(written(t, table.Freeze())) != b {
			t.Errorf("%s: %v", what, err)
		}
	}
	good := state(2, 2, one(7, 2, kept(1, "a")), one(5, 1, kept(2, large)))
	for what, b := range map[string]string{
		"nothing":                      "",
		"another head":                 strings.Replace(good, "\x01", "\x02", 1),
		"another end":                  good[:len(good)-1] + "!",
		"something behind it":          good + "x",
		"fewer than said":              state(2, 2, one(7, 1)),
		"very many":                    state(1<<63, 1<<63, one(7, 1)),
		"more than said":               state(2, 1, one(7, 1), one(5, 1)),
		"more than were opened":        state(1, 2, one(7, 1), one(5, 1)),
		"one twice":                    state(2, 2, one(7, 1), one(7, 1)),
		"too many":                     state(4, 4, one(1, 1), one(2, 1), one(3, 1), one(4, 1)),
		"too many bytes":               state(2, 2, one(1, 1), one(2, 1000, runOf(744, 999, strings.Repeat("x", 1000))...)),
		"number 0 of a session":        state(1, 1, one(0, 1)),
		"a number of 64 bits":          state(1, 1, one(1<<63, 1)),
		"floor 0":                      state(1, 1, one(7, 0)),
		"a floor that nobody reaches":  state(1, 1, one(7, 1<<63, run(1<<63-256, 1<<63-1)...)),
		"a number at the floor":        state(1, 1, one(7, 1, kept(1, ""))),
		"a number behind the window":   state(1, 1, one(7, 1, kept(257, ""))),
		"a number before the window":   state(1, 1, one(7, 1000, run(743, 999)...)),
		"a gap below the floor":        state(1, 1, one(7, 4, kept(1, ""), kept(3, ""))),
		"a gap that is made up for":    state(1, 1, one(7, 4, kept(1, ""), kept(3, ""), kept(5, ""))),
		"nothing below the floor":      state(1, 1, one(7, 4)),
		"too little below the floor":   state(1, 1, one(7, 1000, run(744, 998)...)),
		"number 0 of a result":         state(1, 1, one(7, 1, kept(0, ""))),
		"results in another order":     state(1, 1, one(7, 1, kept(3, ""), kept(2, ""))),
		"a result twice":               state(1, 1, one(7, 1, kept(3, ""), kept(3, ""))),
		"more results than there are":  state(1, 1, one(7, 1000, append(run(744, 999), run(1000, 1300)...)...)),
		"a large result":               state(1, 1, one(7, 2, number(1)+strings.Repeat("h", 16)+"\x01"+"\x81\x20"+strings.Repeat("x", 4097))),
		"another word for no result":   state(1, 1, one(7, 2, number(1)+strings.Repeat("h", 16)+"\x02")),
		"a length with a zero":         state(1, 1, one(7, 2, number(1)+strings.Repeat("h", 16)+"\x01"+"\x81\x00"+"x")),
		"a count of results too large": state(1, 1, number(7)+number(1)+"\x81\x04"),
	} {
		err := table.Restore(strings.NewReader(b))
		if !errors.Is(err, snapshot.ErrMalformed) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: %v", what, err)
		}
		if table.Len() != 0 || table.Bytes() != 0 {
			t.Errorf("%s: %d sessions are left", what, table.Len())
		}
		if err := table.Restore(strings.NewReader(good)); err != nil {
			t.Fatalf("after %s a good one is not taken: %v", what, err)
		}
	}
	for cut := range good {
		if err := table.Restore(strings.NewReader(good[:cut])); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut at %d: %v", cut, err)
		}
	}
}

// FuzzRestore: any bytes are refused, or are what the table writes when asked again; neither costs more than a small
// multiple of them.
func FuzzRestore(f *testing.F) {
	f.Add([]byte(state(0, 0)))
	f.Add([]byte(state(3, 2, one(7, 3, kept(1, "a"), kept(2, "b")), one(5, 1, kept(2, "x")))))
	f.Add([]byte(state(1<<40, 1<<40, one(7, 1))))
	limits := session.Limits{Sessions: 100, Bytes: 1 << 20}
	f.Fuzz(func(t *testing.T, b []byte) {
		table := session.NewTable(limits)
		var err error
		const buffers, multiple = 100 << 10, 40 // the least session has 17 bytes
		if size := costOf(func() { err = table.Restore(bytes.NewReader(b)) }); size > uint64(buffers+multiple*len(b)) {
			t.Fatalf("%d bytes cost %d", len(b), size)
		}
		switch f := table.Freeze(); {
		case err == nil && !bytes.Equal(written(t, f), b):
			t.Fatalf("%q is taken, but written as %q", b, written(t, f))
		case err == nil && restored(t, limits, b).Digest() != f.Digest():
			t.Fatal("two digests")
		case err != nil && table.Len() != 0:
			t.Fatal("refused, and something is left")
		}
	})
}
