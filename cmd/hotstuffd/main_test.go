package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9/logging"
)

// actAsDaemon in the environment makes the test binary the daemon, so that the tests run real processes, and these can
// start further ones.
const actAsDaemon = "TEST_ACT_AS_DAEMON"

func TestMain(m *testing.M) {
	if os.Getenv(actAsDaemon) != "" {
		main()
	}
	logging.Disable() // the Redis client would tell of every node that a test has killed
	os.Exit(m.Run())
}

// patience is for what takes far less on an idle machine.
const patience = time.Minute

// daemon returns a command line, ready to start. Whatever should end and does not fails its test when patience ends.
func daemon(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return daemonUntil(ctx, t, args...)
}

// daemonUntil returns a command line whose process is killed when ctx ends.
func daemonUntil(ctx context.Context, t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(ctx, self, args...)
	// A process under the race detector would otherwise sleep for a second before it ends.
	c.Env = []string{actAsDaemon + "=1", "PATH=" + os.Getenv("PATH"), "GORACE=atexit_sleep_ms=0"}
	return c
}

// finish runs a command to its end.
func finish(t *testing.T, c *exec.Cmd) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	var exit *exec.ExitError
	if err := c.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return c.ProcessState.ExitCode(), out.String(), errs.String()
}

// inProcess runs a command line in this process.
func inProcess(ctx context.Context, args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = run(ctx, args, &out, &errs)
	return status, out.String(), errs.String()
}

// newTestnet makes a testnet of n nodes on free ports.
func newTestnet(t *testing.T, n int) (dir string, basePort int) {
	t.Helper()
	dir, basePort = filepath.Join(t.TempDir(), "net"), freePorts(t, n)
	status, _, stderr := finish(t, daemon(t, "testnet", "init", "--dir", dir, "--nodes", strconv.Itoa(n), "--base-port", strconv.Itoa(basePort)))
	if status != 0 {
		t.Fatal(stderr)
	}
	return dir, basePort
}

// freePorts returns a base port whose ports for n nodes were free a moment ago.
func freePorts(t *testing.T, n int) int {
	t.Helper()
	base, err := findPorts(n)
	if err != nil {
		t.Fatal(err)
	}
	return base
}

func address(base, node, service int) string {
	return "127.0.0.1:" + strconv.Itoa(base+10*node+service)
}

func TestCommandLine(t *testing.T) {
	for _, test := range []struct {
		args   string
		status int
		stderr string
	}{
		{"bogus", 2, `unknown command "bogus" for "hotstuffd": see "hotstuffd --help"`},
		{"statuss", 2, `unknown command "statuss" for "hotstuffd": did you mean status?`},
		{"testnet upp", 2, `unknown command "upp" for "hotstuffd testnet": did you mean up?`},
		{"status --htp x", 2, `unknown flag: --htp: see "hotstuffd status --help"`},
		{"testnet init --nodes many", 2, `invalid argument "many" for "--nodes" flag: strconv.ParseInt: parsing "many": invalid syntax: see "hotstuffd testnet init --help"`},
		{"testnet init --nodes 0", 2, `--nodes = 0: want 1 to 1024`},
		{"testnet up --wait 0s", 2, `--wait = 0s: want a positive duration, such as 1m`},
		{"testnet down --dir /nowhere", 2, `there is no testnet in /nowhere: name the directory with --dir`},
		{"start", 2, `no home: name the node's directory, such as --home testnet/node0`},
		{"start node0", 2, `"hotstuffd start" takes no argument "node0": see "hotstuffd start --help"`},
		{"start --home /nowhere", 2, `home /nowhere does not exist: make one with "hotstuffd testnet init"`},
		{"status --http 127.0.0.1:1", 1, `cannot reach a node: Get "http://127.0.0.1:1/status": dial tcp 127.0.0.1:1: connect: connection refused: does it run, and is this its http.listen?`},
		{"version", 0, ""},
		{"", 0, ""},
		{"testnet", 0, ""},
		{"completion bash", 0, ""},
	} {
		status, stdout, stderr := inProcess(t.Context(), strings.Fields(test.args)...)
		want := ""
		if test.status != 0 {
			want = "hotstuffd: " + test.stderr + "\n"
		}
		if status != test.status || stderr != want || (stdout == "") != (status != 0) {
			t.Errorf("hotstuffd %s: status %d, stdout %.40q, stderr\n%swant status %d\n%s", test.args, status, stdout, stderr, test.status, want)
		}
	}
}
