package session

import (
	"cmp"
	"container/list"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/hotstuffd/hotstuffd/app/snapshot"
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

// Table is the sessions of a replicated state machine. It belongs to one goroutine, the executor; what Freeze returns
// belongs to another one.
type Table struct {
	limits   Limits
	sessions map[uint64]*list.Element // of *session, by identifier
	used     *list.List               // the one unused for longest in front
	bytes    int
	opened   uint64 // since genesis
	frozen   snapshot.Generations
}

type session struct {
	id      uint64
	floor   uint64      // the least number that was not executed
	results []execution // by number: all from Window below the floor to the floor, and some above
	bytes   int

	born    uint64 // the generation that copied it; 0: none did
	digest  [sha256.Size]byte
	changed bool // digest is of another state
}

// execution is what is kept of a number that was executed.
type execution struct {
	seq     uint64
	command [commandBytes]byte // the head of the command's hash: another command under its number is refused
	result  []byte             // nil: not kept
}

// commandBytes of a hash are kept: as many as make a second command with the same ones out of reach.
const commandBytes = 16

// NewTable returns a table without sessions.
func NewTable(l Limits) *Table {
	t := &Table{limits: l}
	t.clear()
	return t
}

// clear lets all sessions go.
func (t *Table) clear() {
	t.sessions, t.used, t.bytes, t.opened = make(map[uint64]*list.Element), list.New(), 0, 0
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
	t.push(&session{id: id, floor: 1, bytes: sessionCost, changed: true})
	t.evict()
	return id
}

// push adds a session as the one used last.
func (t *Table) push(s *session) {
	t.sessions[s.id] = t.used.PushBack(s)
	t.bytes += s.bytes
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
	kept, executed := s.result(seq)
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
	if t.frozen.Settle(); t.frozen.Frozen(s.born) {
		s = s.copy(t.frozen.Now())
		at.Value = s
	}
	t.bytes -= s.bytes
	s.keep(seq, [commandBytes]byte(hash[:]), reply[start:])
	t.bytes += s.bytes
	t.evict()
	return reply, Done
}

// find returns where the result of a number stands, or would.
func (s *session) find(seq uint64) (at int, executed bool) {
	return slices.BinarySearchFunc(s.results, seq, func(e execution, seq uint64) int { return cmp.Compare(e.seq, seq) })
}

func (s *session) result(seq uint64) (e execution, executed bool) {
	at, executed := s.find(seq)
	if executed {
		e = s.results[at]
	}
	return e, executed
}

// copy returns a session for the executor alone; results themselves are never written.
func (s *session) copy(born uint64) *session {
	results := append(make([]execution, 0, cap(s.results)), s.results...)
	return &session{id: s.id, floor: s.floor, results: results, bytes: s.bytes, born: born, changed: true}
}

// keep notes a number as executed and moves the floor past all that were. The session is the executor's alone.
func (s *session) keep(seq uint64, command [commandBytes]byte, result []byte) {
	s.changed = true
	var kept []byte
	if len(result) <= ResultBytesMax {
		kept = append(make([]byte, 0, len(result)), result...) // never nil
	}
	at, _ := s.find(seq)
	s.results = slices.Insert(s.results, at, execution{seq, command, kept})
	s.bytes += s.results[at].cost()
	for {
		if _, executed := s.find(s.floor); !executed {
			return
		}
		if s.floor > Window { // then the first result is that of Window below the floor
			s.bytes -= s.results[0].cost()
			s.results[0] = execution{} // lets the result go
			s.results = s.results[1:]
		}
		s.floor++
	}
}

func (e *execution) cost() int { return resultCost + len(e.result) }

// evict lets those go that were unused for longest, until the rest fits. The newest stays: one session alone always fits.
func (t *Table) evict() {
	for t.isFull() {
		oldest := t.used.Front()
		s := t.used.Remove(oldest).(*session)
		delete(t.sessions, s.id)
		t.bytes -= s.bytes
	}
}

// isFull tells whether a session must go.
func (t *Table) isFull() bool {
	return t.used.Len() > 1 && (t.used.Len() > t.limits.Sessions || t.bytes > t.limits.Bytes)
}

// Digest returns the digest of the table: of all sessions in the order in which they would go. It costs a hash over each
// session that has changed since the last call, and 32 bytes of one for every other. It is not called while a Frozen is
// unreleased.
func (t *Table) Digest() [32]byte { return digest(t.opened, t.inOrder()) }

// inOrder returns the sessions, the one unused for longest first.
func (t *Table) inOrder() []*session {
	sessions := make([]*session, 0, t.used.Len())
	for at := t.used.Front(); at != nil; at = at.Next() {
		sessions = append(sessions, at.Value.(*session))
	}
	return sessions
}

func digest(opened uint64, sessions []*session) [32]byte {
	h := sha256.New()
	h.Write(binary.BigEndian.AppendUint64([]byte("hotstuffd/sessions\x00\x01"), opened))
	for _, s := range sessions {
		d := s.sum()
		h.Write(d[:])
	}
	return [32]byte(h.Sum(nil))
}

// sum returns the digest of a session. All that it writes is the digest, which the executor leaves alone in a frozen one.
func (s *session) sum() [32]byte {
	if !s.changed {
		return s.digest
	}
	b := binary.BigEndian.AppendUint64(nil, s.id)
	b = binary.BigEndian.AppendUint64(b, s.floor)
	for i := range s.results {
		e := &s.results[i]
		b = append(binary.BigEndian.AppendUint64(b, e.seq), e.command[:]...)
		if e.result == nil {
			b = append(b, 0)
			continue
		}
		b = append(b, 1)
		b = binary.BigEndian.AppendUint32(b, uint32(len(e.result)))
		b = append(b, e.result...)
	}
	s.digest, s.changed = sha256.Sum256(b), false
	return s.digest
}
