package cutdisk

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// Trace is what was done to a disk since Record, in order. Do not use it while the disk is in use.
type Trace struct {
	base  *Disk
	ops   []op
	marks []mark
}

// mark is a note that stands before the op of its position.
type mark struct {
	at   int
	note any
}

// Record starts a trace of all that is done to the disk from now on.
func (d *Disk) Record() *Trace {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.trace = &Trace{base: d.clone()}
	return d.trace
}

// Mark puts a note into the trace: what the user of the disk is about to do, or was told.
func (d *Disk) Mark(note any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.trace.marks = append(d.trace.marks, mark{len(d.trace.ops), note})
}

// Len returns the number of operations.
func (t *Trace) Len() int { return len(t.ops) }

// Player plays a trace on a disk of its own.
type Player struct {
	Disk  *Disk
	trace *Trace
	next  int
	marks int // read so far
}

// Play returns a player that stands before the first operation.
func (t *Trace) Play() *Player { return &Player{Disk: t.base.clone(), trace: t} }

// At returns how many operations were played.
func (p *Player) At() int { return p.next }

// Marks gives the notes between the last operation played and the next one, each once.
func (p *Player) Marks(visit func(note any)) {
	for p.marks < len(p.trace.marks) && p.trace.marks[p.marks].at <= p.next {
		visit(p.trace.marks[p.marks].note)
		p.marks++
	}
}

// Next plays one operation; it tells whether there was one.
func (p *Player) Next() bool {
	if p.next == len(p.trace.ops) {
		return false
	}
	p.Disk.apply(p.trace.ops[p.next])
	p.next++
	return true
}

// BeforeSync tells whether the next operation is a sync, or there is none: where most can be lost.
func (p *Player) BeforeSync() bool {
	if p.next == len(p.trace.ops) {
		return true
	}
	k := p.trace.ops[p.next].kind
	return k == opSync || k == opSyncDir
}

// Recent tells the last few operations played, and the next one, for people.
func (p *Player) Recent() []string { return p.trace.recent(p.Disk, p.next) }

// Recent tells the last few operations that were done to the disk, which is recorded, for people.
func (d *Disk) Recent() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.trace.recent(d, len(d.trace.ops))
}

func (t *Trace) recent(d *Disk, next int) []string {
	var lines []string
	for i := max(0, next-8); i < min(len(t.ops), next+1); i++ {
		o := t.ops[i]
		line := fmt.Sprintf("%d: %s %s", i, kindNames[o.kind], d.path(o.node))
		switch o.kind {
		case opCreate, opMkdir, opRemove:
			line += "/" + o.name
		case opRename:
			line += fmt.Sprintf(" %s to %s", o.name, o.to)
		case opWrite:
			line += fmt.Sprintf(" %d bytes at %d", len(o.data), o.off)
		case opTruncate, opAllocate:
			line += fmt.Sprintf(" to %d bytes", o.size)
		}
		lines = append(lines, line)
	}
	return slices.Clip(lines)
}

// Save writes all files into a directory of the system, for people to look at.
func (d *Disk) Save(dir string) error {
	for _, name := range d.Files() {
		d.mu.Lock()
		id, err := d.find(name)
		var data []byte
		if err == nil {
			now := d.nodes[id].now
			data = make([]byte, now.size)
			now.read(data, 0)
		}
		d.mu.Unlock()
		to := filepath.Join(dir, name)
		if err == nil {
			err = os.MkdirAll(filepath.Dir(to), 0o700)
		}
		if err == nil {
			err = os.WriteFile(to, data, 0o600)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
