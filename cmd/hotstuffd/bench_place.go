package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	loader "github.com/hotstuffd/hotstuffd/cmd/internal/load"
	"github.com/hotstuffd/hotstuffd/config"
)

// place is what a load is put on: nodes that were started for it, a testnet that runs, or any servers.
type place struct {
	targets []*loader.Target // those that live
	nodes   []benchNode      // of targets; none if they are any servers
	dead    []int            // nodes that were killed before the load
	own     *up              // nil: it was there before
	temp    string           // removed at the end
}

// benchNode is a node that can be asked.
type benchNode struct {
	id     int
	http   string
	target *loader.Target
}

// place finds what the load is put on, or starts it.
func (f *benchFlags) place(c *cobra.Command) (*place, error) {
	switch {
	case len(f.redis) > 0:
		p := &place{}
		for _, address := range f.redis {
			p.targets = append(p.targets, &loader.Target{Name: address, Address: address})
		}
		return p, nil
	case f.dir != "":
		return runningPlace(f.dir)
	}
	return f.ownPlace(c)
}

func (p *place) add(id int, cfg config.Config) {
	if cfg.Clients.Listen == "" {
		return
	}
	t := &loader.Target{Name: fmt.Sprintf("node%d at %s", id, cfg.Clients.Listen), Address: cfg.Clients.Listen}
	p.targets = append(p.targets, t)
	p.nodes = append(p.nodes, benchNode{id: id, http: cfg.HTTP.Listen, target: t})
}

// runningPlace is the nodes of a testnet that are alive.
func runningPlace(dir string) (*place, error) {
	record, err := readRunning(dir)
	if err != nil {
		return nil, err
	}
	p := &place{}
	for _, n := range record.alive() {
		cfg, _, _, err := config.Load(filepath.Join(dir, "node"+strconv.Itoa(n.ID)))
		if err != nil {
			return nil, fmt.Errorf("node%d: %w", n.ID, err)
		}
		p.add(n.ID, cfg)
	}
	if len(p.targets) == 0 {
		return nil, config.Errorf("no node of %s runs, or none listens for clients: start them with \"hotstuffd testnet up --detach --dir %s\"", dir, dir)
	}
	return p, nil
}

// ownPlace starts a testnet, and kills those nodes that are to be dead.
func (f *benchFlags) ownPlace(c *cobra.Command) (p *place, err error) {
	if f.basePort == 0 {
		if f.basePort, err = findPorts(f.nodes); err != nil {
			return nil, err
		}
	}
	p = &place{}
	if p.temp, err = os.MkdirTemp("", "hotstuffd-bench-*"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.end())
			p = nil
		}
	}()
	t := testnetFlags{dir: filepath.Join(p.temp, "testnet"), nodes: f.nodes, basePort: f.basePort}
	if err := t.make(); err != nil {
		return p, err
	}
	homes, err := t.open(c)
	if err != nil {
		return p, err
	}
	u := &up{dir: t.dir, homes: homes, patience: time.Minute, stdout: io.Discard, stderr: c.ErrOrStderr()}
	// The nodes die with this thread, see up.run: it is let go of in end.
	runtime.LockOSThread()
	p.own = u
	if err := u.start(); err != nil {
		p.own = nil // it has ended them
		runtime.UnlockOSThread()
		return p, err
	}
	if _, err := u.awaitFirst(c.Context()); err != nil {
		if c.Context().Err() != nil {
			err = errInterrupted
		}
		return p, err
	}
	for id, h := range homes {
		if id < f.nodes-f.dead {
			p.add(id, h.config)
			continue
		}
		p.dead = append(p.dead, id)
		if err := u.kill(id); err != nil {
			return p, err
		}
	}
	return p, nil
}

// kill kills a node and waits for its end.
func (u *up) kill(id int) error {
	c := u.children[id]
	if err := c.cmd.Process.Kill(); err != nil {
		return fmt.Errorf("node%d: %w", id, err)
	}
	if first := <-u.died; first != c {
		fmt.Fprint(u.stderr, first.epitaph())
		return fmt.Errorf("node%d has ended by itself", first.id)
	}
	return nil
}

// fallen tells how nodes have ended that were not killed on purpose.
func (p *place) fallen(stderr io.Writer) {
	if p.own == nil {
		return
	}
	select {
	case c := <-p.own.died: // those killed before the load have been taken out
		fmt.Fprint(stderr, c.epitaph())
	case <-time.After(grace / 10): // a connection may be seen to end a moment before the process
	}
}

// end ends what was started for the load, and removes it.
func (p *place) end() (err error) {
	if p.own != nil {
		err = p.own.end()
		runtime.UnlockOSThread()
	}
	if p.temp != "" {
		err = errors.Join(err, os.RemoveAll(p.temp))
	}
	return err
}

// metricsMax bounds what a node may say at /metrics, bytes.
const metricsMax = 16 << 20

// metrics returns what each live node shows; nil for one that cannot be asked.
func (p *place) metrics(ctx context.Context) [][]byte {
	shown := make([][]byte, len(p.nodes))
	for i, n := range p.nodes {
		if n.http == "" || n.target.IsGone() {
			continue
		}
		body, err := ask(ctx, n.http, "/metrics", nil)
		if err != nil {
			continue
		}
		if text, err := io.ReadAll(io.LimitReader(body, metricsMax)); err == nil {
			shown[i] = text
		}
		body.Close()
	}
	return shown
}

// stagesBetween tells what happened between two looks at the metrics of the nodes. One that could not be asked both times is
// left out: there is less in the table, and no run in vain.
func stagesBetween(before, after [][]byte) []loader.Stage {
	var then, now loader.Stages
	for i := range min(len(before), len(after)) {
		if before[i] == nil || after[i] == nil {
			continue
		}
		if then.Add(bytes.NewReader(before[i])) != nil || now.Add(bytes.NewReader(after[i])) != nil {
			return nil // no metrics of ours, or of different builds
		}
	}
	return now.Since(&then)
}

// findPorts returns a base port whose ports for n nodes were free a moment ago. They lie below those that the kernel gives
// to clients, one of which could otherwise take the port of a node while that node is down.
func findPorts(n int) (int, error) {
	for base := 10000 + 300*(os.Getpid()%60); base+10*n < 32000; base += 10 * n {
		if portsFree(base, n) {
			return base, nil
		}
	}
	return 0, fmt.Errorf("no free ports for %d nodes below 32000: name some with --base-port", n)
}

// portsFree tells whether nobody listens where n nodes would.
func portsFree(base, n int) bool {
	at := func(node, service int) string {
		return net.JoinHostPort("127.0.0.1", strconv.Itoa(base+10*node+service))
	}
	for i := range n {
		u, err := net.ListenPacket("udp", at(i, 0))
		if err != nil {
			return false
		}
		u.Close()
		for service := 1; service <= 2; service++ {
			l, err := net.Listen("tcp", at(i, service))
			if err != nil {
				return false
			}
			l.Close()
		}
	}
	return true
}
