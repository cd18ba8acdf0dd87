package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// slots is the two-slot file: the newest two safety states, each beside a checksum, independent of LevelDB. State k is
// in slot k%2, so a torn write leaves state k−1 whole. It exists to notice a LevelDB that has lost a synced write or was
// put back from an older copy.
//
// A slot: magic (8 bytes), owner (32), k (8), length (4), SHA-256 over all of these and the state (32), then the state.
type slots struct {
	f     File
	owner owner
	buf   []byte
}

const (
	slotsFile  = "safety.slots"
	slotMagic  = "hsd-slot"
	slotHeader = 8 + 32 + 8 + 4 + sha256.Size
	slotBytes  = 1 << 20 // Init and Open refuse genesis limits under which a state could be larger
	slotsBytes = 2 * slotBytes
)

// slotsContent returns the content of a new file that holds one state.
func slotsContent(of owner, k uint64, state []byte) []byte {
	at := slotOffset(k)
	return appendSlot(make([]byte, at), of, k, state)
}

func slotOffset(k uint64) int64 { return int64(k%2) * slotBytes }

func appendSlot(dst []byte, of owner, k uint64, state []byte) []byte {
	start := len(dst)
	dst = append(dst, slotMagic...)
	dst = append(dst, of[:]...)
	dst = binary.BigEndian.AppendUint64(dst, k)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(state)))
	sum := slotSum(dst[start:], state)
	dst = append(dst, sum[:]...)
	return append(dst, state...)
}

func slotSum(header, state []byte) (sum [sha256.Size]byte) {
	h := sha256.New()
	h.Write(header)
	h.Write(state)
	h.Sum(sum[:0])
	return sum
}

// write makes state k durable in its slot.
func (s *slots) write(k uint64, state []byte) error {
	s.buf = appendSlot(s.buf[:0], s.owner, k, state)
	if _, err := s.f.WriteAt(s.buf, slotOffset(k)); err != nil {
		return err
	}
	return s.f.Sync()
}

// newest returns the newest whole state and its k; ok is false if neither slot is whole.
func (s *slots) newest() (k uint64, state []byte, ok bool, err error) {
	size, err := s.f.Size()
	if err != nil {
		return 0, nil, false, err
	}
	for i := range uint64(2) {
		buf, err := s.read(slotOffset(i), max(0, min(slotBytes, size-slotOffset(i))))
		if err != nil {
			return 0, nil, false, err
		}
		ki, si, whole := parseSlot(buf, s.owner)
		if whole && ki%2 == i && (!ok || ki > k) {
			k, state, ok = ki, si, true
		}
	}
	return k, state, ok, nil
}

// read returns the slot at an offset as far as its header says that it reaches, and as far as the file does.
func (s *slots) read(at, most int64) ([]byte, error) {
	buf := make([]byte, min(slotHeader, most))
	if _, err := s.f.ReadAt(buf, at); len(buf) > 0 && err != nil {
		return nil, err
	}
	if len(buf) < slotHeader {
		return buf, nil
	}
	buf = append(buf, make([]byte, min(slotLength(buf), most-slotHeader))...)
	_, err := s.f.ReadAt(buf, at)
	return buf, err
}

// slotLength returns how long a slot's header says that the state behind it is.
func slotLength(header []byte) int64 { return int64(binary.BigEndian.Uint32(header[48:])) }

// parseSlot returns what a slot holds, if it is whole and this replica's.
func parseSlot(buf []byte, of owner) (k uint64, state []byte, ok bool) {
	if len(buf) < slotHeader || string(buf[:8]) != slotMagic || !bytes.Equal(buf[8:40], of[:]) {
		return 0, nil, false
	}
	k = binary.BigEndian.Uint64(buf[40:])
	length := slotLength(buf)
	if length > int64(len(buf)-slotHeader) {
		return 0, nil, false
	}
	state = buf[slotHeader : slotHeader+length]
	sum := slotSum(buf[:52], state)
	return k, state, bytes.Equal(sum[:], buf[52:slotHeader])
}

// fitsSlot refuses genesis limits under which a safety state could outgrow its slot: the node would stop at that write.
func (id Identity) fitsSlot() error {
	if n := id.Limits.SafetyStateBytesMax(); n > slotBytes-slotHeader {
		return fmt.Errorf("store: a safety state may take %d bytes under the genesis limits, at most %d fit: "+
			"lower the number of batches that a block may name", n, slotBytes-slotHeader)
	}
	return nil
}
