package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/hotstuffd/hotstuffd/api/server"
)

// answer serves one answer to every request, and tells the requests' URLs.
func answer(t *testing.T, status int, body string) (address string, asked func() string) {
	t.Helper()
	urls := make(chan string, 10)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		urls <- r.URL.String()
		w.WriteHeader(status)
		io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String(), func() string { return <-urls }
}

func TestStatusForPeople(t *testing.T) {
	for more, lines := range map[string][2]string{
		`"checkpoint_height": 4`: {"", "height 4"},
		`"rejoining": true`:      {"rejoining     signs nothing until its nonce is committed\n", "height 0"},
		`"disk_full": true`:      {"disk          full: votes no more and takes no commands until there is room\n", "height 0"},
		`"checkpoint_height": 4, "checkpoint_stalled": true`: {"",
			"height 4, back-pressure: blocks carry no payload until a newer state is certified"},
		`"checkpoint_height": 4, "checkpoint_stalled": true, "checkpoint_differ": [0, 3]`: {"",
			"height 4, states differ: blocks carry no payload; not as here: nodes [0 3]"},
	} {
		address, _ := answer(t, 200, `{"id": 2, "view": 9, "leader": 1, "committed_height": 7, "applied_height": 6, "committed_commands": 40, "last_block": "ab",
			"state_digest": "cd", "peers_connected": 3, "chain": "ef", "nodes": 4, "uptime_seconds": 61.4, "version": "v1", `+more+`}`)
		status, stdout, stderr := inProcess(t.Context(), "status", "--http", address)
		want := `node          2 of 4, hotstuffd v1, up 1m1s
chain         ef
` + lines[0] + `peers         3 of 3 connected
view          9, led by node 1
committed     height 7
applied       height 6, 40 commands
certified     ` + lines[1] + `
last block    ab
state digest  cd
`
		if status != 0 || stdout != want {
			t.Errorf("%s: status %d\n%s%swant\n%s", more, status, stdout, stderr, want)
		}
	}
}

func TestStatusOfANodeThatRejoins(t *testing.T) {
	address, _ := answer(t, 200, `{"id": 2, "nodes": 4, "rejoining": true}`)
	_, stdout, _ := inProcess(t.Context(), "status", "--http", address)
	if want := "\nrejoining     signs nothing until its nonce is committed\n"; !strings.Contains(stdout, want) {
		t.Errorf("no %q in\n%s", want, stdout)
	}
}

func TestAnswersThatAreNone(t *testing.T) {
	for _, test := range []struct {
		code       int
		body, want string
	}{
		{404, "404 page not found\n", "hotstuffd: node at %[1]s answers 404 Not Found: 404 page not found\n"},
		{200, "<html>", "hotstuffd: node at %[1]s: not a status: invalid character '<' looking for beginning of value\n"},
	} {
		address, _ := answer(t, test.code, test.body)
		status, stdout, stderr := inProcess(t.Context(), "status", "--http", address)
		if want := fmt.Sprintf(test.want, address); status != 1 || stdout != "" || stderr != want {
			t.Errorf("status %d %s%s, want %s", status, stdout, stderr, want)
		}
	}
}

func TestLogPrintsALineACommand(t *testing.T) {
	address, asked := answer(t, 200, `{"height":7,"index":0,"origin":2,"command":"SET x 1"}
{"height":7,"index":1,"origin":2,"command":"INCR n"}
{"error":"disk gone"}
`)
	status, stdout, stderr := inProcess(t.Context(), "log", "--http", address, "--from", "7")
	if want := "7 0 n2 SET x 1\n7 1 n2 INCR n\n"; stdout != want {
		t.Errorf("got %q, want %q", stdout, want)
	}
	if want := "hotstuffd: log of the node at " + address + ": disk gone\n"; status != 1 || stderr != want {
		t.Errorf("status %d, %q, want %q", status, stderr, want)
	}
	if url := asked(); url != "/log?from=7" {
		t.Errorf("asked for %s", url)
	}
}

// Following shows each line as it comes, and ends in peace when the user ends it.
func TestLogFollowsUntilTheUserEndsIt(t *testing.T) {
	entries := make(chan server.Entry)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.String() != "/log?follow=1&from=1" {
			t.Errorf("asked for %s", r.URL)
		}
		for {
			select {
			case e := <-entries:
				fmt.Fprintf(w, `{"height":%d,"index":0,"origin":0,"command":%q}`+"\n", e.Height, e.Command)
				http.NewResponseController(w).Flush()
			case <-r.Context().Done():
				return
			}
		}
	}))
	defer s.Close()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"log", "--follow", "--http", s.Listener.Addr().String()}, write, os.Stderr)
		write.Close()
	}()
	for h := uint64(1); h <= 3; h++ {
		entries <- server.Entry{Height: h, Command: "SET x 1"}
		line := make([]byte, len("1 0 n0 SET x 1\n"))
		if _, err := io.ReadFull(read, line); err != nil || string(line) != fmt.Sprintf("%d 0 n0 SET x 1\n", h) {
			t.Errorf("got %q, %v", line, err)
		}
	}
	interrupt()
	if status := <-ended; status != 0 {
		t.Errorf("status %d", status)
	}
}
