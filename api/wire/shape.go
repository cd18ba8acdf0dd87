package wire

import (
	"fmt"
	"strings"

	"github.com/hotstuffd/hotstuffd/api/wire/internal/pb"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// A shape is a message type of the schema with its rules, laid out for check: one entry a field number.
type shape struct {
	name     protoreflect.Name
	fields   [fieldsMax]field
	required uint16 // by field number: must be seen
	oneof    uint16 // by field number: exactly one must be seen, unless there is none
}

// fieldsMax bounds field numbers, so that a set of fields fits a word and a tag fits a byte.
const fieldsMax = 16

type field struct {
	rule
	known    bool
	name     protoreflect.Name
	wire     protowire.Type
	bits32   bool // a varint that must fit 32 bits
	repeated bool
	sub      *shape // of a field that holds messages
}

var shapes = makeShapes(pb.File_api_wire_core_proto, pb.File_api_wire_message_proto, pb.File_api_wire_disk_proto)

func shapeOf(m protoreflect.ProtoMessage) *shape { return shapes[m.ProtoReflect().Descriptor().Name()] }

// makeShapes lays out all messages of the files.
func makeShapes(files ...protoreflect.FileDescriptor) map[protoreflect.Name]*shape {
	all := map[protoreflect.Name]*shape{}
	for _, file := range files {
		for i := range file.Messages().Len() {
			all[file.Messages().Get(i).Name()] = &shape{}
		}
	}
	for _, file := range files {
		for i := range file.Messages().Len() {
			d := file.Messages().Get(i)
			all[d.Name()].lay(d, all)
		}
	}
	return all
}

func (s *shape) lay(d protoreflect.MessageDescriptor, all map[protoreflect.Name]*shape) {
	s.name = d.Name()
	for i := range d.Fields().Len() {
		fd := d.Fields().Get(i)
		f := field{known: true, name: fd.Name(), repeated: fd.IsList()}
		f.rule = rules[protoreflect.FullName(strings.TrimPrefix(string(fd.FullName()), string(d.ParentFile().Package())+"."))]
		switch fd.Kind() {
		case protoreflect.Uint32Kind:
			f.wire, f.bits32 = protowire.VarintType, true
		case protoreflect.Uint64Kind:
			f.wire = protowire.VarintType
		case protoreflect.Sfixed64Kind:
			f.wire = protowire.Fixed64Type
		case protoreflect.BytesKind:
			f.wire = protowire.BytesType
		case protoreflect.MessageKind:
			f.wire, f.sub = protowire.BytesType, all[fd.Message().Name()]
		default:
			panic(fmt.Sprintf("wire: %s: kind %v has no check", fd.FullName(), fd.Kind()))
		}
		if fd.IsPacked() {
			f.wire = protowire.BytesType
		}
		if f.repeated && f.count == nil || fd.Kind() == protoreflect.BytesKind && f.size == nil {
			panic(fmt.Sprintf("wire: %s has no rule", fd.FullName()))
		}
		bit := uint16(1) << fd.Number()
		if f.required || f.size != nil && !f.repeated && !f.empty {
			s.required |= bit
		}
		if fd.ContainingOneof() != nil {
			s.oneof |= bit
		}
		s.fields[fd.Number()] = f
	}
}

// bytesMax returns the size of the largest message of this shape.
func (s *shape) bytesMax(l *Limits) int {
	sum, largestOfOneof := 0, 0
	for num := range s.fields {
		f := &s.fields[num]
		if !f.known {
			continue
		}
		n := f.bytesMax(l)
		if s.oneof&(1<<num) != 0 {
			largestOfOneof = max(largestOfOneof, n)
		} else {
			sum += n
		}
	}
	return sum + largestOfOneof
}

func (f *field) bytesMax(l *Limits) int {
	const tag = 1 // field numbers are below fieldsMax
	one := tag
	switch {
	case f.sub != nil:
		one += protowire.SizeBytes(f.sub.bytesMax(l))
	case f.size != nil:
		_, most := f.size(l)
		one += protowire.SizeBytes(most)
	case f.repeated: // packed
		return tag + protowire.SizeBytes(f.count(l)*protowire.SizeVarint(1<<64-1))
	case f.bits32:
		one += protowire.SizeVarint(1<<32 - 1)
	case f.wire == protowire.Fixed64Type:
		one += protowire.SizeFixed64()
	default:
		one += protowire.SizeVarint(1<<64 - 1)
	}
	if f.repeated {
		return one * f.count(l)
	}
	return one
}
