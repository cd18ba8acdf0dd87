package cutdisk

import (
	"io"
	"maps"
	"path"
	"slices"

	"github.com/hotstuffd/hotstuffd/store"
	"github.com/syndtr/goleveldb/leveldb/storage"
)

var _ store.FS = (*Disk)(nil)

// MkdirAll makes a directory and its missing parents, and syncs the parents.
func (d *Disk) MkdirAll(dir string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mkdirAll(path.Clean(dir))
}

func (d *Disk) mkdirAll(dir string) error {
	if _, err := d.find(dir); err == nil {
		return nil
	}
	if err := d.mkdirAll(path.Dir(dir)); err != nil {
		return err
	}
	parent, base, err := d.parent(dir)
	if err != nil {
		return err
	}
	if _, err := d.do(op{kind: opMkdir, node: parent, name: base}); err != nil {
		return err
	}
	_, err = d.do(op{kind: opSyncDir, node: parent})
	return err
}

// List returns the names in a directory, in order.
func (d *Disk) List(dir string) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	id, err := d.find(dir)
	if err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(d.nodes[id].names)), nil
}

// Open opens an existing file.
func (d *Disk) Open(name string) (store.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	id, err := d.find(name)
	if err != nil {
		return nil, err
	}
	return &file{d: d, id: id, name: name}, nil
}

// Create makes an empty file, or empties the one of that name.
func (d *Disk) Create(name string) (store.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.create(name)
}

func (d *Disk) create(name string) (*file, error) {
	dir, base, err := d.parent(name)
	if err != nil {
		return nil, err
	}
	id, err := d.do(op{kind: opCreate, node: dir, name: base})
	if err != nil {
		return nil, err
	}
	return &file{d: d, id: id, name: name}, nil
}

// Rename gives a file another name in its directory.
func (d *Disk) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rename(from, to)
}

func (d *Disk) rename(from, to string) error {
	if _, err := d.find(from); err != nil {
		return err
	}
	dir, base, err := d.parent(from)
	if err != nil {
		return err
	}
	_, err = d.do(op{kind: opRename, node: dir, name: base, to: path.Base(to)})
	return err
}

// RemoveAll removes a file, or a directory with all it holds.
func (d *Disk) RemoveAll(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.removeAll(name)
}

func (d *Disk) removeAll(name string) error {
	id, err := d.find(name)
	if err != nil {
		return nil
	}
	for _, child := range slices.Sorted(maps.Keys(d.nodes[id].names)) {
		if err := d.removeAll(path.Join(name, child)); err != nil {
			return err
		}
	}
	return d.remove(name)
}

func (d *Disk) remove(name string) error {
	if _, err := d.find(name); err != nil {
		return err
	}
	dir, base, err := d.parent(name)
	if err == nil {
		_, err = d.do(op{kind: opRemove, node: dir, name: base})
	}
	return err
}

// SyncDir makes the names in a directory durable.
func (d *Disk) SyncDir(dir string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.syncDir(dir)
}

func (d *Disk) syncDir(dir string) error {
	id, err := d.find(dir)
	if err == nil {
		_, err = d.do(op{kind: opSyncDir, node: id})
	}
	return err
}

// Lock takes a lock, which no cut survives, and makes its file.
func (d *Disk) Lock(name string) (io.Closer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lock(name)
}

func (d *Disk) lock(name string) (io.Closer, error) {
	if d.locks[name] {
		return nil, store.ErrInUse
	}
	if _, err := d.find(name); err != nil {
		if _, err := d.create(name); err != nil {
			return nil, err
		}
	}
	d.locks[name] = true
	return &lock{d, name}, nil
}

type lock struct {
	d    *Disk
	name string
}

func (l *lock) Close() error {
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	delete(l.d.locks, l.name)
	return nil
}

// LevelDB opens a directory as LevelDB's storage.
func (d *Disk) LevelDB(dir string) (storage.Storage, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l, err := d.lock(path.Join(dir, "LOCK"))
	if err != nil {
		return nil, err
	}
	return &levelDB{d: d, dir: dir, lock: l}, nil
}

// file is an open file.
type file struct {
	d    *Disk
	id   int
	name string // when it was opened
	at   int64  // where Write writes
}

func (f *file) now() content { return f.d.nodes[f.id].now }

func (f *file) ReadAt(p []byte, at int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	n := f.now().read(p, at)
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *file) do(o op) error {
	f.d.waitFor(f.name, o)
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	o.node = f.id
	_, err := f.d.do(o)
	return err
}

func (f *file) WriteAt(p []byte, at int64) (int, error) {
	if err := f.do(op{kind: opWrite, off: at, data: slices.Clone(p)}); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (f *file) Write(p []byte) (int, error) {
	n, err := f.WriteAt(p, f.at)
	f.at += int64(n)
	return n, err
}

func (f *file) Size() (int64, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	return f.now().size, nil
}

func (f *file) Truncate(size int64) error { return f.do(op{kind: opTruncate, size: size}) }

func (f *file) Allocate(size int64) error {
	if have, _ := f.Size(); have >= size {
		return nil
	}
	return f.do(op{kind: opAllocate, size: size})
}

func (f *file) Sync() error { return f.do(op{kind: opSync}) }

func (f *file) Reread() error {
	if err := f.Sync(); err != nil {
		return err
	}
	return f.do(op{kind: opReread})
}

func (f *file) Close() error { return nil }
