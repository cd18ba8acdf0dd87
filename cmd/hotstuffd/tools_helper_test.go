package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hotstuffd/hotstuffd/config"
	"github.com/hotstuffd/hotstuffd/qc"
)

// closeCheckpoints makes the nodes of a cluster compare their states so often, take snapshots as soon as they may, and keep little
// log. None of them has run.
func (c *cluster) closeCheckpoints(every int) {
	c.t.Helper()
	for i := range c.nodes {
		home := c.home(i)
		before, err := config.ReadGenesis(filepath.Join(home, "genesis.json"))
		if err != nil {
			c.t.Fatal(err)
		}
		edit(c.t, filepath.Join(home, "genesis.json"), `"checkpoint_interval": 256`, `"checkpoint_interval": `+strconv.Itoa(every))
		after, err := config.ReadGenesis(filepath.Join(home, "genesis.json"))
		if err != nil {
			c.t.Fatal(err)
		}
		settings := filepath.Join(home, "config.toml")
		edit(c.t, settings, before.Chain.Hex(), after.Chain.Hex())
		edit(c.t, settings, `snapshot_bytes = "64MiB"`, `snapshot_bytes = "1KiB"`)
		edit(c.t, settings, `retain_blocks = 1000`, `retain_blocks = 10`)
		data := filepath.Join(home, "data")
		if err := os.RemoveAll(data); err != nil {
			c.t.Fatal(err)
		}
		if err := initData(data, after, qc.NodeID(i)); err != nil {
			c.t.Fatal(err)
		}
	}
}

func (c *cluster) home(id int) string { return filepath.Join(c.dir, "node"+strconv.Itoa(id)) }

// halt ends a node in order.
func (c *cluster) halt(id int) {
	c.t.Helper()
	n := c.nodes[id]
	if err := n.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		c.t.Fatal(err)
	}
	select {
	case <-n.ended:
	case <-time.After(patience):
		c.t.Fatalf("node %d does not end", id)
	}
	if n.status != nil {
		c.t.Error(n.epitaph())
	}
	c.nodes[id] = nil
}

// fill commits a number of blocks, and returns the height.
func (c *cluster) fill(through int, blocks uint64) uint64 {
	c.t.Helper()
	ctx := patient(c.t)
	s := c.status(ctx, through, 0)
	for end := s.AppliedHeight + blocks; s.AppliedHeight < end; s = c.status(ctx, through, 0) {
		for range 10 {
			if err := c.client(through).Set(ctx, fmt.Sprint("key", s.AppliedHeight), "value", 0).Err(); err != nil {
				c.t.Fatal(err)
			}
		}
	}
	return s.AppliedHeight
}

// print of a directory: names, modes, times of the last change and contents.
func print(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		fmt.Fprintln(&b, strings.TrimPrefix(path, dir), info.Mode(), info.ModTime().UnixNano(), sum(t, path, entry))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func sum(t *testing.T, path string, entry fs.DirEntry) string {
	t.Helper()
	if entry.IsDir() {
		return "dir"
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:8])
}

// untouched runs a command line in a process of its own, and fails the test if a byte or a time in a directory is another
// afterwards.
func untouched(t *testing.T, dir string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	before := print(t, dir)
	status, stdout, stderr = finish(t, daemon(t, args...))
	if after := print(t, dir); after != before {
		t.Errorf("%v has changed %s from\n%sto\n%s", args, dir, before, after)
	}
	return status, stdout, stderr
}

// wantRefusal checks that a command line ends with a status and one line.
func wantRefusal(t *testing.T, status int, stdout, stderr string, wantStatus int, want string) {
	t.Helper()
	if status != wantStatus || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, want) {
		t.Errorf("status %d, stdout %q, stderr\n%swant status %d and one line with %q", status, stdout, stderr, wantStatus, want)
	}
}
