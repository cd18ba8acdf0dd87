package kv_test

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hotstuffd/hotstuffd/app"
	"github.com/hotstuffd/hotstuffd/app/kv"
	"pgregory.net/rapid"
)

// model is the store as a plain map: the plainest reading of what the commands mean.
type model map[string]string

func (m model) bulk(key string) string {
	if v, ok := m[key]; ok {
		return fmt.Sprintf("$%d\r\n%s\r\n", len(v), v)
	}
	return "$-1\r\n"
}

func integer(n int) string { return fmt.Sprintf(":%d\r\n", n) }

func (m model) do(words []string) string {
	key, args := words[1], words[2:]
	old, exists := m[key]
	switch words[0] {
	case "SET":
		get, nx, xx := slices.Contains(args, "GET"), slices.Contains(args, "NX"), slices.Contains(args, "XX")
		before := m.bulk(key)
		applies := !(nx && exists) && !(xx && !exists)
		if applies {
			m[key] = args[0]
		}
		switch {
		case get:
			return before
		case applies:
			return "+OK\r\n"
		}
		return "$-1\r\n"
	case "GETDEL":
		before := m.bulk(key)
		delete(m, key)
		return before
	case "MSET":
		m[key], m[args[1]] = args[0], args[2]
		return "+OK\r\n"
	case "DEL":
		n := len(m)
		delete(m, key)
		delete(m, args[0])
		return integer(n - len(m))
	case "APPEND":
		m[key] += args[0]
		return integer(len(m[key]))
	case "INCRBY", "DECRBY":
		delta, err := strconv.ParseInt(args[0], 10, 64)
		if err != nil || strconv.FormatInt(delta, 10) != args[0] {
			return "-ERR value is not an integer or out of range\r\n"
		}
		if words[0] == "DECRBY" {
			delta = -delta
		}
		return m.add(key, delta)
	case "CAS":
		if old != args[0] || exists == (args[0] == "") {
			return ":0\r\n"
		}
		m[key] = args[1]
		return ":1\r\n"
	case "EXISTS":
		_, other := m[args[0]]
		return integer(len(slices.DeleteFunc([]bool{exists, other}, func(b bool) bool { return !b })))
	case "MGET":
		return "*2\r\n" + m.bulk(key) + m.bulk(args[0])
	case "STRLEN":
		return integer(len(old))
	}
	panic("the model does not know " + words[0])
}

func (m model) add(key string, delta int64) string {
	n := int64(0)
	if old, ok := m[key]; ok {
		var err error
		if n, err = strconv.ParseInt(old, 10, 64); err != nil || strconv.FormatInt(n, 10) != old {
			return "-ERR value is not an integer or out of range\r\n"
		}
	}
	if delta > 0 && n > math.MaxInt64-delta || delta < 0 && n < math.MinInt64-delta {
		return "-ERR increment or decrement would overflow\r\n"
	}
	m[key] = strconv.FormatInt(n+delta, 10)
	return fmt.Sprintf(":%d\r\n", n+delta)
}

// drawCommand draws a command over few enough keys that they meet, and enough that leaves split and merge.
func drawCommand(t *rapid.T) []string {
	key := func(label string) string { return fmt.Sprint("k", rapid.IntRange(0, 80).Draw(t, label)) }
	value := rapid.OneOf(rapid.SampledFrom([]string{"", "0", "-1", "9223372036854775807", "-9223372036854775808", "x y"}),
		rapid.StringN(0, 20, 40), rapid.Just(strings.Repeat("long", 200)))
	number := rapid.OneOf(rapid.SampledFrom([]string{"1", "-1", "9223372036854775807", "+1", ""}), rapid.Map(rapid.Int32(),
		func(n int32) string { return fmt.Sprint(n) }))
	v := func() string { return value.Draw(t, "value") }
	switch name := rapid.SampledFrom([]string{"SET", "SET", "SET", "GETDEL", "MSET", "DEL", "DEL", "APPEND", "INCRBY",
		"DECRBY", "CAS", "EXISTS", "MGET", "STRLEN"}).Draw(t, "command"); name {
	case "SET":
		options := rapid.SampledFrom([][]string{nil, nil, {"NX"}, {"XX"}, {"GET"}, {"NX", "GET"}, {"GET", "XX"}}).
			Draw(t, "options")
		return append([]string{name, key("key"), v()}, options...)
	case "GETDEL", "STRLEN":
		return []string{name, key("key")}
	case "MSET":
		return []string{name, key("key"), v(), key("key 2"), v()}
	case "DEL", "EXISTS", "MGET":
		return []string{name, key("key"), key("key 2")}
	case "APPEND":
		return []string{name, key("key"), v()}
	case "CAS":
		return []string{name, key("key"), v(), v()}
	default:
		return []string{name, key("key"), number.Draw(t, "number")}
	}
}

// The store answers as a plain map does, and its digest depends on the contents alone, not on how they came to be.
func TestStoreIsAMap(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s, m := newStore(t), model{}
		for range rapid.IntRange(1, 400).Draw(rt, "commands") {
			words := drawCommand(rt)
			if got, want := do(t, s, words...), m.do(words); got != want {
				rt.Fatalf("%q: got %q, want %q", words, got, want)
			}
			if rapid.IntRange(0, 9).Draw(rt, "digest") == 0 {
				s.Digest() // digests taken in between must not matter
			}
		}
		fresh := newStore(t)
		for key, value := range m { // in Go's random order
			do(t, fresh, "SET", key, value)
		}
		if s.Digest() != fresh.Digest() {
			rt.Fatalf("two histories of the same %d keys have different digests", len(m))
		}
		if got, want := scanAll(t, s), slices.Sorted(maps.Keys(m)); !slices.Equal(got, want) {
			rt.Fatalf("SCAN found %q, want %q", got, want)
		}
	})
}

// Every change of the contents changes the digest, and undoing it brings the digest back.
func TestDigestFollowsContents(t *testing.T) {
	s := newStore(t)
	empty := s.Digest()
	long := strings.Repeat("v", 1000)
	seen := map[[32]byte]string{empty: "empty"}
	for _, words := range [][]string{
		{"SET", "a", "1"}, {"SET", "a", "2"}, {"SET", "a1", ""}, {"SET", "", "a1"}, {"SET", "b", long},
		{"APPEND", "b", "x"}, {"SET", "b", long + "y"}, {"DEL", "a"}, {"DEL", "a1"},
	} {
		do(t, s, words...)
		d := s.Digest()
		if before, twice := seen[d]; twice {
			t.Errorf("%q gives the digest of %s", words, before)
		}
		seen[d] = fmt.Sprintf("%q", words)
	}
	do(t, s, "DEL", "", "b")
	if s.Digest() != empty {
		t.Error("a store emptied again differs from a new one")
	}
}

// Thousands of keys come and go through several levels of the trie, and nothing of it is left in the digest.
func TestDigestForgetsHistoryAtScale(t *testing.T) {
	direct, detour := newStore(t), newStore(t)
	for i := range 3000 {
		do(t, direct, "SET", fmt.Sprint("stays", i), "v")
	}
	for i := range 20_000 {
		do(t, detour, "SET", fmt.Sprint("goes", i), "v")
	}
	for i := 2999; i >= 0; i-- {
		do(t, detour, "SET", fmt.Sprint("stays", i), "w")
		do(t, detour, "SET", fmt.Sprint("stays", i), "v")
	}
	for i := range 20_000 {
		do(t, detour, "DEL", fmt.Sprint("goes", i))
		if i%5000 == 0 {
			detour.Digest()
		}
	}
	if direct.Digest() != detour.Digest() {
		t.Error("keys that are gone show in the digest")
	}
}

// Replicas of all versions compare digests: the function is the same for ever. It was changed once, before any release, when
// leaves got the order of hashes.
func TestDigestIsForEver(t *testing.T) {
	s := newStore(t)
	for i := range 500 {
		do(t, s, "SET", fmt.Sprint("key", i), fmt.Sprint("value", i))
	}
	do(t, s, "SET", "long", strings.Repeat("x", 3000))
	do(t, s, "APPEND", "long", "y")
	do(t, s, "DEL", "key7", "key8")
	const want = "6d47ce58052e67feeb3ea1e877b9c2a2bd85d912484fb7a5315603405115841d"
	if got := fmt.Sprintf("%x", s.Digest()); got != want {
		t.Errorf("digest %s, and it was %s: replicas of old and new versions would differ", got, want)
	}
}

func FuzzApply(f *testing.F) {
	set := kv.AppendCommand(nil, kv.OpSet, []byte("k"), []byte("v"), []byte("NX"))
	f.Add(set, set)
	f.Add(kv.AppendCommand(nil, kv.OpMSet, []byte("k"), []byte("v"), []byte("l")), []byte{byte(kv.OpDel), 0xff, 0xff})
	f.Add(kv.AppendCommand(nil, kv.OpDecrBy, []byte("n"), []byte("-9223372036854775808")), []byte{})
	f.Add(kv.AppendCommand(nil, kv.OpScan, []byte("18446744073709551615")), []byte{0})
	f.Fuzz(func(t *testing.T, first, second []byte) {
		a, b := newStore(t), newStore(t)
		for _, command := range [][]byte{first, second, first} {
			a.Foresee([][]byte{command, second, first})
			x := a.Apply(app.Moment{Height: 1}, command, nil)
			y := b.Apply(app.Moment{Height: 2, Time: 3}, command, []byte("before"))
			if len(x) == 0 || "before"+string(x) != string(y) {
				t.Fatalf("replies differ: %q, %q", x, y)
			}
			before := a.Digest()
			if x[0] == '-' && before != b.Digest() {
				t.Fatal("replicas differ")
			}
			a.Describe(command)
			a.Query(command, nil)
			a.Foresee([][]byte{second, command})
			if a.Digest() != before {
				t.Fatal("a query, or looking ahead, has changed the state")
			}
		}
		if a.Digest() != b.Digest() {
			t.Fatal("replicas differ")
		}
	})
}

func FuzzQuery(f *testing.F) {
	f.Add(kv.AppendCommand(nil, kv.OpKeys, []byte("[a-")))
	f.Add(kv.AppendCommand(nil, kv.OpScan, []byte("0"), []byte("MATCH"), []byte("*\\"), []byte("COUNT"), []byte("9")))
	f.Add(kv.AppendCommand(nil, kv.OpMGet, []byte("a"), []byte("b")))
	s := newStore(f)
	for i := range 100 {
		do(f, s, "SET", fmt.Sprint(i), "v")
	}
	before := s.Digest()
	f.Fuzz(func(t *testing.T, query []byte) {
		if reply := s.Query(query, nil); len(reply) < 4 || !strings.HasSuffix(string(reply), "\r\n") {
			t.Fatalf("reply %q", reply)
		}
		if s.Digest() != before {
			t.Fatal("a query has changed the state")
		}
	})
}
