package kv_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hotstuffd/hotstuffd/app/kv"
)

// scan runs one SCAN and returns the next cursor and the keys.
func scan(t testing.TB, s *kv.Store, cursor string, words ...string) (string, []string) {
	t.Helper()
	reply := do(t, s, append([]string{"SCAN", cursor}, words...)...)
	parts := strings.Split(strings.TrimSuffix(reply, "\r\n"), "\r\n")
	if parts[0] != "*2" {
		t.Fatalf("SCAN %s %q: %q", cursor, words, reply)
	}
	var keys []string
	for i := 5; i < len(parts); i += 2 {
		keys = append(keys, parts[i])
	}
	if parts[3] != fmt.Sprint("*", len(keys)) {
		t.Fatalf("%d keys under %s", len(keys), parts[3])
	}
	return parts[2], keys
}

// scanAll returns all keys that a whole iteration shows, sorted.
func scanAll(t testing.TB, s *kv.Store, words ...string) (keys []string) {
	t.Helper()
	cursor := "0"
	for pages := 0; pages == 0 || cursor != "0"; pages++ {
		var page []string
		cursor, page = scan(t, s, cursor, words...)
		keys = append(keys, page...)
	}
	slices.Sort(keys)
	return keys
}

// While SCAN runs the store grows from 200 keys to 20,000, or shrinks back: keys that are there all the time are shown.
func TestScanShowsWhatStays(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, s *kv.Store, i int){
		"growing": func(t *testing.T, s *kv.Store, i int) {
			for j := range 400 {
				do(t, s, "SET", fmt.Sprint("new", i, "-", j), "")
			}
		},
		"shrinking": func(t *testing.T, s *kv.Store, i int) {
			for j := range 400 {
				do(t, s, "DEL", fmt.Sprint("old", i*400+j))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, want := newStore(t), map[string]bool{}
			for i := range 200 {
				key := fmt.Sprint("stays", i)
				want[key] = true
				do(t, s, "SET", key, "")
			}
			if name == "shrinking" {
				for i := range 20_000 {
					do(t, s, "SET", fmt.Sprint("old", i), "")
				}
			}
			cursor := "0"
			for pages := 0; pages == 0 || cursor != "0"; pages++ {
				var page []string
				cursor, page = scan(t, s, cursor)
				for _, key := range page {
					delete(want, key)
				}
				change(t, s, pages)
				if name == "growing" && pages > 100 {
					change = func(*testing.T, *kv.Store, int) {}
				}
			}
			if len(want) != 0 {
				t.Errorf("SCAN missed %d of 200 keys", len(want))
			}
		})
	}
}

func TestScanOptions(t *testing.T) {
	s := newStore(t)
	for i := range 1000 {
		do(t, s, "SET", fmt.Sprint(i), "")
	}
	if keys := scanAll(t, s, "MATCH", "99?"); len(keys) != 10 {
		t.Errorf("MATCH found %q", keys)
	}
	if keys := scanAll(t, s, "TYPE", "string", "COUNT", "7"); len(keys) != 1000 {
		t.Errorf("%d keys", len(keys))
	}
	if _, page := scan(t, s, "0", "COUNT", "100"); len(page) < 100 || len(page) > 116 {
		t.Errorf("COUNT 100 gave a page of %d keys", len(page))
	}
	if cursor, page := scan(t, s, "0", "COUNT", "1000000"); cursor != "0" || len(page) != 1000 {
		t.Errorf("COUNT above all gave cursor %s and %d keys", cursor, len(page))
	}
	for range 100 { // a cursor may be any number
		scan(t, s, strconv.FormatUint(rand.Uint64(), 10))
	}
}

// A page that would be larger than a reply may be ends early; no key is lost by it.
func TestScanPagesFitTheReply(t *testing.T) {
	s, err := kv.New(kv.Limits{KeyBytes: 100, ValueBytes: 40, ReplyBytes: 4000})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 500 {
		do(t, s, "SET", fmt.Sprintf("%090d", i), "")
	}
	if keys := scanAll(t, s, "COUNT", "500"); len(keys) != 500 {
		t.Errorf("%d keys of 500", len(keys))
	}
	if got := do(t, s, "KEYS", "*"); !strings.HasPrefix(got, "-ERR replies to one pipeline would exceed 4000 bytes") {
		t.Errorf("KEYS: %q", got[:min(len(got), 100)])
	}
}

// What KEYS and SCAN answer depends on the keys alone, not on how they came to be, nor on when a digest was asked for: it
// may be kept by the engine as part of the replicated state.
func TestOrderIsOfTheContents(t *testing.T) {
	one, other := newStore(t), newStore(t)
	for i := range 200 {
		do(t, one, "SET", fmt.Sprint("k", i), "v")
		do(t, other, "SET", fmt.Sprint("k", 199-i), "v")
		do(t, other, "SET", fmt.Sprint("gone", i), "v")
		if i%7 == 0 {
			other.Digest()
		}
	}
	for i := range 200 {
		do(t, other, "DEL", fmt.Sprint("gone", i))
	}
	for _, words := range [][]string{{"KEYS", "*"}, {"KEYS", "*7*"}, {"SCAN", "0", "COUNT", "50"}, {"SCAN", "0", "MATCH", "k1*", "COUNT", "1000"}} {
		if a, b := do(t, one, words...), do(t, other, words...); a != b {
			t.Errorf("%q: two stores of equal contents answer\n%.200q\n%.200q", words, a, b)
		}
	}
}
