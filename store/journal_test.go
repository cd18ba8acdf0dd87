package store

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/syndtr/goleveldb/leveldb/journal"
)

// file is a journal in memory that knows what of it is synced.
type file struct {
	data   []byte
	synced int
	syncs  int
	before func() // a sync
}

func (f *file) Write(p []byte) (int, error) {
	f.data = append(f.data, p...)
	return len(p), nil
}

func (f *file) Sync() error {
	f.before()
	f.synced = len(f.data)
	f.syncs++
	return nil
}

func (f *file) Close() error { return nil }

// after returns what a power cut may leave: the synced part, and of each sector behind it the whole, zeros, rubbish or a part.
func (f *file) after(rng *rand.Rand) []byte {
	const sector = 512
	left := bytes.Clone(f.data)
	for at := f.synced; at < len(left); {
		end := min(len(left), (at/sector+1)*sector)
		switch part := left[at:end]; rng.IntN(6) {
		case 0:
			clear(part)
		case 1:
			for i := range part {
				part[i] = byte(rng.Uint32())
			}
		case 2:
			clear(part[rng.IntN(len(part)):])
		}
		at = end
	}
	return left[:f.synced+rng.IntN(len(left)-f.synced+1)]
}

// Records of all sizes are written to a journal, some of them synced, and the power fails, before a sync or between two writes:
// what is there then are the first ones, the synced ones among them, and the store takes the journal for one that a power cut
// has left.
func TestPowerCutLeavesTheFirstRecords(t *testing.T) {
	unsynced := 0
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 8))
		var records [][]byte // the last may not be written yet
		synced := 0
		f := &file{}
		cut := func() {
			var found [][]byte
			var damage dropped
			err := damage.scan(bytes.NewReader(f.after(rng)), func(record []byte) error {
				found = append(found, record)
				return nil
			})
			if err != nil {
				t.Fatalf("seed %d, %d records: %v", seed, len(records), err)
			}
			if len(found) < synced {
				t.Fatalf("seed %d: %d of %d synced records are there", seed, len(found), synced)
			}
			for i, r := range found {
				if !bytes.Equal(r, records[i]) {
					t.Fatalf("seed %d: record %d of %d is another one", seed, i, len(found))
				}
			}
		}
		f.before = func() {
			for range 4 {
				cut()
			}
		}
		stored := &prefixJournal{Writer: f}
		w := journal.NewWriter(stored)
		size := []int{300, 3000, 40_000}[rng.IntN(3)]
		for len(f.data) < 3*journalBlock {
			record := fmt.Appendf(nil, "%d ", len(records))
			record = append(record, make([]byte, rng.IntN(size))...)
			if rest := journalBlock - len(f.data)%journalBlock; rest > 30 && rest < 2*size && rng.IntN(3) == 0 {
				record = append(record[:4], make([]byte, rest-4-7-rng.IntN(8))...) // ends with its block, or just before
			}
			records = append(records, record)
			next, err := w.Next()
			if err == nil {
				_, err = next.Write(record)
			}
			if err == nil {
				err = w.Flush()
			}
			if err == nil && rng.IntN(12) == 0 {
				err = stored.Sync()
				synced = len(records)
			}
			if err != nil {
				t.Fatal(err)
			}
			if rng.IntN(8) == 0 {
				cut()
			}
		}
		unsynced += len(records) - f.syncs
	}
	if unsynced < 3000 {
		t.Errorf("%d records went without a sync of their own: nothing is shown", unsynced)
	}
}
