package hsnet

import (
	"encoding/binary"
	"errors"

	"github.com/hotstuffd/hotstuffd/qc"
)

// hello is the first thing on the consensus stream in each direction: fixed size, before any frame.
//
// The follower (lower id) sends its hello at once; the arbiter (higher id) sends its own only on the connection it
// takes up. TLS has proven the identity already; the hello binds the chain and settles which connection is used.
type hello struct {
	Chain qc.ChainID
	From  qc.NodeID
	// Boot is drawn at random when a replica starts: it tells a restarted replica from one that dials twice.
	Boot uint64
	// Session numbers the connections that an arbiter took up with this follower since its start ArbiterBoot, from 1. The arbiter
	// gives the number of this connection. The follower gives the last one it has taken up, so that the arbiter can
	// tell a follower that lost that connection from one that dialed before it knew of it.
	Session     uint64
	ArbiterBoot uint64
}

const (
	helloMagic = "HSN\x01"
	helloSize  = len(helloMagic) + len(qc.ChainID{}) + 2 + 3*8
)

var errHello = errors.New("malformed hello")

// append adds the fixed layout: magic, chain, from, boot, session, arbiter boot; integers big endian.
func (h *hello) append(b []byte) []byte {
	b = append(b, helloMagic...)
	b = append(b, h.Chain[:]...)
	b = binary.BigEndian.AppendUint16(b, uint16(h.From))
	b = binary.BigEndian.AppendUint64(b, h.Boot)
	b = binary.BigEndian.AppendUint64(b, h.Session)
	return binary.BigEndian.AppendUint64(b, h.ArbiterBoot)
}

// parseHello reads the fixed layout.
// Expected errors: errHello.
func parseHello(b []byte) (hello, error) {
	var h hello
	if len(b) != helloSize || string(b[:len(helloMagic)]) != helloMagic {
		return h, errHello
	}
	b = b[len(helloMagic):]
	b = b[copy(h.Chain[:], b):]
	h.From = qc.NodeID(binary.BigEndian.Uint16(b))
	h.Boot = binary.BigEndian.Uint64(b[2:])
	h.Session = binary.BigEndian.Uint64(b[10:])
	h.ArbiterBoot = binary.BigEndian.Uint64(b[18:])
	return h, nil
}
