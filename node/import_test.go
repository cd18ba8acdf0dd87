package node_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hotstuffd/hotstuffd/config"
	"github.com/hotstuffd/hotstuffd/node"
	"github.com/hotstuffd/hotstuffd/store"
)

// A snapshot from anywhere is judged by the genesis alone: by the certificate's signatures, and by the state that its bytes make.
func TestForeignSnapshotIsJudgedByTheGenesis(t *testing.T) {
	a := newAudited(t)
	s, err := store.View(a.dir, a.identity(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	meta := s.Snapshots()[0]
	r, err := s.OpenSnapshot(meta.Height())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	judge := func(data []byte, m store.SnapshotMeta) string {
		return fmt.Sprint(node.CheckSnapshot(bytes.NewReader(data), a.genesis, m, &counter{}))
	}
	if got := judge(data, meta); got != "<nil>" {
		t.Errorf("as it is: %s", got)
	}
	forged := *meta.Certificate
	forged.Signature[3]++
	if got := judge(data, store.SnapshotMeta{Certificate: &forged}); !strings.HasPrefix(got, "its certificate: qc: ") {
		t.Errorf("with a forged certificate: %s", got)
	}
	other := bytes.Clone(data)
	other[len(other)-1]++
	if got := judge(other, meta); !strings.HasPrefix(got, "not the certified state: its digest is ") {
		t.Errorf("of another state: %s", got)
	}
	if got := judge(data[:len(data)-20], meta); !strings.HasPrefix(got, "not the certified state: ") {
		t.Errorf("cut short: %s", got)
	}
}

// How far a replica has come by its disk decides which snapshot brings it on. If it has lost all of its own, the log that is left goes
// on from any that is not below.
func TestStanding(t *testing.T) {
	c := newCluster(t, 1)
	c.storage = func(_ int, s *config.Storage) { s.SnapshotBytes, s.RetainBlocks = 1<<10, 0 }
	c.start(0)
	for k := 0; c.nodes[0].Status().LogFrom == 1; k++ {
		c.do(0, fmt.Sprintf("command-%d", k))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := c.nodes[0].Await(ctx, c.nodes[0].Status().LogFrom+3); err != nil {
		t.Fatal(err)
	}
	c.stop(0)
	a := &audited{t, filepath.Join(c.home(0), "data"), c.genesis}
	view := func() *store.Store {
		s, err := store.View(a.dir, a.identity(), store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := view()
	stored, err := s.Recover()
	if err != nil {
		t.Fatal(err)
	}
	want := max(stored.Commit.Height, s.Snapshots()[0].Height())
	if at, err := node.Standing(s, c.genesis); at != want || err != nil {
		t.Errorf("it stands at %d, %v, want %d", at, err, want)
	}
	s.Close()
	if err := os.RemoveAll(filepath.Join(a.dir, "snapshots")); err != nil {
		t.Fatal(err)
	}
	s = view()
	defer s.Close()
	if at, err := node.Standing(s, c.genesis); at != s.Floor()-1 || at == 0 || err != nil {
		t.Errorf("without snapshots it stands at %d, %v, want %d", at, err, s.Floor()-1)
	}
}
