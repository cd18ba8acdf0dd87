package kv

import (
	"encoding/binary"
	"math/bits"
)

// Op is the first byte of a command. The numbers stand in every log ever written: none is changed or given twice.
type Op byte

// Writes.
const (
	OpSet    Op = 1
	OpGetSet Op = 2
	OpGetDel Op = 3
	OpSetNX  Op = 4
	OpMSet   Op = 5
	OpDel    Op = 6
	OpAppend Op = 7
	OpIncr   Op = 8
	OpDecr   Op = 9
	OpIncrBy Op = 10
	OpDecrBy Op = 11
	OpCAS    Op = 12
)

// Reads.
const (
	OpGet    Op = 128
	OpMGet   Op = 129
	OpExists Op = 130
	OpStrLen Op = 131
	OpDBSize Op = 132
	OpScan   Op = 133
	OpKeys   Op = 134
)

// Command describes one command, in Redis's terms.
type Command struct {
	Name    string // lower case
	Op      Op
	Arity   int  // number of words, the name included; -n: n or more
	Write   bool // it may change the state, so it belongs into the log
	Returns bool // a write whose reply may hold a value, see ReturnsValue
	// Which words are keys: first, last (-1: the last word), and the step between them; 0: none.
	FirstKey, LastKey, KeyStep int
}

var commands = [...]Command{
	{"set", OpSet, -3, true, true, 1, 1, 1},
	{"getset", OpGetSet, 3, true, true, 1, 1, 1},
	{"getdel", OpGetDel, 2, true, true, 1, 1, 1},
	{"setnx", OpSetNX, 3, true, false, 1, 1, 1},
	{"mset", OpMSet, -3, true, false, 1, -1, 2},
	{"del", OpDel, -2, true, false, 1, -1, 1},
	{"append", OpAppend, 3, true, false, 1, 1, 1},
	{"incr", OpIncr, 2, true, false, 1, 1, 1},
	{"decr", OpDecr, 2, true, false, 1, 1, 1},
	{"incrby", OpIncrBy, 3, true, false, 1, 1, 1},
	{"decrby", OpDecrBy, 3, true, false, 1, 1, 1},
	{"cas", OpCAS, 4, true, false, 1, 1, 1},
	{"get", OpGet, 2, false, false, 1, 1, 1},
	{"mget", OpMGet, -2, false, false, 1, -1, 1},
	{"exists", OpExists, -2, false, false, 1, -1, 1},
	{"strlen", OpStrLen, 2, false, false, 1, 1, 1},
	{"dbsize", OpDBSize, 1, false, false, 0, 0, 0},
	{"scan", OpScan, -2, false, false, 0, 0, 0},
	{"keys", OpKeys, 2, false, false, 0, 0, 0},
}

var (
	byName = map[string]*Command{}
	byOp   [256]*Command
)

func init() {
	for i := range commands {
		byName[commands[i].Name] = &commands[i]
		byOp[commands[i].Op] = &commands[i]
	}
}

// Commands returns all commands of the store.
func Commands() []Command { return append([]Command(nil), commands[:]...) }

// Lookup finds a command by its name, in any case.
func Lookup(name []byte) (c *Command, ok bool) {
	var lower [16]byte
	if len(name) > len(lower) {
		return nil, false
	}
	for i, b := range name {
		if b >= 'A' && b <= 'Z' {
			b += 'a' - 'A'
		}
		lower[i] = b
	}
	c, ok = byName[string(lower[:len(name)])]
	return c, ok
}

// Takes says whether a command may have so many words, its name included.
func (c *Command) Takes(words int) bool {
	return words == c.Arity || c.Arity < 0 && words >= -c.Arity
}

// ReturnsValue says whether the reply to a write with so many words, its name included, may hold a value. SET's holds one
// only if an option asks for it.
func (c *Command) ReturnsValue(words int) bool {
	const plainSet = 3
	return c.Returns && (c.Op != OpSet || words > plainSet)
}

// ArityError is the error for a command with too few or too many words.
func ArityError(name string) string {
	return "ERR wrong number of arguments for '" + name + "' command"
}

// CommandSize is how many bytes AppendCommand appends.
func CommandSize(args [][]byte) int {
	n := 1
	for _, a := range args {
		n += (bits.Len64(uint64(len(a))|1)+6)/7 + len(a)
	}
	return n
}

// AppendCommand appends a command as Apply and Query take it: its operation, and each argument behind its length as a
// uvarint. The arguments do not include the command's name.
func AppendCommand(dst []byte, op Op, args ...[]byte) []byte {
	dst = append(dst, byte(op))
	for _, a := range args {
		dst = binary.AppendUvarint(dst, uint64(len(a)))
		dst = append(dst, a...)
	}
	return dst
}

// arguments is the rest of a command whose form was checked.
type arguments struct {
	rest []byte
	left int // how many there are
}

// next splits off the first argument; nil after the last.
func (a *arguments) next() []byte {
	if a.left == 0 {
		return nil
	}
	n, k := binary.Uvarint(a.rest)
	arg := a.rest[k : k+int(n) : k+int(n)]
	a.rest, a.left = a.rest[k+int(n):], a.left-1
	return arg
}

// decode checks the form of a command. complaint is the error to answer with, if it is not empty.
func decode(command []byte) (c *Command, args arguments, complaint string) {
	if len(command) == 0 {
		return nil, args, "ERR empty command"
	}
	if c = byOp[command[0]]; c == nil {
		return nil, args, "ERR unknown operation"
	}
	args.rest = command[1:]
	for b := args.rest; len(b) > 0; args.left++ {
		n, k := binary.Uvarint(b)
		if k <= 0 || n > uint64(len(b)-k) {
			return nil, args, "ERR malformed command"
		}
		b = b[k+int(n):]
	}
	if !c.Takes(args.left+1) || c.Op == OpMSet && args.left%2 != 0 {
		return nil, args, ArityError(c.Name)
	}
	return c, args, ""
}
