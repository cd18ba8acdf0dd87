package main

import "syscall"

// apart sets a node's process apart: the terminal's Ctrl-C does not reach it, and it dies with this program, however that
// dies, also while it is stopped.
func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
