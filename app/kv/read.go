package kv

import (
	"fmt"

	"github.com/hotstuffd/hotstuffd/app/kv/resp"
)

// read evaluates a read. room is how many bytes its reply may have; a reply without values ignores it.
func (s *Store) read(op Op, args arguments, reply []byte, room int) []byte {
	switch op {
	case OpGet:
		return s.get(args.next(), reply, room)
	case OpMGet:
		return s.mget(args, reply, room)
	case OpExists:
		return s.exists(args, reply)
	case OpStrLen:
		value, _ := s.keys.get(args.next())
		return resp.AppendInt(reply, int64(len(value)))
	case OpDBSize:
		return resp.AppendInt(reply, int64(s.keys.keys))
	case OpScan:
		return s.scan(args, reply, room)
	default: // decode lets no other operation through
		return s.listKeys(args.next(), reply, room)
	}
}

// bulkOverhead is at most what a value's framing adds in a reply.
const bulkOverhead = 16

func (s *Store) tooLarge(reply []byte) []byte {
	return resp.AppendError(reply, fmt.Sprintf("ERR replies to one pipeline would exceed %d bytes: ask for less at a time",
		s.limits.ReplyBytes))
}

func (s *Store) get(key, reply []byte, room int) []byte {
	value, exists := s.keys.get(key)
	switch {
	case !exists:
		return append(reply, resp.Null...)
	case len(value)+bulkOverhead > room:
		return s.tooLarge(reply)
	}
	return resp.AppendBulk(reply, value)
}

func (s *Store) mget(args arguments, reply []byte, room int) []byte {
	start := len(reply)
	reply = resp.AppendArray(reply, args.left)
	for args.left > 0 {
		value, exists := s.keys.get(args.next())
		if len(reply)-start+len(value)+bulkOverhead > room {
			return s.tooLarge(reply[:start])
		}
		if exists {
			reply = resp.AppendBulk(reply, value)
		} else {
			reply = append(reply, resp.Null...)
		}
	}
	return reply
}

func (s *Store) exists(args arguments, reply []byte) []byte {
	found := int64(0)
	for args.left > 0 {
		if _, exists := s.keys.get(args.next()); exists {
			found++
		}
	}
	return resp.AppendInt(reply, found)
}
