package qc

import (
	"bytes"
	"encoding/binary"
)

// AppendLayout appends the certificate's fixed layout to h: every field, the variable ones behind their length, so that
// two different certificates never give the same bytes. It is what gets hashed; the wire format is another matter.
// Signers must not be longer than a bitmap of MaxCommittee.
func (c *QuorumCertificate) AppendLayout(h []byte) []byte {
	h = binary.BigEndian.AppendUint32(h, uint32(c.Epoch))
	h = binary.BigEndian.AppendUint64(h, uint64(c.View))
	h = append(h, c.Block[:]...)
	h = binary.BigEndian.AppendUint16(h, uint16(len(c.Signers)))
	h = append(h, c.Signers...)
	return append(h, c.Signature[:]...)
}

// AppendLayout appends the certificate's fixed layout to h, as for a QuorumCertificate. A nil certificate has a layout
// too, which no other shares. HighQCViews must not be longer than MaxCommittee.
func (c *TimeoutCertificate) AppendLayout(h []byte) []byte {
	if c == nil {
		return append(h, 0)
	}
	h = append(h, 1)
	h = binary.BigEndian.AppendUint32(h, uint32(c.Epoch))
	h = binary.BigEndian.AppendUint64(h, uint64(c.View))
	h = binary.BigEndian.AppendUint16(h, uint16(len(c.HighQCViews)))
	for _, v := range c.HighQCViews {
		h = binary.BigEndian.AppendUint64(h, uint64(v))
	}
	h = c.HighQC.AppendLayout(h)
	h = binary.BigEndian.AppendUint16(h, uint16(len(c.Signers)))
	h = append(h, c.Signers...)
	return append(h, c.Signature[:]...)
}

// Equal tells whether two certificates are the same, bit for bit.
func (c *QuorumCertificate) Equal(o *QuorumCertificate) bool {
	return c.Epoch == o.Epoch && c.View == o.View && c.Block == o.Block &&
		bytes.Equal(c.Signers, o.Signers) && c.Signature == o.Signature
}
