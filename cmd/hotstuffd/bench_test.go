package main

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	loader "github.com/hotstuffd/hotstuffd/cmd/internal/load"
)

// bench runs a benchmark in a process of its own, and returns its report. Its nodes' directory is gone afterwards.
func bench(t *testing.T, args ...string) *benchReport {
	t.Helper()
	temp := t.TempDir()
	c := daemon(t, append([]string{"bench", "--json", "-"}, args...)...)
	c.Env = append(c.Env, "TMPDIR="+temp)
	status, stdout, stderr := finish(t, c)
	if status != 0 {
		t.Fatalf("status %d\n%s%s", status, stdout, stderr)
	}
	var r benchReport
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatalf("%v\n%s", err, stdout)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	return &r
}

// From nothing to figures, and back to nothing.
func TestBenchOnNodesOfItsOwn(t *testing.T) {
	r := bench(t, "--nodes", "4", "--duration", "1s", "--warmup", "0s")
	if r.Nodes != 4 || len(r.Dead) != 0 || len(r.Runs) != 1 || r.Cores < 1 {
		t.Fatalf("%+v", r)
	}
	run := r.Runs[0]
	if run.Commands == 0 || run.PerSecond <= 0 || run.Errors != 0 || run.Unanswered != 0 || run.Latency.P50 <= 0 || run.Latency.Max < run.Latency.P99 || run.LongestGap <= 0 {
		t.Errorf("%+v", run)
	}
}

// A dead node from the start, and the leader's end in the middle, of seven nodes that bear both.
func TestBenchKillsNodes(t *testing.T) {
	r := bench(t, "--nodes", "7", "--dead", "1", "--kill-leader", "--rate", "200", "--duration", "2s", "--warmup", "0s")
	run := r.Runs[0]
	if r.Nodes != 7 || len(r.Dead) != 1 || r.Dead[0] != 6 || run.Commands+run.Errors+run.Unanswered != 400 {
		t.Errorf("%+v %+v", r, run)
	}
	if o := r.Outage; o == nil || o.BaseTimeout < 100 || o.Commits <= 0 || o.Replies <= 0 {
		t.Errorf("%+v", o)
	}
}

// On a testnet that runs: a table, and a picture of a sweep.
func TestBenchOnARunningTestnet(t *testing.T) {
	c := startedCluster(t, 1)
	// What a testnet that was brought up has on record.
	if err := (running{Nodes: []process{c.nodes[0].process()}}).write(c.dir); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	svg, report := filepath.Join(dir, "curve.svg"), filepath.Join(dir, "report.json")
	status, stdout, stderr := inProcess(t.Context(), "bench", "--dir", c.dir, "--sweep", "rate=100,200", "--duration", "200ms", "--warmup", "0s", "--svg", svg, "--json", report)
	if status != 0 || stderr != "picture: "+svg+"\n" {
		t.Fatalf("status %d %s", status, stderr)
	}
	lines := strings.Split(stdout, "\n")
	for i, want := range []string{`^1 node; SETs of 128 bytes on 100000 keys, open loop$`, `^$`, `^LOAD +COMMANDS +RATE +P50 ms`, `^100/s +20 +\d+/s +[\d.]+ `, `^200/s +40 +\d+/s +[\d.]+ `} {
		if !regexp.MustCompile(want).MatchString(lines[i]) {
			t.Errorf("got %q, want %s", lines[i], want)
		}
	}
	for name, want := range map[string]string{svg: ">200/s</text>", report: `"rate": 200,`} {
		if text, err := os.ReadFile(name); err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: %v, no %s in\n%s", name, err, want, text)
		}
	}
	status, stdout, stderr = inProcess(t.Context(), "bench", "--redis", address(c.basePort, 0, 1), "--duration", "100ms", "--warmup", "0s", "--clients", "2", "--pipeline", "4")
	if status != 0 || !strings.Contains(stdout, "\n2 x 4 ") || strings.Contains(stdout, "STAGE") || stderr != "" {
		t.Errorf("status %d %s%s", status, stdout, stderr)
	}
}

// A node that ends by itself ends the run.
func TestBenchTellsOfALostServer(t *testing.T) {
	c := startedCluster(t, 1)
	at := address(c.basePort, 0, 1)
	lost := make(chan string)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	go func() {
		status, _, stderr := inProcess(ctx, "bench", "--redis", at, "--duration", "1m")
		if status != 1 {
			stderr = "no status 1: " + stderr
		}
		lost <- stderr
	}()
	for s := c.status(ctx, 0, 1); s.CommittedCommands == 0; {
		s = c.status(ctx, 0, s.AppliedHeight+1)
	}
	c.kill(0)
	if got, want := <-lost, "hotstuffd: "+at+": the connection is lost: "; !strings.HasPrefix(got, want) || strings.Count(got, "\n") != 1 {
		t.Errorf("got %s, want %s", got, want)
	}
	status, _, stderr := inProcess(t.Context(), "bench", "--redis", at)
	if want := "hotstuffd: " + at + ": cannot connect: "; status != 1 || !strings.HasPrefix(stderr, want) {
		t.Errorf("status %d %s", status, stderr)
	}
}

func TestBenchRefusesWhatCannotBe(t *testing.T) {
	for flags, want := range map[string]string{
		"--redis a:1 --dir b":          "--redis, --dir and --nodes are three places for the load: choose one",
		"--redis a:1 --nodes 4":        "--redis, --dir and --nodes are three places for the load: choose one",
		"--dir b --dead 1":             "--dead, --kill-leader and --base-port are for a testnet of its own: leave out --redis and --dir",
		"--redis a:1,":                 "--redis: an address is empty: want host:port,host:port,...",
		"--nodes 0":                    "--nodes = 0: want 1 to 64 on one machine",
		"--dead 2":                     "--dead = 2: of 4 nodes at most 1 may fail",
		"--dead 1 --kill-leader":       "--kill-leader and --dead 1: of 4 nodes at most 1 may fail",
		"--rate 5 --pipeline 2":        "--pipeline is of the closed loop: in open loop commands are sent when they are due, so leave it out",
		"--svg x.svg":                  "--svg draws a sweep: name its points with --sweep rate=N,N,... or --sweep clients=N,N,...",
		"--kill-leader --sweep rate=5": "--kill-leader is for one run: leave out --sweep",
		"--sweep 5,6":                  `--sweep "5,6": want rate=N,N,... (open loop) or clients=N,N,... (closed loop), without --rate`,
		"--sweep rate=5,x":             `--sweep "rate=5,x": "x" is no number above 0: want such as rate=1000,2000,4000`,
		"--sweep clients=5,9999":       "--clients = 9999: want 1 to 4096",
		"--dir /nowhere":               `no node of /nowhere runs, or none listens for clients: start them with "hotstuffd testnet up --detach --dir /nowhere"`,
		"--json /nowhere/x":            "--json: open /nowhere/x: no such file or directory: name a file that can be written",
		"--duration 0s":                "--duration = 0s: want 1ms to 24h",
	} {
		status, stdout, stderr := inProcess(t.Context(), append([]string{"bench"}, strings.Fields(flags)...)...)
		if status != 2 || stdout != "" || stderr != "hotstuffd: "+want+"\n" {
			t.Errorf("bench %s: status %d %s%swant %s", flags, status, stdout, stderr, want)
		}
	}
}

func TestPrimitives(t *testing.T) {
	status, stdout, stderr := inProcess(t.Context(), "bench", "primitives", "--json", "--dir", t.TempDir())
	var figures map[string]float64
	if err := json.Unmarshal([]byte(stdout), &figures); err != nil || status != 0 {
		t.Fatalf("status %d, %v: %s%s", status, err, stdout, stderr)
	}
	status, stdout, stderr = inProcess(t.Context(), "bench", "primitives", "--dir", "/nowhere")
	if want := "hotstuffd: --dir: stat /nowhere: no such file or directory: "; status != 2 || stdout != "" || !strings.HasPrefix(stderr, want) {
		t.Errorf("status %d %s, want %s", status, stderr, want)
	}
	for _, name := range strings.Fields("pairing_check_us sign_us sum_us ed25519_sign_us ed25519_verify_us sha256_us_per_mb fsync_us fdatasync_us quic_us_per_mb store_append_us") {
		if figures[name] <= 0 {
			t.Errorf("%s = %v", name, figures[name])
		}
	}
}

// Ctrl-C leaves neither nodes nor files behind.
func TestInterruptedBench(t *testing.T) {
	temp := t.TempDir()
	c := daemon(t, "bench", "--duration", "1m")
	c.Env = append(c.Env, "TMPDIR="+temp)
	stderr, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stderr)
	var all []process
	last := ""
	for lines.Scan() {
		if last = lines.Text(); strings.HasSuffix(last, "3 of 4 nodes have it") {
			dirs, err := filepath.Glob(filepath.Join(temp, "*", "testnet"))
			if err != nil || len(dirs) != 1 {
				t.Fatal(dirs, err)
			}
			all = recorded(t, dirs[0], 4)
			if err := c.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = c.Wait() // with a status, which is looked at
	if status := c.ProcessState.ExitCode(); status != 1 || last != "hotstuffd: interrupted" {
		t.Errorf("status %d: %s", status, last)
	}
	wantGone(t, all)
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestLiveLineIsForTerminals(t *testing.T) {
	second := loader.Second{Elapsed: 3 * time.Second, PerSecond: 1234.5, P50: 2 * time.Millisecond, P99: 30 * time.Millisecond, Errors: 7, Warmup: true}
	for terminal, want := range map[bool]string{true: "\r\x1b[K2 x 8:   3 s  1234/s  p50 2.00 ms  p99 30.00 ms  7 errors  (warm-up)\r\x1b[K", false: ""} {
		var out strings.Builder
		line := liveLine{&screen{out: &out, terminal: terminal}, "2 x 8"}
		line.show(second)
		line.clear()
		if out.String() != want {
			t.Errorf("terminal %v: %q, want %q", terminal, out.String(), want)
		}
	}
}
