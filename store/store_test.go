package store_test

import (
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/store"
)

func TestNewStoreStandsAtGenesis(t *testing.T) {
	s, _ := newStore(t, options)
	r, err := s.Recover()
	if err != nil {
		t.Fatal(err)
	}
	want := store.Recovered{
		Safety: hotstuff.SafetyState{Sequence: 1, Epoch: 1, LockBlock: genesis.ID(), HighQC: blocktree.GenesisQC(genesis, nodes)},
		Commit: hotstuff.CommitRecord{Block: genesis.ID(), Lanes: make(blocktree.Lanes, nodes)},
	}
	if !reflect.DeepEqual(r, want) {
		t.Errorf("got %+v\nwant %+v", r, want)
	}
	if id, ok, err := s.CommittedID(0); id != genesis.ID() || !ok || err != nil {
		t.Errorf("committed at 0: %v, %v, %v", id, ok, err)
	}
	if b, err := s.Block(genesis.ID()); err != nil || b.ID() != genesis.ID() {
		t.Errorf("genesis: %v, %v", b, err)
	}
}

// What was appended is there after a clean close, and after a kill -9 at any moment.
func TestRecordsSurvive(t *testing.T) {
	s, dir := newStore(t, options)
	first := []hotstuff.Record{hotstuff.BlockRecord{Block: block(1)}, hotstuff.BlockRecord{Block: block(2)},
		hotstuff.BlockRecord{Block: block(3)}, certified(1), state(2)}
	bare := commit(1)
	bare.Lanes = nil
	second := []hotstuff.Record{bare, commit(2), state(3)}
	third := []hotstuff.Record{certified(2)} // gates nothing, so it may come without a safety state
	for _, records := range [][]hotstuff.Record{first, second, third} {
		if err := s.Append(records); err != nil {
			t.Fatal(err)
		}
	}
	killed := open(t, crash(t, dir), options)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]*store.Store{"closed": open(t, dir, options), "killed": killed} {
		r, err := s.Recover()
		if err != nil {
			t.Fatal(err)
		}
		if want := (store.Recovered{Safety: state(3), Commit: commit(2), Certified: certified(2).Certificate}); !reflect.DeepEqual(r, want) {
			t.Errorf("%s: recovered %+v\nwant %+v", name, r, want)
		}
		if b, err := s.Block(block(1).ID()); err != nil || !reflect.DeepEqual(b, block(1)) {
			t.Errorf("%s: block 1: %+v, %v", name, b, err)
		}
		if _, err := s.Block(block(9).ID()); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: block 9: %v, want ErrNotFound", name, err)
		}
		for h, want := range []bool{true, true, true, false} {
			id, ok, err := s.CommittedID(qc.Height(h))
			if ok != want || err != nil || ok && h > 0 && id != block(qc.Height(h)).ID() {
				t.Errorf("%s: committed at %d: %v, %v, %v", name, h, id, ok, err)
			}
		}
		above, err := s.BlocksAbove(1)
		if want := []*blocktree.Block{block(2), block(3)}; err != nil || !reflect.DeepEqual(above, want) {
			t.Errorf("%s: above 1: %v, %v", name, above, err)
		}
	}
}

// A caller with a bug is told, and nothing is written.
func TestAppendRefusesWhatCannotFollow(t *testing.T) {
	s, _ := newStore(t, options)
	bare := commit(2)
	bare.Lanes = nil
	for name, records := range map[string][]hotstuff.Record{
		"the same sequence":     {state(1)},
		"a skipped sequence":    {state(3)},
		"two states":            {state(2), state(3)},
		"last commit, no lanes": {commit(1), bare},
	} {
		if err := s.Append(append(records, hotstuff.BlockRecord{Block: block(1)})); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := s.Block(block(1).ID()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("block of a refused write: %v, want ErrNotFound", err)
	}
	vote(t, s, 2)
}

func TestStoreIsOpenedByOneProcess(t *testing.T) {
	s, dir := newStore(t, options)
	before := files(t, dir)
	refused(t, dir, store.ErrInUse)
	if _, err := store.Open(dir, identity, options); err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), dir) {
		t.Errorf("got %v, want one line with the directory", err)
	}
	if !reflect.DeepEqual(files(t, dir), before) {
		t.Error("the store was touched")
	}
	if err := store.Init(dir, identity, options); !errors.Is(err, store.ErrInUse) {
		t.Errorf("init of an open store: %v, want ErrInUse", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, dir, options)
}

// A safety state is never overwritten, nor is half a store taken for none.
func TestInitRefusesADirectoryWithFiles(t *testing.T) {
	s, dir := newStore(t, options)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := store.Init(dir, identity, options); !errors.Is(err, store.ErrExists) {
			t.Errorf("got %v, want ErrExists", err)
		}
		remove(t, dir, "CHAIN") // as a crash in the middle of Init leaves it
	}
}

func TestLimitsThatOutgrowASlotAreRefused(t *testing.T) {
	id := identity
	id.Limits.BlockBatchesMax = 1 << 20
	dir := filepath.Join(t.TempDir(), "store")
	if err := store.Init(dir, id, options); err == nil || !strings.Contains(err.Error(), "batches") {
		t.Errorf("got %v, want a refusal that names the limit", err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("init touched the directory: %v", err)
	}
}

// A store of another chain, another replica or a newer version is refused and left as it was, to the byte.
func TestStoreOfAnotherIsUntouched(t *testing.T) {
	s, dir := newStore(t, options)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	chain, node := identity, identity
	chain.Chain[0]++
	node.Node++
	mine := string(read(t, filepath.Join(dir, "CHAIN")))
	for name, c := range map[string]struct {
		id   store.Identity
		text string
		want error
	}{
		"other chain":   {chain, mine, store.ErrOtherChain},
		"other replica": {node, mine, store.ErrOtherChain},
		"newer format":  {identity, strings.Replace(mine, "format 4\n", "format 5\n", 1), store.ErrNewerFormat},
		"newer layout":  {identity, "hotstuffd store\nformat 5\nanything\n", store.ErrNewerFormat},
		"damaged":       {identity, strings.Replace(mine, "node", "mode", 1), store.ErrSafetyLost},
		"cut off":       {identity, mine[:len(mine)-1], store.ErrSafetyLost},
		"empty":         {identity, "", store.ErrSafetyLost},
	} {
		write(t, filepath.Join(dir, "CHAIN"), []byte(c.text))
		before := crash(t, dir)
		_, err := store.Open(dir, c.id, options)
		if !errors.Is(err, c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want one line with %v", name, err, c.want)
		}
		if !reflect.DeepEqual(files(t, dir), files(t, before)) {
			t.Errorf("%s: the store was touched", name)
		}
	}
}

// files returns the digest of each file of a directory. A store's are large: a reserve, and segments.
func files(t *testing.T, dir string) map[string][sha256.Size]byte {
	t.Helper()
	all := map[string][sha256.Size]byte{}
	block := make([]byte, 64<<10)
	err := filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		sum := sha256.New()
		_, err = io.CopyBuffer(sum, struct{ io.Reader }{f}, block) // the file itself would bring a buffer of its own
		all[strings.TrimPrefix(name, dir)] = [sha256.Size]byte(sum.Sum(nil))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestClosedStoreSaysSo(t *testing.T) {
	s, _ := newStore(t, options)
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Append(nil); !errors.Is(err, store.ErrClosed) {
		t.Errorf("append: %v, want ErrClosed", err)
	}
	for b, err := range s.BatchesFrom(1, blocktree.Cursor{}) {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("batches: %v, %v, want ErrClosed", b, err)
		}
	}
}

// One goroutine appends records, one appends batches, two read; the race detector watches.
func TestAppendsAndReadsRunBesideEachOther(t *testing.T) {
	s, _ := newStore(t, options)
	const rounds = 40
	var wg sync.WaitGroup
	wg.Go(func() {
		for k := uint64(2); k < rounds; k++ {
			vote(t, s, k)
		}
	})
	wg.Go(func() {
		for seq := range uint64(rounds) {
			appendBatches(t, s, batch(0, seq, 900))
		}
	})
	for range 2 {
		wg.Go(func() {
			for k := uint64(2); k < rounds; k++ {
				if _, err := s.Block(block(qc.Height(k)).ID()); err != nil && !errors.Is(err, store.ErrNotFound) {
					t.Error(err)
				}
				if _, err := s.Batch(batch(0, k, 900).Digest()); err != nil && !errors.Is(err, store.ErrNotFound) {
					t.Error(err)
				}
				if _, err := s.BlocksAbove(0); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	above, err := s.BlocksAbove(0)
	if err != nil || len(above) != rounds-2 {
		t.Errorf("%d blocks, %v", len(above), err)
	}
}
