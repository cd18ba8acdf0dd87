package cutdisk

import (
	"fmt"
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
func (p *Player) Recent() []string {
	var lines []string
	for i := max(0, p.next-8); i < min(len(p.trace.ops), p.next+1); i++ {
		o := p.trace.ops[i]
		line := fmt.Sprintf("%d: %s %s", i, kindNames[o.kind], p.Disk.path(o.node))
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
