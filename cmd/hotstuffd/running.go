package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/hotstuffd/hotstuffd/config"
)

// running is what testnet.json says: the processes of a testnet.
type running struct {
	Nodes []process `json:"nodes"`
}

// process is one node's process. Started tells it from a later process that was given the same number, which must never
// be signalled.
type process struct {
	ID      int    `json:"id"`
	PID     int    `json:"pid"`
	Started string `json:"started"`
}

func runningFile(dir string) string { return filepath.Join(dir, "testnet.json") }

// readRunning returns the recorded processes, none if there is no record.
func readRunning(dir string) (r running, err error) {
	data, err := os.ReadFile(runningFile(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return running{}, nil
	} else if err != nil {
		return running{}, err
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return running{}, config.Errorf("%s is broken (%w): end the nodes by hand, then remove it", runningFile(dir), err)
	}
	return r, nil
}

// write replaces the record in one step.
func (r running) write(dir string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	fresh := runningFile(dir) + ".new"
	if err := os.WriteFile(fresh, append(data, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(fresh, runningFile(dir))
}

func removeRunning(dir string) error {
	if err := os.Remove(runningFile(dir)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// alive returns the recorded processes that still run.
func (r running) alive() (alive []process) {
	for _, p := range r.Nodes {
		if p.alive() {
			alive = append(alive, p)
		}
	}
	return alive
}

func (p process) alive() bool {
	// No record is ever written with these: 0 and below would address whole groups of processes.
	return p.PID > 0 && p.Started != "" && startOf(p.PID) == p.Started
}

// How long nodes have to end by themselves, and how often it is looked whether strangers' children did.
const (
	grace     = 10 * time.Second
	lookAgain = 20 * time.Millisecond
)

// end ends the recorded processes: it asks them to, and kills what has not ended after the grace. It returns how many
// were alive.
func (r running) end(ctx context.Context) (int, error) {
	all := r.alive()
	if err := signalAll(all, syscall.SIGTERM); err != nil {
		return 0, err
	}
	left, err := waitGone(ctx, all)
	if err != nil || len(left) == 0 {
		return len(all), err
	}
	if err := signalAll(left, syscall.SIGKILL); err != nil {
		return 0, err
	}
	if left, err = waitGone(ctx, left); err == nil && len(left) > 0 {
		err = fmt.Errorf("process %d does not end, not even killed: look at what holds it", left[0].PID)
	}
	return len(all), err
}

func signalAll(all []process, signal syscall.Signal) error {
	for _, p := range all {
		if !p.alive() {
			continue
		}
		if err := syscall.Kill(p.PID, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("node%d, process %d: %w", p.ID, p.PID, err)
		}
	}
	return nil
}

// waitGone waits until none is left, or the grace is over. It has to look: they are not this process's children.
func waitGone(ctx context.Context, all []process) (left []process, err error) {
	over := time.After(grace)
	look := time.NewTicker(lookAgain)
	defer look.Stop()
	for {
		if left = (running{all}).alive(); len(left) == 0 {
			return nil, nil
		}
		select {
		case <-look.C:
		case <-over:
			return left, nil
		case <-ctx.Done():
			return left, errors.New("interrupted while nodes were still ending")
		}
	}
}

// list names processes for people.
func list(all []process) string {
	var names []string
	for _, p := range all {
		names = append(names, fmt.Sprintf("node%d is process %d", p.ID, p.PID))
	}
	return strings.Join(names, ", ")
}
