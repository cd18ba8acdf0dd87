package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/syndtr/goleveldb/leveldb/journal"
	"github.com/syndtr/goleveldb/leveldb/storage"
)

// checkLogs reads the manifest and the journals that it calls for, and fails unless each whole record is in its place: a
// torn record may stand at the end of the manifest and at the end of the newest journal with records, and nowhere else. A
// record after a damaged one was written when that one had been, so it is not torn but lost. LevelDB numbers what it
// writes: the journals must go on where the manifest's tables end, and each record where the one before it ends, or one
// was lost whole, with its file or with a manifest that was put back.
func checkLogs(stor storage.Storage) (w writes, err error) {
	manifest, err := stor.GetMeta()
	if errors.Is(err, fs.ErrNotExist) {
		return w, fmt.Errorf("%w: it has no manifest", errDamaged)
	}
	if err != nil {
		var corrupted *storage.ErrCorrupted
		if errors.As(err, &corrupted) {
			return w, fmt.Errorf("%w: %w", errDamaged, err)
		}
		return w, err
	}
	at := manifestEnd{tables: map[uint64]uint64{}}
	if err := checkLog(stor, []storage.FileDesc{manifest}, at.take); err != nil {
		return w, err
	}
	if err := checkTables(stor, at.tables); err != nil {
		return w, err
	}
	journals, err := stor.List(storage.TypeJournal)
	if err != nil {
		return w, err
	}
	journals = slices.DeleteFunc(journals, func(fd storage.FileDesc) bool { return uint64(fd.Num) < at.journal })
	slices.SortFunc(journals, func(a, b storage.FileDesc) int { return int(a.Num - b.Num) })
	w.tables = at.sequence
	return w, checkLog(stor, journals, w.take)
}

// checkTables checks that tables are there and have their sizes. What is in them LevelDB checks as it reads.
func checkTables(stor storage.Storage, sizes map[uint64]uint64) error {
	for number, want := range sizes {
		fd := storage.FileDesc{Type: storage.TypeTable, Num: int64(number)}
		f, err := stor.Open(fd)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w: %v is missing", errDamaged, fd)
		}
		if err != nil {
			return err
		}
		size, err := f.Seek(0, io.SeekEnd)
		if e := f.Close(); err == nil {
			err = e
		}
		if err == nil && uint64(size) != want {
			err = fmt.Errorf("%w: %v has %d bytes, not %d", errDamaged, fd, size, want)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkLog reads files that make up one log, oldest first, and calls visit with each whole record.
func checkLog(stor storage.Storage, files []storage.FileDesc, visit func(record []byte) error) error {
	var damage dropped
	for _, fd := range files {
		f, err := stor.Open(fd)
		if err != nil {
			return err
		}
		err = damage.scan(f, visit)
		if e := f.Close(); err == nil {
			err = e
		}
		if err != nil {
			return fmt.Errorf("%v: %w", fd, err)
		}
	}
	return nil
}

// dropped remembers the first damage that the journal reader steps over.
type dropped struct{ first error }

func (d *dropped) Drop(err error) {
	if d.first == nil {
		d.first = err
	}
}

func (d *dropped) scan(f io.Reader, visit func(record []byte) error) error {
	const strict, checksums = false, true
	r := journal.NewReader(f, d, strict, checksums)
	for {
		next, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if d.first != nil {
			return fmt.Errorf("%w: %w, and a record after it", errDamaged, d.first)
		}
		switch record, err := io.ReadAll(next); {
		case errors.Is(err, io.ErrUnexpectedEOF): // damage, and was dropped
		case err != nil:
			return err
		default:
			if err := visit(record); err != nil {
				return err
			}
		}
	}
}

// manifestEnd is where a manifest says that the tables end and the journals begin.
type manifestEnd struct {
	journal  uint64            // number of the oldest journal that is not in the tables yet
	sequence uint64            // of the newest write that is
	tables   map[uint64]uint64 // their sizes in bytes, by number
}

// Fields of a manifest's record, each a tag and what is said here: numbers as varints, keys behind their length.
const (
	manifestComparer = 1 // key
	manifestJournal  = 2 // number
	manifestNextFile = 3 // number
	manifestSequence = 4 // number
	manifestPointer  = 5 // level, key
	manifestDeleted  = 6 // level, number
	manifestAdded    = 7 // level, number, size, key, key
	manifestPrevious = 9 // number
)

func (m *manifestEnd) take(record []byte) error {
	r := fields{rest: record}
	for len(r.rest) > 0 && !r.short {
		switch tag := r.number(); tag {
		case manifestComparer:
			r.key()
		case manifestJournal:
			m.journal = r.number()
		case manifestSequence:
			m.sequence = r.number()
		case manifestNextFile, manifestPrevious:
			r.number()
		case manifestPointer:
			r.number()
			r.key()
		case manifestDeleted:
			r.number()
			delete(m.tables, r.number())
		case manifestAdded:
			r.number()
			number := r.number()
			m.tables[number] = r.number()
			r.key()
			r.key()
		default:
			return fmt.Errorf("%w: unknown field %d", errDamaged, tag)
		}
	}
	if r.short {
		return fmt.Errorf("%w: a record that ends early", errDamaged)
	}
	return nil
}

// fields reads the fields of a record; short is set once one is missing.
type fields struct {
	rest  []byte
	short bool
}

func (r *fields) number() uint64 {
	x, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.rest, r.short = nil, true
		return 0
	}
	r.rest = r.rest[n:]
	return x
}

func (r *fields) key() {
	if n := r.number(); n <= uint64(len(r.rest)) {
		r.rest = r.rest[n:]
	} else {
		r.rest, r.short = nil, true
	}
}

// writes follows the sequence numbers in journals. A record begins with its first one (8 bytes, little endian) and how
// many it has (4 bytes).
type writes struct {
	tables uint64 // newest in the tables
	next   uint64 // due; 0: no record was seen
}

func (w *writes) take(record []byte) error {
	if len(record) < 12 {
		return fmt.Errorf("%w: a record of %d bytes", errDamaged, len(record))
	}
	first, count := binary.LittleEndian.Uint64(record), binary.LittleEndian.Uint32(record[8:])
	// The journals may begin with what is in the tables already.
	if w.next == 0 && first > w.tables+1 || w.next != 0 && first != w.next {
		return fmt.Errorf("%w: writes before number %d are missing", errDamaged, first)
	}
	w.next = first + uint64(count)
	return nil
}

// newest returns the number of the newest write.
func (w *writes) newest() uint64 { return max(w.tables, w.next-min(w.next, 1)) }

// passed returns the number behind which LevelDB goes on: it passes over one when it has read a journal.
func (w *writes) passed() uint64 { return max(w.tables, w.next) }
