package session

import (
	"container/list"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"
)

const (
	// Window is how many numbers above the floor may be executed, and for how many below it results are kept.
	Window = 256
	// ResultBytesMax bounds a result that is kept.
	ResultBytesMax = 4 << 10

	sessionCost = 512 // of a session, bytes, and
	resultCost  = 128 // of a result beside its own bytes: for Limits.Bytes
)

// Limits bound a table. They decide results, so they must be equal on all replicas.
type Limits struct {
	Sessions int
	Bytes    int // of all sessions and their kept results
}

// Table is the sessions of a replicated state machine. It belongs to one goroutine, the executor.
type Table struct {
	limits   Limits
	sessions map[uint64]*list.Element // of *session, by identifier
	used     *list.List               // the one unused for longest in front
	bytes    int
	opened   uint64 // since genesis
}

type session struct {
	id      uint64
	floor   uint64               // the least number that was not executed
	results map[uint64]execution // by number, from Window below the floor up
	bytes   int
	digest  [sha256.Size]byte
	changed bool
}

// execution is what is kept of a number that was executed.
type execution struct {
	command [commandBytes]byte // the head of the command's hash: another command under its number is refused
	result  []byte             // nil: not kept
}

// commandBytes of a hash are kept: as many as make a second command with the same ones out of reach.
const commandBytes = 16

// NewTable returns a table without sessions.
func NewTable(l Limits) *Table {
	return &Table{limits: l, sessions: make(map[uint64]*list.Element), used: list.New()}
}

// Len returns how many sessions there are.
func (t *Table) Len() int { return t.used.Len() }

// Bytes returns what they count for Limits.Bytes.
func (t *Table) Bytes() int { return t.bytes }

// Open makes a session. Its identifier comes from place, which names a position of the log: nobody knows it beforehand. It
// is no secret afterwards: who can read the log, or is a replica, can use up its numbers, though not pass off a command for
// another. It is below 2⁶³.
func (t *Table) Open(place [32]byte) (id uint64) {
	for id == 0 || t.sessions[id] != nil {
		t.opened++
		h := sha256.Sum256(binary.BigEndian.AppendUint64(append([]byte("hotstuffd/session\x00\x01"), place[:]...), t.opened))
		id = binary.BigEndian.Uint64(h[:]) >> 1
	}
	s := &session{id: id, floor: 1, results: make(map[uint64]execution), bytes: sessionCost, changed: true}
	t.sessions[id] = t.used.PushBack(s)
	t.bytes += s.bytes
	t.evict()
	return id
}

// Once has a command executed, unless it was before, and appends its result to reply, which it returns. execute appends to
// what it is given. With another outcome than Done nothing is appended, and nothing executed.
func (t *Table) Once(id, seq uint64, command, reply []byte, execute func([]byte) []byte) ([]byte, Outcome) {
	at := t.sessions[id]
	if at == nil {
		return reply, Expired
	}
	t.used.MoveToBack(at)
	s := at.Value.(*session)
	kept, executed := s.results[seq]
	hash := sha256.Sum256(command)
	switch {
	case executed && kept.command != [commandBytes]byte(hash[:]):
		return reply, Taken
	case executed && kept.result != nil:
		return append(reply, kept.result...), Done
	case executed, seq < s.floor && seq > 0:
		return reply, Forgotten
	case seq == 0:
		return reply, Invalid
	case seq-s.floor >= Window:
		return reply, Ahead
	}
	start := len(reply)
	reply = execute(reply)
	t.bytes -= s.bytes
	s.keep(seq, [commandBytes]byte(hash[:]), reply[start:])
	t.bytes += s.bytes
	t.evict()
	return reply, Done
}

// keep notes a number as executed and moves the floor past all that were.
func (s *session) keep(seq uint64, command [commandBytes]byte, result []byte) {
	s.changed = true
	var kept []byte
	if len(result) <= ResultBytesMax {
		kept = append(make([]byte, 0, len(result)), result...) // never nil
	}
	s.results[seq] = execution{command, kept}
	s.bytes += resultCost + len(kept)
	for {
		if _, executed := s.results[s.floor]; !executed {
			return
		}
		if old := s.floor - Window; s.floor > Window {
			s.bytes -= resultCost + len(s.results[old].result)
			delete(s.results, old)
		}
		s.floor++
	}
}

// evict lets those go that were unused for longest, until the rest fits. The newest stays: one session alone always fits.
func (t *Table) evict() {
	for t.used.Len() > 1 && (t.used.Len() > t.limits.Sessions || t.bytes > t.limits.Bytes) {
		oldest := t.used.Front()
		s := t.used.Remove(oldest).(*session)
		delete(t.sessions, s.id)
		t.bytes -= s.bytes
	}
}

// Digest returns the digest of the table: of all sessions in the order in which they would go. It costs a hash over each
// session that has changed since the last call, and 32 bytes of one for every other.
func (t *Table) Digest() [32]byte {
	h := sha256.New()
	h.Write(binary.BigEndian.AppendUint64([]byte("hotstuffd/sessions\x00\x01"), t.opened))
	for at := t.used.Front(); at != nil; at = at.Next() {
		d := at.Value.(*session).sum()
		h.Write(d[:])
	}
	return [32]byte(h.Sum(nil))
}

func (s *session) sum() [32]byte {
	if !s.changed {
		return s.digest
	}
	b := binary.BigEndian.AppendUint64(nil, s.id)
	b = binary.BigEndian.AppendUint64(b, s.floor)
	for _, seq := range slices.Sorted(maps.Keys(s.results)) {
		command, result := s.results[seq].command, s.results[seq].result
		b = append(binary.BigEndian.AppendUint64(b, seq), command[:]...)
		if result == nil {
			b = append(b, 0)
			continue
		}
		b = append(b, 1)
		b = binary.BigEndian.AppendUint32(b, uint32(len(result)))
		b = append(b, result...)
	}
	s.digest, s.changed = sha256.Sum256(b), false
	return s.digest
}
