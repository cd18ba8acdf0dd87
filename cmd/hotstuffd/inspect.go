package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/hotstuffd/hotstuffd/node"
	"github.com/hotstuffd/hotstuffd/store"
)

func newInspect() *cobra.Command {
	var home string
	var asJSON bool
	c := &cobra.Command{
		Use:   "inspect",
		Short: "Show what a stopped node has on disk, and whether it is sound",
		Long: `Show what a stopped node has on disk, and whether it is sound.

Not a byte is changed. Status 0: sound; 1: not; 2: this is no home, or it cannot be looked at.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return inspect(c, home, asJSON) },
	}
	c.Flags().StringVar(&home, "home", "", "the node's `directory`")
	c.Flags().BoolVar(&asJSON, "json", false, "print it for programs")
	return c
}

// inspection is what inspect shows.
type inspection struct {
	Home      string           `json:"home"`
	Node      uint16           `json:"node"`
	Nodes     int              `json:"nodes"`
	Chain     string           `json:"chain"`
	Safety    *safetyShown     `json:"safety,omitempty"` // absent: it is lost
	Committed uint64           `json:"committed_height"`
	Block     string           `json:"committed_block,omitempty"`
	Floor     uint64           `json:"floor"` // the lowest height whose block is kept; 0: nothing was pruned
	Top       uint64           `json:"top"`   // the highest height of a block
	Blocks    int              `json:"blocks"`
	Batches   int              `json:"batches"`
	Segments  int              `json:"segments"`
	Certified *certifiedShown  `json:"checkpoint,omitempty"`
	Snapshots []snapshotShown  `json:"snapshots"`
	Bytes     map[string]int64 `json:"bytes"` // by part of the data directory
	Sound     bool             `json:"sound"`
	Problems  []string         `json:"problems"`
}

type safetyShown struct {
	Sequence    uint64 `json:"sequence"`
	LastVoted   uint64 `json:"last_voted_view"`
	LastTimeout uint64 `json:"last_timeout_view"`
	LockView    uint64 `json:"lock_view"`
	LockBlock   string `json:"lock_block"`
	HighQC      uint64 `json:"high_qc_view"`
	HighQCBlock string `json:"high_qc_block"`
	LastTC      uint64 `json:"last_tc_view"`
	Incarnation string `json:"incarnation"`
	Nonce       string `json:"nonce,omitempty"`  // while it rejoins
	Floor       uint64 `json:"signs_above_view"` // of the last rejoin
}

type certifiedShown struct {
	Height  uint64 `json:"height"`
	Digest  string `json:"digest"`
	Signers int    `json:"signers"`
}

type snapshotShown struct {
	Height uint64 `json:"height"`
	Bytes  int64  `json:"bytes"`
	Chunks int    `json:"chunks"`
	Fault  string `json:"fault,omitempty"`
}

func inspect(c *cobra.Command, home string, asJSON bool) error {
	l, err := loadHome(home)
	if err != nil {
		return err
	}
	if err := l.view(); err != nil {
		return err
	}
	meter, _ := l.meter(c.ErrOrStderr())
	found, err := l.inspect(c, meter)
	meter.end()
	if err = errors.Join(err, l.close()); err != nil {
		return err
	}
	if asJSON {
		out := json.NewEncoder(c.OutOrStdout())
		out.SetIndent("", "  ")
		err = out.Encode(found)
	} else {
		err = found.print(c.OutOrStdout())
	}
	if err == nil && !found.Sound {
		err = fmt.Errorf("%s is not sound: %s", l.dir, found.Problems[0])
	}
	return err
}

func (l *looked) inspect(c *cobra.Command, m *meter) (*inspection, error) {
	i := &inspection{Home: l.home, Node: uint16(l.secrets.ID), Nodes: len(l.genesis.Nodes), Chain: l.genesis.Chain.Hex(), Snapshots: []snapshotShown{}, Problems: []string{}}
	var err error
	if i.Bytes, err = bytesByPart(l.dir); err != nil {
		return nil, err
	}
	if l.store == nil {
		i.Problems = append(i.Problems, l.loss.Error())
		return i, nil
	}
	if err := i.take(l.store); err != nil {
		i.Problems = append(i.Problems, err.Error())
		return i, nil
	}
	audit, err := node.NewAudit(l.store, l.genesis, l.secrets.ID)
	if err != nil {
		return nil, err
	}
	audit.Seen = func(p node.AuditProgress) { m.show(step{"reading " + p.Part, p.Done, p.Total, p.Bytes}) }
	if err := errors.Join(audit.Safety(), audit.Snapshots(c.Context())); c.Context().Err() != nil {
		return nil, errInterrupted
	} else if err != nil {
		return nil, err
	}
	f := audit.Findings()
	for _, s := range f.Snapshots {
		i.Snapshots = append(i.Snapshots, snapshotShown{uint64(s.Height), s.Bytes, s.Chunks, s.Fault})
	}
	i.Problems = append(i.Problems, f.Problems...)
	i.Sound = len(i.Problems) == 0
	return i, nil
}

// take reads the facts.
func (i *inspection) take(s *store.Store) error {
	r, err := s.Recover()
	if err != nil {
		return err
	}
	state := &r.Safety
	i.Safety = &safetyShown{Sequence: state.Sequence, LockView: uint64(state.LockView), LockBlock: state.LockBlock.Hex(), HighQC: uint64(state.HighQC.View),
		HighQCBlock: state.HighQC.Block.Hex(), Incarnation: fmt.Sprintf("%d.%d", state.Incarnation.Rejoin, state.Incarnation.Starts), Floor: uint64(state.Floor)}
	if v := state.LastVoted; v != nil {
		i.Safety.LastVoted = uint64(v.View)
	}
	if t := state.LastTimeout; t != nil {
		i.Safety.LastTimeout = uint64(t.View)
	}
	if t := state.LastTC; t != nil {
		i.Safety.LastTC = uint64(t.View)
	}
	if !state.Nonce.IsZero() {
		i.Safety.Nonce = fmt.Sprintf("%x", state.Nonce[:])
	}
	i.Committed, i.Block, i.Floor = uint64(r.Commit.Height), r.Commit.Block.Hex(), uint64(s.Floor())
	if k := r.Certified; k != nil {
		i.Certified = &certifiedShown{uint64(k.Checkpoint.Height), fmt.Sprintf("%x", k.Checkpoint.Digest), k.Signers.Count()}
	}
	contents, err := s.Contents()
	i.Blocks, i.Top, i.Batches, i.Segments = contents.Blocks, uint64(contents.Top), contents.Batches, contents.Segments
	return err
}

// bytesByPart returns how much the parts of a data directory take: what lies at its top, and the payload's index by itself.
func bytesByPart(dir string) (map[string]int64, error) {
	parts := map[string]int64{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		part, rest, _ := strings.Cut(strings.TrimPrefix(path, dir+string(filepath.Separator)), string(filepath.Separator))
		if strings.HasPrefix(rest, "index"+string(filepath.Separator)) {
			part += "/index"
		}
		parts[part] += info.Size()
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return parts, nil // the verdict says so
	}
	return parts, err
}

func (i *inspection) print(w io.Writer) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) { fmt.Fprintf(out, name+"\t"+format+"\n", args...) }
	line("node", "%d of %d, %s", i.Node, i.Nodes, i.Home)
	line("chain", "%s", i.Chain)
	if s := i.Safety; s != nil {
		line("safety state", "record %d, lane %s", s.Sequence, s.Incarnation)
		line("voted", "view %d, timed out in view %d", s.LastVoted, s.LastTimeout)
		line("locked", "view %d, block %s", s.LockView, s.LockBlock)
		line("highest QC", "view %d, block %s", s.HighQC, s.HighQCBlock)
		line("highest TC", "view %d", s.LastTC)
		if s.Nonce != "" {
			line("rejoining", "signs nothing until nonce %.8s is committed", s.Nonce)
		}
		if s.Floor > 0 {
			line("rejoined", "signs nothing in views up to %d", s.Floor)
		}
		line("committed", "height %d, block %s", i.Committed, i.Block)
		line("log", "%d blocks, %s to height %d", i.Blocks, beginning(i.Floor), i.Top)
		line("batches", "%d in %d segments", i.Batches, i.Segments)
	}
	for _, s := range i.Snapshots {
		fault := "all chunks check"
		if s.Fault != "" {
			fault = s.Fault
		}
		line("snapshot", "height %d, %s in %d chunks: %s", s.Height, size(s.Bytes), s.Chunks, fault)
	}
	if k := i.Certified; k != nil {
		line("certified", "height %d by %d nodes, digest %s", k.Height, k.Signers, k.Digest)
	}
	all := int64(0)
	for _, part := range slices.Sorted(maps.Keys(i.Bytes)) {
		all += i.Bytes[part]
		line("bytes", "%s %s", part, size(i.Bytes[part]))
	}
	line("bytes", "all %s", size(all))
	for _, p := range i.Problems {
		line("wrong", "%s", p)
	}
	verdict := "sound"
	if !i.Sound {
		verdict = "not sound"
	}
	line("verdict", "%s", verdict)
	return out.Flush()
}

// beginning words where the log begins.
func beginning(floor uint64) string {
	if floor == 0 {
		return "from genesis"
	}
	return fmt.Sprintf("pruned below height %d,", floor)
}

// size writes bytes as people do.
func size(n int64) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d B", n)
}
