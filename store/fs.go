package store

import (
	"io"

	"github.com/syndtr/goleveldb/leveldb/storage"
)

// FS is what the store needs of a file system. OS is the real one; a simulated one, which tears and loses what was not
// synced, sees every write of the store through it, LevelDB's included.
//
// A change to a directory (Create, Rename, Remove) is durable once SyncDir has returned, a change to a file once its Sync
// has. The errors of Open, List and Rename for what is not there are fs.ErrNotExist.
type FS interface {
	// MkdirAll makes a directory and its missing parents, durably, for the owner alone.
	MkdirAll(dir string) error
	// List returns the names in a directory, in any order.
	List(dir string) ([]string, error)
	// Open opens an existing file for reading and writing.
	Open(name string) (File, error)
	// Create makes an empty file, in place of any of that name.
	Create(name string) (File, error)
	Rename(from, to string) error
	// RemoveAll removes a file, or a directory with all it holds; nothing there is no error.
	RemoveAll(name string) error
	SyncDir(dir string) error
	// Lock takes an exclusive lock that ends with the process at the latest.
	// Expected errors: ErrInUse.
	Lock(name string) (io.Closer, error)
	// LevelDB opens a directory as LevelDB's storage; the directory exists.
	LevelDB(dir string) (storage.Storage, error)
}

// File is one open file. Reads may run beside one write.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Size returns the file's size in bytes.
	Size() (int64, error)
	// Truncate cuts the file to size bytes.
	Truncate(size int64) error
	// Allocate extends the file to size bytes of zeros, and sets their space aside where the file system can do that.
	Allocate(size int64) error
	// Sync makes the file's content and size durable.
	Sync() error
	// Reread is a Sync after which reads give what is on the disk. A Sync that failed, in a process before this one too, may
	// have left content that the system shows from its cache, takes for written, and never writes again.
	Reread() error
}

// writeFile makes a file with the given content, of at least size bytes, appear durably under dir/name: whole or not at
// all. A file of that name is replaced.
func writeFile(fs FS, dir, name string, content []byte, size int64) error {
	temporary := join(dir, name+temporarySuffix)
	f, err := fs.Create(temporary)
	if err != nil {
		return err
	}
	err = f.Allocate(max(size, int64(len(content))))
	if err == nil {
		_, err = f.WriteAt(content, 0)
	}
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = fs.Rename(temporary, join(dir, name))
	}
	if err == nil {
		err = fs.SyncDir(dir)
	}
	if err != nil {
		_ = fs.RemoveAll(temporary) // on a full disk it takes what room there is; the next Open removes it too
	}
	return err
}

const temporarySuffix = ".new"
