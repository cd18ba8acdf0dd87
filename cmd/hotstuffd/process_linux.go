package main

import (
	"os"
	"strconv"
	"strings"
	"syscall"
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
