package session_test

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/hotstuffd/hotstuffd/app/session"
	"pgregory.net/rapid"
)

var wide = session.Limits{Sessions: 1000, Bytes: 1 << 30}

// once has "n" executed under a number, and tells what came of it. n counts executions.
func once(t *session.Table, id, seq uint64, n *int) (string, session.Outcome) {
	reply, o := t.Once(id, seq, []byte("command"), []byte("before "), func(b []byte) []byte {
		*n++
		return fmt.Appendf(b, "%d", *n)
	})
	return strings.TrimPrefix(string(reply), "before "), o
}

// The first result of a number is the only one, in whatever order numbers come.
func TestResultsAreFirstOnes(t *testing.T) {
	table, n := session.NewTable(wide), 0
	id := table.Open([32]byte{1})
	for _, step := range []struct {
		seq     uint64
		result  string
		outcome session.Outcome
	}{
		{1, "1", session.Done}, {1, "1", session.Done}, {3, "2", session.Done}, {2, "3", session.Done}, {3, "2", session.Done}, {2, "3", session.Done},
		{0, "", session.Invalid}, {4 + session.Window, "", session.Ahead}, {1 << 63, "", session.Ahead}, {3 + session.Window, "4", session.Done},
		{4, "5", session.Done}, {4 + session.Window, "6", session.Done},
	} {
		if result, o := once(table, id, step.seq, &n); result != step.result || o != step.outcome {
			t.Errorf("number %d: %q, outcome %d; want %q, %d", step.seq, result, o, step.result, step.outcome)
		}
	}
	if result, o := once(table, id+1, 1, &n); o != session.Expired || result != "" {
		t.Errorf("a session that nobody opened: %q, outcome %d", result, o)
	}
}

// What is executed is executed once, whatever is sent: results come back while they are kept, and are said to be gone
// afterwards. Tables that were told the same are the same, bounded, and their digests tell every difference.
func TestAnyOrderIsExactlyOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		limits := session.Limits{Sessions: rapid.IntRange(1, 5).Draw(rt, "sessions"), Bytes: rapid.IntRange(1, 200_000).Draw(rt, "bytes")}
		table, twin := session.NewTable(limits), session.NewTable(limits)
		type key struct{ id, seq uint64 }
		results := map[key]string{}
		next := map[uint64]uint64{}
		var ids []uint64
		for step := range rapid.IntRange(1, 600).Draw(rt, "steps") {
			if len(ids) == 0 || rapid.IntRange(0, 40).Draw(rt, "open") == 0 {
				place := [32]byte{byte(step), byte(step >> 8)}
				id := table.Open(place)
				if other := twin.Open(place); other != id || id == 0 || id >= 1<<63 || next[id] != 0 {
					rt.Fatalf("opened %d and %d", id, other)
				}
				ids, next[id] = append(ids, id), 1
				continue
			}
			id := rapid.SampledFrom(ids).Draw(rt, "id")
			seq := next[id] + uint64(rapid.IntRange(0, 3).Draw(rt, "ahead"))
			if back := uint64(rapid.IntRange(0, 400).Draw(rt, "back")); back < seq && rapid.Bool().Draw(rt, "retry") {
				seq -= back
			}
			size := rapid.SampledFrom([]int{0, 1, 100, session.ResultBytesMax, session.ResultBytesMax + 1}).Draw(rt, "size")
			executed := 0
			apply := func(b []byte) []byte {
				executed++
				return append(b, bytes.Repeat([]byte{byte(step)}, size)...)
			}
			reply, o := table.Once(id, seq, []byte{byte(seq)}, nil, apply)
			twice, o2 := twin.Once(id, seq, []byte{byte(seq)}, nil, apply)
			if string(twice) != string(reply) || o != o2 {
				rt.Fatal("two tables answer differently")
			}
			before, was := results[key{id, seq}]
			switch {
			case executed > 0 && (was || executed != 2 || o != session.Done):
				rt.Fatalf("number %d of %d: executed %d times in two tables, was executed: %v, outcome %d", seq, id, executed, was, o)
			case executed == 0 && o == session.Done && (!was || string(reply) != before):
				rt.Fatalf("number %d of %d: result %q, the first one was %q", seq, id, reply, before)
			case o != session.Done && len(reply) > 0:
				rt.Fatal("a result with a refusal")
			case executed > 0:
				results[key{id, seq}] = string(reply)
			}
			for next[id] > 0 {
				if _, ok := results[key{id, next[id]}]; !ok {
					break
				}
				next[id]++
			}
			if table.Len() > limits.Sessions || table.Bytes() > limits.Bytes && table.Len() > 1 {
				rt.Fatalf("%d sessions of %d bytes, limits %+v", table.Len(), table.Bytes(), limits)
			}
			if rapid.IntRange(0, 9).Draw(rt, "digest") == 0 && table.Digest() != twin.Digest() {
				rt.Fatal("digests differ")
			}
		}
		if table.Digest() != twin.Digest() {
			rt.Fatal("digests differ")
		}
		twin.Open([32]byte{0xff})
		if table.Digest() == twin.Digest() {
			rt.Fatal("a session more, and the same digest")
		}
	})
}

// A number belongs to the command that was executed under it: who sends another one is told so, and not its result.
func TestNumberBelongsToItsCommand(t *testing.T) {
	table := session.NewTable(wide)
	id := table.Open([32]byte{1})
	send := func(command string) (string, session.Outcome) {
		reply, o := table.Once(id, 1, []byte(command), nil, func(b []byte) []byte { return append(b, command...) })
		return string(reply), o
	}
	for _, step := range []struct {
		command, result string
		outcome         session.Outcome
	}{{"junk", "junk", session.Done}, {"paid", "", session.Taken}, {"junk", "junk", session.Done}} {
		if result, o := send(step.command); result != step.result || o != step.outcome {
			t.Errorf("%s: %q, outcome %d; want %q, %d", step.command, result, o, step.result, step.outcome)
		}
	}
}

// What a table counts for its limit is no less than what it takes, by much.
func TestBytesAreCounted(t *testing.T) {
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for _, each := range []uint64{0, 1, 20} {
		before := heap()
		table, n := session.NewTable(session.Limits{Sessions: 1 << 24, Bytes: 32 << 20}), 0
		for last := -1; table.Len() > last; {
			last = table.Len()
			id := table.Open([32]byte{byte(last), byte(last >> 8), byte(last >> 16)})
			for seq := uint64(1); seq <= each; seq++ {
				once(table, id, seq, &n)
			}
		}
		table.Digest()
		if took := heap() - before; took > 3*uint64(table.Bytes())/2 {
			t.Errorf("%d results each: %d sessions count %d MiB, and take %d", each, table.Len(), table.Bytes()>>20, took>>20)
		}
		runtime.KeepAlive(table)
	}
}

// The session that was unused for longest goes first, and what it had executed is never executed again.
func TestEviction(t *testing.T) {
	table, n := session.NewTable(session.Limits{Sessions: 2, Bytes: 1 << 20}), 0
	a, b := table.Open([32]byte{1}), table.Open([32]byte{2})
	once(table, a, 1, &n)
	c := table.Open([32]byte{3})
	for id, want := range map[uint64]session.Outcome{a: session.Done, b: session.Expired, c: session.Done} {
		if _, o := once(table, id, 1, &n); o != want {
			t.Errorf("session %d: outcome %d, want %d", id, o, want)
		}
	}
	if n != 2 {
		t.Errorf("%d executed, want 2", n)
	}
}

// Which session goes next is part of the state: two tables that differ in it would come to differ in their sessions.
func TestDigestCoversTheOrderOfUse(t *testing.T) {
	make2 := func() (*session.Table, uint64, uint64) {
		table := session.NewTable(wide)
		return table, table.Open([32]byte{1}), table.Open([32]byte{2})
	}
	n := 0
	one, a, _ := make2()
	other, _, b := make2()
	once(one, a, 0, &n)
	once(other, b, 0, &n)
	if one.Digest() == other.Digest() {
		t.Error("another order of use, and the same digest")
	}
}

// Replicas of all versions compare digests: the function is the same for ever.
func TestDigestIsForEver(t *testing.T) {
	table, n := session.NewTable(wide), 0
	for i := range byte(5) {
		id := table.Open([32]byte{i})
		for seq := uint64(1); seq <= 300*uint64(i%2)+3; seq++ {
			once(table, id, seq, &n)
		}
		once(table, id, 310, &n)
		table.Once(id, 305, nil, nil, func(b []byte) []byte { return append(b, make([]byte, session.ResultBytesMax+1)...) })
	}
	const want = "0d85595e241ba44fa942b29e465f8e11e2946e868d4cc18617cd8225baa4852b"
	if got := fmt.Sprintf("%x", table.Digest()); got != want {
		t.Errorf("digest %s, and it was %s: replicas of old and new versions would differ", got, want)
	}
}

// FuzzParse: any bytes are parsed or refused, and what is parsed is what was appended.
func FuzzParse(f *testing.F) {
	f.Add(session.AppendOpen(nil)[1:])
	f.Add(append(session.AppendOnce(nil, 7, 9, 3), "abc"...)[1:])
	f.Fuzz(func(t *testing.T, body []byte) {
		c, ok := session.Parse(body)
		if !ok {
			return
		}
		again := session.AppendOpen(nil)
		if !c.Open {
			again = append(session.AppendOnce(nil, c.ID, c.Seq, len(c.Command)), c.Command...)
		}
		if !bytes.HasSuffix(again, body) {
			t.Fatalf("%x became %x", body, again)
		}
	})
}
