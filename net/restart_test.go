package hsnet_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	hsnet "github.com/hotstuffd/hotstuffd/net"
	"github.com/hotstuffd/hotstuffd/qc"
)

// replicaEnv makes the test binary run one replica as a process of its own, which the test can kill: its value is the
// id, then all addresses, separated by blanks.
const replicaEnv = "HSNET_TEST_REPLICA"

// printer is the handler of such a process: it prints what it is told.
type printer struct{}

func (printer) Frame(from qc.NodeID, class hsnet.Class, frame []byte) {
	fmt.Println("frame", from, class, len(frame))
}
func (printer) PeerUp(id qc.NodeID)   { fmt.Println("up", id) }
func (printer) PeerDown(id qc.NodeID) { fmt.Println("down", id) }

// runReplica serves until its standard input ends, or it is killed.
func runReplica() {
	words := strings.Fields(os.Getenv(replicaEnv))
	id, _ := strconv.Atoi(words[0])
	cfg := hsnet.Config{Self: qc.NodeID(id), Chain: testChain, Identity: testKey(byte(id)), Listen: words[1+id], Logger: slog.New(slog.DiscardHandler)}
	for i, address := range words[1:] {
		cfg.Peers = append(cfg.Peers, hsnet.Peer{Address: address, Identity: publicOf(testKey(byte(i)))})
	}
	for class := range cfg.Limits {
		cfg.Limits[class] = hsnet.Limits{FrameBytesMax: 4 << 20, QueueFrames: 1024, QueueBytes: 32 << 20}
	}
	n, err := hsnet.Listen(cfg, printer{})
	if err != nil {
		fmt.Println("error", err)
		return
	}
	n.Start()
	fmt.Println("started")
	_ = bufio.NewScanner(os.Stdin).Scan()
	n.Close()
}

// process is a replica in a process of its own.
type process struct {
	cmd   *exec.Cmd
	lines chan string
}

func (c *cluster) spawn(id int) *process {
	c.t.Helper()
	words := []string{strconv.Itoa(id)}
	for _, p := range c.peers {
		words = append(words, p.Address)
	}
	p := &process{cmd: exec.Command(os.Args[0]), lines: make(chan string, 1024)}
	p.cmd.Env = append(os.Environ(), replicaEnv+"="+strings.Join(words, " "))
	if _, err := p.cmd.StdinPipe(); err != nil {
		c.t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	go func() {
		defer close(p.lines)
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			p.lines <- scanner.Text()
		}
	}()
	c.t.Cleanup(p.kill)
	return p
}

// kill ends the process without a chance to say goodbye.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	for range p.lines { // until its output is at its end
	}
	_ = p.cmd.Wait()
}

// awaitLines waits until the process has printed all of the lines, in any order.
func (p *process) awaitLines(t testing.TB, want ...string) {
	t.Helper()
	for len(want) > 0 {
		line := await(t, p.lines, fmt.Sprintf("line of %q", want))
		want = slices.DeleteFunc(want, func(w string) bool { return w == line })
	}
}

// A killed process is known to be down long before the idle timeout, at once if frames are sent to it, and a restarted
// one is connected again within a second on both sides: as the pair's follower (n0 below its peers) and as its arbiter
// (n3 above them).
func TestKilledReplicaIsDownSoonAndBackAtOnce(t *testing.T) {
	for _, victim := range []int{0, 3} {
		for _, chatter := range []bool{false, true} {
			t.Run(fmt.Sprintf("n%d/chatter=%v", victim, chatter), func(t *testing.T) {
				c := newCluster(t, 4)
				var others []*replica
				process := c.spawn(victim)
				for id := range c.peers {
					if id != victim {
						others = append(others, c.start(id))
					}
				}
				for _, r := range others {
					r.awaitUp(3)
				}
				downWithin := 4 * time.Second
				if chatter {
					downWithin = time.Second
					defer broadcastNowAndThen(others)()
				}
				killed := time.Now()
				process.kill()
				for _, r := range others {
					await(t, r.down, "PeerDown")
				}
				down := time.Since(killed)

				process = c.spawn(victim)
				restarted := time.Now()
				var lines []string
				for _, r := range others {
					r.awaitUp(1)
					lines = append(lines, fmt.Sprintf("up n%d", r.id))
				}
				process.awaitLines(t, lines...)
				up := time.Since(restarted)
				t.Logf("down after %v, up again after %v", down, up)
				if down > downWithin || up > time.Second {
					t.Errorf("down after %v, wanted under %v; up again after %v, wanted under 1s", down, downWithin, up)
				}
			})
		}
	}
}

// broadcastNowAndThen sends a frame every few milliseconds, as views do.
func broadcastNowAndThen(replicas []*replica) (stop func()) {
	ticker, done, ended := time.NewTicker(10*time.Millisecond), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-ticker.C:
				for _, r := range replicas {
					r.Broadcast(hsnet.Consensus, make([]byte, 200))
				}
			case <-done:
				return
			}
		}
	}()
	return func() { ticker.Stop(); close(done); <-ended }
}

// A process that is restarted before anybody noticed its death replaces its old connections at once.
func TestRestartBeforeItsDeathIsNoticed(t *testing.T) {
	for _, victim := range []int{0, 3} {
		t.Run(fmt.Sprintf("n%d", victim), func(t *testing.T) {
			c := newCluster(t, 4)
			process := c.spawn(victim)
			peer := c.start(1)
			peer.awaitUp(1)
			process.kill()
			process = c.spawn(victim)
			restarted := time.Now()
			await(t, peer.down, "PeerDown")
			peer.awaitUp(1)
			process.awaitLines(t, "up n1")
			took := time.Since(restarted)
			t.Logf("connected again after %v", took)
			if took > time.Second {
				t.Errorf("connected again after %v, wanted under 1s", took)
			}
			if !peer.Send(qc.NodeID(victim), hsnet.Consensus, make([]byte, 77)) {
				t.Error("a frame to the restarted replica was refused")
			}
			process.awaitLines(t, "frame n1 consensus 77")
		})
	}
}

// A restarted process disowns the connections of its former life with a stateless reset, so their other ends need not
// wait for the idle timeout.
func TestRestartedReplicaResetsOldConnections(t *testing.T) {
	c := newCluster(t, 2)
	process := c.spawn(1)
	process.awaitLines(t, "started")
	p := connectRaw(t, c.peers[1].Address, c.keys[0]).hello(testChain, 0, 7).welcomed()
	process.kill()
	c.spawn(1).awaitLines(t, "started")
	p.write(make([]byte, 1000))
	await(t, p.conn.Context().Done(), "end of the connection")
	if _, ok := errors.AsType[*quic.StatelessResetError](context.Cause(p.conn.Context())); !ok {
		t.Errorf("the connection ended with %v, wanted a stateless reset", context.Cause(p.conn.Context()))
	}
}
