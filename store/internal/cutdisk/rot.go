package cutdisk

import (
	"maps"
	"path"
)

// Rot changes what a file holds, as decay and mishaps do: no sync has to do with it. No file, no change.
func (d *Disk) Rot(name string, change func(data []byte) []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	id, err := d.find(name)
	if err != nil {
		return
	}
	data := make([]byte, d.nodes[id].now.size)
	d.nodes[id].now.read(data, 0)
	data = change(data)
	left := content{size: int64(len(data))}
	for at := 0; at < len(data); at += pageBytes {
		page := data[at:min(len(data), at+pageBytes)]
		if [pageBytes]byte(append(page[:len(page):len(page)], make([]byte, pageBytes-len(page))...)) != [pageBytes]byte{} {
			left.write(page, int64(at))
		}
	}
	d.nodes[id].now, d.nodes[id].safe, d.nodes[id].dirty = left, left.clone(), nil
}

// Lose removes a file, or a directory with all it holds, without a trace.
func (d *Disk) Lose(name string) {
	d.put(name, 0)
}

// Take puts a file or a directory of another disk, or of this one, in place of that of the same or another name. What
// the other disk does not have is removed.
func (d *Disk) Take(name string, from *Disk, fromName string) {
	c := from.Kill()
	id, err := c.find(fromName)
	if err != nil {
		d.put(name, 0)
		return
	}
	d.mu.Lock()
	id = d.adopt(c, id)
	d.mu.Unlock()
	d.put(name, id)
}

// adopt copies a node of another disk, and all below it, and returns its number here.
func (d *Disk) adopt(from *Disk, id int) int {
	n := from.nodes[id]
	for name, child := range n.names {
		n.names[name] = d.adopt(from, child)
	}
	n.durable, n.moved = maps.Clone(n.names), nil
	d.last++
	d.nodes[d.last] = n
	return d.last
}

func (d *Disk) put(name string, id int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	dir, err := d.find(path.Dir("/" + name))
	if err != nil {
		return
	}
	for _, names := range []map[string]int{d.nodes[dir].names, d.nodes[dir].durable} {
		set(names, move{sets: []entry{{path.Base(name), id}}})
	}
}
