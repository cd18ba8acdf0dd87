package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// mountReadOnly makes a directory one that cannot be written, not even by root, for as long as the test runs.
func mountReadOnly(t *testing.T, dir string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can mount a directory over itself")
	}
	if err := syscall.Mount(dir, dir, "", syscall.MS_BIND, ""); err != nil {
		t.Fatalf("mount: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	if err := syscall.Mount("", dir, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatalf("mount read only: %v", err)
	}
}

// A home that this program, this node or this user must not write is refused with one line and status 2, by every command that
// opens it, and not a byte of it changes.
func TestHomesThatMustNotBeWrittenAreUntouched(t *testing.T) {
	chain := func(from, to string) func(*testing.T, string) {
		return func(t *testing.T, home string) { edit(t, filepath.Join(home, "data", "CHAIN"), from, to) }
	}
	for _, test := range []struct {
		name   string
		change func(t *testing.T, home string)
		want   string
		sound  bool // for those who only look
	}{
		{"another chain", func(t *testing.T, home string) {
			other, _ := newTestnet(t, 1)
			if err := os.RemoveAll(filepath.Join(home, "data")); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(filepath.Join(other, "node0", "data"), filepath.Join(home, "data")); err != nil {
				t.Fatal(err)
			}
		}, "store of another chain or replica: check the genesis document and the storage directory", false},
		{"another replica", chain("node 0", "node 1"), "store of another chain or replica: check the genesis document and the storage directory", false},
		{"newer format", chain("format 4", "format 5"), "store of a newer version: run that version of hotstuffd", false},
		{"read only", mountReadOnly, "make it writable, with all that is in it, for the user that runs hotstuffd", true},
		{"read only data", func(t *testing.T, home string) { mountReadOnly(t, filepath.Join(home, "data")) },
			"make it writable, with all that is in it, for the user that runs hotstuffd", true},
	} {
		t.Run(strings.ReplaceAll(test.name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			dir, _ := newTestnet(t, 2)
			home := filepath.Join(dir, "node0")
			test.change(t, home)
			for _, command := range []string{"start", "rejoin"} {
				status, stdout, stderr := untouched(t, home, command, "--home", home)
				wantRefusal(t, status, stdout, stderr, 2, test.want)
			}
			for _, command := range []string{"inspect", "verify"} {
				status, stdout, stderr := untouched(t, home, command, "--home", home)
				if !test.sound {
					wantRefusal(t, status, stdout, stderr, 2, test.want)
				} else if status != 0 || !strings.HasSuffix(stdout, "sound\n") {
					t.Errorf("%s: status %d\n%s%s", command, status, stdout, stderr)
				}
			}
			if !test.sound {
				status, stdout, stderr := untouched(t, home, "snapshot", "export", "--home", home, "--out", filepath.Join(t.TempDir(), "state"))
				wantRefusal(t, status, stdout, stderr, 2, test.want)
			}
		})
	}
}

// A second process on a home says so in one line, with status 2, and disturbs neither the node nor its files.
func TestSecondProcessOnAHome(t *testing.T) {
	c := startedCluster(t, 1)
	status, stdout, stderr := finish(t, daemon(t, "start", "--home", c.home(0)))
	wantRefusal(t, status, stdout, stderr, 2, "store is in use by another process: stop that one first")
	for _, name := range []string{"inspect", "verify"} {
		status, stdout, stderr = finish(t, daemon(t, name, "--home", c.home(0)))
		wantRefusal(t, status, stdout, stderr, 2, "a node runs on it: ask the node (hotstuffd status), or stop it first")
	}
	c.fill(0, 2)
	c.halt(0)
	if status, stdout, stderr = untouched(t, c.home(0), "verify", "--home", c.home(0)); status != 0 {
		t.Errorf("it has left damage: status %d\n%s%s", status, stdout, stderr)
	}
}

// What a node has lost is its machine's fault: status 1, from those who only look as well, and these say it all.
func TestLostStateIsNoUsersFault(t *testing.T) {
	dir, _ := newTestnet(t, 1)
	home := filepath.Join(dir, "node0")
	if err := os.Remove(filepath.Join(home, "data", "safety.slots")); err != nil {
		t.Fatal(err)
	}
	const want = `safety state is lost and this replica must not vote: see "When safety state is lost" in docs/operations.md, then run hotstuffd rejoin`
	for _, command := range []string{"start", "verify"} {
		status, stdout, stderr := untouched(t, home, command, "--home", home)
		wantRefusal(t, status, stdout, stderr, 1, want)
	}
	status, stdout, stderr := untouched(t, home, "inspect", "--home", home)
	if status != 1 || !strings.Contains(stdout, want) || !strings.HasSuffix(stdout, "not sound\n") || !strings.Contains(stderr, want) {
		t.Errorf("inspect: status %d\n%s%s", status, stdout, stderr)
	}
}
