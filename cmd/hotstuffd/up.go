package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/hotstuffd/hotstuffd/api/server"
)

// up runs a testnet.
type up struct {
	dir      string
	homes    []home
	detach   bool
	patience time.Duration // for the first commit
	stdout   io.Writer
	stderr   io.Writer

	children []*child
	died     chan *child // told of each child that ends
}

// run starts the nodes, waits for the first commit and shows where they listen. Detached, that is all; otherwise it goes
// on until ctx ends, or the last node does, and leaves no process behind.
func (u *up) run(ctx context.Context) error {
	before, err := readRunning(u.dir)
	if err != nil {
		return err
	}
	if alive := before.alive(); len(alive) > 0 {
		return fmt.Errorf("the testnet in %s runs already (%s): end it with \"hotstuffd testnet down --dir %s\"", u.dir, list(alive), u.dir)
	}
	// The kernel kills a child when the thread that started it ends, so that thread must live as long as this does.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := u.start(); err != nil {
		return err
	}
	statuses, err := u.awaitFirst(ctx)
	if err != nil {
		return errors.Join(err, u.end())
	}
	u.show(statuses)
	if u.detach {
		return nil
	}
	return errors.Join(u.watch(ctx), u.end())
}

// start starts all nodes and records their processes; all or none.
func (u *up) start() error {
	u.died = make(chan *child, len(u.homes))
	var record running
	for id, h := range u.homes {
		c, err := startChild(id, h, u.detach)
		if err != nil {
			return errors.Join(fmt.Errorf("node%d: %w", id, err), u.end())
		}
		u.children = append(u.children, c)
		go func() {
			<-c.ended
			u.died <- c
		}()
		record.Nodes = append(record.Nodes, c.process())
	}
	if err := record.write(u.dir); err != nil {
		return errors.Join(err, u.end())
	}
	return nil
}

func (u *up) end() error {
	endAll(u.children)
	return removeRunning(u.dir)
}

// awaitFirst waits until every node has applied a block, and returns the statuses of that moment.
func (u *up) awaitFirst(ctx context.Context) ([]server.Status, error) {
	patient, cancel := context.WithTimeout(ctx, u.patience)
	defer cancel()
	type first struct {
		id     int
		status server.Status
	}
	come := make(chan first, len(u.homes))
	for id, h := range u.homes {
		go func() {
			if s, ok := awaitBlock(patient, h.config.HTTP.Listen); ok {
				come <- first{id, s}
			}
		}()
	}
	statuses := make([]server.Status, len(u.homes))
	progress := newProgress(u.stderr)
	for n := range len(u.homes) {
		progress.show("waiting for the first commit: %d of %d nodes have it", n, len(u.homes))
		select {
		case f := <-come:
			statuses[f.id] = f.status
		case c := <-u.died:
			progress.clear()
			fmt.Fprint(u.stderr, c.epitaph())
			return nil, fmt.Errorf("node%d ended before the first commit", c.id)
		case <-patient.Done():
			progress.clear()
			if ctx.Err() != nil {
				return nil, errors.New("interrupted before the first commit")
			}
			return nil, fmt.Errorf("%d of %d nodes have committed nothing after %s: look into %s", len(u.homes)-n, len(u.homes), u.patience, u.dir+"/node*/node.log")
		}
	}
	progress.clear()
	return statuses, nil
}

// knockAgain is how long a node is left alone that does not listen yet.
const knockAgain = 50 * time.Millisecond

// awaitBlock waits until the node at address has applied a block. The node tells when; only while it does not listen yet
// is it asked again. ok is false when ctx ends first.
func awaitBlock(ctx context.Context, address string) (s server.Status, ok bool) {
	again := time.NewTicker(knockAgain)
	defer again.Stop()
	for {
		if _, s, err := askStatus(ctx, address, "1"); err == nil && s.AppliedHeight >= 1 {
			return s, true
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return s, false
		}
	}
}

// show prints where the nodes listen and what to try.
func (u *up) show(statuses []server.Status) {
	out := tabwriter.NewWriter(u.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "NODE\tREDIS\tHTTP\tVIEW\tHEIGHT")
	for i, s := range statuses {
		c := u.homes[i].config
		fmt.Fprintf(out, "node%d\t%s\t%s\t%d\t%d\n", i, orDash(c.Clients.Listen), c.HTTP.Listen, s.View, s.AppliedHeight)
	}
	out.Flush()
	first, last := u.homes[0].config.Clients.Listen, u.homes[len(u.homes)-1].config.Clients.Listen
	if first != "" && last != "" {
		fmt.Fprintf(u.stdout, "\ntry:   redis-cli %s set x 1 && redis-cli %s get x\n", redisFlags(first), redisFlags(last))
	}
	if u.detach {
		fmt.Fprintf(u.stdout, "end:   hotstuffd testnet down --dir %s\n", u.dir)
	} else {
		fmt.Fprintln(u.stdout, "end:   Ctrl-C")
	}
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// redisFlags returns how redis-cli is told an address; its own default is this machine.
func redisFlags(address string) string {
	host, port, _ := net.SplitHostPort(address)
	if host == "127.0.0.1" || host == "" {
		return "-p " + port
	}
	return "-h " + host + " -p " + port
}

// watch tells of nodes that end, until ctx does or there are none left.
func (u *up) watch(ctx context.Context) error {
	for range u.children {
		select {
		case <-ctx.Done():
			fmt.Fprintln(u.stderr, "ending the nodes")
			return nil
		case c := <-u.died:
			if ctx.Err() != nil {
				return nil
			}
			fmt.Fprint(u.stderr, c.epitaph())
			fmt.Fprintf(u.stderr, "start it again: hotstuffd start --home %s\n", c.home.dir)
		}
	}
	return errors.New("all nodes have ended")
}

// progress is a line that is written over on a terminal, and line after line elsewhere.
type progress struct {
	out      io.Writer
	terminal bool
}

func newProgress(out io.Writer) *progress {
	f, isFile := out.(*os.File)
	if !isFile {
		return &progress{out: out}
	}
	info, err := f.Stat()
	return &progress{out: out, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0}
}

func (p *progress) show(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if p.terminal {
		fmt.Fprintf(p.out, "\r%s", line)
	} else {
		fmt.Fprintln(p.out, line)
	}
}

func (p *progress) clear() {
	if p.terminal {
		fmt.Fprintf(p.out, "\r%s\r", strings.Repeat(" ", 60))
	}
}
