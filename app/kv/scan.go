package kv

import (
	"fmt"
	"strconv"

	"github.com/hotstuffd/hotstuffd/app/kv/resp"
)

const (
	scanCountDefault = 10
	// scanCountMax bounds how many keys one SCAN looks at, whatever its COUNT, which is a hint.
	scanCountMax = 10_000
	// keysMax bounds the size of a store in which KEYS may look at every key.
	keysMax = 1_000_000
	// globSteps bounds the work of matching in one command, about 0.1 s at worst. A SCAN ends its page at half of it.
	globSteps = 32 << 20
)

var (
	errCursor      = "ERR invalid cursor"
	errGlob        = "ERR the pattern takes too much work: make it simpler"
	errTooManyKeys = fmt.Sprintf("ERR more than %d keys: use SCAN", keysMax)
)

// leafAt returns the leaf that holds the hashes from position at on, and the position behind it, 0 if it is the last.
func (t *trie) leafAt(at uint64) (l *leaf, next uint64) {
	l = t.leafOf(at)
	free := hashBits - l.depth // shifts by 64 give 0: an only leaf is the last one
	return l, (at>>free + 1) << free
}

// scanOptions are SCAN's words behind the cursor.
type scanOptions struct {
	match []byte
	all   bool // no MATCH
	count int
	none  bool // TYPE of something that the store does not hold
}

func parseScanOptions(args arguments) (o scanOptions, complaint string) {
	o = scanOptions{all: true, count: scanCountDefault}
	for args.left > 0 {
		word := args.next()
		if args.left == 0 {
			return o, errSyntax
		}
		switch value := args.next(); {
		case equalFold(word, "match"):
			o.match, o.all = value, false
		case equalFold(word, "type"):
			o.none = !equalFold(value, "string")
		case equalFold(word, "count"):
			n, ok := resp.ParseInt(value)
			if !ok {
				return o, errNotInteger
			}
			if n < 1 {
				return o, errSyntax
			}
			o.count = int(min(n, scanCountMax))
		default:
			return o, errSyntax
		}
	}
	return o, ""
}

// scan answers with the keys of some leaves and the position behind them. Every key keeps its hash, so a key that is
// there all the time is met whatever splits and merges in between; a merge may show it twice.
func (s *Store) scan(args arguments, reply []byte, room int) []byte {
	at, err := strconv.ParseUint(string(args.next()), 10, 64)
	if err != nil {
		return resp.AppendError(reply, errCursor)
	}
	o, complaint := parseScanOptions(args)
	if complaint != "" {
		return resp.AppendError(reply, complaint)
	}
	const frame = 64 // the reply's array heads and cursor
	page, found, looked, steps := s.page[:0], 0, 0, globSteps
	for more := true; more; {
		l, next := s.keys.leafAt(at)
		start := len(page)
		n := 0
		if page, n, complaint = l.appendKeys(page, o.match, o.all, &steps); complaint != "" {
			return resp.AppendError(reply, complaint)
		}
		if len(page)+frame > room {
			if found == 0 {
				return s.tooLarge(reply)
			}
			page = page[:start] // the page ends before this leaf
			break
		}
		found, looked, at = found+n, looked+max(len(l.entries), 1), next
		more = at != 0 && looked < o.count && steps > globSteps/2
	}
	if o.none {
		page, found = page[:0], 0
	}
	reply = resp.AppendArray(reply, 2)
	reply = resp.AppendBulk(reply, strconv.FormatUint(at, 10))
	reply = resp.AppendArray(reply, found)
	reply = append(reply, page...)
	if s.page = page; cap(page) > 1<<20 {
		s.page = nil
	}
	return reply
}

// appendKeys appends those keys of a leaf that match, in order, and says how many they are. What a read answers with may be
// part of the replicated state (package session), so it must not depend on the order in which keys came or digests were
// asked for.
func (l *leaf) appendKeys(dst, match []byte, all bool, steps *int) (_ []byte, n int, complaint string) {
	for i := range l.entries {
		key := l.entries[i].key()
		if !all && !Glob(match, key, steps) {
			if *steps == 0 {
				return dst, n, errGlob
			}
			continue
		}
		dst = resp.AppendBulk(dst, key)
		n++
	}
	return dst, n, ""
}

// listKeys is KEYS. Its replies come in hash order.
func (s *Store) listKeys(pattern, reply []byte, room int) []byte {
	if s.keys.keys > keysMax {
		return resp.AppendError(reply, errTooManyKeys)
	}
	all := len(pattern) == 1 && pattern[0] == '*'
	page, found, steps := []byte(nil), 0, globSteps
	for at, more := uint64(0), true; more; {
		l, next := s.keys.leafAt(at)
		n, complaint := 0, ""
		if page, n, complaint = l.appendKeys(page, pattern, all, &steps); complaint != "" {
			return resp.AppendError(reply, complaint)
		}
		if len(page)+bulkOverhead > room {
			return s.tooLarge(reply)
		}
		found += n
		at, more = next, next != 0
	}
	reply = resp.AppendArray(reply, found)
	return append(reply, page...)
}
