package cutdisk

import (
	"maps"
	"math/rand/v2"
)

const (
	pageBytes   = 4096
	sectorBytes = 512
)

// content is what a file holds. Pages are never changed, only replaced, so that a copy is cheap; one that is missing is
// all zeros.
type content struct {
	pages map[int64]*[pageBytes]byte
	size  int64
}

func (c content) clone() content { return content{maps.Clone(c.pages), c.size} }

// read copies bytes from an offset on and returns how many there are.
func (c content) read(p []byte, at int64) int {
	n := int(min(int64(len(p)), max(0, c.size-at)))
	for done := 0; done < n; {
		page, in := (at+int64(done))/pageBytes, (at+int64(done))%pageBytes
		chunk := min(n-done, pageBytes-int(in))
		if from := c.pages[page]; from != nil {
			copy(p[done:done+chunk], from[in:])
		} else {
			clear(p[done : done+chunk])
		}
		done += chunk
	}
	return n
}

func (c *content) write(p []byte, at int64) {
	c.size = max(c.size, at+int64(len(p)))
	for done := 0; done < len(p); {
		page, in := (at+int64(done))/pageBytes, (at+int64(done))%pageBytes
		fresh := new([pageBytes]byte)
		if old := c.pages[page]; old != nil {
			*fresh = *old
		}
		done += copy(fresh[in:], p[done:])
		if c.pages == nil {
			c.pages = make(map[int64]*[pageBytes]byte)
		}
		c.pages[page] = fresh
	}
}

// truncate sets the size. What lies beyond it is gone: a file that grows again grows by zeros.
func (c *content) truncate(size int64) {
	if size < c.size {
		last := (size + pageBytes - 1) / pageBytes
		maps.DeleteFunc(c.pages, func(page int64, _ *[pageBytes]byte) bool { return page >= last })
		if rest := last*pageBytes - size; rest > 0 && c.pages[last-1] != nil {
			old := c.size
			c.write(make([]byte, rest), size)
			c.size = old
		}
	}
	c.size = size
}

// change is a change to a file's content that is not durable yet.
type change struct {
	at   int64 // the operation's number
	kind kind  // opWrite, opTruncate or opAllocate
	off  int64
	data []byte
	size int64
}

func (c *content) apply(x change) {
	switch x.kind {
	case opWrite:
		c.write(x.data, x.off)
	case opTruncate:
		c.truncate(x.size)
	case opAllocate:
		c.size = max(c.size, x.size)
	}
}

// sectors calls visit with each part of a write that lies in one sector.
func (x change) sectors(visit func(off int64, data []byte)) {
	for off, data := x.off, x.data; len(data) > 0; {
		n := min(int64(len(data)), sectorBytes-off%sectorBytes)
		visit(off, data[:n])
		off, data = off+n, data[n:]
	}
}

func rubbish(rng *rand.Rand, n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(rng.Uint32())
	}
	return p
}
