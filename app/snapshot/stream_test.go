package snapshot_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"testing"
	"testing/iotest"

	"github.com/hotstuffd/hotstuffd/app/snapshot"
	"pgregory.net/rapid"
)

// What was written is read, in pieces of any size, and no prefix of it is taken.
func TestReaderReadsWhatWasWritten(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.Uint64().Draw(rt, "number")
		data := bytes.Repeat([]byte("x"), rapid.IntRange(0, 200_000).Draw(rt, "size"))
		var b bytes.Buffer
		w := snapshot.NewWriter(&b)
		w.String("head")
		w.Uint64(n)
		w.Length(len(data))
		w.Bytes(data)
		if size, err := w.Close(); err != nil || size != int64(b.Len()) {
			rt.Fatal(size, err)
		}
		read := func(in *snapshot.Reader) error {
			in.Expect("head")
			number := in.Uint64()
			got := in.Take(nil, in.Length(200_000))
			in.End()
			if in.Err() == nil && (number != n || !bytes.Equal(got, data)) {
				rt.Fatal("something else is read")
			}
			return in.Err()
		}
		if err := read(snapshot.NewReader(iotest.HalfReader(bytes.NewReader(b.Bytes())))); err != nil {
			rt.Fatal(err)
		}
		cut := rapid.IntRange(0, b.Len()-1).Draw(rt, "cut")
		if err := read(snapshot.NewReader(bytes.NewReader(b.Bytes()[:cut]))); err != io.ErrUnexpectedEOF {
			rt.Fatalf("cut at %d: %v", cut, err)
		}
	})
}

// A writer whose stream broke says so, for what comes after it is in vain, and keeps the error.
func TestWriterTellsOfFailure(t *testing.T) {
	r, out := io.Pipe()
	broken := errors.New("broken")
	r.CloseWithError(broken)
	w := snapshot.NewWriter(out)
	if w.String("a"); w.Failed() {
		t.Error("failed before anything was written out")
	}
	if w.Bytes(make([]byte, 1<<20)); !w.Failed() {
		t.Error("a broken stream is not noticed")
	}
	w.Uint64(1)
	if n, err := w.Close(); n != 0 || err != broken {
		t.Errorf("%d bytes written, %v", n, err)
	}
}

// A length is taken in its shortest form, up to its limit.
func TestLengths(t *testing.T) {
	for in, want := range map[string]int{"\x00": 0, "\x7f": 127, "\x80\x01": 128, "\xff\xff\xff\xff\xff\xff\xff\xff\x7f": math.MaxInt} {
		r := snapshot.NewReader(bytes.NewReader([]byte(in)))
		if got := r.Length(math.MaxInt); got != want || r.Err() != nil {
			t.Errorf("%x: %d, %v", in, got, r.Err())
		}
		r = snapshot.NewReader(bytes.NewReader([]byte(in)))
		if got := r.Length(want - 1); got != 0 || !errors.Is(r.Err(), snapshot.ErrMalformed) && want > 0 {
			t.Errorf("%x, above the limit: %d, %v", in, got, r.Err())
		}
	}
	for _, in := range []string{"\x80\x00", "\xff\x80\x00", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"} {
		r := snapshot.NewReader(bytes.NewReader([]byte(in)))
		if got := r.Length(math.MaxInt); got != 0 || !errors.Is(r.Err(), snapshot.ErrMalformed) {
			t.Errorf("%x: %d, %v", in, got, r.Err())
		}
	}
}

// The first error stays, and everything reads as empty behind it.
func TestFirstErrorStays(t *testing.T) {
	r := snapshot.NewReader(bytes.NewReader([]byte("abcdefghijklmnop")))
	r.Expect("xyz")
	first := r.Err()
	r.Refuse("another reason")
	if r.Uint64() != 0 || r.Length(1000) != 0 || r.Byte() != 0 || r.Take([]byte("x"), 1) != nil || r.Err() != first || !errors.Is(first, snapshot.ErrMalformed) {
		t.Errorf("it reads on after %v, or says %v", first, r.Err())
	}
	broken := errors.New("broken")
	r = snapshot.NewReader(iotest.ErrReader(broken))
	if r.End(); r.Err() != broken {
		t.Errorf("a broken stream ends with %v", r.Err())
	}
}
