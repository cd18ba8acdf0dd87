package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// A stopped node's home is inspected, verified, and given a state that another node exported while it ran; it starts from that
// one. A home that a node runs on is not looked at.
func TestHomesAreLookedIntoAndStatesCarried(t *testing.T) {
	c := newCluster(t, 4)
	c.closeCheckpoints(8)
	c.start(upTo(4)...)
	c.fill(0, 40)
	home := c.home(3)
	status, stdout, stderr := finish(t, daemon(t, "inspect", "--home", home))
	wantRefusal(t, status, stdout, stderr, 2, "a node runs on it: ask the node (hotstuffd status), or stop it first")
	c.halt(3)

	status, stdout, stderr = untouched(t, home, "inspect", "--home", home)
	if status != 0 || stderr != "" && !strings.Contains(stderr, "reading") || !strings.HasSuffix(stdout, "sound\n") {
		t.Errorf("inspect: status %d\n%s%s", status, stdout, stderr)
	}
	var found inspection
	status, stdout, stderr = untouched(t, home, "inspect", "--json", "--home", home)
	if err := json.Unmarshal([]byte(stdout), &found); err != nil || status != 0 || !found.Sound {
		t.Fatalf("inspect --json: status %d, %v\n%s%s", status, err, stdout, stderr)
	}
	if s := found.Safety; s.Sequence < 2 || s.LastVoted == 0 || s.HighQC+3 < s.LastVoted || found.Committed < 40 || found.Floor == 0 || found.Blocks == 0 ||
		found.Batches == 0 || len(found.Snapshots) != 2 || found.Certified.Signers != 3 || found.Bytes["payload"] < 64<<20 || found.Bytes["safety.slots"] == 0 {
		t.Errorf("it shows\n%s", stdout)
	}
	status, stdout, stderr = untouched(t, home, "verify", "--state", "--home", home)
	if status != 0 || !strings.HasSuffix(stdout, "\nsound\n") || !strings.Contains(stdout, "executed: the states of heights [") ||
		strings.Contains(stdout, "verified 0 blocks") || strings.Contains(stdout, " 0 batches") || !strings.Contains(stderr, `msg="verifying blocks" blocks=1 of=`) {
		t.Errorf("verify: status %d\n%s%s", status, stdout, stderr)
	}

	c.fill(0, 24)
	file := filepath.Join(t.TempDir(), "state")
	status, stdout, stderr = finish(t, daemon(t, "snapshot", "export", "--home", c.home(0), "--out", file))
	if status != 0 || !strings.Contains(stdout, " is the state after block ") {
		t.Fatalf("export: status %d\n%s%s", status, stdout, stderr)
	}
	status, stdout, stderr = finish(t, daemon(t, "snapshot", "export", "--home", c.home(0), "--out", file))
	wantRefusal(t, status, stdout, stderr, 2, "exists: nothing is overwritten")
	c.refuseSpoilt(file, home)
	status, stdout, stderr = finish(t, daemon(t, "snapshot", "import", "--home", c.home(1), "--in", file))
	wantRefusal(t, status, stdout, stderr, 2, "a node runs on it")

	status, stdout, stderr = finish(t, daemon(t, "snapshot", "import", "--home", home, "--in", file))
	if status != 0 || !strings.Contains(stdout, home+"/data has the state after block ") {
		t.Fatalf("import: status %d\n%s%s", status, stdout, stderr)
	}
	status, stdout, stderr = untouched(t, home, "snapshot", "import", "--home", home, "--in", file)
	wantRefusal(t, status, stdout, "hotstuffd: "+stderr[strings.Index(stderr, "hotstuffd: ")+11:], 2, "it would bring nothing")
	var after inspection
	status, stdout, stderr = untouched(t, home, "inspect", "--json", "--home", home)
	if err := json.Unmarshal([]byte(stdout), &after); err != nil || status != 0 || after.Snapshots[0].Height <= found.Committed {
		t.Fatalf("after the import: status %d, %v\n%s%s", status, err, stdout, stderr)
	}
	if *after.Safety != *found.Safety {
		t.Errorf("the import has changed the safety state from %+v to %+v", *found.Safety, *after.Safety)
	}
	if status, stdout, stderr = untouched(t, home, "verify", "--state", "--home", home); status != 0 {
		t.Errorf("verify after the import: status %d\n%s%s", status, stdout, stderr)
	}
	c.start(3)
	log, err := os.ReadFile(filepath.Join(home, "node.log"))
	if want := " snapshot=" + strconv.FormatUint(after.Snapshots[0].Height, 10) + " "; err != nil || !strings.Contains(string(log), want) {
		t.Errorf("it has not started from the snapshot: no %q, %v", want, err)
	}
	c.halt(0) // node 3 is needed for every quorum from now on
	c.fill(3, 32)
	c.start(0)
	c.agree(upTo(4)...)
	c.wantPrunedLog(3)
	c.halt(3)
	if log, err = os.ReadFile(filepath.Join(home, "node.log")); err != nil || strings.Contains(string(log), "cannot take a snapshot, or prune the log") {
		t.Errorf("%v\n%s", err, log)
	}
	if status, stdout, stderr = untouched(t, home, "verify", "--state", "--home", home); status != 0 {
		t.Errorf("verify in the end: status %d\n%s%s", status, stdout, stderr)
	}
	spoilSnapshot(t, home)
	for _, command := range []string{"inspect", "verify"} {
		status, stdout, stderr = untouched(t, home, command, "--home", home)
		if status != 1 || !strings.Contains(stderr, " is not sound: ") || !strings.Contains(stdout, "its description is damaged, or its bytes are not all there: the next start removes it") {
			t.Errorf("%s of a spoilt snapshot: status %d\n%s%s", command, status, stdout, stderr)
		}
	}
}

// spoilSnapshot damages the description of a snapshot of a home.
func spoilSnapshot(t *testing.T, home string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(home, "data", "snapshots", "*.meta"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no snapshot in %s: %v", home, err)
	}
	data, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(names[0], data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// refuseSpoilt shows that nothing is taken in from a file that is not what its certificate names.
func (c *cluster) refuseSpoilt(file, home string) {
	c.t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		c.t.Fatal(err)
	}
	for name, spoil := range map[string]struct {
		status int
		want   string
		change func([]byte) []byte
	}{
		"last byte": {1, "its bytes are not what their hash says: nothing was written", func(b []byte) []byte { b[len(b)-1]++; return b }},
		"cut":       {2, "no snapshot file, or a damaged one", func(b []byte) []byte { return b[:len(b)-1] }},
		"record":    {2, "no snapshot file, or a damaged one", func(b []byte) []byte { b[60]++; return b }},
		"format":    {2, "store of a newer version", func(b []byte) []byte { b[11]++; return b }},
		"empty":     {2, "no snapshot file, or a damaged one", func([]byte) []byte { return nil }},
	} {
		spoilt := filepath.Join(c.t.TempDir(), "spoilt")
		if err := os.WriteFile(spoilt, spoil.change(append([]byte(nil), data...)), 0o600); err != nil {
			c.t.Fatal(err)
		}
		status, stdout, stderr := untouched(c.t, home, "snapshot", "import", "--home", home, "--in", spoilt)
		if status != spoil.status || stdout != "" || !strings.Contains(stderr, spoil.want) {
			c.t.Errorf("%s: status %d\n%s%s", name, status, stdout, stderr)
		}
	}
}

// wantPrunedLog asks for the whole log of a node, which has only a part of it.
func (c *cluster) wantPrunedLog(id int) {
	c.t.Helper()
	status, stdout, stderr := finish(c.t, daemon(c.t, "log", "--from", "3", "--http", address(c.basePort, id, 2)))
	if status != 0 || !strings.HasPrefix(stderr, "heights 3 to ") || !strings.Contains(stderr, " are not in this node's log: ") || !strings.Contains(stdout, " SET key") {
		c.t.Errorf("log: status %d\n%.500s%s", status, stdout, stderr)
	}
}
