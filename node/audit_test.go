package node_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hotstuffd/hotstuffd/app"
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/config"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/node"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/store"
)

// audited is the data of a replica that ran alone, has two snapshots and the whole log.
type audited struct {
	t       *testing.T
	dir     string
	genesis *config.Genesis
}

func newAudited(t *testing.T) *audited {
	c := newCluster(t, 1)
	c.storage = func(_ int, s *config.Storage) { s.SnapshotBytes = 1 << 10 }
	c.start(0)
	for k := range 20 {
		c.do(0, fmt.Sprintf("command-%d", k))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := c.nodes[0].Await(ctx, 20); err != nil { // past the second checkpoint
		t.Fatal(err)
	}
	c.stop(0)
	return &audited{t, filepath.Join(c.home(0), "data"), c.genesis}
}

func (a *audited) identity() store.Identity { return node.StoreIdentity(a.genesis, 0) }

// damaged returns a copy after a change.
func (a *audited) damaged(change func(*damage)) *audited {
	a.t.Helper()
	dir := filepath.Join(a.t.TempDir(), "data")
	copySparse(a.t, dir, a.dir)
	s, err := store.Open(dir, a.identity(), store.Options{})
	if err != nil {
		a.t.Fatal(err)
	}
	stored, err := s.Recover()
	if err != nil {
		a.t.Fatal(err)
	}
	d := &damage{t: a.t, s: s, dir: dir, stored: stored}
	d.tip = d.block(stored.Commit.Block)
	change(d)
	if err := s.Close(); err != nil {
		a.t.Fatal(err)
	}
	return &audited{a.t, dir, a.genesis}
}

// copySparse copies a directory. What is set aside in its files and not used takes no time.
func copySparse(t *testing.T, to, from string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		copied := filepath.Join(to, strings.TrimPrefix(path, from))
		if err != nil || entry.IsDir() {
			return errors.Join(err, os.MkdirAll(copied, 0o700))
		}
		return copySparseFile(copied, path)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// copySparseFile copies a file by blocks, and leaves out those of zeros.
func copySparseFile(to, from string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	copied, err := os.Create(to)
	if err != nil {
		return err
	}
	defer copied.Close()
	block, zeros := make([]byte, 64<<10), make([]byte, 64<<10)
	for at := int64(0); ; {
		n, err := io.ReadFull(source, block)
		if n > 0 && !bytes.Equal(block[:n], zeros[:n]) {
			if _, err := copied.WriteAt(block[:n], at); err != nil {
				return err
			}
		}
		at += int64(n)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return copied.Truncate(at)
		}
		if err != nil {
			return err
		}
	}
}

// audit looks at everything.
func (a *audited) audit(application app.Application) node.Findings {
	a.t.Helper()
	s, err := store.View(a.dir, a.identity(), store.Options{})
	if err != nil {
		a.t.Fatal(err)
	}
	defer s.Close()
	x, err := node.NewAudit(s, a.genesis, 0)
	if err != nil {
		a.t.Fatal(err)
	}
	for _, part := range []func() error{x.Safety, func() error { return x.Snapshots(a.t.Context()) }, func() error { return x.Log(a.t.Context()) },
		func() error { return x.State(a.t.Context(), application) }} {
		if err := part(); err != nil {
			a.t.Fatal(err)
		}
	}
	return x.Findings()
}

// damage changes what is on disk by the store's own means: no checksum shows it.
type damage struct {
	t      *testing.T
	s      *store.Store
	dir    string
	stored store.Recovered
	tip    *blocktree.Block // the newest committed block
}

func (d *damage) block(id qc.BlockID) *blocktree.Block {
	d.t.Helper()
	b, err := d.s.Block(id)
	if err != nil {
		d.t.Fatal(err)
	}
	return b
}

func (d *damage) append(records ...hotstuff.Record) {
	d.t.Helper()
	if err := d.s.Append(records); err != nil {
		d.t.Fatal(err)
	}
}

// other stores a block that is like the tip but for a change.
func (d *damage) other(change func(*blocktree.Block)) *blocktree.Block {
	d.t.Helper()
	return d.like(d.tip, change)
}

// like stores a block that is like another but for a change.
func (d *damage) like(t *blocktree.Block, change func(*blocktree.Block)) *blocktree.Block {
	d.t.Helper()
	b := &blocktree.Block{Epoch: t.Epoch, View: t.View, Height: t.Height, Parent: t.Parent, Justify: t.Justify, TC: t.TC, Proposer: t.Proposer,
		Time: t.Time, Payload: slices.Clone(t.Payload), Signature: t.Signature}
	b.Justify.Signers = t.Justify.Signers.Clone()
	change(b)
	d.append(hotstuff.BlockRecord{Block: b})
	return b
}

// naming returns the newest committed block that names a batch, and that batch.
func (d *damage) naming() (*blocktree.Block, *mempool.Batch) {
	d.t.Helper()
	for h := d.tip.Height; h > 0; h-- {
		id, ok, err := d.s.CommittedID(h)
		if !ok || err != nil {
			d.t.Fatal(h, err)
		}
		if b := d.block(id); len(b.Payload) > 0 {
			batch, err := d.s.Batch(b.Payload[0].Digest)
			if err != nil {
				d.t.Fatal(err)
			}
			return b, batch
		}
	}
	d.t.Fatal("no block names a batch")
	return nil, nil
}

func (d *damage) state(change func(*hotstuff.SafetyState)) {
	d.t.Helper()
	s := d.stored.Safety
	s.Sequence++
	change(&s)
	d.append(s)
}

// Whatever is wrong on the disk of a replica is found, and named; nothing is found where nothing is wrong.
func TestAuditFindsWhatIsWrong(t *testing.T) {
	sound := newAudited(t)
	f := sound.audit(&counter{})
	if len(f.Problems) > 0 || len(f.Snapshots) != 2 || f.LogBegins != 1 || f.Highest < 20 || f.Blocks < 20 || f.Batches == 0 || f.Signed != f.Blocks {
		t.Fatalf("a sound replica: %+v", f)
	}
	if n := len(f.Compared); n < 2 || f.Compared[0] != f.Snapshots[1].Height || f.Compared[1] != f.Snapshots[0].Height {
		t.Errorf("states compared at heights %v", f.Compared)
	}
	for _, test := range []struct {
		name   string
		change func(d *damage)
		want   string
	}{
		{"forged certificate", func(d *damage) { d.other(func(b *blocktree.Block) { b.Justify.Signature[9]++ }) }, "signature does not verify"},
		{"view", func(d *damage) { d.other(func(b *blocktree.Block) { b.View += 2 }) }, hotstuff.ErrJustify.Error()},
		{"orphan", func(d *damage) { d.other(func(b *blocktree.Block) { b.Parent[3]++; b.Justify.Block = b.Parent }) }, "its parent is missing"},
		{"view of the parent", func(d *damage) { d.other(func(b *blocktree.Block) { b.Justify.View++; b.View++ }) }, "its certificate is of view "},
		{"time", func(d *damage) { d.other(func(b *blocktree.Block) { b.Time = 1 }) }, "it is not younger than its parent"},
		{"lanes", func(d *damage) {
			d.other(func(b *blocktree.Block) { b.Payload = []blocktree.BatchRef{{Seq: 1 << 40, Expiry: b.Height}} })
		}, blocktree.ErrLaneGap.Error()},
		{"commit of nothing", func(d *damage) {
			d.append(hotstuff.CommitRecord{Height: d.tip.Height - 1, Block: qc.BlockID{1}}, d.stored.Commit)
		}, "the committed block is missing"},
		{"commit of another branch", func(d *damage) {
			b := d.other(func(b *blocktree.Block) { b.Height--; b.Time-- })
			d.append(hotstuff.CommitRecord{Height: b.Height, Block: b.ID()}, d.stored.Commit)
		}, "the committed block does not follow the committed one before it"},
		{"commit of another branch below a snapshot", func(d *damage) {
			h := d.s.Snapshots()[0].Height() - 1
			id, ok, err := d.s.CommittedID(h)
			if !ok || err != nil {
				d.t.Fatal(h, err)
			}
			b := d.like(d.block(id), func(b *blocktree.Block) { b.Time-- })
			d.append(hotstuff.CommitRecord{Height: h, Block: b.ID()}, d.stored.Commit)
		}, "state: committed block "},
		{"lanes of the commit", func(d *damage) {
			at := d.stored.Commit
			at.Lanes = slices.Clone(at.Lanes)
			at.Lanes[0].Seq++
			d.append(at)
		}, "the lanes that are noted with the commit"},
		{"commit without its block", func(d *damage) {
			at := d.stored.Commit
			at.Height += 30
			d.append(at)
		}, "are missing: they are committed"},
		{"checkpoint", func(d *damage) {
			c := *d.stored.Certified
			c.Checkpoint.Digest[0]++
			d.append(hotstuff.CheckpointRecord{Certificate: &c})
		}, "checkpoint certificate of height "},
		{"highest certificate", func(d *damage) {
			d.state(func(s *hotstuff.SafetyState) { s.HighQC.View++ })
		}, "safety state: its highest certificate"},
		{"vote", func(d *damage) {
			d.state(func(s *hotstuff.SafetyState) {
				v := *s.LastVoted
				v.View++
				s.LastVoted = &v
			})
		}, "safety state: its last vote"},
		{"batch", func(d *damage) {
			_, named := d.naming()
			b := *named
			b.Signature[7]++
			if err := d.s.AppendBatches([]*mempool.Batch{&b}); err != nil {
				d.t.Fatal(err)
			}
		}, mempool.ErrBatchSignature.Error()},
		{"name of a batch", func(d *damage) {
			b, _ := d.naming()
			d.like(b, func(b *blocktree.Block) { b.Payload[0].Bytes++ })
		}, "the block calls it "},
		{"lane of a batch", func(d *damage) {
			b, named := d.naming()
			x := &mempool.Batch{Origin: named.Origin, Incarnation: named.Incarnation, Seq: named.Seq, Prev: blocktree.Digest{7}, Expiry: named.Expiry, Count: named.Count, Blob: named.Blob}
			if err := d.s.AppendBatches([]*mempool.Batch{x}); err != nil {
				d.t.Fatal(err)
			}
			d.like(b, func(b *blocktree.Block) { b.Payload = []blocktree.BatchRef{x.Ref()} })
		}, "it follows batch 07000000 in its lane, not "},
		{"lanes of a snapshot", func(d *damage) {
			const lanes = 20 + 4 + 8 + 2 // behind the magic, the head's length, the commands and the number of lanes
			m := d.s.Snapshots()[0]
			d.rewrite(m.Height(), m.Certificate, func(data []byte) { data[lanes+23]++ })
		}, "its lanes are not those after the blocks before it"},
		{"chunk", func(d *damage) {
			m := d.s.Snapshots()[0]
			name := filepath.Join(d.dir, "snapshots", fmt.Sprintf("%08d.snap", m.Height()))
			data, err := os.ReadFile(name)
			if err != nil {
				d.t.Fatal(err)
			}
			data[len(data)-1]++
			if err := os.WriteFile(name, data, 0o600); err != nil {
				d.t.Fatal(err)
			}
		}, store.ErrChunk.Error()},
		{"certificate of a snapshot", func(d *damage) {
			m := d.s.Snapshots()[0]
			c := *m.Certificate
			c.Signature[9]++
			d.rewrite(m.Height(), &c, func([]byte) {})
		}, fmt.Sprintf("snapshot %d: qc: ", f.Snapshots[0].Height)},
	} {
		t.Run(strings.ReplaceAll(test.name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			sound := &audited{t, sound.dir, sound.genesis}
			f := sound.damaged(test.change).audit(&counter{})
			if !slices.ContainsFunc(f.Problems, func(p string) bool { return strings.Contains(p, test.want) }) {
				t.Errorf("found %q, want %q", f.Problems, test.want)
			}
		})
	}
}

// rewrite takes a snapshot anew, with its bytes changed.
func (d *damage) rewrite(height qc.Height, c *qc.CheckpointCertificate, change func([]byte)) {
	d.t.Helper()
	r, err := d.s.OpenSnapshot(height)
	if err != nil {
		d.t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err = errors.Join(err, r.Close()); err != nil {
		d.t.Fatal(err)
	}
	change(data)
	w, err := d.s.CreateSnapshot(height)
	if err != nil {
		d.t.Fatal(err)
	}
	if _, err = w.Write(data); err == nil {
		err = w.Finish()
	}
	if err == nil {
		_, err = w.Commit(c)
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

// What a replica may come by without any fault of its disk is told, and is no fault: a proposer's signature that another replica
// has spoilt, for nobody checks it below a certificate.
func TestAuditTellsWhatIsNoFault(t *testing.T) {
	a := newAudited(t)
	f := a.damaged(func(d *damage) {
		d.other(func(b *blocktree.Block) { b.Signature[5]++ }) // of the same name
		below := d.block(d.tip.Parent)
		bare := *below
		clear(bare.Signature[:])
		d.append(hotstuff.BlockRecord{Block: &bare})
	}).audit(&counter{})
	notes := strings.Join(f.Notes, "\n")
	if len(f.Problems) > 0 || f.Signed != f.Blocks-2 || !strings.Contains(notes, "1 blocks came from a replica that has spoilt") ||
		!strings.Contains(notes, "1 blocks came with a snapshot") {
		t.Errorf("found %+v", f)
	}
}

// A state that the log does not lead to is found by executing the log: no certificate and no chunk is wrong.
func TestAuditExecutesTheLog(t *testing.T) {
	f := newAudited(t).audit(&miscounter{})
	if len(f.Problems) == 0 || !strings.Contains(f.Problems[0], ": its digest is ") {
		t.Errorf("found %+v", f)
	}
}
