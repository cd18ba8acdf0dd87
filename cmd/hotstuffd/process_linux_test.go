package main

import (
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestNodesOfATestnetHaveSlack starts a process as a node of a testnet is started, and asks it for its timer slack. That of
// the thread that started it stays as it was.
func TestNodesOfATestnetHaveSlack(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	own := func() int {
		ns, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		return ns
	}
	before := own()
	var out strings.Builder
	c := exec.Command("cat", "/proc/self/timerslack_ns")
	c.Stdout = &out
	if err := startSharing(c); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.TrimSpace(out.String()), strconv.Itoa(max(sharedSlack, before)); got != want {
		t.Errorf("the node's timer slack is %s ns, want %s", got, want)
	}
	if after := own(); after != before {
		t.Errorf("the timer slack of this thread has become %d ns, was %d", after, before)
	}
}
