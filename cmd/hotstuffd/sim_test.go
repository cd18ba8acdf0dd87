package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/sim"
)

func TestSimCommandLine(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	table, costs := write("table.csv", "rtt,a,b\na,1,2,3\n"), write("costs.txt", "bls.verify = soon\n")
	for _, test := range []struct{ args, stderr string }{
		{"sim bogus", `"hotstuffd sim" takes no argument "bogus": see "hotstuffd sim --help"`},
		{"sim --nodes 3", `--nodes = 3: want 4 to 128`},
		{"sim --faults 34", `--faults = 34: 100 nodes bear 0 to 33`},
		{"sim --nodes 4 --faults -1", `--faults = -1: 4 nodes bear 0 to 1`},
		{"sim --duration 1s", `--duration = 1s: want 2s to 1h0m0s`},
		{"sim --rate -5", `--rate = -5: want 0 to 1000000 commands a second`},
		{"sim --bytes 7", `--bytes = 7: want 8 to 65536`},
		{"sim --leaders fair", `--leaders = "fair": want round-robin or reputation`},
		{"sim --cores 0", `--cores = 0: want 1 to 1024`},
		{"sim --bandwidth 0", `--bandwidth = 0: want 1 to 1000000 Mbit/s`},
		{"sim --base-timeout 1us", `--base-timeout = 1µs: want 1ms to 10s`},
		{"sim --latency mars", `--latency: open mars: no such file or directory: name aws, lan or a file`},
		{"sim --latency " + table, table + `:2:7: 3 cells after the name, want 2: one for each place, empty for "as in the other direction"`},
		{"sim --latency " + dir, `--latency: read ` + dir + `: is a directory: name aws, lan or a file`},
		{"sim --costs nowhere", `--costs: open nowhere: no such file or directory: name a file with lines such as bls.verify = 0.79ms`},
		{"sim --costs " + costs, costs + `:1: bls.verify = "soon": want a time such as 790us or 1.3ms, at most 10s`},
		{"sim replay", `"hotstuffd sim replay" takes one seed, a number: see "hotstuffd sim replay --help"`},
		{"sim replay 1 2", `"hotstuffd sim replay" takes one seed, a number: see "hotstuffd sim replay --help"`},
		{"sim replay x", `seed "x": want a whole number from 0 to 2^64-1`},
		{"sim replay 1 --lines -1", `--lines = -1: want 0 for all of them, or more`},
		{"sim replay 7 --node 99", `--node = 99: the run of seed 7 has replicas 0 to 3`},
	} {
		status, stdout, stderr := inProcess(t.Context(), strings.Fields(test.args)...)
		if want := "hotstuffd: " + test.stderr + "\n"; status != 2 || stdout != "" || stderr != want {
			t.Errorf("hotstuffd %s: status %d, %q, %s\nwant status 2, %s", test.args, status, stdout, stderr, want)
		}
	}
}

// simSmall is a run that takes no time.
func simSmall(more ...string) []string {
	return append([]string{"sim", "--nodes", "4", "--latency", "lan", "--duration", "2s"}, more...)
}

// The report, the picture and the JSON are the same to the byte for the same flags.
func TestSimIsReproducible(t *testing.T) {
	dir := t.TempDir()
	var reports, pictures, data [2]string
	for i := range 2 {
		svg := filepath.Join(dir, fmt.Sprint(i)+".svg")
		status, stdout, stderr := inProcess(t.Context(), simSmall("--svg", svg, "--seed", "5")...)
		if status != 0 || stderr != "picture: "+svg+"\n" {
			t.Fatalf("status %d, %s", status, stderr)
		}
		picture, err := os.ReadFile(svg)
		if err != nil {
			t.Fatal(err)
		}
		reports[i], pictures[i] = stdout, string(picture)
		status, data[i], stderr = inProcess(t.Context(), simSmall("--svg", "", "--json")...)
		if status != 0 || stderr != "" || !json.Valid([]byte(data[i])) {
			t.Fatalf("status %d, %s: %s", status, stderr, data[i])
		}
	}
	if reports[0] != reports[1] || pictures[0] != pictures[1] || data[0] != data[1] {
		t.Error("two runs with the same flags differ")
	}
	for _, want := range []string{"4 replicas at 1 site, none of them dead (they bear 1); a quorum is 3\n", "\nCOSTS\n", "a command, asked to answered", "WHAT THE MODEL LEAVES OUT\n"} {
		if !strings.Contains(reports[0], want) {
			t.Errorf("the report has no %q:\n%s", want, reports[0])
		}
	}
}

// A picture that cannot be written is the user's to mend, and the report is there all the same.
func TestSimPictureNowhere(t *testing.T) {
	status, stdout, stderr := inProcess(t.Context(), simSmall("--svg", "/nowhere/sim.svg")...)
	want := "hotstuffd: --svg: open /nowhere/sim.svg: no such file or directory: name a file that can be written, or none with --svg \"\"\n"
	if status != 2 || stdout == "" || stderr != want {
		t.Errorf("status %d, %s, want %s", status, stderr, want)
	}
}

// A user's files take the place of what is compiled in.
func TestSimReadsFiles(t *testing.T) {
	dir := t.TempDir()
	table, costs := filepath.Join(dir, "sites.csv"), filepath.Join(dir, "costs.txt")
	for name, text := range map[string]string{table: "one-way, here, there\nhere, 0.2, 20\nthere, , 0.2\n", costs: "bls.verify = 3ms\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	status, stdout, stderr := inProcess(t.Context(), "sim", "--nodes", "4", "--duration", "2s", "--latency", table, "--costs", costs, "--svg", "")
	if status != 0 {
		t.Fatal(stderr)
	}
	for _, want := range []string{"4 replicas at 2 sites", "latency    " + table + "\n", "clients at there (2)", "bls.verify          3ms"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("the report has no %q:\n%s", want, stdout)
		}
	}
}

// A long run ends at once when its user ends it.
func TestSimEndsWhenInterrupted(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	status, stdout, stderr := inProcess(ctx, "sim", "--nodes", "4", "--latency", "lan", "--duration", "10s", "--svg", "")
	if status != 1 || stdout != "" || stderr != "hotstuffd: interrupted\n" {
		t.Errorf("status %d, %q, %q", status, stdout, stderr)
	}
}

func TestReplay(t *testing.T) {
	svg := filepath.Join(t.TempDir(), "replay.svg")
	status, all, stderr := inProcess(t.Context(), "sim", "replay", "7", "--svg", svg)
	if status != 0 || stderr != "picture: "+svg+"\n" {
		t.Fatalf("status %d, %s", status, stderr)
	}
	if _, err := os.Stat(svg); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"seed      7: ", "\nn0        Byzantine: ", "\n0.0000s  n0 starts, life 1, view 1, committed 0\n", "trace hash ", "\nevery rule held\n"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in the run of seed 7", want)
		}
	}
	_, again, _ := inProcess(t.Context(), "sim", "replay", "7")
	if again != all {
		t.Error("the same seed is shown in two ways")
	}
	lines := func(more ...string) []string {
		_, stdout, _ := inProcess(t.Context(), append([]string{"sim", "replay", "7"}, more...)...)
		_, stdout, _ = strings.Cut(stdout, "\n\n")
		stdout, _, _ = strings.Cut(stdout, "\n\n")
		return strings.Split(stdout, "\n")
	}
	events := lines()
	if last := lines("--lines", "5"); len(last) != 5 || strings.Join(last, "\n") != strings.Join(events[len(events)-5:], "\n") {
		t.Errorf("the last five lines are %q", last)
	}
	of := lines("--node", "2")
	for _, l := range of {
		if !strings.Contains(l, "n2") {
			t.Errorf("%q does not tell of n2", l)
		}
	}
	if len(of) == 0 || len(of) >= len(events) {
		t.Errorf("%d of %d lines tell of n2", len(of), len(events))
	}
}

// A run that breaks a rule ends with an error, and says so at its end: here messages take five minutes, and nothing commits in two.
func TestReplayOfFailure(t *testing.T) {
	cfg := sim.Calm(9, 4)
	cfg.Latency, cfg.Duration = sim.Latency{Min: 300 * qc.TicksPerSecond, Max: 300 * qc.TicksPerSecond}, qc.TicksPerSecond
	c := newReplay()
	var out strings.Builder
	c.SetOut(&out)
	f := replayFlags{node: -1, lines: 1}
	err := f.replay(c, cfg)
	if err == nil || !strings.HasPrefix(err.Error(), "seed 9: L") || !strings.Contains(out.String(), "a rule was broken: L") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// Whoever reads a replay may close the pipe at any time.
func TestReplayIntoClosedPipe(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c := daemon(t, "sim", "replay", "7")
	var stderr strings.Builder
	c.Stdout, c.Stderr = write, &stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	write.Close()
	io.ReadFull(read, make([]byte, 100))
	read.Close()
	if err := c.Wait(); err != nil || stderr.Len() > 0 {
		t.Errorf("%v, %s", err, stderr.String())
	}
}
