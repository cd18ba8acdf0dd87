package hsnet_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	hsnet "github.com/hotstuffd/hotstuffd/net"
	"github.com/hotstuffd/hotstuffd/qc"
)

// patience is how long a test waits for what must happen. Nothing is expected to take as long.
const patience = 20 * time.Second

func TestMain(m *testing.M) {
	if os.Getenv(replicaEnv) != "" {
		runReplica()
		return
	}
	goleak.VerifyTestMain(m) // no test leaves a goroutine behind
}

// cluster is a roster of replicas on loopback; the test starts those it wants.
type cluster struct {
	t      testing.TB
	keys   []ed25519.PrivateKey
	peers  []hsnet.Peer
	limits [hsnet.Classes]hsnet.Limits
}

var testChain = qc.ChainID{1, 2, 3}

func newCluster(t testing.TB, n int) *cluster {
	c := &cluster{t: t}
	for i, address := range freeAddresses(t, n) {
		c.keys = append(c.keys, testKey(byte(i)))
		c.peers = append(c.peers, hsnet.Peer{Address: address, Identity: publicOf(c.keys[i])})
	}
	for class := range c.limits {
		c.limits[class] = hsnet.Limits{FrameBytesMax: 4 << 20, QueueFrames: 1024, QueueBytes: 32 << 20}
	}
	return c
}

func testKey(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

func publicOf(key ed25519.PrivateKey) ed25519.PublicKey { return key.Public().(ed25519.PublicKey) }

// freeAddresses finds UDP ports that nobody uses.
func freeAddresses(t testing.TB, n int) []string {
	addresses := make([]string, n)
	for i := range addresses {
		socket, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer socket.Close()
		addresses[i] = socket.LocalAddr().String()
	}
	return addresses
}

func (c *cluster) config(id int) hsnet.Config {
	return hsnet.Config{
		Self: qc.NodeID(id), Chain: testChain, Identity: c.keys[id], Peers: c.peers,
		Listen: c.peers[id].Address, Limits: c.limits, Logger: slog.New(slog.DiscardHandler),
	}
}

// replica is a Network and all that its handler was told.
type replica struct {
	*hsnet.Network
	t      testing.TB
	id     int
	up     chan qc.NodeID // PeerUp
	down   chan qc.NodeID // PeerDown
	frames [hsnet.Classes]chan received
	logs   chan string // warnings and errors
}

type received struct {
	from  qc.NodeID
	frame []byte
}

// room is how many frames of a class a test's replica takes before its handler blocks.
type room [hsnet.Classes]int

var muchRoom = room{1 << 14, 1 << 14, 1 << 14}

func (c *cluster) start(id int) *replica { return c.startWith(c.config(id), muchRoom) }

func (c *cluster) startWith(cfg hsnet.Config, space room) *replica {
	c.t.Helper()
	r := &replica{t: c.t, id: int(cfg.Self), up: make(chan qc.NodeID, 1024), down: make(chan qc.NodeID, 1024), logs: make(chan string, 1024)}
	for class := range r.frames {
		r.frames[class] = make(chan received, space[class])
	}
	cfg.Logger = slog.New(logCapture{r.logs})
	n, err := hsnet.Listen(cfg, r)
	if err != nil {
		c.t.Fatal(err)
	}
	r.Network = n
	c.t.Cleanup(r.stop)
	n.Start()
	return r
}

// stop closes the network; frames that its handler still holds are thrown away so that it can return.
func (r *replica) stop() {
	closed := make(chan struct{})
	go func() { r.Close(); close(closed) }()
	for {
		select {
		case <-r.frames[hsnet.Consensus]:
		case <-r.frames[hsnet.Bulk]:
		case <-r.frames[hsnet.Sync]:
		case <-closed:
			return
		}
	}
}

func (r *replica) Frame(from qc.NodeID, class hsnet.Class, frame []byte) {
	r.frames[class] <- received{from, bytes.Clone(frame)}
}
func (r *replica) PeerUp(id qc.NodeID)   { r.up <- id }
func (r *replica) PeerDown(id qc.NodeID) { r.down <- id }

// await returns the next value of a channel, or ends the test.
func await[T any](t testing.TB, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("no %s within %v", what, patience)
		panic("unreachable")
	}
}

// awaitUp waits until the replica was told of so many peers that they are up.
func (r *replica) awaitUp(count int) {
	r.t.Helper()
	for range count {
		await(r.t, r.up, fmt.Sprintf("PeerUp at n%d", r.id))
	}
}

// awaitLog waits for a warning that contains all of the words.
func (r *replica) awaitLog(words ...string) {
	r.t.Helper()
search:
	for {
		line := await(r.t, r.logs, fmt.Sprintf("warning at n%d with %q", r.id, words))
		for _, w := range words {
			if !strings.Contains(line, w) {
				continue search
			}
		}
		return
	}
}

// awaitFrame returns the next frame of a class.
func (r *replica) awaitFrame(class hsnet.Class) received {
	r.t.Helper()
	return await(r.t, r.frames[class], fmt.Sprintf("%v frame at n%d", class, r.id))
}

// neverUp fails the test if any peer was ever up.
func (r *replica) neverUp() {
	r.t.Helper()
	if s := r.Stats(); s.Sessions != 0 || len(r.up) != 0 {
		r.t.Fatalf("n%d took up %d connections, wanted none", r.id, s.Sessions)
	}
}

// logCapture is a slog handler that passes warnings on as text.
type logCapture struct{ lines chan string }

func (logCapture) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }
func (l logCapture) WithAttrs([]slog.Attr) slog.Handler             { return l }
func (l logCapture) WithGroup(string) slog.Handler                  { return l }
func (l logCapture) Handle(_ context.Context, record slog.Record) error {
	line := record.Message
	record.Attrs(func(a slog.Attr) bool { line += " " + a.String(); return true })
	select {
	case l.lines <- line:
	default: // more lines than any test looks at
	}
	return nil
}
