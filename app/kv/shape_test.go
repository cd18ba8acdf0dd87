package kv

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/hotstuffd/hotstuffd/app"
)

// A client can find keys whose hashes begin alike, by trying. They must not make one long leaf: every operation on it
// would look at all of them.
func TestKeysAimedAtOneLeafSplitIt(t *testing.T) {
	var crowd [][]byte
	for i := 0; len(crowd) < 60; i++ {
		if key := fmt.Appendf(nil, "crowd%d", i); hashOf(key)>>(hashBits-14) == 0x2a5a {
			crowd = append(crowd, key)
		}
	}
	s, err := New(DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	empty := s.Digest()
	for _, key := range crowd {
		s.Apply(app.Moment{}, AppendCommand(nil, OpSet, key, key), nil)
	}
	for _, key := range crowd {
		if value, ok := s.keys.get(key); !ok || string(value) != string(key) {
			t.Errorf("%s: %q", key, value)
		}
		if l := s.keys.leafOf(hashOf(key)); len(l.entries) > leafKeysMax {
			t.Fatalf("a leaf of %d entries", len(l.entries))
		}
	}
	frozen, snapshot := s.Freeze(), new(bytes.Buffer)
	if _, err := frozen.WriteTo(snapshot); err != nil {
		t.Fatal(err)
	}
	again, err := New(DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Restore(snapshot); err != nil || again.Digest() != frozen.Digest() {
		t.Errorf("the crowd is restored otherwise: %v", err)
	}
	for _, key := range crowd {
		s.Apply(app.Moment{}, AppendCommand(nil, OpDel, key), nil)
	}
	if frozen.Digest() != again.Digest() {
		t.Error("what is frozen has changed")
	}
	frozen.Release()
	if s.Digest() != empty {
		t.Error("the crowd is gone, and has left its mark on the shape")
	}
}
