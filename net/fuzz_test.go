package hsnet

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"testing"
)

// Any bytes on a stream are frames within the limit or an error, and nothing above the limit is ever returned; what
// comes out is what went in.
func FuzzReadFrame(f *testing.F) {
	f.Add([]byte{0, 0, 0, 3, 1, 2, 3, 0, 0, 0, 0})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{0, 0, 0})
	f.Fuzz(func(t *testing.T, stream []byte) {
		const bytesMax = 512
		r := bufio.NewReader(bytes.NewReader(stream))
		var again, buf []byte
		for {
			frame, err := readFrame(r, bytesMax, buf)
			if err != nil {
				if !errors.Is(err, errOversized) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Fatalf("unexpected error %v", err)
				}
				break
			}
			if len(frame) > bytesMax {
				t.Fatalf("frame of %d bytes", len(frame))
			}
			buf = frame // the next one may have its memory
			again = append(appendHeader(again, len(frame)), frame...)
		}
		if !bytes.HasPrefix(stream, again) {
			t.Fatalf("%x was read as %x", stream, again)
		}
	})
}

// Any bytes are a hello with exactly one encoding, or an error.
func FuzzParseHello(f *testing.F) {
	f.Add((&hello{From: 3, Boot: 1 << 60, Session: 2, ArbiterBoot: 5}).append(nil))
	f.Add([]byte("HSN\x02"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseHello(b)
		if err != nil {
			return
		}
		if !bytes.Equal(h.append(nil), b) {
			t.Fatalf("%x was read as %+v", b, h)
		}
	})
}
