package store

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/hotstuffd/hotstuffd/qc"
)

// The disk's bytes are foreign: whatever a parser of ours accepts is exactly what its writer writes.

func FuzzParseSlot(f *testing.F) {
	of := owner{1}
	var lagging lag
	lagging.add([]byte("write 6"), nil)
	lagging.add(nil, nil)
	f.Add(appendSlot(nil, of, slot{k: 7, state: []byte("state")}))
	f.Add(appendSlot(nil, of, slot{7, 3, []byte("state"), lagging}))
	f.Add(appendSlot(nil, owner{2}, slot{k: 7, state: []byte("state")}))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, ok := parseSlot(data, of)
		if ok && string(data[:8]) == slotMagic && !bytes.HasPrefix(data, appendSlot(nil, of, s)) {
			t.Errorf("accepted %x as state %d", data, s.k)
		}
		var again lag
		writes, whole := s.after(s.k - s.lag.n)
		for _, w := range writes {
			again.writes = append(binary.BigEndian.AppendUint32(again.writes, uint32(len(w))), w...)
		}
		if ok && (!whole || !bytes.Equal(again.writes, s.lag.writes)) {
			t.Errorf("the writes of %x are %x", data, writes)
		}
	})
}

func FuzzParseChain(f *testing.F) {
	f.Add(Identity{Chain: qc.ChainID{1}, Node: 3}.text())
	f.Add(Identity{Chain: qc.ChainID{1}, Node: 3}.textOf(oldestFormat))
	f.Add("hotstuffd store\nformat 5\nfrom the future")
	f.Fuzz(func(t *testing.T, text string) {
		format, chain, node, ok := parseChain(text)
		if ok && format <= chainFormat && (Identity{Chain: chain, Node: node}).textOf(format) != text {
			t.Errorf("accepted %q", text)
		}
	})
}

func FuzzParseSegmentHeader(f *testing.F) {
	of := owner{1}
	f.Add(segmentHeader(of, 4, 9))
	f.Fuzz(func(t *testing.T, data []byte) {
		if first, ok := parseSegmentHeader(data, of, 4); ok && !bytes.Equal(data, segmentHeader(of, 4, first)) {
			t.Errorf("accepted %x", data)
		}
	})
}

func FuzzSplitFrame(f *testing.F) {
	frame := func(batches ...string) []byte {
		frame := make([]byte, frameHeader)
		for _, b := range batches {
			frame = append(append(frame, 0, 0, 0, byte(len(b))), b...)
		}
		length := len(frame)
		frame, err := sealFrame(frame, 5)
		if err != nil {
			panic(err)
		}
		return frame[:length]
	}
	f.Add([]byte{})
	f.Add(frame())
	f.Add(frame("one", "", "three"))
	f.Fuzz(func(t *testing.T, data []byte) {
		length, ok := frameLength(data, 5)
		if !ok || length != int64(len(data)) {
			return
		}
		again := data[:frameHeader:frameHeader]
		whole, err := splitFrame(data, func(offset int, batch []byte) error {
			again = append(append(again, data[offset-4:offset]...), batch...)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if whole && !slices.Equal(again, data) {
			t.Errorf("frame %x has batches %x", data, again)
		}
	})
}
