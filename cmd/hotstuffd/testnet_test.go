package main

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/hotstuffd/hotstuffd/api/server"
)

// upProcess is a running "testnet up".
type upProcess struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdout *bufio.Scanner
	stderr *bufio.Scanner
}

func startUp(t *testing.T, args ...string) *upProcess {
	t.Helper()
	u := &upProcess{t: t, cmd: daemon(t, append([]string{"testnet", "up"}, args...)...)}
	stdout, err := u.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := u.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	u.stdout, u.stderr = bufio.NewScanner(stdout), bufio.NewScanner(stderr)
	if err := u.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { u.cmd.Process.Kill() })
	return u
}

// until reads lines up to the first that matches.
func (u *upProcess) until(from *bufio.Scanner, pattern string) (lines []string) {
	u.t.Helper()
	for from.Scan() {
		lines = append(lines, from.Text())
		if regexp.MustCompile(pattern).MatchString(from.Text()) {
			return lines
		}
	}
	u.t.Fatalf("no %q in\n%s", pattern, strings.Join(lines, "\n"))
	return nil
}

// interrupt sends Ctrl-C, and returns the exit status.
func (u *upProcess) interrupt() int {
	u.t.Helper()
	if err := u.cmd.Process.Signal(os.Interrupt); err != nil {
		u.t.Fatal(err)
	}
	for u.stdout.Scan() || u.stderr.Scan() {
	}
	u.cmd.Wait()
	return u.cmd.ProcessState.ExitCode()
}

// recorded returns the processes in testnet.json.
func recorded(t *testing.T, dir string, n int) []process {
	t.Helper()
	r, err := readRunning(dir)
	if err != nil || len(r.Nodes) != n {
		t.Fatalf("%d processes recorded, %v, want %d", len(r.Nodes), err, n)
	}
	return r.Nodes
}

func wantGone(t *testing.T, all []process) {
	t.Helper()
	if left, err := waitGone(t.Context(), all); err != nil || len(left) > 0 {
		t.Errorf("left running: %s, %v", list(left), err)
	}
}

// From nothing to a table of four nodes that have committed, and back to nothing with Ctrl-C.
func TestUpMakesRunsAndEndsATestnet(t *testing.T) {
	dir, base := filepath.Join(t.TempDir(), "net"), freePorts(t, 4)
	u := startUp(t, "--dir", dir, "--base-port", strconv.Itoa(base))
	lines := u.until(u.stdout, "^end:")
	if want := `^NODE +REDIS +HTTP +VIEW +HEIGHT$`; !regexp.MustCompile(want).MatchString(lines[0]) {
		t.Errorf("got %q, want %s", lines[0], want)
	}
	for i := range 4 {
		if want := `^node` + strconv.Itoa(i) + ` +` + address(base, i, 1) + ` +` + address(base, i, 2) + ` +[1-9]\d* +[1-9]\d*$`; !regexp.MustCompile(want).MatchString(lines[i+1]) {
			t.Errorf("got %q, want %s", lines[i+1], want)
		}
	}
	if want := "try:   redis-cli -p " + strconv.Itoa(base+1) + " set x 1 && redis-cli -p " + strconv.Itoa(base+31) + " get x"; !slices.Contains(lines, want) {
		t.Errorf("no line %q", want)
	}
	all := recorded(t, dir, 4)

	status, stdout, stderr := inProcess(t.Context(), "status", "--json", "--http", address(base, 2, 2))
	var s server.Status
	if err := json.Unmarshal([]byte(stdout), &s); err != nil || status != 0 || s.ID != 2 || s.Nodes != 4 || s.CommittedHeight < 1 || len(s.StateDigest) != 64 || len(s.LastBlock) != 64 {
		t.Errorf("status %d %s%s", status, stdout, stderr)
	}
	status, _, stderr = inProcess(t.Context(), "testnet", "up", "--dir", dir)
	if want := "hotstuffd: the testnet in " + dir + " runs already (" + list(all) + "): end it with \"hotstuffd testnet down --dir " + dir + "\"\n"; status != 1 || stderr != want {
		t.Errorf("a second up: status %d %s", status, stderr)
	}

	if err := syscall.Kill(all[3].PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	u.until(u.stderr, "^node3 ended: signal: killed; the end of "+dir+"/node3/node.log:$")
	u.until(u.stderr, "^start it again: hotstuffd start --home "+dir+"/node3$")

	if status := u.interrupt(); status != 0 {
		t.Errorf("status %d after Ctrl-C", status)
	}
	wantGone(t, all)
	recorded(t, dir, 0)
}

// However the parent ends, no node stays behind.
func TestKilledUpLeavesNoNodes(t *testing.T) {
	dir, _ := newTestnet(t, 1)
	u := startUp(t, "--dir", dir)
	u.until(u.stdout, "^end:")
	all := recorded(t, dir, 1)
	if err := u.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	u.cmd.Wait()
	wantGone(t, all)
}

func TestDetachedTestnetOutlivesItsParentUntilDown(t *testing.T) {
	dir, base := newTestnet(t, 1)
	status, stdout, stderr := finish(t, daemon(t, "testnet", "up", "--detach", "--dir", dir))
	if status != 0 || !strings.Contains(stdout, "end:   hotstuffd testnet down --dir "+dir+"\n") {
		t.Fatalf("status %d\n%s%s", status, stdout, stderr)
	}
	all := recorded(t, dir, 1)
	if status, _, stderr := inProcess(t.Context(), "status", "--http", address(base, 0, 2)); status != 0 {
		t.Error(stderr)
	}
	for _, want := range []string{"ended 1 nodes of " + dir + "\n", "no node of " + dir + " runs\n"} {
		if status, stdout, stderr := inProcess(t.Context(), "testnet", "down", "--dir", dir); status != 0 || stdout != want {
			t.Errorf("status %d %s%s, want %s", status, stdout, stderr, want)
		}
		wantGone(t, all)
	}
}

// A node that cannot run is shown with its last words, and the others are ended.
func TestUpTellsWhyANodeDied(t *testing.T) {
	dir, base := newTestnet(t, 2)
	udp, err := net.ListenPacket("udp", address(base, 1, 0))
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	status, stdout, stderr := finish(t, daemon(t, "testnet", "up", "--dir", dir))
	for _, want := range []string{
		"node1 ended: exit status 1; the end of " + dir + "/node1/node.log:\n",
		"    hotstuffd: net.listen = \"" + address(base, 1, 0) + "\": the port is in use: stop what listens there, or choose another port\n",
		"hotstuffd: node1 ended before the first commit\n",
	} {
		if status != 1 || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("status %d, want %q in\n%s", status, want, stderr)
		}
	}
	recorded(t, dir, 0)
}

func TestUpWithoutAQuorumGivesUp(t *testing.T) {
	dir, _ := newTestnet(t, 4)
	for _, home := range []string{"/node2", "/node3"} {
		if err := os.RemoveAll(dir + home); err != nil {
			t.Fatal(err)
		}
	}
	status, _, stderr := finish(t, daemon(t, "testnet", "up", "--dir", dir, "--wait", "2s"))
	if want := "hotstuffd: 2 of 2 nodes have committed nothing after 2s: look into " + dir + "/node*/node.log\n"; status != 1 || !strings.HasSuffix(stderr, want) {
		t.Errorf("status %d\n%swant %s", status, stderr, want)
	}
	recorded(t, dir, 0)
}

// Asking for another testnet than the one that is there would be ignored in silence.
func TestUpRefusesOtherWishesThanWereMade(t *testing.T) {
	dir, base := newTestnet(t, 2)
	for _, test := range []struct{ flag, value, want string }{
		{"--nodes", "4", dir + " holds a testnet of 2 nodes, not 4: leave out --nodes, or choose another --dir"},
		{"--base-port", "7000", dir + " holds a testnet that listens on " + address(base, 0, 0) + ", not 127.0.0.1:7000: leave out --base-port, or choose another --dir"},
	} {
		status, _, stderr := inProcess(t.Context(), "testnet", "up", "--dir", dir, test.flag, test.value)
		if status != 2 || stderr != "hotstuffd: "+test.want+"\n" {
			t.Errorf("status %d %s", status, stderr)
		}
	}
	status, _, stderr := inProcess(t.Context(), "testnet", "init", "--dir", dir)
	if want := "hotstuffd: " + dir + " is not empty: choose another --dir, or remove it if what it holds may be lost\n"; status != 2 || stderr != want {
		t.Errorf("status %d %s", status, stderr)
	}
}

// A process that was given the number of a node that has ended is not a node.
func TestDownNeverEndsAStranger(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stranger := exec.CommandContext(ctx, "cat")
	stdin, err := stranger.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	start := startOf(stranger.Process.Pid)
	if start == "" {
		t.Fatal("no start of a running process")
	}
	r := running{Nodes: []process{{ID: 0, PID: stranger.Process.Pid, Started: "x" + start}, {ID: 1, PID: stranger.Process.Pid}, {ID: 2, PID: -1, Started: "x"}}}
	if err := r.write(dir); err != nil {
		t.Fatal(err)
	}
	if status, stdout, stderr := inProcess(t.Context(), "testnet", "down", "--dir", dir); status != 0 || stdout != "no node of "+dir+" runs\n" {
		t.Errorf("status %d %s%s", status, stdout, stderr)
	}
	stdin.Close()
	if err := stranger.Wait(); err != nil {
		t.Errorf("the stranger was ended: %v", err)
	}
}

func TestDownWithABrokenRecord(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(runningFile(dir), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	status, _, stderr := inProcess(t.Context(), "testnet", "down", "--dir", dir)
	if want := "hotstuffd: " + dir + "/testnet.json is broken (unexpected end of JSON input): end the nodes by hand, then remove it\n"; status != 2 || stderr != want {
		t.Errorf("status %d %s", status, stderr)
	}
}
