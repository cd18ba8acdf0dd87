package cutdisk

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"syscall"
)

// ErrIO is what a failing operation gives.
var ErrIO = errors.New("input/output error (injected)")

// faults are the disk's troubles to come.
type faults struct {
	after int64 // operations until the first that fails, counted down
	count int64 // how many fail from there on
	seed  uint64
	err   error
	fills int64 // operations until the disk is full, counted down; 0: never
	full  bool
	room  int64 // bytes that files may still grow by, if full
}

// Fail makes operation number after from now fail, counted from 1, and the count-1 operations behind it. A failed write
// leaves a part of its bytes, a failed Sync any part of the changes, every other failed operation nothing.
func (d *Disk) Fail(after, count int64, seed uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults = faults{after: after, count: count, seed: seed, err: ErrIO, full: d.faults.full, room: d.faults.room}
}

// Deny does the same with the error of a full disk, as a file system does that needs room for all that it does, or that
// finds out about its want of room when it syncs.
func (d *Disk) Deny(after, count int64, seed uint64) {
	d.Fail(after, count, seed)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults.err = syscall.ENOSPC
}

// Fill leaves room for files to grow by so many bytes; then writes fail with ENOSPC, after a part of their bytes. What
// is removed, cut or replaced makes room at once.
func (d *Disk) Fill(room int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults.full, d.faults.room = true, room
}

// FillAt fills the disk to its last byte before operation number after from now, counted from 1.
func (d *Disk) FillAt(after int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults.fills = after
}

// Mend ends all troubles.
func (d *Disk) Mend() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults = faults{}
}

// do does an operation if no trouble comes between. The disk is locked.
func (d *Disk) do(o op) (int, error) {
	if !d.power.draws() {
		return 0, ErrPower
	}
	err := d.trouble(&o)
	if err != nil && (o.kind != opWrite || len(o.data) == 0) && o.kind != opFailSync {
		return 0, err
	}
	if d.trace != nil {
		d.trace.ops = append(d.trace.ops, o)
	}
	return d.apply(o), err
}

// trouble returns why the operation fails, if it does, and makes it what it comes to then.
func (d *Disk) trouble(o *op) error {
	f := &d.faults
	if f.fills > 0 {
		if f.fills--; f.fills == 0 {
			f.full, f.room = true, 0
		}
	}
	if f.after > 0 {
		f.after--
	}
	if f.after == 0 && f.count > 0 {
		f.count--
		rng := rand.New(rand.NewPCG(f.seed, uint64(f.count)))
		switch o.kind {
		case opWrite:
			o.data = o.data[:rng.IntN(len(o.data)+1)]
		case opSync:
			o.kind, o.seed = opFailSync, rng.Uint64()
		}
		return &fs.PathError{Op: kindNames[o.kind], Path: d.path(o.node), Err: f.err}
	}
	if f.full {
		return d.fill(o)
	}
	return nil
}

func (d *Disk) fill(o *op) error {
	var grows int64
	n := d.nodes[o.node]
	switch size := n.now.size; o.kind {
	case opWrite:
		grows = max(0, o.off+int64(len(o.data))-size)
	case opAllocate:
		grows = max(0, o.size-size)
	case opTruncate:
		grows = o.size - size
	case opCreate:
		grows = nameBytes - d.sizeOf(n.names[o.name])
	case opMkdir:
		grows = nameBytes
	case opRename:
		grows = -d.sizeOf(n.names[o.to])
	case opRemove:
		grows = -d.sizeOf(n.names[o.name])
	}
	if grows <= d.faults.room {
		d.faults.room -= grows
		return nil
	}
	if o.kind == opWrite {
		o.data = o.data[:max(0, int64(len(o.data))-grows+d.faults.room)] // behind a hole nothing may fit
		d.faults.room = 0
	}
	return &fs.PathError{Op: kindNames[o.kind], Path: d.path(o.node), Err: syscall.ENOSPC}
}

// nameBytes is the room that a name takes.
const nameBytes = 1

// sizeOf returns the room that a file and its name take; 0 if there is none.
func (d *Disk) sizeOf(id int) int64 {
	if n := d.nodes[id]; n != nil {
		return nameBytes + n.now.size
	}
	return 0
}
