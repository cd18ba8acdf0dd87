package session

import "encoding/binary"

// The first byte of an engine command tells which one it is. The numbers stand in every log ever written; package mempool
// has the others.
const (
	opOpen = 2
	opOnce = 3
)

// Command is one engine command about sessions. It shares the memory that it was parsed from.
type Command struct {
	Open    bool // a session; the rest is empty
	ID      uint64
	Seq     uint64
	Command []byte // the application's
}

// AppendOpen appends a command to a blob that opens a session. Its result is the session's identifier.
func AppendOpen(blob []byte) []byte { return append(blob, 1<<1|1, opOpen) }

// AppendOnce appends the head of a command that is executed once under its number, whatever how often it is sent. The caller
// appends the command itself, of size bytes, behind it.
func AppendOnce(blob []byte, id, seq uint64, size int) []byte {
	blob = binary.AppendUvarint(blob, uint64(onceHead+size)<<1|1)
	blob = append(blob, opOnce)
	blob = binary.BigEndian.AppendUint64(blob, id)
	return binary.BigEndian.AppendUint64(blob, seq)
}

const onceHead = 1 + 8 + 8

// OnceSize is how many bytes the command that AppendOnce begins has in a blob, without the length before it.
func OnceSize(size int) int { return onceHead + size }

// Parse reads the body of an engine command; ok is false if it is not about sessions.
func Parse(body []byte) (c Command, ok bool) {
	switch {
	case len(body) == 1 && body[0] == opOpen:
		return Command{Open: true}, true
	case len(body) >= onceHead && body[0] == opOnce:
		return Command{ID: binary.BigEndian.Uint64(body[1:]), Seq: binary.BigEndian.Uint64(body[9:]), Command: body[onceHead:]}, true
	}
	return Command{}, false
}

// Outcome is what came of a command about a session.
type Outcome uint8

// The outcomes.
const (
	Done      Outcome = iota // executed now, or before: the result is the first one
	Expired                  // no such session, or it was evicted: not executed, and it never will be
	Ahead                    // the number is too far ahead of the least one that is missing: not executed
	Forgotten                // executed before; the result was too large or is too old to be kept
	Invalid                  // number 0: not executed
	Taken                    // another command was executed under this number: this one is not
)

// Words puts outcomes into a front end's protocol.
type Words interface {
	// Opened appends the identifier of a new session to reply, which it returns.
	Opened(reply []byte, id uint64) []byte
	// Refused appends what is said instead of a result: any outcome but Done.
	Refused(reply []byte, o Outcome) []byte
}
