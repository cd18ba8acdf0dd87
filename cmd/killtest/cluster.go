package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/hotstuffd/hotstuffd/api/server"
)

// member is one node of the cluster, over all its lives.
type member struct {
	id       int
	home     string
	basePort int
	journal  journal
	ballots  *ballots
	client   atomic.Pointer[goredis.Client] // of its present life

	life   *life // nil: it does not run
	paused bool
}

// life is one process of a node.
type life struct {
	cmd      *exec.Cmd
	expected atomic.Bool   // its end was called for
	ended    chan struct{} // closed when it has
}

// cluster is four nodes, each a process. Its methods belong to one goroutine, on the thread that outlives the nodes.
type cluster struct {
	o       options
	members [nodes]*member
	fallen  chan error // of nodes that end by themselves
	outage  *outage
	retired []*goredis.Client

	states  map[uint64]server.Status // the first that was shown at each height
	struck  [nodes + 1]int           // kills of so many nodes at once
	done    map[action]int           // processes, by what was done to them
	applied uint64                   // the height of the last agreement
}

func newCluster(o options, out *outage) *cluster {
	c := &cluster{o: o, fallen: make(chan error, nodes), outage: out, states: make(map[uint64]server.Status), done: make(map[action]int)}
	for id := range c.members {
		home := filepath.Join(o.dir, "net", "node"+strconv.Itoa(id))
		b := newBallots(id)
		c.members[id] = &member{id: id, home: home, basePort: o.basePort, ballots: b, journal: journal{path: filepath.Join(home, "node.log"), node: id, line: b.line}}
	}
	return c
}

// make makes the homes.
func (c *cluster) make(ctx context.Context) error {
	init := exec.CommandContext(ctx, c.o.daemon, "testnet", "init", "--nodes", strconv.Itoa(nodes), "--dir", filepath.Join(c.o.dir, "net"), "--base-port", strconv.Itoa(c.o.basePort))
	if out, err := init.CombinedOutput(); err != nil {
		return fmt.Errorf("testnet init: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// do does one step of a plan. It returns when it is done: when a killed process is gone, and its log read.
func (c *cluster) do(s step) error {
	if s.action == kill {
		c.struck[len(s.nodes)]++
	}
	c.done[s.action] += len(s.nodes)
	for _, id := range s.nodes { // all at one blow
		if err := c.members[id].begin(c, s.action); err != nil {
			return fmt.Errorf("%v node %d: %w", s.action, id, err)
		}
	}
	c.outage.quorum(c.running() >= quorum, time.Now())
	if s.action != kill && s.action != end {
		return nil
	}
	for _, id := range s.nodes {
		if err := c.members[id].finish(s.action); err != nil {
			return err
		}
	}
	return nil
}

func (c *cluster) running() (count int) {
	for _, m := range c.members {
		if m.life != nil && !m.life.expected.Load() && !m.paused {
			count++
		}
	}
	return count
}

func (m *member) begin(c *cluster, a action) error {
	if a == start {
		return m.start(c)
	}
	signal := map[action]syscall.Signal{kill: syscall.SIGKILL, end: syscall.SIGTERM, pause: syscall.SIGSTOP, resume: syscall.SIGCONT}[a]
	if a == kill || a == end {
		m.life.expected.Store(true)
	}
	m.paused = a == pause
	if err := m.life.cmd.Process.Signal(signal); err != nil {
		return fmt.Errorf("%w: it has ended by itself: %s", err, m.journal.lastWords())
	}
	return nil
}

// endsWithin bounds how long a node that is told to end may take.
const endsWithin = 20 * time.Second

// finish waits for the end of a process that was killed or told to end, and reads its log to the end.
func (m *member) finish(a action) error {
	l := m.life
	select {
	case <-l.ended:
	case <-time.After(endsWithin):
		return fmt.Errorf("node %d has not ended %v after it was told to", m.id, endsWithin)
	}
	m.life = nil
	how := l.cmd.ProcessState.Sys().(syscall.WaitStatus)
	// The signal to end may come before a process has begun to listen to it.
	killed := how.Signaled() && (how.Signal() == syscall.SIGKILL || how.Signal() == syscall.SIGTERM)
	if err := m.journal.close(killed); err != nil {
		return err
	}
	if !killed && (a == kill || !l.cmd.ProcessState.Success()) {
		return fmt.Errorf("node %d ended with %v, which is not what was done to it (%v): %s", m.id, l.cmd.ProcessState, a, m.journal.lastWords())
	}
	return nil
}

func (m *member) start(c *cluster) error {
	log, err := os.OpenFile(m.journal.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close() // the process has its own copy
	l := &life{cmd: exec.Command(c.o.daemon, "start", "--home", m.home), ended: make(chan struct{})}
	l.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOTSTUFFD_LOG_LEVEL=debug", "HOTSTUFFD_LOG_FORMAT=json"}, c.o.env...)
	l.cmd.Stdout, l.cmd.Stderr = log, log
	l.cmd.SysProcAttr = apart()
	if err := l.cmd.Start(); err != nil {
		return err
	}
	m.life = l
	go func() {
		_ = l.cmd.Wait() // how it ended stands in the process state
		close(l.ended)
		if !l.expected.Load() {
			c.fallen <- fmt.Errorf("node %d has ended by itself (%v): %s", m.id, l.cmd.ProcessState, m.journal.lastWords())
		}
	}()
	if old := m.client.Swap(m.connect()); old != nil {
		c.retired = append(c.retired, old)
	}
	return nil
}

// refusalsMax is after how many refused connections a client does not try at once any more.
const refusalsMax = 4096

// connect makes a client of the node's new life: the old one may have seen too many refusals. It does not send a command
// twice, and it heeds its caller's deadline.
func (m *member) connect() *goredis.Client {
	return goredis.NewClient(&goredis.Options{Addr: m.address(1), MaxRetries: -1, DialerRetries: 1, PoolSize: refusalsMax,
		DialTimeout: time.Second, ReadTimeout: patience, ContextTimeoutEnabled: true})
}

// address is where a node listens: 1 for the Redis protocol, 2 for HTTP.
func (m *member) address(service int) string {
	return "127.0.0.1:" + strconv.Itoa(m.basePort+10*m.id+service)
}

// clients returns the nodes' present ones, the node first and then the others in turn.
func (c *cluster) clients(first int) []*goredis.Client {
	all := make([]*goredis.Client, nodes)
	for i := range all {
		all[i] = c.members[(first+i)%nodes].client.Load()
	}
	return all
}

// retire closes the clients of former lives. Nobody may be using them.
func (c *cluster) retire() {
	for _, client := range c.retired {
		_ = client.Close() // its connections have ended long ago
	}
	c.retired = nil
}

// killAll leaves no process behind.
func (c *cluster) killAll() {
	for _, m := range c.members {
		if m.life != nil {
			m.life.expected.Store(true)
			_ = m.life.cmd.Process.Kill() // all that can be wrong is that it has ended
			<-m.life.ended
		}
	}
}

// read reads the logs of nodes that run.
func (c *cluster) read() error {
	for _, m := range c.members {
		if err := m.journal.read(); err != nil {
			return err
		}
	}
	return nil
}

// knockAgain is how long a node is left alone that does not answer yet.
const knockAgain = 50 * time.Millisecond

// agree waits until all nodes show one state at one height. Two states at one height, now or ever before, are an error.
func (c *cluster) agree(ctx context.Context) error {
	for top := uint64(0); ; {
		abreast := 0
		for _, m := range c.members {
			s, err := m.status(ctx, top)
			if err != nil {
				return fmt.Errorf("the nodes do not agree: node %d: %w", m.id, err)
			}
			if s.AppliedHeight > top { // the chain goes on meanwhile
				top, abreast = s.AppliedHeight, 0
			}
			abreast++
			if err := c.compare(s); err != nil {
				return err
			}
		}
		if abreast == nodes {
			c.applied = top
			return nil
		}
	}
}

// compare compares what a node shows with what was shown before at the same height.
func (c *cluster) compare(s server.Status) error {
	first, seen := c.states[s.AppliedHeight]
	if !seen {
		c.states[s.AppliedHeight] = s
		return nil
	}
	if first.StateDigest != s.StateDigest || first.LastBlock != s.LastBlock || first.CommittedCommands != s.CommittedCommands {
		return fmt.Errorf("two states at height %d: node %d showed block %s, %d commands, digest %s; node %d shows %s, %d, %s", s.AppliedHeight,
			first.ID, first.LastBlock, first.CommittedCommands, first.StateDigest, s.ID, s.LastBlock, s.CommittedCommands, s.StateDigest)
	}
	return nil
}

// status returns what the node shows once it has applied a height. One that does not answer yet is asked again.
func (m *member) status(ctx context.Context, height uint64) (s server.Status, err error) {
	again := time.NewTicker(knockAgain)
	defer again.Stop()
	for {
		if s, err = m.ask(ctx, height); err == nil && s.AppliedHeight >= height {
			return s, nil
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			if err == nil {
				err = fmt.Errorf("it stands at height %d and not at %d", s.AppliedHeight, height)
			}
			return s, err
		}
	}
}

func (m *member) ask(ctx context.Context, height uint64) (s server.Status, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+m.address(2)+"/status?height="+strconv.FormatUint(height, 10), nil)
	if err != nil {
		return s, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return s, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return s, fmt.Errorf("status: %s", response.Status)
	}
	return s, json.NewDecoder(response.Body).Decode(&s)
}
