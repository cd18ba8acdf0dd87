package mempool

import (
	"encoding/binary"
	"fmt"

	"github.com/hotstuffd/hotstuffd/qc"
)

// A blob is a run of commands, each behind a uvarint head: the command's length in bytes, doubled, and one more if it
// is the engine's own. All others are the application's. So every byte string is one or the other, a command costs no
// byte for the difference, and both are read where they lie.

// Command is one command of a blob. It shares the blob's memory.
type Command struct {
	Engine bool // the engine's own; else the application's
	Body   []byte
}

// AppendCommand appends one command of the application to a blob.
func AppendCommand(blob, body []byte) []byte {
	return append(binary.AppendUvarint(blob, uint64(len(body))<<1), body...)
}

// NextCommand splits the first command off a blob without copying. ok is false at the end and on damage; a verified
// batch has no damage.
func NextCommand(blob []byte) (c Command, rest []byte, ok bool) {
	head, k := binary.Uvarint(blob)
	n := head >> 1
	if k <= 0 || n > uint64(len(blob)-k) {
		return Command{}, nil, false
	}
	return Command{Engine: head&1 == 1, Body: blob[k : k+int(n) : k+int(n)]}, blob[k+int(n):], true
}

// The first byte of an engine command tells which one it is. The numbers stand in every log ever written: none is
// changed or given twice. A command that makes no sense does nothing, on every replica.
const opRejoin = 1

// Rejoin is the engine command that a replica has ordered after it has lost its safety state: once it is committed, the
// replica knows from which view on it may sign again (PROTOCOL §7). It changes no state, so that it may be ordered by
// anyone, and more than once.
type Rejoin struct {
	Node  qc.NodeID
	Nonce [32]byte // drawn by Node after the loss
}

const rejoinBytes = 1 + 2 + 32

// AppendRejoin appends a rejoin to a blob.
func AppendRejoin(blob []byte, r Rejoin) []byte {
	blob = binary.AppendUvarint(blob, rejoinBytes<<1|1)
	blob = append(blob, opRejoin)
	blob = binary.BigEndian.AppendUint16(blob, uint16(r.Node))
	return append(blob, r.Nonce[:]...)
}

// ParseRejoin reads the body of an engine command; ok is false if it is no rejoin.
func ParseRejoin(body []byte) (r Rejoin, ok bool) {
	if len(body) != rejoinBytes || body[0] != opRejoin {
		return Rejoin{}, false
	}
	return Rejoin{Node: qc.NodeID(binary.BigEndian.Uint16(body[1:])), Nonce: [32]byte(body[3:])}, true
}

// DescribeEngine shows the body of an engine command as one printable line.
func DescribeEngine(body []byte) string {
	if r, ok := ParseRejoin(body); ok {
		return fmt.Sprintf("engine: rejoin %v nonce %x", r.Node, r.Nonce[:4])
	}
	return fmt.Sprintf("engine: invalid command of %d bytes", len(body))
}
