package sim

import (
	"cmp"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"slices"

	"github.com/hotstuffd/hotstuffd/app"
)

// ledger is an application that knows each command's connection and number, and checks that a connection's commands come
// in its order, each once. A command is both numbers and padding; its result is its number.
type ledger struct {
	w       *World
	correct bool
	sums
	last    map[uint32]uint32 // by connection
	applied map[command]struct{}
	order   []command // what is in applied, as it came: a frozen ledger has a prefix of it, and no copy
}

// sums are what the digest of a ledger tells of it.
type sums struct {
	count uint64
	sum   uint64 // over all words
	facts uint64 // over what stands in last and applied: a spoilt snapshot must not pass
}

// Digest implements app.Application and app.Frozen.
func (s sums) Digest() (d [32]byte) {
	binary.BigEndian.PutUint64(d[:], s.count)
	binary.BigEndian.PutUint64(d[8:], s.sum)
	binary.BigEndian.PutUint64(d[16:], s.facts)
	return d
}

const ledgerCommandBytes = 8

func ledgerCommand(connection, number uint32, bytes int) []byte {
	c := make([]byte, max(bytes, ledgerCommandBytes))
	binary.BigEndian.PutUint32(c, connection)
	binary.BigEndian.PutUint32(c[4:], number)
	return c
}

// Apply implements app.Application.
func (a *ledger) Apply(_ app.Moment, words, reply []byte) []byte {
	a.count++
	for _, b := range words {
		a.sum = (a.sum ^ uint64(b)) * 1099511628211
	}
	if len(words) < ledgerCommandBytes {
		return binary.BigEndian.AppendUint32(reply, 0) // a Byzantine origin's
	}
	connection, number := binary.BigEndian.Uint32(words), binary.BigEndian.Uint32(words[4:])
	if a.correct {
		if number <= a.last[connection] && connection != 0 {
			a.w.fail("L10", "command %d of connection %d is applied after %d", number, connection, a.last[connection])
		}
		a.w.check.applied(connection, number)
	}
	a.note(command{connection, number})
	return binary.BigEndian.AppendUint32(reply, number)
}

// note takes a command into the state.
func (a *ledger) note(c command) {
	if before, ok := a.last[c.connection]; ok {
		a.facts ^= mixed(0, c.connection, before)
	}
	a.last[c.connection] = c.number
	a.facts ^= mixed(0, c.connection, c.number)
	a.noteApplied(c)
}

func (a *ledger) noteApplied(c command) {
	if _, again := a.applied[c]; again {
		return
	}
	a.applied[c] = struct{}{}
	a.order = append(a.order, c)
	a.facts ^= mixed(1, c.connection, c.number)
}

// mixed is a hash of a fact.
func mixed(kind uint64, connection, number uint32) uint64 {
	h := kind<<63 ^ uint64(connection)<<32 ^ uint64(number) + 0x9e3779b97f4a7c15
	for range 3 {
		h = (h ^ h>>32) * 0xd6e8feb86659fd93
	}
	return h ^ h>>32
}

// Query implements app.Application: the number of a connection's last command.
func (a *ledger) Query(query, reply []byte) []byte {
	return binary.BigEndian.AppendUint32(reply, a.last[binary.BigEndian.Uint32(query)])
}

// Freeze implements app.Snapshotter.
func (a *ledger) Freeze() app.Frozen {
	return &frozenLedger{a.sums, maps.Clone(a.last), slices.Clip(a.order)}
}

// frozenLedger is a ledger's state, which stays.
type frozenLedger struct {
	sums
	last    map[uint32]uint32
	applied []command // in any order
}

// WriteTo implements app.Frozen.
func (f *frozenLedger) WriteTo(w io.Writer) (int64, error) {
	b := binary.BigEndian.AppendUint64(nil, f.count)
	b = binary.BigEndian.AppendUint64(b, f.sum)
	b = binary.BigEndian.AppendUint64(b, uint64(len(f.last)))
	for _, connection := range slices.Sorted(maps.Keys(f.last)) {
		b = appendCommand(b, command{connection, f.last[connection]})
	}
	for _, c := range slices.SortedFunc(slices.Values(f.applied), compareCommands) {
		b = appendCommand(b, c)
	}
	n, err := w.Write(b)
	return int64(n), err
}

func compareCommands(a, b command) int {
	return cmp.Or(cmp.Compare(a.connection, b.connection), cmp.Compare(a.number, b.number))
}

func appendCommand(b []byte, c command) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, c.connection), c.number)
}

// Release implements app.Frozen.
func (f *frozenLedger) Release() {}

// Restore implements app.Snapshotter.
func (a *ledger) Restore(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if len(b) < 24 || len(b)%8 != 0 || binary.BigEndian.Uint64(b[16:]) > uint64(len(b)-24)/8 {
		return errors.New("no ledger")
	}
	a.count, a.sum = binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])
	a.last, a.applied, a.order, a.facts = make(map[uint32]uint32), make(map[command]struct{}), nil, 0
	connections := int(binary.BigEndian.Uint64(b[16:]))
	for i, b := 0, b[24:]; len(b) > 0; i, b = i+1, b[8:] {
		c := command{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])}
		if i < connections {
			a.last[c.connection] = c.number
			a.facts ^= mixed(0, c.connection, c.number)
		} else {
			a.noteApplied(c)
		}
	}
	return nil
}
