package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// child is a node's process, started by this one.
type child struct {
	id     int
	home   home
	cmd    *exec.Cmd
	logged int64         // size of the node's log when the process started
	ended  chan struct{} // closed when the process has ended
	status error         // how it ended; read it after ended
}

// startChild starts the node of a home. Its output goes to node.log in the home.
func startChild(id int, h home, detach bool) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	logFile, err := os.OpenFile(filepath.Join(h.dir, "node.log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer logFile.Close() // the process has its own copy
	info, err := logFile.Stat()
	if err != nil {
		return nil, err
	}
	c := &child{id: id, home: h, logged: info.Size(), ended: make(chan struct{})}
	c.cmd = exec.Command(self, "start", "--home", h.dir)
	c.cmd.Stdout, c.cmd.Stderr = logFile, logFile
	c.cmd.SysProcAttr = childAttributes(detach)
	if err := startSharing(c.cmd); err != nil {
		return nil, err
	}
	go func() {
		c.status = c.cmd.Wait()
		close(c.ended)
	}()
	return c, nil
}

// process returns the record of a child.
func (c *child) process() process {
	pid := c.cmd.Process.Pid
	return process{ID: c.id, PID: pid, Started: startOf(pid)}
}

// lastLinesMax is how much of a dead node's log is shown, from its end.
const lastLinesMax, lastBytesMax = 10, 8 << 10

// epitaph tells how a child that has ended did, with the last lines of its log.
func (c *child) epitaph() string {
	how := "exit status 0"
	if c.status != nil {
		how = c.status.Error()
	}
	path := filepath.Join(c.home.dir, "node.log")
	text := fmt.Sprintf("node%d ended: %s; the end of %s:\n", c.id, how, path)
	for _, line := range lastLines(path, c.logged) {
		text += "    " + line + "\n"
	}
	return text
}

// lastLines returns the last lines of a file that were written after an offset.
func lastLines(path string, after int64) []string {
	f, err := os.Open(path)
	if err != nil {
		return []string{err.Error()}
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil {
		after = max(after, info.Size()-lastBytesMax)
	}
	tail, err := io.ReadAll(io.NewSectionReader(f, after, lastBytesMax))
	if err != nil {
		return []string{err.Error()}
	}
	tail = bytes.TrimRight(tail, "\n")
	if len(tail) == 0 {
		return []string{"(nothing)"}
	}
	lines := strings.Split(string(tail), "\n")
	return lines[max(0, len(lines)-lastLinesMax):]
}

// endAll asks children to end, kills those that have not after the grace, and waits for all.
func endAll(children []*child) {
	for _, c := range children {
		// One that has ended has been waited for, so this cannot reach another process.
		_ = c.cmd.Process.Signal(syscall.SIGTERM)
	}
	over := time.After(grace)
	for _, c := range children {
		select {
		case <-c.ended:
		case <-over:
			for _, c := range children {
				_ = c.cmd.Process.Kill()
			}
			<-c.ended
		}
	}
}
