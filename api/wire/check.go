package wire

import (
	"errors"
	"fmt"
	"math"
	"math/bits"

	"google.golang.org/protobuf/encoding/protowire"
)

// ErrMalformed is wrapped by every error of Decode and of the Parse functions: the bytes are not a message that an
// honest replica of the same version and genesis would have written.
var ErrMalformed = errors.New("wire: malformed message")

func (s *shape) malformed(f *field, problem string) error {
	return fmt.Errorf("%w: %s.%s %s", ErrMalformed, s.name, f.name, problem)
}

// check walks the bytes of one message and of all messages inside it, and allocates nothing. The schema is not
// recursive, so neither is the depth unbounded.
func (s *shape) check(data []byte, l *Limits) error {
	var seen uint16
	var counts [fieldsMax]int
	for len(data) > 0 {
		num, typ, n := protowire.ConsumeTag(data)
		if n < 0 || num >= fieldsMax || !s.fields[num].known {
			return fmt.Errorf("%w: %s has an unknown field", ErrMalformed, s.name)
		}
		f := &s.fields[num]
		if typ != f.wire {
			return s.malformed(f, "has the wrong wire type")
		}
		data = data[n:]
		bit := uint16(1) << num
		switch {
		case seen&bit != 0 && (!f.repeated || f.packed()):
			return s.malformed(f, "is given twice")
		case f.repeated && !f.packed() && counts[num] == f.count(l):
			return s.malformed(f, "has too many elements")
		}
		seen |= bit
		counts[num]++
		n, err := s.checkField(f, data, l)
		if err != nil {
			return err
		}
		data = data[n:]
	}
	if missing := s.required &^ seen; missing != 0 {
		return s.malformed(&s.fields[bits.TrailingZeros16(missing)], "is missing")
	}
	if s.oneof != 0 && bits.OnesCount16(s.oneof&seen) != 1 {
		return fmt.Errorf("%w: %s holds none or several of its alternatives", ErrMalformed, s.name)
	}
	return nil
}

// packed tells whether f is a list of numbers in one field of bytes.
func (f *field) packed() bool { return f.repeated && f.sub == nil && f.size == nil }

// checkField checks the value of f at the start of data and returns its length.
func (s *shape) checkField(f *field, data []byte, l *Limits) (int, error) {
	switch f.wire {
	case protowire.VarintType:
		v, n := protowire.ConsumeVarint(data)
		switch {
		case n < 0:
			return 0, s.malformed(f, "is cut off")
		case f.bits32 && v > math.MaxUint32:
			return 0, s.malformed(f, "does not fit 32 bits")
		case f.node && v >= uint64(l.Nodes):
			return 0, s.malformed(f, "is not a replica's number")
		}
		return n, nil
	case protowire.Fixed64Type:
		if _, n := protowire.ConsumeFixed64(data); n > 0 {
			return n, nil
		}
		return 0, s.malformed(f, "is cut off")
	}
	value, n := protowire.ConsumeBytes(data)
	if n < 0 {
		return 0, s.malformed(f, "is cut off")
	}
	switch {
	case f.sub != nil:
		return n, f.sub.check(value, l)
	case f.packed():
		return n, s.checkPacked(f, value, f.count(l))
	}
	if least, most := f.size(l); len(value) < least || len(value) > most {
		return 0, s.malformed(f, "has the wrong size")
	}
	return n, nil
}

func (s *shape) checkPacked(f *field, list []byte, most int) error {
	for ; len(list) > 0; most-- {
		_, n := protowire.ConsumeVarint(list)
		if n < 0 {
			return s.malformed(f, "is cut off")
		}
		if most == 0 {
			return s.malformed(f, "has too many elements")
		}
		list = list[n:]
	}
	return nil
}
