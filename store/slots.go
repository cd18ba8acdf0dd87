package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// slots is the two-slot file: the newest two safety states, each beside a checksum, and what LevelDB has not synced yet.
// State k is in slot k%2, so a torn write leaves state k−1 whole. It makes a vote durable by one sync of a few kilobytes in
// place, and it notices a LevelDB that has lost a synced write or was put back from an older copy. Each slot has a copy, for
// a slot that LevelDB lags behind is all that tells of the newest votes: no one damaged sector may hide them.
//
// A slot: magic (8 bytes), owner (32), k (8), length of the body (4), SHA-256 over all of these and the body (32), then the
// body: the number of a write that LevelDB has synced (8), length of the state (4), the state, and each write that LevelDB may
// lack, oldest first, behind its length (4).
type slots struct {
	f     File
	owner owner
	buf   []byte
}

// slot is what a slot holds.
type slot struct {
	k      uint64
	synced uint64 // LevelDB must have its writes up to this number
	state  []byte
	lag    lag
}

// lag is the newest writes to LevelDB, up to the one of a state, that it may not have synced: each a batch, but for the
// state itself.
type lag struct {
	n      uint64
	writes []byte // each behind its length
}

const (
	slotsFile  = "safety.slots"
	slotMagic  = "hsd-slt2"
	slotMagic1 = "hsd-slot" // of formats 1 to 3: the body is the state
	slotHeader = 8 + 32 + 8 + 4 + sha256.Size
	bodyHeader = 8 + 4
	slotBytes  = 1 << 20 // Init and Open refuse genesis limits under which a state could be larger
	slotsBytes = 4 * slotBytes

	// A lag has at most so many writes, and bytes: every one of them is written again with each slot until LevelDB is synced.
	lagWrites = 16
	lagBytes  = 16 << 10
)

// slotsContent returns the content of a new file that holds one state.
func slotsContent(of owner, s slot) []byte {
	return appendSlot(make([]byte, slotOffset(s.k)), of, s)
}

func slotOffset(k uint64) int64 { return int64(k%2) * slotBytes }

// copyOffset is where the copies begin, behind the slots.
const copyOffset = 2 * slotBytes

func appendSlot(dst []byte, of owner, s slot) []byte {
	start := len(dst)
	dst = append(dst, slotMagic...)
	dst = append(dst, of[:]...)
	dst = binary.BigEndian.AppendUint64(dst, s.k)
	dst = binary.BigEndian.AppendUint32(dst, uint32(s.bodyBytes()))
	dst = append(dst, make([]byte, sha256.Size)...)
	dst = binary.BigEndian.AppendUint64(dst, s.synced)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(s.state)))
	dst = append(dst, s.state...)
	dst = append(dst, s.lag.writes...)
	sum := slotSum(dst[start:])
	copy(dst[start+slotHeader-sha256.Size:], sum[:])
	return dst
}

func (s *slot) bodyBytes() int { return bodyHeader + len(s.state) + len(s.lag.writes) }

// slotSum returns the checksum of a whole slot.
func slotSum(whole []byte) (sum [sha256.Size]byte) {
	h := sha256.New()
	h.Write(whole[:slotHeader-sha256.Size])
	h.Write(whole[slotHeader:])
	h.Sum(sum[:0])
	return sum
}

// write makes a state durable in its slot.
func (s *slots) write(next slot) error {
	s.buf = appendSlot(s.buf[:0], s.owner, next)
	at := slotOffset(next.k)
	if _, err := s.f.WriteAt(s.buf, at); err != nil {
		return err
	}
	if _, err := s.f.WriteAt(s.buf, copyOffset+at); err != nil {
		return err
	}
	return s.f.Sync()
}

// newest returns the newest whole slot; ok is false if none is whole.
func (s *slots) newest() (newest slot, ok bool, err error) {
	size, err := s.f.Size()
	if err != nil {
		return newest, false, err
	}
	for i := range uint64(4) {
		at := int64(i) * slotBytes
		buf, err := s.read(at, max(0, min(slotBytes, size-at)))
		if err != nil {
			return newest, false, err
		}
		found, whole := parseSlot(buf, s.owner)
		if whole && found.k%2 == i%2 && (!ok || found.k > newest.k) {
			newest, ok = found, true
		}
	}
	return newest, ok, nil
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

// slotLength returns how long a slot's header says that the body behind it is.
func slotLength(header []byte) int64 { return int64(binary.BigEndian.Uint32(header[48:])) }

// parseSlot returns what a slot holds, if it is whole and this replica's.
func parseSlot(buf []byte, of owner) (s slot, ok bool) {
	if len(buf) < slotHeader || !bytes.Equal(buf[8:40], of[:]) || slotLength(buf) > int64(len(buf)-slotHeader) {
		return s, false
	}
	buf = buf[:slotHeader+slotLength(buf)]
	if sum := slotSum(buf); !bytes.Equal(sum[:], buf[slotHeader-sha256.Size:slotHeader]) {
		return s, false
	}
	s.k = binary.BigEndian.Uint64(buf[40:])
	body := buf[slotHeader:]
	switch string(buf[:8]) {
	case slotMagic1:
		s.state = body
		return s, true
	case slotMagic:
		if len(body) >= 8 {
			s.synced = binary.BigEndian.Uint64(body)
			s.state, s.lag.writes, ok = cutLength(body[8:])
		}
	}
	for rest := s.lag.writes; ok && len(rest) > 0; s.lag.n++ {
		_, rest, ok = cutLength(rest)
	}
	return s, ok
}

// cutLength splits data that begin with the length of their first part.
func cutLength(data []byte) (first, rest []byte, ok bool) {
	if len(data) < 4 || uint64(binary.BigEndian.Uint32(data)) > uint64(len(data)-4) {
		return nil, nil, false
	}
	end := 4 + int(binary.BigEndian.Uint32(data))
	return data[4:end], data[end:], true
}

// add adds a write, if there is room for it in the slot of a state.
func (l *lag) add(write, state []byte) bool {
	grown := len(l.writes) + 4 + len(write)
	if l.n == lagWrites || grown > lagBytes || slotHeader+bodyHeader+len(state)+grown > slotBytes {
		return false
	}
	l.n++
	l.writes = binary.BigEndian.AppendUint32(l.writes, uint32(len(write)))
	l.writes = append(l.writes, write...)
	return true
}

// reset empties it: LevelDB has synced everything.
func (l *lag) reset() { l.n, l.writes = 0, l.writes[:0] }

// after returns the writes that come after the one of state k; ok is false if it has not all of them.
func (s *slot) after(k uint64) (writes [][]byte, ok bool) {
	if k > s.k || s.k-k > s.lag.n {
		return nil, false
	}
	skip := s.lag.n - (s.k - k)
	for rest := s.lag.writes; len(rest) > 0; {
		var write []byte
		if write, rest, _ = cutLength(rest); skip == 0 { // parseSlot has seen that all are whole
			writes = append(writes, write)
			continue
		}
		skip--
	}
	return writes, true
}

// fitsSlot refuses genesis limits under which a safety state could outgrow its slot: the node would stop at that write.
func (id Identity) fitsSlot() error {
	const most = slotBytes - slotHeader - bodyHeader
	if n := id.Limits.SafetyStateBytesMax(); n > most {
		return fmt.Errorf("store: a safety state may take %d bytes under the genesis limits, at most %d fit: "+
			"lower the number of batches that a block may name", n, most)
	}
	return nil
}
