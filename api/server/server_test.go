package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hotstuffd/hotstuffd/api/server"
)

// replica is a Node whose log the test writes: block h holds the commands blocks[h-1].
type replica struct {
	mu      sync.Mutex
	blocks  [][]string
	grown   chan struct{} // closed when a block comes
	reason  string        // why it is not ready
	failure error         // of Log, at the end of the log
	pruned  uint64        // heights up to it are not kept
	waiting chan string   // told of each wait that begins, and each Log that ends
}

func newReplica(blocks ...[]string) *replica {
	return &replica{blocks: blocks, grown: make(chan struct{}), waiting: make(chan string, 100)}
}

func (r *replica) commit(commands ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.blocks = append(r.blocks, commands)
	close(r.grown)
	r.grown = make(chan struct{})
}

func (r *replica) Status() server.Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := uint64(len(r.blocks))
	return server.Status{ID: 2, View: h + 3, Leader: 1, CommittedHeight: h, AppliedHeight: h, LastBlock: "ab", StateDigest: "cd", PeersConnected: 3, Nodes: 4, Chain: "ef"}
}

func (r *replica) Ready() (bool, string) { return r.reason == "", r.reason }

func (r *replica) Await(ctx context.Context, height uint64) error {
	for {
		r.mu.Lock()
		held, grown := uint64(len(r.blocks)), r.grown
		r.mu.Unlock()
		if held >= height {
			return nil
		}
		r.waiting <- "await"
		select {
		case <-grown:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (r *replica) Log(ctx context.Context, from uint64, follow bool, to server.LogReader) error {
	defer func() { r.waiting <- "log ended" }()
	if from <= r.pruned {
		if err := to.Gap(server.Gap{From: from, To: r.pruned}); err != nil {
			return err
		}
		from = r.pruned + 1
	}
	for h := from; ; h++ {
		r.mu.Lock()
		end := h > uint64(len(r.blocks))
		r.mu.Unlock()
		if end && r.failure != nil {
			return r.failure
		}
		if end && !follow {
			return nil
		}
		if err := r.Await(ctx, h); err != nil {
			return err
		}
		r.mu.Lock()
		var entries []server.Entry
		for i, command := range r.blocks[h-1] {
			entries = append(entries, server.Entry{Height: h, Index: uint32(i), Origin: 2, Command: command})
		}
		r.mu.Unlock()
		if err := to.Entries(entries); err != nil {
			return err
		}
	}
}

// serve starts a server for a replica and returns its base URL. Everything ends with the test.
func serve(t *testing.T, r *replica, collectors ...prometheus.Collector) (*server.Server, string) {
	t.Helper()
	return serveWith(t, server.Options{Node: r, Collectors: collectors})
}

func serveWith(t *testing.T, o server.Options) (*server.Server, string) {
	t.Helper()
	o.Address, o.Version = "127.0.0.1:0", "v1"
	s, err := server.Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return s, "http://" + s.Addr().String()
}

// get returns a whole answer.
func get(t *testing.T, url string) (int, string) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func TestStatusShowsTheReplica(t *testing.T) {
	_, base := serve(t, newReplica([]string{"set a 1"}))
	code, body := get(t, base+"/status")
	var fields map[string]any
	if err := json.Unmarshal([]byte(body), &fields); err != nil || code != http.StatusOK {
		t.Fatalf("%d %s: %v", code, body, err)
	}
	if uptime, ok := fields["uptime_seconds"].(float64); !ok || uptime <= 0 {
		t.Errorf("uptime_seconds = %v, want above 0", fields["uptime_seconds"])
	}
	delete(fields, "uptime_seconds")
	want := "map[applied_height:1 base_timeout_ms:0 catching_up_to:0 chain:ef checkpoint_height:0 checkpoint_stalled:false committed_commands:0 committed_height:1 disk_full:false id:2 last_block:ab leader:1 log_from:0 nodes:4 peers_connected:3 rejoining:false snapshot_bytes:0 snapshot_have:0 snapshot_height:0 state_digest:cd version:v1 view:4]"
	if got := fmt.Sprint(fields); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestStatusWaitsForAHeight(t *testing.T) {
	r := newReplica([]string{"set a 1"})
	_, base := serve(t, r)
	answer := make(chan string, 1)
	go func() {
		_, body := get(t, base+"/status?height=2")
		answer <- body
	}()
	<-r.waiting
	select {
	case body := <-answer:
		t.Fatalf("answered before height 2: %s", body)
	default:
	}
	r.commit()
	if body := <-answer; !strings.Contains(body, `"applied_height": 2`) {
		t.Errorf("got %s, want height 2", body)
	}
}

func TestReadyIsNotAlive(t *testing.T) {
	r := newReplica()
	r.reason = "in touch with 1 of 3 peers"
	_, base := serve(t, r)
	if code, body := get(t, base+"/healthz"); code != 200 || body != "alive\n" {
		t.Errorf("healthz: %d %q", code, body)
	}
	if code, body := get(t, base+"/readyz"); code != 503 || body != "not ready: in touch with 1 of 3 peers\n" {
		t.Errorf("readyz: %d %q", code, body)
	}
	r.reason = ""
	if code, body := get(t, base+"/readyz"); code != 200 || body != "ready\n" {
		t.Errorf("readyz: %d %q", code, body)
	}
}

func TestMetricsShowTheNodesOwn(t *testing.T) {
	views := prometheus.NewCounter(prometheus.CounterOpts{Name: "hotstuffd_views_total", Help: "Views."})
	views.Add(7)
	_, base := serve(t, newReplica(), views)
	code, body := get(t, base+"/metrics")
	for _, want := range []string{"hotstuffd_views_total 7\n", "go_goroutines ", "process_open_fds "} {
		if code != 200 || !strings.Contains(body, want) {
			t.Errorf("%d, no %q in metrics", code, want)
		}
	}
	if _, err := server.Listen(server.Options{Address: "127.0.0.1:0", Node: newReplica(), Collectors: []prometheus.Collector{views, views}}); err == nil {
		t.Error("two collectors of one metric were accepted")
	}
}

// Profiles tell a stranger much and cost time: they are there for those who have asked for them.
func TestProfilesAreThereWhenAskedFor(t *testing.T) {
	_, base := serveWith(t, server.Options{Node: newReplica()})
	if code, _ := get(t, base+"/debug/pprof/heap"); code != 404 {
		t.Errorf("profiles without being asked for: status %d", code)
	}
	_, base = serveWith(t, server.Options{Node: newReplica(), Profiles: true})
	if code, body := get(t, base+"/debug/pprof/goroutine?debug=1"); code != 200 || !strings.Contains(body, "goroutine profile: total ") {
		t.Errorf("%d %q", code, body)
	}
}

func TestLogShowsEveryCommandOldestFirst(t *testing.T) {
	_, base := serve(t, newReplica([]string{"set a <1>", "set b 2"}, nil, []string{"del a"}))
	lines := []string{
		`{"height":1,"index":0,"origin":2,"command":"set a <1>"}` + "\n",
		`{"height":1,"index":1,"origin":2,"command":"set b 2"}` + "\n",
		`{"height":3,"index":0,"origin":2,"command":"del a"}` + "\n",
	}
	for path, want := range map[string][]string{
		"/log":                lines,
		"/log?from=2":         lines[2:],
		"/log?limit=1":        lines[:1],
		"/log?limit=2":        lines[:2],
		"/log?from=4":         nil,
		"/log?follow=0":       lines,
		"/log?limit=3&from=1": lines,
	} {
		if code, body := get(t, base+path); code != 200 || body != strings.Join(want, "") {
			t.Errorf("%s: %d\n%s", path, code, body)
		}
	}
}

// What is not kept is told in its place; it counts as no entry.
func TestLogTellsOfWhatWasPruned(t *testing.T) {
	r := newReplica([]string{"one"}, []string{"two"}, []string{"three"})
	r.pruned = 2
	_, base := serve(t, r)
	const third = `{"height":3,"index":0,"origin":2,"command":"three"}` + "\n"
	for path, want := range map[string]string{
		"/log":         `{"gap_from":1,"gap_to":2}` + "\n" + third,
		"/log?limit=1": `{"gap_from":1,"gap_to":2}` + "\n" + third,
		"/log?from=2":  `{"gap_from":2,"gap_to":2}` + "\n" + third,
		"/log?from=3":  third,
	} {
		if code, body := get(t, base+path); code != 200 || body != want {
			t.Errorf("%s: %d\n%s", path, code, body)
		}
	}
}

func TestFollowSendsEachBlockAtOnceUntilTheClientLeaves(t *testing.T) {
	r := newReplica([]string{"one"})
	_, base := serve(t, r)
	response, err := http.Get(base + "/log?follow=1")
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(response.Body)
	next := func() (e server.Entry) {
		t.Helper()
		if !lines.Scan() {
			t.Fatalf("the log ended: %v", lines.Err())
		}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		return e
	}
	if e := next(); e.Command != "one" {
		t.Errorf("got %+v", e)
	}
	r.commit()
	r.commit("two")
	if e := next(); e.Height != 3 || e.Command != "two" {
		t.Errorf("got %+v", e)
	}
	response.Body.Close()
	for event := range r.waiting {
		if event == "log ended" {
			return
		}
	}
}

func TestCloseEndsFollowersWithTheReason(t *testing.T) {
	r := newReplica()
	s, base := serve(t, r)
	response, err := http.Get(base + "/log?follow=1")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if want := `{"error":"node is stopping"}` + "\n"; err != nil || string(body) != want {
		t.Errorf("got %q, %v, want %q", body, err, want)
	}
}

func TestLogThatFailsSaysSo(t *testing.T) {
	r := newReplica([]string{"one"})
	r.failure = errors.New("disk gone")
	_, base := serve(t, r)
	want := `{"height":1,"index":0,"origin":2,"command":"one"}` + "\n" + `{"error":"disk gone"}` + "\n"
	if _, body := get(t, base+"/log"); body != want {
		t.Errorf("got %q, want %q", body, want)
	}
}

func TestWrongRequests(t *testing.T) {
	_, base := serve(t, newReplica())
	for path, want := range map[string]string{
		"/log?from=-1":         "400 parameter from = \"-1\": want a whole number\n",
		"/log?limit=x":         "400 parameter limit = \"x\": want a whole number\n",
		"/log?follow=maybe":    "400 parameter follow = \"maybe\": want 1 or 0\n",
		"/log?form=1":          "400 unknown parameter \"form\": want [\"from\" \"limit\" \"follow\"]\n",
		"/log?from=1&from=2":   "400 parameter from is given twice\n",
		"/status?height=1.5":   "400 parameter height = \"1.5\": want a whole number\n",
		"/status?from=%zz":     "400 parameters: invalid URL escape \"%zz\"\n",
		"/nothing":             "404 404 page not found\n",
		"/status/../etc":       "404 404 page not found\n",
		"/log?from=1;follow=1": "400 parameters: invalid semicolon separator in query\n",
	} {
		code, body := get(t, base+path)
		if got := fmt.Sprint(code, " ", body); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
	response, err := http.Post(base+"/status", "text/plain", strings.NewReader("x"))
	if err != nil || response.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %v, %v", response.StatusCode, err)
	}
	response.Body.Close()
	// The answer may be lost, since the connection is closed on what was not read.
	response, err = http.Get(base + "/status?" + strings.Repeat("x", 1<<16))
	if err == nil && response.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a request of 64 KiB: %d", response.StatusCode)
	}
}

func TestWaitingRequestsAreBounded(t *testing.T) {
	_, base := serve(t, newReplica())
	const most = 64
	for range most {
		response, err := http.Get(base + "/log?follow=1")
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("follower refused: %v", err)
		}
		defer response.Body.Close()
	}
	if code, body := get(t, base+"/log"); code != http.StatusServiceUnavailable || body != "64 requests wait already, try again later\n" {
		t.Errorf("one more: %d %q", code, body)
	}
	if code, _ := get(t, base+"/healthz"); code != http.StatusOK {
		t.Errorf("healthz while streams are full: %d", code)
	}
}

func TestPortInUse(t *testing.T) {
	s, _ := serve(t, newReplica())
	_, err := server.Listen(server.Options{Address: s.Addr().String(), Node: newReplica()})
	if want := "http server: listen tcp " + s.Addr().String() + ": bind: address already in use"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
