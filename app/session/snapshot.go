package session

import (
	"fmt"
	"io"

	"github.com/hotstuffd/hotstuffd/app/snapshot"
)

// Frozen is the table as it was at a freeze. It shares its sessions with the table: who holds it writes nothing into them
// but digests, which the executor does not read, and WriteTo neither. Its methods are called as those of an app.Frozen.
type Frozen struct {
	*snapshot.Mark
	sessions []*session // the one unused for longest first
	opened   uint64
}

// Freeze returns the present table. It costs a pointer for each session; until it is released, the first write to a session
// copies it, without the results themselves.
func (t *Table) Freeze() *Frozen {
	return &Frozen{Mark: t.frozen.Freeze(), sessions: t.inOrder(), opened: t.opened}
}

// Digest returns what Table.Digest would have, at the same cost.
func (f *Frozen) Digest() [32]byte { return digest(f.opened, f.sessions) }

// A snapshot is tableHead, how many sessions were opened since genesis, how many there are, each of them in the order in
// which they would go, and tableEnd. A session is its identifier, its floor, how many results it has, and they by number:
// the number, the command's hash, and 1 and the result behind its length, or 0 if it was not kept. Lengths and the number of
// results are uvarints, all other numbers have 8 bytes.
const (
	tableHead = "hotstuffd/sessions/state\x00\x01"
	tableEnd  = "end\n"
)

// WriteTo writes the table for Restore. The bytes are a function of the contents alone: equal tables give equal ones.
func (f *Frozen) WriteTo(w io.Writer) (int64, error) {
	out := snapshot.NewWriter(w)
	out.String(tableHead)
	out.Uint64(f.opened)
	out.Uint64(uint64(len(f.sessions)))
	for _, s := range f.sessions {
		if out.Failed() {
			break
		}
		out.Uint64(s.id)
		out.Uint64(s.floor)
		out.Length(len(s.results))
		for i := range s.results {
			s.results[i].write(out)
		}
	}
	out.String(tableEnd)
	return out.Close()
}

func (e *execution) write(out *snapshot.Writer) {
	out.Uint64(e.seq)
	out.Bytes(e.command[:])
	if e.result == nil {
		out.Length(0)
		return
	}
	out.Length(1)
	out.Length(len(e.result))
	out.Bytes(e.result)
}

// Restore replaces the table by that of a snapshot, and reads r to its end. It takes exactly what WriteTo may have written
// for a table with the same Limits, and no more memory than those allow. After an error the table is empty.
// Expected errors: snapshot.ErrMalformed, io.ErrUnexpectedEOF, and those of r.
func (t *Table) Restore(r io.Reader) error {
	t.clear()
	in := snapshot.NewReader(r)
	in.Expect(tableHead)
	t.opened = in.Uint64()
	for left := in.Uint64(); left > 0 && in.Err() == nil; left-- {
		s := readSession(in)
		if t.sessions[s.id] != nil {
			in.Refuse("session %d twice", s.id)
		}
		if in.Err() != nil {
			break
		}
		if t.push(s); t.isFull() {
			in.Refuse("session %d is above the limits", s.id)
		}
	}
	if uint64(t.Len()) > t.opened {
		in.Refuse("%d sessions, but only %d were ever opened", t.Len(), t.opened)
	}
	in.Expect(tableEnd)
	in.End()
	if err := in.Err(); err != nil {
		n := t.Len()
		t.clear()
		return fmt.Errorf("session: restoring, behind %d sessions: %w", n, err)
	}
	return nil
}

// readSession reads a session that the rules can lead to.
func readSession(in *snapshot.Reader) *session {
	s := &session{id: in.Uint64(), floor: in.Uint64(), bytes: sessionCost, changed: true}
	if s.id == 0 || s.id >= 1<<63 || s.floor == 0 || s.floor >= 1<<63 {
		in.Refuse("session %d with floor %d", s.id, s.floor)
	}
	least := max(s.floor, Window+1) - Window
	for n := in.Length(2 * Window); n > 0 && in.Err() == nil; n-- {
		e := readExecution(in)
		// Below the floor all numbers stand, the floor itself does not, and what is above ascends.
		if next := least + uint64(len(s.results)); next < s.floor && e.seq != next {
			in.Refuse("result of number %d in the place of %d", e.seq, next)
		}
		if e.seq == s.floor || e.seq-least >= s.floor-least+Window || len(s.results) > 0 && e.seq <= s.results[len(s.results)-1].seq {
			in.Refuse("result of number %d, at the floor, outside the window, or not in its order", e.seq)
		}
		s.results = append(s.results, e)
		s.bytes += e.cost()
	}
	if uint64(len(s.results)) < s.floor-least {
		in.Refuse("%d results below floor %d", len(s.results), s.floor)
	}
	return s
}

func readExecution(in *snapshot.Reader) (e execution) {
	e.seq = in.Uint64()
	in.Take(e.command[:0], commandBytes)
	if in.Length(1) == 1 {
		n := in.Length(ResultBytesMax)
		e.result = in.Take(make([]byte, 0, n), n) // never nil
	}
	return e
}
