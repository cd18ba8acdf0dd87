package main

import (
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// startOf returns when a process began, in words that differ between any two processes with the same number: the boot, and
// the kernel's clock ticks since. It is empty if there is no such process, or only the remains of one.
func startOf(pid int) string {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return ""
	}
	// The second field is the command in parentheses, which may itself hold blanks and parentheses.
	_, rest, _ := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')')+1:]), " ")
	fields := strings.Fields(rest) // from the third on
	if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return ""
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(boot)) + "/" + fields[19]
}

// childAttributes sets a node's process apart: a detached one outlives its terminal; another is not reached by the
// terminal's Ctrl-C, which is told to it by its parent, and dies with its parent, however that dies.
func childAttributes(detach bool) *syscall.SysProcAttr {
	if detach {
		return &syscall.SysProcAttr{Setsid: true}
	}
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// sharedSlack is the timer slack of nodes that share one machine's cores, nanoseconds.
const sharedSlack = 2_000_000

// startSharing starts the process of a node that shares this machine with others. The monitor of a Go process sleeps for
// 20 µs at a time while there are system calls to look after, and the slack of its timers comes on top: 50 µs, unless more is
// asked for. Four replicas so are woken 50,000 times a second, which takes a quarter of what two cores can do
// (docs/performance.md). A child has the slack of the thread that starts it. All timers of a node may be late by that: little
// beside a base timeout, and for want of a core they would be late without it.
func startSharing(c *exec.Cmd) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	own, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	if err != nil || own >= sharedSlack {
		return c.Start()
	}
	// Where this is forbidden a node is slower, and no less right.
	if unix.Prctl(unix.PR_SET_TIMERSLACK, sharedSlack, 0, 0, 0) == nil {
		defer unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(own), 0, 0, 0) // allowed before, so allowed again
	}
	return c.Start()
}
