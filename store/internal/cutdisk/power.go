package cutdisk

import "errors"

// ErrPower is what every operation gives once the power is off.
var ErrPower = errors.New("the power is off (injected)")

// power is how long a disk has it.
type power struct {
	ends bool  // it will fail
	left int64 // after so many operations, counted down
	off  bool
}

// PowerFor lets the power fail after so many operations from now: the next one, and every later one, is not done.
func (d *Disk) PowerFor(operations int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.power = power{ends: true, left: operations}
}

// PowerStays lets the power be, if it has not failed yet.
func (d *Disk) PowerStays() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.power.ends = false
}

// PowerOff ends the power now. Reads go on: a process that does not know yet may see what it likes.
func (d *Disk) PowerOff() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.power.off = true
}

// Off tells whether the power has failed.
func (d *Disk) Off() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.power.off
}

// Operations returns how many operations were done since the disk was made or found.
func (d *Disk) Operations() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.clock
}

// draws takes one operation's share of the power, and tells whether there was any left. The disk is locked.
func (p *power) draws() bool {
	if p.ends && p.left == 0 {
		p.off = true
	}
	p.left--
	return !p.off
}
