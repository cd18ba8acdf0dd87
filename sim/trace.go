package sim

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"

	"github.com/hotstuffd/hotstuffd/qc"
)

// trace is the record of a run: a hash over every event, and, on request, a line for each.
type trace struct {
	hash  hash.Hash
	buf   []byte
	lines func(string)
}

func newTrace(lines func(string)) *trace { return &trace{hash: sha256.New(), lines: lines} }

// kind is what an event is about.
type kind uint8

const (
	deliver kind = iota + 1
	lose
	turn
	persist
	commit
	execute
	crash
	start
	halt
	link
	fault
	reply
	refuse
	forge
)

// event adds one event: its kind, the replicas it is about, and two numbers that tell it from its like.
func (t *trace) event(now qc.Ticks, k kind, at, other qc.NodeID, a, b uint64) {
	t.buf = binary.BigEndian.AppendUint64(t.buf, uint64(now))
	t.buf = append(t.buf, byte(k))
	t.buf = binary.BigEndian.AppendUint16(t.buf, uint16(at))
	t.buf = binary.BigEndian.AppendUint16(t.buf, uint16(other))
	t.buf = binary.BigEndian.AppendUint64(t.buf, a)
	t.buf = binary.BigEndian.AppendUint64(t.buf, b)
	if len(t.buf) > 8<<10 {
		t.hash.Write(t.buf)
		t.buf = t.buf[:0]
	}
}

// wanted tells whether lines are, so that nobody words them in vain.
func (t *trace) wanted() bool { return t.lines != nil }

// note adds a line, which is not part of the hash.
func (t *trace) note(now qc.Ticks, format string, args ...any) {
	if t.lines != nil {
		t.lines(clock(now) + "  " + fmt.Sprintf(format, args...))
	}
}

func (t *trace) sum() (h [sha256.Size]byte) {
	t.hash.Write(t.buf)
	t.buf = t.buf[:0]
	t.hash.Sum(h[:0])
	return h
}

// clock words a time: seconds, to the tick.
func clock(t qc.Ticks) string {
	return fmt.Sprintf("%d.%04ds", t/qc.TicksPerSecond, t%qc.TicksPerSecond)
}

// short is enough of an identifier to tell it from others.
func short[T ~[32]byte](id T) uint64 { return binary.BigEndian.Uint64(id[:8]) }
