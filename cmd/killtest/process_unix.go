//go:build unix && !linux

package main

import "syscall"

// apart sets a node's process apart: the terminal's Ctrl-C does not reach it.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
