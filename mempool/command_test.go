package mempool_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/hotstuffd/hotstuffd/mempool"
)

// Commands of the application and of the engine stand in one blob, in order, and neither is taken for the other,
// whatever the application's bytes are.
func TestBlobOfBothKinds(t *testing.T) {
	rejoin := mempool.Rejoin{Node: 300, Nonce: [32]byte{0xab, 0xcd, 1, 2}}
	long := bytes.Repeat([]byte{7}, 300)
	engine := mempool.AppendRejoin(nil, rejoin)
	b := mempool.AppendCommand(nil, engine[1:]) // the same bytes, by a client
	b = mempool.AppendRejoin(b, rejoin)
	b = mempool.AppendCommand(b, long)
	b = mempool.AppendCommand(b, nil)
	list := []mempool.Command{{Body: engine[1:]}, {Engine: true, Body: engine[1:]}, {Body: long}, {Body: []byte{}}}
	for i, want := range list {
		got, rest, ok := mempool.NextCommand(b)
		if !ok || got.Engine != want.Engine || !bytes.Equal(got.Body, want.Body) {
			t.Fatalf("command %d: got %v %+v, want %+v", i, ok, got, want)
		}
		b = rest
	}
	if len(b) > 0 {
		t.Errorf("%d bytes are left", len(b))
	}
}

// What was appended is parsed; any other body, be it a byte longer or shorter, is none, and can be shown all the same.
func TestParseRejoin(t *testing.T) {
	want := mempool.Rejoin{Node: 3, Nonce: [32]byte{0xab, 0xcd, 1, 2}}
	c, _, _ := mempool.NextCommand(mempool.AppendRejoin(nil, want))
	if got, ok := mempool.ParseRejoin(c.Body); !ok || got != want {
		t.Errorf("got %v %+v, want %+v", ok, got, want)
	}
	if line := mempool.DescribeEngine(c.Body); line != "engine: rejoin n3 nonce abcd0102" {
		t.Errorf("shown as %q", line)
	}
	other := append([]byte{0}, c.Body[1:]...)
	for _, body := range [][]byte{nil, c.Body[:len(c.Body)-1], append(bytes.Clone(c.Body), 0), other} {
		if r, ok := mempool.ParseRejoin(body); ok {
			t.Errorf("%x was taken for %+v", body, r)
		}
		if line := mempool.DescribeEngine(body); !strings.HasPrefix(line, "engine: invalid command of ") {
			t.Errorf("%x is shown as %q", body, line)
		}
	}
}
