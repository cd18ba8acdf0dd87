//go:build unix && !linux

package main

import (
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// startOf returns when a process began, to the second. It is empty if there is no such process, or only the remains of
// one.
func startOf(pid int) string {
	out, err := exec.Command("ps", "-o", "stat=,lstart=", "-p", strconv.Itoa(pid)).Output()
	state, start, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	if err != nil || strings.HasPrefix(state, "Z") {
		return ""
	}
	return strings.TrimSpace(start)
}

// childAttributes sets a node's process apart: a detached one outlives its terminal; another is not reached by the
// terminal's Ctrl-C, which is told to it by its parent.
func childAttributes(detach bool) *syscall.SysProcAttr {
	if detach {
		return &syscall.SysProcAttr{Setsid: true}
	}
	return &syscall.SysProcAttr{Setpgid: true}
}

// startSharing starts the process of a node that shares this machine with others.
func startSharing(c *exec.Cmd) error { return c.Start() }
