package cutdisk

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
)

// Disk is a disk with its file system. Its methods may be called by several goroutines. The zero value is not ready: see
// New.
type Disk struct {
	mu     sync.Mutex
	nodes  map[int]*node // by number; rootNode is the root directory
	last   int           // number of the newest node
	clock  int64         // operations done
	locks  map[string]bool
	trace  *Trace // nil: nothing is recorded
	faults faults
	power  power
	gate   *Gate // nil: nobody is held back
}

const rootNode = 1

// node is a file or a directory.
type node struct {
	dir bool

	// Of a file.
	now   content  // what a read gives
	safe  content  // what is certain to be there after a cut
	dirty []change // since the last sync, oldest first

	// Of a directory: numbers of nodes by name, and the changes since its last sync, oldest first.
	names   map[string]int
	durable map[string]int
	moved   []move
}

// move is one atomic change to a directory: names and their new nodes, 0 for none.
type move struct {
	at   int64
	sets []entry
}

type entry struct {
	name string
	node int
}

func newDir() *node { return &node{dir: true, names: map[string]int{}, durable: map[string]int{}} }

// New returns an empty disk.
func New() *Disk {
	return &Disk{nodes: map[int]*node{rootNode: newDir()}, last: rootNode, locks: map[string]bool{}}
}

type kind uint8

const (
	opCreate   kind = iota // file name in dir; an existing one is emptied
	opMkdir                // directory name in dir
	opRename               // name to to, in dir
	opRemove               // name from dir
	opSyncDir              // dir
	opWrite                // data at off of file
	opTruncate             // file to size
	opAllocate             // file to size at least
	opSync                 // file
	opFailSync             // file; seed tells what becomes of its changes
	opReread               // file, which is synced
)

var kindNames = [...]string{"create", "mkdir", "rename", "remove", "sync directory", "write", "truncate", "allocate", "sync",
	"failed sync", "reread"}

// op is one operation that changes the disk, or what is durable of it.
type op struct {
	kind kind
	node int // directory or file
	name string
	to   string
	off  int64
	data []byte
	size int64
	seed uint64
}

// apply does an operation, which must be possible. It returns the number of the node that a create has made or emptied.
func (d *Disk) apply(o op) int {
	d.clock++
	n := d.nodes[o.node]
	switch o.kind {
	case opCreate:
		if id, ok := n.names[o.name]; ok {
			d.nodes[id].change(change{at: d.clock, kind: opTruncate})
			return id
		}
		return d.add(n, o.name, &node{})
	case opMkdir:
		return d.add(n, o.name, newDir())
	case opRename:
		n.move(move{d.clock, []entry{{o.name, 0}, {o.to, n.names[o.name]}}})
	case opRemove:
		n.move(move{d.clock, []entry{{o.name, 0}}})
	case opSyncDir:
		n.durable, n.moved = maps.Clone(n.names), nil
	case opWrite, opTruncate, opAllocate:
		n.change(change{d.clock, o.kind, o.off, o.data, o.size})
	case opSync:
		for _, x := range n.dirty {
			n.safe.apply(x)
		}
		n.dirty = nil
	case opReread:
		n.now = n.safe.clone()
	case opFailSync:
		l := newLoss(Mixed, o.seed)
		n.safe = l.file(n)
		n.dirty = nil
	}
	return o.node
}

func (d *Disk) add(parent *node, name string, n *node) int {
	d.last++
	d.nodes[d.last] = n
	parent.move(move{d.clock, []entry{{name, d.last}}})
	return d.last
}

func (n *node) change(x change) {
	n.now.apply(x)
	n.dirty = append(n.dirty, x)
}

func (n *node) move(m move) {
	set(n.names, m)
	n.moved = append(n.moved, m)
}

func set(names map[string]int, m move) {
	for _, e := range m.sets {
		if e.node == 0 {
			delete(names, e.name)
		} else {
			names[e.name] = e.node
		}
	}
}

// clone returns a disk of its own with the same state, which records nothing.
func (d *Disk) clone() *Disk {
	c := New()
	c.last, c.clock = d.last, d.clock
	for id, n := range d.nodes {
		c.nodes[id] = &node{n.dir, n.now.clone(), n.safe.clone(), slices.Clone(n.dirty), maps.Clone(n.names), maps.Clone(n.durable),
			slices.Clone(n.moved)}
	}
	return c
}

// find returns the number of the node at a path.
func (d *Disk) find(name string) (int, error) {
	id := rootNode
	for _, part := range split(name) {
		n := d.nodes[id]
		next, ok := n.names[part]
		if !n.dir || !ok {
			return 0, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
		id = next
	}
	return id, nil
}

// parent returns the number of the directory of a path, and the path's last name.
func (d *Disk) parent(name string) (id int, base string, err error) {
	id, err = d.find(path.Dir(path.Clean(name)))
	return id, path.Base(name), err
}

func split(name string) []string {
	return strings.FieldsFunc(name, func(r rune) bool { return r == '/' })
}

// path returns where a node is, for people: the path of its newest name.
func (d *Disk) path(id int) string {
	for dir, n := range d.nodes {
		for name, at := range n.names {
			if at == id && dir == rootNode {
				return name
			} else if at == id {
				return d.path(dir) + "/" + name
			}
		}
	}
	if id == rootNode {
		return "/"
	}
	return fmt.Sprintf("file %d without a name", id)
}

// Files returns the paths of all files, in order.
func (d *Disk) Files() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var files []string
	for _, id := range slices.Sorted(maps.Keys(d.nodes)) {
		if n := d.nodes[id]; n.dir {
			for name, at := range n.names {
				if !d.nodes[at].dir {
					files = append(files, strings.TrimPrefix(d.path(id)+"/"+name, "/"))
				}
			}
		}
	}
	slices.Sort(files)
	return files
}
