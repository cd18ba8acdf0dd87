package kv

import (
	"bytes"
	"math"
	"strconv"

	"github.com/hotstuffd/hotstuffd/app/kv/resp"
)

// Error replies, in Redis's words where it has them.
const (
	errSyntax       = "ERR syntax error"
	errNotInteger   = "ERR value is not an integer or out of range"
	errOverflow     = "ERR increment or decrement would overflow"
	errDecrOverflow = "ERR decrement would overflow"
	errValueSize    = "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
	errKeySize      = "ERR key exceeds maximum allowed size"
	errNoExpiry     = "ERR keys do not expire: EX, PX, EXAT, PXAT and KEEPTTL are not supported"
)

// write executes a command of the log. A command that answers with an error has changed nothing.
func (s *Store) write(op Op, args arguments, reply []byte) []byte {
	switch op {
	case OpSet:
		return s.set(args, reply)
	case OpGetSet:
		return s.assign(args.next(), args.next(), setOptions{get: true}, reply)
	case OpGetDel:
		return s.getDel(args.next(), reply)
	case OpSetNX:
		return s.setNX(args.next(), args.next(), reply)
	case OpMSet:
		return s.mset(args, reply)
	case OpDel:
		return s.del(args, reply)
	case OpAppend:
		return s.append(args.next(), args.next(), reply)
	case OpIncr:
		return s.add(args.next(), 1, reply)
	case OpDecr:
		return s.add(args.next(), -1, reply)
	case OpIncrBy, OpDecrBy:
		return s.addArgument(op, args.next(), args.next(), reply)
	default: // decode lets no other operation through
		return s.cas(args.next(), args.next(), args.next(), reply)
	}
}

// outsize returns the error for a key or a value that is too large, or "".
func (s *Store) outsize(key, value []byte) string {
	switch {
	case len(key) > s.limits.KeyBytes:
		return errKeySize
	case len(value) > s.limits.ValueBytes:
		return errValueSize
	}
	return ""
}

// setOptions are SET's words behind the value.
type setOptions struct{ nx, xx, get bool }

func parseSetOptions(args arguments) (o setOptions, complaint string) {
	for args.left > 0 {
		switch word := args.next(); {
		case equalFold(word, "nx"):
			o.nx = true
		case equalFold(word, "xx"):
			o.xx = true
		case equalFold(word, "get"):
			o.get = true
		case equalFold(word, "ex"), equalFold(word, "px"), equalFold(word, "exat"), equalFold(word, "pxat"),
			equalFold(word, "keepttl"):
			return o, errNoExpiry
		default:
			return o, errSyntax
		}
	}
	if o.nx && o.xx {
		return o, errSyntax
	}
	return o, ""
}

func (s *Store) set(args arguments, reply []byte) []byte {
	key, value := args.next(), args.next()
	options, complaint := parseSetOptions(args)
	if complaint != "" {
		return resp.AppendError(reply, complaint)
	}
	return s.assign(key, value, options, reply)
}

// assign is SET and GETSET. With the option get, the reply is the value from before, whether it was replaced or not.
func (s *Store) assign(key, value []byte, o setOptions, reply []byte) []byte {
	if complaint := s.outsize(key, value); complaint != "" {
		return resp.AppendError(reply, complaint)
	}
	applies := true
	if o != (setOptions{}) {
		old, exists := s.keys.get(key)
		applies = !(o.nx && exists) && !(o.xx && !exists)
		switch {
		case o.get && exists:
			reply = resp.AppendBulk(reply, old)
		case o.get || !applies:
			reply = append(reply, resp.Null...)
		}
	}
	if applies {
		s.keys.upsert(key, len(value)).set(value)
		if !o.get {
			reply = append(reply, resp.OK...)
		}
	}
	return reply
}

func (s *Store) getDel(key, reply []byte) []byte {
	old, exists := s.keys.get(key)
	if !exists {
		return append(reply, resp.Null...)
	}
	reply = resp.AppendBulk(reply, old)
	s.keys.remove(key)
	return reply
}

func (s *Store) setNX(key, value, reply []byte) []byte {
	if complaint := s.outsize(key, value); complaint != "" {
		return resp.AppendError(reply, complaint)
	}
	if _, exists := s.keys.get(key); exists {
		return resp.AppendInt(reply, 0)
	}
	s.keys.upsert(key, len(value)).set(value)
	return resp.AppendInt(reply, 1)
}

func (s *Store) mset(args arguments, reply []byte) []byte {
	for check := args; check.left > 0; { // all before the first: an error changes nothing
		if complaint := s.outsize(check.next(), check.next()); complaint != "" {
			return resp.AppendError(reply, complaint)
		}
	}
	for args.left > 0 {
		key, value := args.next(), args.next()
		s.keys.upsert(key, len(value)).set(value)
	}
	return append(reply, resp.OK...)
}

func (s *Store) del(args arguments, reply []byte) []byte {
	removed := int64(0)
	for args.left > 0 {
		if s.keys.remove(args.next()) {
			removed++
		}
	}
	return resp.AppendInt(reply, removed)
}

func (s *Store) append(key, suffix, reply []byte) []byte {
	old, _ := s.keys.get(key)
	complaint := s.outsize(key, suffix)
	if complaint == "" && len(old)+len(suffix) > s.limits.ValueBytes {
		complaint = errValueSize
	}
	if complaint != "" {
		return resp.AppendError(reply, complaint)
	}
	e := s.keys.upsert(key, len(suffix))
	e.extend(suffix)
	return resp.AppendInt(reply, int64(len(e.value())))
}

func (s *Store) addArgument(op Op, key, argument, reply []byte) []byte {
	delta, ok := resp.ParseInt(argument)
	switch {
	case !ok:
		return resp.AppendError(reply, errNotInteger)
	case op == OpIncrBy:
		return s.add(key, delta, reply)
	case delta == math.MinInt64: // has no opposite
		return resp.AppendError(reply, errDecrOverflow)
	}
	return s.add(key, -delta, reply)
}

// add is INCR and its kin. A key that does not exist counts as 0.
func (s *Store) add(key []byte, delta int64, reply []byte) []byte {
	if complaint := s.outsize(key, nil); complaint != "" {
		return resp.AppendError(reply, complaint)
	}
	n := int64(0)
	if old, exists := s.keys.get(key); exists {
		var ok bool
		if n, ok = resp.ParseInt(old); !ok {
			return resp.AppendError(reply, errNotInteger)
		}
	}
	if delta > 0 && n > math.MaxInt64-delta || delta < 0 && n < math.MinInt64-delta {
		return resp.AppendError(reply, errOverflow)
	}
	var digits [20]byte
	value := strconv.AppendInt(digits[:0], n+delta, 10)
	s.keys.upsert(key, len(value)).set(value)
	return resp.AppendInt(reply, n+delta)
}

// cas replaces old by new and answers 1, or answers 0 if the value is another. An empty old stands for an absent key.
func (s *Store) cas(key, old, value, reply []byte) []byte {
	if complaint := s.outsize(key, value); complaint != "" {
		return resp.AppendError(reply, complaint)
	}
	present, exists := s.keys.get(key)
	if exists == (len(old) == 0) || !bytes.Equal(present, old) {
		return resp.AppendInt(reply, 0)
	}
	s.keys.upsert(key, len(value)).set(value)
	return resp.AppendInt(reply, 1)
}

// equalFold compares a word with a lower-case ASCII one.
func equalFold(word []byte, lower string) bool {
	if len(word) != len(lower) {
		return false
	}
	for i, c := range word {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
