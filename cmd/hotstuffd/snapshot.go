package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/hotstuffd/hotstuffd/app/kv"
	"github.com/hotstuffd/hotstuffd/config"
	"github.com/hotstuffd/hotstuffd/node"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/store"
)

func newSnapshot() *cobra.Command {
	c := group("snapshot", "Carry a node's state to another node in a file")
	c.AddCommand(newExport(), newImport())
	return c
}

func newExport() *cobra.Command {
	var home, out string
	var height uint64
	c := &cobra.Command{
		Use:   "export",
		Short: "Write a snapshot of a node into a file; the node may run",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return exportSnapshot(c, home, out, qc.Height(height)) },
	}
	c.Flags().StringVar(&home, "home", "", "the node's `directory`")
	c.Flags().StringVar(&out, "out", "", "the `file` to be made")
	c.Flags().Uint64Var(&height, "height", 0, "the snapshot's `height`; default: the newest one's")
	return c
}

func newImport() *cobra.Command {
	var home, in string
	c := &cobra.Command{
		Use:   "import",
		Short: "Give a stopped node the snapshot in a file to start from",
		Long: `Give a stopped node the snapshot in a file to start from.

The snapshot's certificate is verified by the keys of the genesis, and its state is restored and compared with it, before anything is
written. What the node has signed is not touched. A snapshot of a height that the node has come to itself is refused.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return importSnapshot(c, home, in) },
	}
	c.Flags().StringVar(&home, "home", "", "the node's `directory`")
	c.Flags().StringVar(&in, "in", "", "the snapshot's `file`")
	return c
}

func exportSnapshot(c *cobra.Command, home, out string, height qc.Height) error {
	l, err := loadHome(home)
	if err != nil {
		return err
	}
	if out == "" {
		return config.Errorf("no file: name one to be made, such as --out state.snapshot")
	}
	if _, err := os.Lstat(out); err == nil {
		return config.Errorf("%s exists: nothing is overwritten, name another --out", out)
	}
	files, err := store.ReadSnapshots(l.dir, l.identity(), store.Options{})
	if err != nil {
		return mendable(err)
	}
	m, err := chooseSnapshot(files.List(), height, l.dir)
	if err != nil {
		return err
	}
	if err := node.CheckCertificate(l.genesis, m.Certificate); err != nil {
		return fmt.Errorf("%s: snapshot %d: %w", l.dir, m.Height(), err)
	}
	head, err := store.AppendSnapshotHeader(nil, l.genesis.Chain, &m)
	if err != nil {
		return err
	}
	f, err := files.Open(m.Height())
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("snapshot %d has just given way to a newer one: export that", m.Height())
	}
	if err != nil {
		return err
	}
	meter, _ := l.meter(c.ErrOrStderr())
	err = writeWhole(out, func(w io.Writer) error {
		if _, err := w.Write(head); err != nil {
			return err
		}
		_, err := io.Copy(w, &metered{ctx: c.Context(), from: f, meter: meter, step: step{what: "exporting", total: m.Bytes, bytes: true}})
		return err
	})
	meter.end()
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "%s is the state after block %d, %s: any node of the chain takes it in by \"hotstuffd snapshot import\"\n", out, m.Height(), size(m.Bytes))
	return err
}

// chooseSnapshot returns the snapshot of a height, 0: the newest.
func chooseSnapshot(list []store.SnapshotMeta, height qc.Height, dir string) (m store.SnapshotMeta, err error) {
	if len(list) == 0 {
		return m, config.Errorf("%s has no snapshot yet: one is taken after storage.snapshot_bytes of log", dir)
	}
	var heights []qc.Height
	for _, m := range list {
		if height == 0 || m.Height() == height {
			return m, nil
		}
		heights = append(heights, m.Height())
	}
	return m, config.Errorf("%s has no snapshot of height %d: it has those of %v", dir, height, heights)
}

// writeWhole makes a file that is there whole and durable, or not at all.
func writeWhole(name string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".new-*")
	if err != nil {
		return unwritable(err)
	}
	buffered := bufio.NewWriterSize(f, 1<<20)
	err = write(buffered)
	if err == nil {
		err = buffered.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return unwritable(errors.Join(err, os.Remove(f.Name())))
	}
	return store.OS.SyncDir(filepath.Dir(name))
}

// metered is a reader whose bytes a meter counts, until ctx ends.
type metered struct {
	ctx   context.Context
	from  io.Reader
	meter *meter
	step  step
}

// Read implements io.Reader.
func (r *metered) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, errInterrupted
	}
	n, err := r.from.Read(p)
	r.step.done += int64(n)
	r.meter.show(r.step)
	return n, err
}

func importSnapshot(c *cobra.Command, home, in string) error {
	l, err := loadHome(home)
	if err != nil {
		return err
	}
	if in == "" {
		return config.Errorf("no file: name one that \"hotstuffd snapshot export\" has made, such as --in state.snapshot")
	}
	f, err := os.Open(in)
	if errors.Is(err, fs.ErrNotExist) {
		return config.Errorf("%w: name a file that \"hotstuffd snapshot export\" has made", err)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	file, err := store.ParseSnapshotFile(f, info.Size(), l.genesis.Chain, node.WireLimits(l.genesis))
	if errors.Is(err, store.ErrSnapshotFile) {
		return config.Errorf("%s: %w", in, err)
	}
	if err != nil {
		return mendable(fmt.Errorf("%s: %w", in, err))
	}
	meter, _ := l.meter(c.ErrOrStderr())
	defer meter.end()
	if err := l.wants(&file.Meta); err != nil {
		return err
	}
	if err := l.tryOut(c.Context(), file, meter); err != nil {
		return fmt.Errorf("%s: %w: nothing was written", in, err)
	}
	if err := l.install(c.Context(), file, meter); err != nil {
		return err
	}
	meter.end()
	_, err = fmt.Fprintf(c.OutOrStdout(), "%s has the state after block %d, %s: next: hotstuffd start --home %s\n", l.dir, file.Meta.Height(), size(file.Meta.Bytes), home)
	return err
}

// wants looks whether a snapshot would bring the node on. It changes nothing.
func (l *looked) wants(m *store.SnapshotMeta) error {
	if err := l.view(); err != nil {
		return err
	}
	if l.loss != nil {
		return l.loss
	}
	return errors.Join(l.bringsOn(l.store, m), l.close())
}

func (l *looked) bringsOn(s *store.Store, m *store.SnapshotMeta) error {
	at, err := node.Standing(s, l.genesis)
	if err == nil && m.Height() <= at {
		err = config.Errorf("%s has come to height %d, the snapshot is of height %d: it would bring nothing", l.dir, at, m.Height())
	}
	return err
}

// tryOut restores the snapshot and compares it with its certificate.
func (l *looked) tryOut(ctx context.Context, f *store.SnapshotFile, m *meter) error {
	scratch, err := kv.New(kv.DefaultLimits())
	if err != nil {
		return err
	}
	r := &metered{ctx: ctx, from: f.Reader(), meter: m, step: step{what: "checking", total: f.Meta.Bytes, bytes: true}}
	return node.CheckSnapshot(r, l.genesis, f.Meta, scratch)
}

// install makes the snapshot the node's own.
func (l *looked) install(ctx context.Context, f *store.SnapshotFile, m *meter) error {
	s, err := store.Open(l.dir, l.identity(), store.Options{})
	if err != nil {
		return mendable(err)
	}
	err = l.bringsOn(s, &f.Meta) // once more: the node may have run meanwhile
	if err == nil {
		err = s.Take(f, func(done int64) error {
			m.show(step{what: "importing", done: done, total: f.Meta.Bytes, bytes: true})
			if ctx.Err() != nil {
				return errors.New("interrupted: the node has no snapshot of it")
			}
			return nil
		})
	}
	return errors.Join(err, s.Close())
}

// unwritable words that a file cannot be made as what the operator can mend.
func unwritable(err error) error {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) {
		return config.Errorf("%w: name a file that can be made", err)
	}
	return err
}
