package hsnet

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// On a stream every frame stands behind its length, four bytes, big endian. A length of zero is no frame: it only makes
// the other side acknowledge, which tells whether it is alive (see portwatch.go).
const (
	headerSize    = 4
	frameBytesCap = math.MaxInt32 // no configured limit may be larger
	// keptBytesMax is the largest frame whose memory a stream keeps for the next one: a chunk of a snapshot with what stands
	// around it. So a peer can have at most five times as much kept.
	keptBytesMax = 1<<20 + 4<<10
)

// errOversized: the peer declared a frame larger than the limit of its class.
var errOversized = errors.New("declared frame is larger than the limit")

// readFrame reads one frame of at most bytesMax bytes, into buf if there is room in it. The declared length is checked before
// anything is allocated. The frame is nil for a length of zero.
// Expected errors: errOversized; io.EOF between frames, io.ErrUnexpectedEOF within one; those of the stream.
func readFrame(r *bufio.Reader, bytesMax int, buf []byte) ([]byte, error) {
	var header [headerSize]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(header[:])
	if int64(size) > int64(bytesMax) {
		return nil, fmt.Errorf("%w: %d bytes, allowed are %d", errOversized, size, bytesMax)
	}
	if size == 0 {
		return nil, nil
	}
	frame := buf[:0]
	if int(size) > cap(buf) {
		frame = make([]byte, size)
	}
	frame = frame[:size]
	if _, err := io.ReadFull(r, frame); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return frame, nil
}
