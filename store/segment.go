package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Payload lies in segment files, payload/00000001.seg and up: a header of one sector, then frames, then zeros up to the
// size that was set aside. A frame is what one AppendBatches wrote. Frames are numbered from 1 across all segments, and a
// segment's header says with which number it starts, so a missing or short segment shows. A segment explains itself: it
// can be read, and removed, without any other, and its batches' expiries bound the heights at which a block may name them.
//
// Header: magic (8 bytes), owner (32), number of the segment (8), number of its first frame (8), CRC-32C (4).
// Frame: magic (4), number (8), body's length (4), CRC-32C over number, length and body (4), then the body: batches, each
// behind its length (4). A frame starts on a sector boundary: a torn write of a sector cannot reach an older frame.
const (
	segmentMagic  = "hsd-seg1"
	segmentSuffix = ".seg"
	frameMagic    = "hsdf"
	frameHeader   = 4 + 8 + 4 + 4
	sector        = 512
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func segmentName(number uint64) string { return fmt.Sprintf("%08d%s", number, segmentSuffix) }

// segmentNumbers returns the numbers of the segments among names, in ascending order.
func segmentNumbers(names []string) []uint64 {
	var numbers []uint64
	for _, name := range names {
		digits, ok := strings.CutSuffix(name, segmentSuffix)
		n, err := strconv.ParseUint(digits, 10, 64)
		if ok && err == nil && segmentName(n) == name {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers
}

func segmentHeader(of owner, number, first uint64) []byte {
	h := append(make([]byte, 0, sector), segmentMagic...)
	h = append(h, of[:]...)
	h = binary.BigEndian.AppendUint64(h, number)
	h = binary.BigEndian.AppendUint64(h, first)
	h = binary.BigEndian.AppendUint32(h, crc32.Checksum(h, castagnoli))
	return h[:sector]
}

// parseSegmentHeader returns the number of the first frame, if header is that of this replica's segment of this number.
func parseSegmentHeader(header []byte, of owner, number uint64) (first uint64, ok bool) {
	if len(header) != sector {
		return 0, false
	}
	first = binary.BigEndian.Uint64(header[48:])
	return first, bytes.Equal(header, segmentHeader(of, number, first))
}

// aligned rounds up to a sector boundary.
func aligned(n int64) int64 { return (n + sector - 1) &^ (sector - 1) }

// sealFrame fills in the header of a frame whose body stands behind frameHeader bytes, and pads it to whole sectors.
func sealFrame(frame []byte, number uint64) ([]byte, error) {
	body := len(frame) - frameHeader
	if body > math.MaxUint32 {
		return nil, fmt.Errorf("store: %d bytes of batches in one append", body)
	}
	copy(frame, frameMagic)
	binary.BigEndian.PutUint64(frame[4:], number)
	binary.BigEndian.PutUint32(frame[12:], uint32(body))
	binary.BigEndian.PutUint32(frame[16:], frameSum(frame))
	return append(frame, make([]byte, aligned(int64(len(frame)))-int64(len(frame)))...), nil
}

func frameSum(frame []byte) uint32 {
	return crc32.Update(crc32.Checksum(frame[4:16], castagnoli), castagnoli, frame[frameHeader:])
}

// frameLength returns the length of a frame of the given number, header included and padding not, by its header alone.
func frameLength(header []byte, number uint64) (length int64, ok bool) {
	if len(header) < frameHeader || string(header[:4]) != frameMagic || binary.BigEndian.Uint64(header[4:]) != number {
		return 0, false
	}
	return frameHeader + int64(binary.BigEndian.Uint32(header[12:])), true
}

// splitFrame checks a frame against its checksum and calls visit with each batch in it and its offset in the frame.
// ok is false if the frame is not whole.
func splitFrame(frame []byte, visit func(offset int, batch []byte) error) (ok bool, err error) {
	if len(frame) < frameHeader || binary.BigEndian.Uint32(frame[16:]) != frameSum(frame) {
		return false, nil
	}
	for at := frameHeader; at < len(frame); {
		if len(frame)-at < 4 {
			return false, nil
		}
		length := int64(binary.BigEndian.Uint32(frame[at:]))
		at += 4
		if int64(len(frame)-at) < length {
			return false, nil
		}
		if err := visit(at, frame[at:at+int(length)]); err != nil {
			return false, err
		}
		at += int(length)
	}
	return true, nil
}
