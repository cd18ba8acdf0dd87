package node_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hotstuffd/hotstuffd/app"
	"github.com/hotstuffd/hotstuffd/app/session"
	"github.com/hotstuffd/hotstuffd/config"
	"github.com/hotstuffd/hotstuffd/node"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/store"
)

// counter is the smallest application whose order of commands shows: it keeps the running hash-like sum of what it was
// told, and answers each command with the sum after it.
type counter struct{ count, sum uint64 }

func (c *counter) Apply(_ app.Moment, command, reply []byte) []byte {
	c.count++
	for _, b := range command {
		c.sum = c.sum*1099511628211 + uint64(b)
	}
	return fmt.Appendf(reply, "%d:%016x", c.count, c.sum)
}

func (c *counter) Query(_, reply []byte) []byte { return fmt.Appendf(reply, "%d", c.count) }

func (c *counter) Digest() (d [32]byte) {
	binary.BigEndian.PutUint64(d[:], c.count)
	binary.BigEndian.PutUint64(d[8:], c.sum)
	return d
}

// Freeze implements app.Snapshotter.
func (c *counter) Freeze() app.Frozen { return &frozenCounter{*c} }

// Restore implements app.Snapshotter.
func (c *counter) Restore(r io.Reader) error {
	var b [17]byte
	if n, err := io.ReadFull(r, b[:]); n != 16 || err != io.ErrUnexpectedEOF {
		return fmt.Errorf("%d bytes of a counter, %v", n, err)
	}
	c.count, c.sum = binary.BigEndian.Uint64(b[:]), binary.BigEndian.Uint64(b[8:])
	return nil
}

type frozenCounter struct{ counter counter }

func (f *frozenCounter) Digest() [32]byte { return f.counter.Digest() }

func (f *frozenCounter) WriteTo(w io.Writer) (int64, error) {
	d := f.counter.Digest()
	n, err := w.Write(d[:16])
	return int64(n), err
}

func (f *frozenCounter) Release() {}

var machineConfig = node.MachineConfig{Nodes: 4, Depth: 2, CheckpointEvery: 2, Sessions: session.Limits{Sessions: 3, Bytes: 1 << 20}}

// miscounter is a counter that miscounts from its tenth command on.
type miscounter struct{ counter }

func (c *miscounter) Apply(at app.Moment, command, reply []byte) []byte {
	reply = c.counter.Apply(at, command, reply)
	if c.count >= 10 {
		c.sum++
	}
	return reply
}

// cluster is replicas in this process over real QUIC on loopback and real stores on disk.
type cluster struct {
	t       testing.TB
	dir     string
	genesis *config.Genesis
	secrets []*config.Secrets
	nodes   []*node.Node
	cancel  []context.CancelFunc
	done    []chan error
	wrong   map[int]bool                   // replicas whose application is not deterministic
	storage func(i int, s *config.Storage) // nil: as it comes
}

func newCluster(t testing.TB, n int) *cluster {
	c := &cluster{t: t, dir: t.TempDir(), genesis: &config.Genesis{Name: "test", Leaders: config.LeadersRoundRobin, Limits: config.DefaultLimits(n)}, wrong: make(map[int]bool),
		nodes: make([]*node.Node, n), cancel: make([]context.CancelFunc, n), done: make([]chan error, n)}
	for i := range n {
		bls, err := qc.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		public, identity, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		key, proof := bls.Public(), bls.ProvePossession()
		c.genesis.Nodes = append(c.genesis.Nodes, config.Member{Address: freeUDP(t), Identity: public, BLS: key.Marshal(), BLSProof: proof[:]})
		c.secrets = append(c.secrets, &config.Secrets{ID: qc.NodeID(i), BLS: bls, Identity: identity})
	}
	c.genesis.Limits.CheckpointInterval = 8
	g, err := config.ParseGenesis(c.genesis.Encode())
	if err != nil {
		t.Fatal(err)
	}
	c.genesis = g
	for i := range n {
		if err := store.Init(filepath.Join(c.home(i), "data"), node.StoreIdentity(g, qc.NodeID(i)), store.Options{}); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		for i := range c.nodes {
			c.stop(i)
		}
	})
	return c
}

// freeUDP returns a loopback address that was free a moment ago.
func freeUDP(t testing.TB) string {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.LocalAddr().String()
}

func (c *cluster) home(i int) string { return filepath.Join(c.dir, fmt.Sprintf("node%d", i)) }

func (c *cluster) application(i int) app.Application {
	if c.wrong[i] {
		return &miscounter{}
	}
	return &counter{}
}

func (c *cluster) start(i int) {
	c.t.Helper()
	cfg := config.Default()
	cfg.Home = c.home(i)
	cfg.Net.Listen = c.genesis.Nodes[i].Address
	if c.storage != nil {
		c.storage(i, &cfg.Storage)
	}
	level := slog.LevelWarn
	if os.Getenv("NODE_TEST_LOG") != "" {
		level = slog.LevelDebug
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})).With("node", i)
	n, err := node.New(node.Options{Config: cfg, Genesis: c.genesis, Secrets: c.secrets[i], Application: c.application(i), Logger: logger})
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	c.nodes[i], c.cancel[i], c.done[i] = n, cancel, done
	go func() { done <- n.Run(ctx) }()
}

func (c *cluster) stop(i int) {
	if c.nodes[i] == nil {
		return
	}
	c.cancel[i]()
	if err := <-c.done[i]; err != nil {
		c.t.Errorf("node %d: %v", i, err)
	}
	c.nodes[i] = nil
}

func (c *cluster) do(i int, command string) string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	reply, err := c.nodes[i].Do(ctx, []byte(command))
	if err != nil {
		c.t.Fatalf("node %d, %q: %v", i, command, err)
	}
	return string(reply)
}

// agree waits until all running nodes have applied what node i has, and compares their states at equal heights.
func (c *cluster) agree() {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var top uint64
	for _, n := range c.nodes {
		if n != nil {
			top = max(top, n.Status().AppliedHeight)
		}
	}
	states := map[uint64]string{}
	commands := map[uint64]uint64{}
	for i, n := range c.nodes {
		if n == nil {
			continue
		}
		if err := n.Await(ctx, top); err != nil {
			c.t.Fatalf("node %d does not reach height %d: %v", i, top, err)
		}
		s := n.Status()
		if d, ok := states[s.AppliedHeight]; ok && (d != s.StateDigest || commands[s.AppliedHeight] != s.CommittedCommands) {
			c.t.Fatalf("states differ at height %d", s.AppliedHeight)
		}
		states[s.AppliedHeight], commands[s.AppliedHeight] = s.StateDigest, s.CommittedCommands
	}
}

// Four replicas commit commands of all four at once; every result is given once, and all states agree.
func TestFourReplicasCommit(t *testing.T) {
	c := newCluster(t, 4)
	for i := range 4 {
		c.start(i)
	}
	var group sync.WaitGroup
	results := make(chan string, 400)
	for i := range 4 {
		group.Go(func() {
			for k := range 100 {
				results <- c.do(i, fmt.Sprintf("n%d-%d", i, k))
			}
		})
	}
	group.Wait()
	close(results)
	seen := map[string]bool{}
	for r := range results {
		if seen[r] {
			t.Fatalf("two commands got the result %s", r)
		}
		seen[r] = true
	}
	if got := c.query(3); got != "400" {
		t.Fatalf("node 3 counts %s commands, want 400", got)
	}
	c.agree()
}

func (c *cluster) query(i int) string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	reply, err := c.nodes[i].Query(ctx, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	return string(reply)
}

// With one replica stopped the other three go on; when it comes back it catches up with what it missed, and agrees.
func TestStoppedReplicaCatchesUp(t *testing.T) {
	c := newCluster(t, 4)
	for i := range 4 {
		c.start(i)
	}
	c.do(0, "before")
	c.stop(2)
	for k := range 50 {
		c.do(k%2, fmt.Sprintf("missed-%d", k))
	}
	c.start(2)
	if got := c.do(2, "after"); got[:3] != "52:" {
		t.Fatalf("the replica that was away gives %q, want the 52nd command's result", got)
	}
	c.agree()
}

// Replicas that all stop and start again have every command that was answered, and go on.
func TestAllRestart(t *testing.T) {
	c := newCluster(t, 4)
	for round := range 3 {
		for i := range 4 {
			c.start(i)
		}
		for k := range 20 {
			c.do(k%4, fmt.Sprintf("round-%d-%d", round, k))
		}
		if got, want := c.query(round), fmt.Sprint(20*(round+1)); got != want {
			t.Fatalf("round %d: %s commands, want %s", round, got, want)
		}
		c.agree()
		for i := range 4 {
			c.stop(i)
		}
	}
}

// A replica that starts when the others are long under way takes part, from an empty store.
func TestLateReplicaJoins(t *testing.T) {
	c := newCluster(t, 4)
	for i := range 3 {
		c.start(i)
	}
	for k := range 60 {
		c.do(k%3, fmt.Sprintf("early-%d", k))
	}
	c.start(3)
	if got := c.query(3); got != "60" {
		t.Fatalf("the late replica counts %s commands, want 60", got)
	}
	c.stop(0) // now the late one is needed for every quorum
	c.do(3, "quorum")
	c.agree()
}
