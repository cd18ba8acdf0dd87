package kv_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/hotstuffd/hotstuffd/app/kv"
	"github.com/hotstuffd/hotstuffd/app/snapshot"
)

// Stores of equal contents have the same snapshot and digest, however they came to them.
func TestSnapshotIsOfTheContents(t *testing.T) {
	direct, detour := newStore(t), newStore(t)
	for i := range 3000 {
		do(t, direct, "SET", fmt.Sprint("stays", i), "v")
		do(t, detour, "SET", fmt.Sprint("stays", 2999-i), "w")
	}
	for i := range 5000 {
		do(t, detour, "SET", fmt.Sprint("goes", i), "v")
	}
	f := detour.Freeze()
	for i := range 5000 {
		do(t, detour, "DEL", fmt.Sprint("goes", i))
		do(t, detour, "SET", fmt.Sprint("stays", i%3000), "v")
	}
	f.Release()
	a, b := direct.Freeze(), detour.Freeze()
	x, y := written(t, a), written(t, b)
	if !bytes.Equal(x, y) || a.Digest() != b.Digest() {
		t.Error("equal contents, and other bytes or another digest")
	}
	if r := restored(t, x); r.Digest() != a.Digest() || scanKeys(t, r) != scanKeys(t, direct) {
		t.Error("a restored store differs from the one that was written")
	}
}

// scanKeys is all of KEYS, in its order: part of what a restored store must answer alike.
func scanKeys(t *testing.T, s *kv.Store) string { return do(t, s, "KEYS", "*") }

const stateHead, stateEnd = "hotstuffd/kv/state\x00\x01", "end\n"

// state is a snapshot with a number of keys, and entries as given.
func state(count uint64, entries string) string {
	return stateHead + string(binary.BigEndian.AppendUint64(nil, count)) + entries + stateEnd
}

// one is an entry of a snapshot.
func one(key, value string) string {
	b := binary.AppendUvarint(nil, uint64(len(key)))
	return string(binary.AppendUvarint(b, uint64(len(value)))) + key + value
}

// A snapshot is taken in one form alone, and within the limits. Whatever was refused, the store takes a good one next.
func TestRestoreIsStrict(t *testing.T) {
	s, err := kv.New(kv.Limits{KeyBytes: 10, ValueBytes: 40, ReplyBytes: 2000})
	if err != nil {
		t.Fatal(err)
	}
	do(t, s, "MSET", "a", "1", "b", "2")
	f := s.Freeze()
	good := string(written(t, f))
	first, second := one("a", "1"), one("b", "2") // in the order of their hashes
	if good != state(2, first+second) {
		first, second = second, first
	}
	if good != state(2, first+second) {
		t.Fatalf("the snapshot is %q", good)
	}
	for what, b := range map[string]string{
		"nothing":              "",
		"another head":         strings.Replace(good, "\x01", "\x02", 1),
		"keys swapped":         state(2, second+first),
		"a key twice":          state(2, first+first),
		"a key too much":       state(1, first+second),
		"a key too few":        state(3, first+second),
		"very many keys":       state(1<<63, first+second),
		"something behind it":  good + "x",
		"a second one":         good + good,
		"no end":               good[:len(good)-len(stateEnd)],
		"another end":          good[:len(good)-1] + "!",
		"a long key":           state(1, one(strings.Repeat("k", 11), "")),
		"a long value":         state(1, one("", strings.Repeat("v", 41))),
		"a length with a zero": state(1, "\x80\x00\x00"),
		"a length of 64 bits":  state(1, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00"),
		"an endless length":    state(1, strings.Repeat("\xff", 100)),
	} {
		err := s.Restore(strings.NewReader(b))
		if !errors.Is(err, snapshot.ErrMalformed) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: %v", what, err)
		}
		if got := do(t, s, "DBSIZE"); got != ":0\r\n" {
			t.Errorf("%s: keys are left: %q", what, got)
		}
		if err := s.Restore(strings.NewReader(good)); err != nil || do(t, s, "MGET", "a", "b") != "*2\r\n$1\r\n1\r\n$1\r\n2\r\n" {
			t.Fatalf("after %s a good one is not taken: %v", what, err)
		}
	}
	for _, ok := range []string{state(0, ""), state(1, one("", "")), state(1, one(strings.Repeat("k", 10), strings.Repeat("v", 40)))} {
		if err := s.Restore(iotest.OneByteReader(strings.NewReader(ok))); err != nil || string(written(t, s.Freeze())) != ok {
			t.Errorf("%q: %v", ok, err)
		}
	}
}

// Errors of the disk or the network are passed on as what they are, and every cut is noticed.
func TestStreamsThatFail(t *testing.T) {
	s := newStore(t)
	for i := range 200 {
		do(t, s, "SET", fmt.Sprint("key", i), strings.Repeat("v", i*10))
	}
	f := s.Freeze()
	good, broken := written(t, f), errors.New("broken")
	for cut := 0; cut < len(good); cut += 1 + cut/50 {
		if err := s.Restore(bytes.NewReader(good[:cut])); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if err := s.Restore(io.MultiReader(bytes.NewReader(good[:cut]), iotest.ErrReader(broken))); !errors.Is(err, broken) {
			t.Fatalf("broken at %d: %v", cut, err)
		}
		if n, err := f.WriteTo(&fullAfter{left: cut, err: broken}); !errors.Is(err, broken) || n != int64(cut) {
			t.Fatalf("full at %d: %d bytes written, %v", cut, n, err)
		}
	}
	if err := s.Restore(io.MultiReader(bytes.NewReader(good), iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Errorf("broken at its end: %v", err)
	}
}

// fullAfter is a disk with room for so many bytes.
type fullAfter struct {
	left int
	err  error
}

func (w *fullAfter) Write(p []byte) (int, error) {
	n := min(w.left, len(p))
	if w.left -= n; n < len(p) {
		return n, w.err
	}
	return n, nil
}

// FuzzRestore: any bytes are refused, or are what the store writes when asked again; neither costs more than a small
// multiple of them.
func FuzzRestore(f *testing.F) {
	s := newStore(f)
	f.Add(written(f, s.Freeze()))
	for i := range 40 {
		do(f, s, "SET", fmt.Sprint("key", i), strings.Repeat("v", i))
	}
	good := written(f, s.Freeze())
	f.Add(good)
	f.Add(good[:300])
	f.Add([]byte(state(1<<40, "\x00\x80\x80\x40"))) // many keys, and a value of 1 MiB
	f.Add([]byte(state(2, one("b", "2")+one("a", "1"))))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := newStore(t)
		var err error
		const buffers, multiple = 300 << 10, 60 // the least entry has 2 bytes
		if _, size := costOf(func() { err = s.Restore(bytes.NewReader(b)) }); size > uint64(buffers+multiple*len(b)) {
			t.Fatalf("%d bytes cost %d", len(b), size)
		}
		switch f := s.Freeze(); {
		case err == nil && !bytes.Equal(written(t, f), b):
			t.Fatalf("%q is taken, but written as %q", b, written(t, f))
		case err == nil && restored(t, b).Digest() != f.Digest():
			t.Fatalf("two digests")
		case err != nil && do(t, s, "DBSIZE") != ":0\r\n":
			t.Fatal("refused, and something is left")
		}
	})
}
