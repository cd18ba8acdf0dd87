package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	// smallDisk holds what a new node takes, 100 MiB, and what must be free for a full one to go on, another 97.
	smallDisk = 224 << 20
	// roomLeft is what the filler leaves: the votes of a moment.
	roomLeft = 64 << 10
)

// mountSmallDisk returns a file system of its own for one node. Only root may mount, and CI is root.
func mountSmallDisk(t *testing.T) (dir string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can mount a small disk")
	}
	dir = filepath.Join(t.TempDir(), "disk")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", smallDisk)); err != nil {
		t.Fatalf("mount: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

// fill takes all of a disk but a little.
func fill(t *testing.T, disk, name string) {
	t.Helper()
	var s syscall.Statfs_t
	if err := syscall.Statfs(disk, &s); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(disk, name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := syscall.Fallocate(int(f.Fd()), 0, 0, int64(s.Bavail)*s.Bsize-roomLeft); err != nil {
		t.Fatal(err)
	}
}

// A node's disk fills up under load. It stops voting, says so everywhere, refuses its clients, and goes on showing what it
// has; also after a restart. The others go on. When there is room it takes part again, by itself, and nothing is missing.
func TestNodeOutlivesAFullDisk(t *testing.T) {
	disk := mountSmallDisk(t)
	c, ctx := newCluster(t, 4), patient(t)
	const victim = 3
	data := filepath.Join(c.dir, "node"+strconv.Itoa(victim), "data")
	if err := os.CopyFS(filepath.Join(disk, "data"), os.DirFS(data)); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(data); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(disk, "data"), data); err != nil {
		t.Fatal(err)
	}
	c.start(upTo(4)...)
	if err := c.client(victim).Set(ctx, "before", "1", 0).Err(); err != nil {
		t.Fatal(err)
	}
	l := startLoad(3, func(i, round int) error {
		return c.client(i).Set(ctx, fmt.Sprintf("%d:%d", i, round), strings.Repeat("x", 1000), 0).Err()
	})
	l.await(3)

	fill(t, disk, "filler")
	c.awaitReadiness(victim, http.StatusServiceUnavailable, "not ready: disk full: votes and commands wait until 97 MiB are free")
	votes := c.metric(victim, "hotstuffd_votes_total")
	full := func() {
		t.Helper()
		if v := c.metric(victim, "hotstuffd_disk_full"); v != 1 {
			t.Errorf("hotstuffd_disk_full is %v", v)
		}
		client := c.client(victim)
		const refused = "MISCONF disk full, commands are refused until there is room"
		if err := client.Set(ctx, "refused", "1", 0).Err(); err == nil || err.Error() != refused {
			t.Errorf("SET gives %v", err)
		}
		if err := client.Get(ctx, "before").Err(); err == nil || err.Error() != refused {
			t.Errorf("GET gives %v", err)
		}
		if err := client.Ping(ctx).Err(); err != nil {
			t.Errorf("PING gives %v", err)
		}
		if s := c.status(ctx, victim, 0); !s.DiskFull {
			t.Errorf("its status is %+v", s)
		}
		status, log, stderr := finish(t, daemon(t, "log", "--http", address(c.basePort, victim, 2)))
		if status != 0 || !strings.Contains(log, "SET before 1") {
			t.Errorf("its log: status %d, %s%.500s", status, stderr, log)
		}
		l.await(10)
	}
	full()
	if now := c.metric(victim, "hotstuffd_votes_total"); now != votes {
		t.Errorf("it has voted %v times since its disk is full", now-votes)
	}

	c.halt(victim)
	c.start(victim)
	c.awaitReadiness(victim, http.StatusServiceUnavailable, "not ready: disk full")
	full()
	if now := c.metric(victim, "hotstuffd_votes_total"); now != 0 {
		t.Errorf("started again, it has voted %v times", now)
	}

	if err := os.Remove(filepath.Join(disk, "filler")); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	c.awaitReadiness(victim, http.StatusOK, "")
	t.Logf("ready %v after there was room", time.Since(began))
	l.await(3)
	for _, err := range l.end() {
		t.Errorf("others, meanwhile: %v", err)
	}
	if n, err := c.client(victim).Exists(ctx, "before", "0:0", "1:0", "2:0", "refused").Result(); n != 4 || err != nil {
		t.Errorf("it has %d of the keys, %v, want all but the one it has refused", n, err)
	}
	c.kill(0) // node 3 is needed for every quorum from now on
	if err := c.client(victim).Set(ctx, "after", "1", 0).Err(); err != nil {
		t.Error(err)
	}
	c.start(0)
	c.agree(upTo(4)...)
	if v := c.metric(victim, "hotstuffd_disk_full"); v != 0 {
		t.Errorf("hotstuffd_disk_full is %v when all is over", v)
	}
	told, err := os.ReadFile(filepath.Join(c.dir, "node"+strconv.Itoa(victim), "node.log"))
	if err != nil {
		t.Fatal(err)
	}
	if begins, ends := strings.Count(string(told), "disk full: this replica votes no more"), strings.Count(string(told), "the disk has room again"); begins != 2 || ends != 1 {
		t.Errorf("its log tells %d times of a full disk, want once in each of two lives, and %d times of its end, want 1:\n%s", begins, ends, told)
	}
}

// awaitReadiness waits until a node's /readyz answers with a status, and with words that begin so. For a moment it may have
// another reason, as when a block is late.
func (c *cluster) awaitReadiness(id, want int, begins string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	again := time.NewTicker(knockAgain)
	defer again.Stop()
	for {
		status, body := c.get(ctx, id, "/readyz")
		if status == want && strings.HasPrefix(body, begins) {
			return
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			c.t.Fatalf("node %d: /readyz answers %d, %s, want %d, %s", id, status, body, want, begins)
		}
	}
}

// metric returns the value of a metric without labels.
func (c *cluster) metric(id int, name string) float64 {
	c.t.Helper()
	_, body := c.get(c.t.Context(), id, "/metrics")
	for line := range strings.Lines(body) {
		if text, ok := strings.CutPrefix(line, name+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			if err != nil {
				c.t.Fatal(err)
			}
			return v
		}
	}
	c.t.Fatalf("node %d has no metric %s", id, name)
	return 0
}

func (c *cluster) get(ctx context.Context, id int, path string) (status int, body string) {
	c.t.Helper()
	target := url.URL{Scheme: "http", Host: address(c.basePort, id, 2), Path: path}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		c.t.Fatal(err)
	}
	response, err := nodes.Do(request)
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return response.StatusCode, string(text)
}
