package store

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/syndtr/goleveldb/leveldb/storage"
)

// overlay is the operating system's files with writes that stay in memory. So a store can be opened and repaired as a start
// would, to see what comes of it, and no byte on the disk changes. Files are opened for reading alone.
type overlay struct {
	mu      sync.Mutex
	changed map[string]entry // by clean path: what differs from the disk, and each file that was opened
}

// entry is what stands at a path instead of what the disk has there: a file, a directory, or nothing.
type entry struct {
	file *overlaid // nil: not a file
	dir  bool
}

func newOverlay() *overlay { return &overlay{changed: make(map[string]entry)} }

// look returns what stands at a path; onDisk tells that it is what the disk has. o.mu is held.
func (o *overlay) look(path string) (e entry, onDisk bool) {
	if e, ok := o.changed[path]; ok {
		return e, false
	}
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		if _, ok := o.changed[dir]; ok { // it was made, or removed: the disk has no part in it
			return entry{}, false
		}
		if dir == filepath.Dir(dir) {
			return entry{}, true
		}
	}
}

func notThere(op, path string) error { return &fs.PathError{Op: op, Path: path, Err: fs.ErrNotExist} }

// MkdirAll implements FS.
func (o *overlay) MkdirAll(dir string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.mkdirAll(filepath.Clean(dir))
}

func (o *overlay) mkdirAll(dir string) error {
	e, onDisk := o.look(dir)
	if e.dir {
		return nil
	}
	if onDisk {
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			return nil
		}
	}
	if parent := filepath.Dir(dir); parent != dir {
		if err := o.mkdirAll(parent); err != nil {
			return err
		}
	}
	o.changed[dir] = entry{dir: true}
	return nil
}

// List implements FS.
func (o *overlay) List(dir string) ([]string, error) {
	dir = filepath.Clean(dir)
	o.mu.Lock()
	defer o.mu.Unlock()
	names := map[string]bool{}
	e, onDisk := o.look(dir)
	if onDisk {
		list, err := OS.List(dir)
		if err != nil {
			return nil, err
		}
		for _, name := range list {
			names[name] = true
		}
	} else if !e.dir {
		return nil, notThere("open", dir)
	}
	for path, e := range o.changed {
		if filepath.Dir(path) != dir {
			continue
		}
		if name := filepath.Base(path); e.dir || e.file != nil {
			names[name] = true
		} else {
			delete(names, name)
		}
	}
	return slices.Sorted(maps.Keys(names)), nil
}

// Open implements FS.
func (o *overlay) Open(name string) (File, error) {
	name = filepath.Clean(name)
	o.mu.Lock()
	defer o.mu.Unlock()
	file, err := o.find(name)
	if err != nil {
		return nil, err
	}
	return file.open()
}

// find returns the file at a path. All who open it share what is written to it.
func (o *overlay) find(path string) (*overlaid, error) {
	e, onDisk := o.look(path)
	if e.file != nil {
		return e.file, nil
	}
	if !onDisk {
		return nil, notThere("open", path)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	file := &overlaid{base: path, kept: info.Size(), size: info.Size(), pages: make(map[int64][]byte)}
	o.changed[path] = entry{file: file}
	return file, nil
}

// Create implements FS.
func (o *overlay) Create(name string) (File, error) {
	file := &overlaid{pages: make(map[int64][]byte)}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.changed[filepath.Clean(name)] = entry{file: file}
	return file.open()
}

// Rename implements FS, for files: no store that is only looked at has another use for it.
func (o *overlay) Rename(from, to string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	from = filepath.Clean(from)
	file, err := o.find(from)
	if err != nil {
		return err
	}
	o.changed[filepath.Clean(to)] = entry{file: file}
	o.changed[from] = entry{}
	return nil
}

// RemoveAll implements FS.
func (o *overlay) RemoveAll(name string) error {
	name = filepath.Clean(name)
	o.mu.Lock()
	defer o.mu.Unlock()
	maps.DeleteFunc(o.changed, func(path string, _ entry) bool {
		return strings.HasPrefix(path, name+string(filepath.Separator))
	})
	o.changed[name] = entry{}
	return nil
}

// SyncDir implements FS.
func (o *overlay) SyncDir(string) error { return nil }

// Lock implements FS. It shares the lock with others who only look, and keeps those out who write. A directory without the file
// is one that nobody has open.
func (o *overlay) Lock(name string) (io.Closer, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return io.NopCloser(nil), nil
	}
	if err != nil {
		return nil, err
	}
	if err := shareFile(f); err != nil {
		return nil, joinClose(err, f)
	}
	return f, nil
}

// LevelDB implements FS.
func (o *overlay) LevelDB(dir string) (storage.Storage, error) {
	return &levelFiles{fs: o, dir: dir}, nil
}

// pageBytes is the unit in which a file's content is taken into memory to be changed.
const pageBytes = 4 << 10

// overlaid is a file's content: pages in memory where it was changed, else what the disk has, as far as that was kept.
type overlaid struct {
	mu    sync.RWMutex
	base  string // the file on the disk; empty: there is none
	kept  int64  // bytes of base that count, from its beginning
	size  int64
	pages map[int64][]byte // by number, pageBytes each
}

func (x *overlaid) open() (File, error) {
	if x.base == "" {
		return &overlaidFile{overlaid: x}, nil
	}
	f, err := os.Open(x.base)
	if err != nil {
		return nil, err
	}
	return &overlaidFile{overlaid: x, base: f}, nil
}

// overlaidFile is one opening of a file.
type overlaidFile struct {
	*overlaid
	base *os.File // nil: none
}

// ReadAt implements File.
func (f *overlaidFile) ReadAt(p []byte, offset int64) (int, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	most := max(0, min(int64(len(p)), f.size-offset))
	for done := int64(0); done < most; {
		number, at := (offset+done)/pageBytes, (offset+done)%pageBytes
		piece := p[done:min(most, done+pageBytes-at)]
		if page := f.pages[number]; page != nil {
			copy(piece, page[at:])
		} else if err := f.readBase(piece, offset+done); err != nil {
			return int(done), err
		}
		done += int64(len(piece))
	}
	if most < int64(len(p)) {
		return int(most), io.EOF
	}
	return int(most), nil
}

// readBase reads from the disk as far as that counts; the rest is zeros.
func (f *overlaidFile) readBase(p []byte, offset int64) error {
	n := max(0, min(int64(len(p)), f.kept-offset))
	clear(p[n:])
	if n == 0 {
		return nil
	}
	_, err := f.base.ReadAt(p[:n], offset)
	return err
}

// WriteAt implements File.
func (f *overlaidFile) WriteAt(p []byte, offset int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for done := 0; done < len(p); {
		at := offset + int64(done)
		page, err := f.page(at / pageBytes)
		if err != nil {
			return done, err
		}
		done += copy(page[at%pageBytes:], p[done:])
	}
	f.size = max(f.size, offset+int64(len(p)))
	return len(p), nil
}

// page returns a page to be changed.
func (f *overlaidFile) page(number int64) ([]byte, error) {
	if page := f.pages[number]; page != nil {
		return page, nil
	}
	page := make([]byte, pageBytes)
	if err := f.readBase(page, number*pageBytes); err != nil {
		return nil, err
	}
	f.pages[number] = page
	return page, nil
}

// Size implements File.
func (f *overlaidFile) Size() (int64, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.size, nil
}

// Truncate implements File.
func (f *overlaidFile) Truncate(size int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.size, f.kept = size, min(f.kept, size)
	for number, page := range f.pages {
		if from := size - number*pageBytes; from < pageBytes {
			clear(page[max(0, from):])
		}
	}
	return nil
}

// Allocate implements File.
func (f *overlaidFile) Allocate(size int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.size = max(f.size, size)
	return nil
}

// Sync implements File.
func (f *overlaidFile) Sync() error { return nil }

// Reread implements File.
func (f *overlaidFile) Reread() error { return nil }

// Close implements File.
func (f *overlaidFile) Close() error {
	if f.base == nil {
		return nil
	}
	return f.base.Close()
}
