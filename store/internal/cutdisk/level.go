package cutdisk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/syndtr/goleveldb/leveldb/storage"
)

// levelDB is a directory as LevelDB's storage. It does to the disk what storage.OpenFile's does, operation by operation,
// but for the file LOG, which nothing reads.
type levelDB struct {
	d    *Disk
	dir  string
	lock io.Closer

	mu     sync.Mutex // of what follows, and of CURRENT
	locked bool
	closed bool
}

const (
	current       = "CURRENT"
	currentBackup = current + ".bak"
)

func (l *levelDB) path(name string) string { return path.Join(l.dir, name) }

type unlocker func()

func (u unlocker) Unlock() { u() }

func (l *levelDB) Lock() (storage.Locker, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.locked {
		return nil, storage.ErrLocked
	}
	l.locked = true
	return unlocker(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.locked = false
	}), nil
}

func (l *levelDB) Log(string) {}

// SetMeta makes CURRENT name a manifest: a backup of the old content, a new file, a rename, a sync of the directory.
func (l *levelDB) SetMeta(fd storage.FileDesc) error {
	l.d.wait("meta " + l.dir)
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	return l.setMeta(fd)
}

func (l *levelDB) setMeta(fd storage.FileDesc) error {
	text := fd.String() + "\n"
	if id, err := l.d.find(l.path(current)); err == nil {
		old := l.d.nodes[id].now
		before := make([]byte, old.size)
		old.read(before, 0)
		if string(before) == text {
			return nil
		}
		if err := l.writeSynced(currentBackup, before); err != nil {
			return err
		}
	}
	pending := fmt.Sprintf("%s.%d", current, fd.Num)
	if err := l.writeSynced(pending, []byte(text)); err != nil {
		return err
	}
	if err := l.d.rename(l.path(pending), l.path(current)); err != nil {
		return err
	}
	return l.d.syncDir(l.dir)
}

func (l *levelDB) writeSynced(name string, content []byte) error {
	f, err := l.d.create(l.path(name))
	if err != nil {
		return err
	}
	if _, err := l.d.do(op{kind: opWrite, node: f.id, data: content}); err != nil {
		return err
	}
	_, err = l.d.do(op{kind: opSync, node: f.id})
	return err
}

// meta is a file that may name the manifest.
type meta struct {
	name string
	fd   storage.FileDesc
}

// GetMeta returns the manifest by the best of CURRENT.<number>, CURRENT and CURRENT.bak, and puts CURRENT right.
func (l *levelDB) GetMeta() (storage.FileDesc, error) {
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	id, err := l.d.find(l.dir)
	if err != nil {
		return storage.FileDesc{}, err
	}
	var pending []string
	for name := range l.d.nodes[id].names {
		number, ok := strings.CutPrefix(name, current+".")
		if _, err := strconv.ParseInt(number, 10, 64); ok && err == nil {
			pending = append(pending, name)
		}
	}
	slices.SortFunc(pending, func(a, b string) int { return metaNumber(b) - metaNumber(a) })
	newest, newestErr := l.firstMeta(pending)
	best, err := l.firstMeta([]string{current, currentBackup})
	if newest != nil && (best == nil || newest.fd.Num > best.fd.Num) {
		best = newest
	}
	if best == nil {
		if newestErr != nil && !errors.Is(newestErr, fs.ErrNotExist) {
			err = newestErr
		}
		return storage.FileDesc{}, err
	}
	if best.name != current || len(pending) > 0 {
		if l.setMeta(best.fd) == nil { // as there: its failure is nobody's
			for _, name := range pending {
				_ = l.d.remove(l.path(name)) // setMeta has renamed one of them
			}
		}
	}
	return best.fd, nil
}

func metaNumber(name string) int {
	n, _ := strconv.Atoi(strings.TrimPrefix(name, current+"."))
	return n
}

// firstMeta returns the first of the named files that is whole and names a manifest that exists.
func (l *levelDB) firstMeta(names []string) (*meta, error) {
	err := error(fs.ErrNotExist)
	for _, name := range names {
		id, e := l.d.find(l.path(name))
		if e != nil {
			continue
		}
		text := make([]byte, l.d.nodes[id].now.size)
		l.d.nodes[id].now.read(text, 0)
		manifest, whole := strings.CutSuffix(string(text), "\n")
		fd, ok := parseName(manifest)
		if !whole || !ok {
			err = &storage.ErrCorrupted{Err: errors.New("corrupted or incomplete CURRENT file")}
			continue
		}
		if _, e := l.d.find(l.path(fd.String())); e == nil {
			return &meta{name, fd}, nil
		}
	}
	return nil, err
}

// parseName reads a file name as LevelDB does.
func parseName(name string) (fd storage.FileDesc, ok bool) {
	var tail string
	if _, err := fmt.Sscanf(name, "%d.%s", &fd.Num, &tail); err == nil {
		switch tail {
		case "log":
			fd.Type = storage.TypeJournal
		case "ldb", "sst":
			fd.Type = storage.TypeTable
		case "tmp":
			fd.Type = storage.TypeTemp
		default:
			return fd, false
		}
		return fd, true
	}
	if n, _ := fmt.Sscanf(name, "MANIFEST-%d%s", &fd.Num, &tail); n == 1 {
		fd.Type = storage.TypeManifest
		return fd, true
	}
	return fd, false
}

func (l *levelDB) List(types storage.FileType) ([]storage.FileDesc, error) {
	names, err := l.d.List(l.dir)
	var fds []storage.FileDesc
	for _, name := range names {
		if fd, ok := parseName(name); ok && fd.Type&types != 0 {
			fds = append(fds, fd)
		}
	}
	return fds, err
}

func (l *levelDB) Open(fd storage.FileDesc) (storage.Reader, error) {
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	id, err := l.d.find(l.path(fd.String()))
	if err != nil {
		return nil, err
	}
	f := &file{d: l.d, id: id}
	return reader{io.NewSectionReader(f, 0, f.now().size), f}, nil
}

// reader reads what a file has when it is opened: LevelDB reads no file that it writes.
type reader struct {
	*io.SectionReader
	io.Closer
}

func (l *levelDB) Create(fd storage.FileDesc) (storage.Writer, error) {
	l.gated(fd, "create")
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	f, err := l.d.create(l.path(fd.String()))
	if err != nil {
		return nil, err
	}
	return &writer{f, l, fd}, nil
}

// gated waits at the gate before what is done to a table or a manifest.
func (l *levelDB) gated(fd storage.FileDesc, what string) {
	if fd.Type == storage.TypeTable || fd.Type == storage.TypeManifest {
		l.d.wait(l.path(fd.String()) + " " + what)
	}
}

type writer struct {
	*file
	l  *levelDB
	fd storage.FileDesc
}

func (w *writer) Write(p []byte) (int, error) {
	w.l.gated(w.fd, "write")
	return w.file.Write(p)
}

// Sync of a manifest syncs the directory too.
func (w *writer) Sync() error {
	w.l.gated(w.fd, "sync")
	if err := w.file.Sync(); err != nil || w.fd.Type != storage.TypeManifest {
		return err
	}
	return w.l.d.SyncDir(w.l.dir)
}

func (l *levelDB) Remove(fd storage.FileDesc) error {
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	return l.d.remove(l.path(fd.String()))
}

func (l *levelDB) Rename(from, to storage.FileDesc) error {
	return l.d.Rename(l.path(from.String()), l.path(to.String()))
}

func (l *levelDB) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return storage.ErrClosed
	}
	l.closed = true
	return l.lock.Close()
}
