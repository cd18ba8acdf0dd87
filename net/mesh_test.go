package hsnet_test

import (
	"encoding/binary"
	"strings"
	"testing"

	"go.uber.org/goleak"

	hsnet "github.com/hotstuffd/hotstuffd/net"
)

// Four replicas that all dial each other at the same moment end up with one connection a pair, none of which is
// replaced; frames of every class and of every size arrive whole and in order, with the sender's proven id.
func TestMeshDeliversEveryClassInOrder(t *testing.T) {
	c := newCluster(t, 4)
	replicas := make([]*replica, 4)
	for i := range replicas {
		replicas[i] = c.start(i)
	}
	for _, r := range replicas {
		r.awaitUp(3)
		if up := r.Connected(); up != 3 {
			t.Fatalf("n%d counts %d connected, wanted 3", r.id, up)
		}
	}
	const count = 28
	for _, r := range replicas {
		for i := range uint32(count) {
			for class := range hsnet.Class(hsnet.Classes) {
				r.Broadcast(class, numberedFrame(i, frameSize(i)))
			}
		}
	}
	for _, r := range replicas {
		for class := range hsnet.Class(hsnet.Classes) {
			var next [4]uint32
			for range 3 * count {
				got := r.awaitFrame(class)
				number := next[got.from]
				next[got.from]++
				if len(got.frame) != frameSize(number) || frameNumber(got.frame) != number {
					t.Fatalf("n%d: frame %d of %v from %v came as number %d with %d bytes", r.id, number, class, got.from,
						frameNumber(got.frame), len(got.frame))
				}
			}
			if next[r.id] != 0 {
				t.Fatalf("n%d received its own broadcast", r.id)
			}
		}
		if s := r.Stats(); s.Sessions != 3 || len(r.down) != 0 {
			t.Fatalf("n%d took up %d connections for 3 peers, and %d went down", r.id, s.Sessions, len(r.down))
		}
	}
	peers := replicas[2].Peers()
	if len(peers) != 3 || peers[2].ID != 3 || !peers[2].Up || peers[2].RTT == 0 || peers[2].Since.IsZero() {
		t.Fatalf("status of n2's peers: %+v", peers)
	}
}

// frameSize mixes frames that are coalesced, that fill a write exactly, and that are written by themselves in chunks.
func frameSize(i uint32) int {
	return []int{4, 100, 5000, 16 << 10, 16<<10 + 1, 64 << 10, 300 << 10}[i%7]
}

func numberedFrame(number uint32, size int) []byte {
	frame := make([]byte, size)
	binary.BigEndian.PutUint32(frame, number)
	binary.BigEndian.PutUint32(frame[size-4:], number)
	return frame
}

// frameNumber returns the number at the frame's end, where damage shows.
func frameNumber(frame []byte) uint32 { return binary.BigEndian.Uint32(frame[len(frame)-4:]) }

// Close ends every goroutine and tells the peers at once; every PeerUp had its PeerDown.
func TestCloseLeavesNothingAndTellsPeers(t *testing.T) {
	before := goleak.IgnoreCurrent()
	c := newCluster(t, 2)
	a, b := c.start(0), c.start(1)
	a.awaitUp(1)
	b.awaitUp(1)
	a.stop()
	if len(a.down) != 1 {
		t.Fatalf("%d PeerDown at the replica that closed, wanted 1", len(a.down))
	}
	await(t, b.down, "PeerDown")
	b.awaitLog("peer is down", "n0", "shutting down")
	if b.Send(0, hsnet.Consensus, []byte{1}) || b.Stats().Dropped[hsnet.Consensus][hsnet.DropDown] != 1 {
		t.Fatal("a frame for a peer that is down was not refused as such")
	}
	b.stop()
	b.Start() // too late: does nothing
	goleak.VerifyNone(t, before)
}

// What cannot be sent is refused without harm.
func TestSendRefusesWhatCannotBeSent(t *testing.T) {
	c := newCluster(t, 2)
	c.limits[hsnet.Sync].FrameBytesMax = 10
	a, b := c.start(0), c.start(1)
	a.awaitUp(1)
	b.awaitUp(1)
	for name, sent := range map[string]bool{
		"to itself":       a.Send(0, hsnet.Consensus, []byte{1}),
		"outside":         a.Send(2, hsnet.Consensus, []byte{1}),
		"of no class":     a.Send(1, hsnet.Classes, []byte{1}),
		"empty frame":     a.Send(1, hsnet.Consensus, nil),
		"oversized frame": a.Send(1, hsnet.Sync, make([]byte, 11)),
	} {
		if sent {
			t.Errorf("%s: queued", name)
		}
	}
	if !a.Send(1, hsnet.Sync, make([]byte, 10)) || len(b.awaitFrame(hsnet.Sync).frame) != 10 {
		t.Error("a frame of exactly the limit did not arrive")
	}
	dropped := a.Stats().Dropped
	if dropped[hsnet.Consensus][hsnet.DropSize] != 1 || dropped[hsnet.Sync][hsnet.DropSize] != 1 {
		t.Errorf("dropped for their size: %v", dropped)
	}
}

// A configuration that cannot work, or a port in use, is one clear line.
func TestListenSaysWhatIsWrong(t *testing.T) {
	c := newCluster(t, 2)
	running := c.start(0)
	for want, change := range map[string]func(*hsnet.Config){
		"cannot listen on " + c.peers[0].Address: func(*hsnet.Config) {},
		"outside the roster":                     func(cfg *hsnet.Config) { cfg.Self = 2 },
		"not the one the genesis roster lists":   func(cfg *hsnet.Config) { cfg.Identity = c.keys[1] },
		"not an Ed25519 private key":             func(cfg *hsnet.Config) { cfg.Identity = cfg.Identity[:32] },
		"not an Ed25519 public key":              func(cfg *hsnet.Config) { cfg.Peers[1].Identity = nil },
		"n0 and n1 have the same identity":       func(cfg *hsnet.Config) { cfg.Peers[1].Identity = cfg.Peers[0].Identity },
		"limits of bulk frames":                  func(cfg *hsnet.Config) { cfg.Limits[hsnet.Bulk].QueueBytes = 1 },
		"listen address":                         func(cfg *hsnet.Config) { cfg.Listen = "nowhere" },
	} {
		cfg := c.config(0)
		cfg.Peers = append([]hsnet.Peer(nil), cfg.Peers...)
		change(&cfg)
		_, err := hsnet.Listen(cfg, running)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("wanted one line with %q, got %v", want, err)
		}
	}
}

// A peer that cannot be reached is reported once, with the reason, and named in the status.
func TestUnreachablePeersAreReported(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	c.peers[2].Address = "127.0.0.1" // no port
	r := c.start(0)
	r.awaitLog("cannot connect to peer", "n2", "missing port")
	r.awaitLog("cannot connect to peer", "n1", "no answer")
	if len(r.logs) != 0 {
		t.Errorf("more was logged: %q", <-r.logs)
	}
	for i, want := range []string{"no answer", "missing port"} {
		if got := r.Peers()[i]; got.Up || !strings.Contains(got.Problem, want) {
			t.Errorf("status %+v, wanted problem %q", got, want)
		}
	}
	if r.Connected() != 0 {
		t.Errorf("%d connected", r.Connected())
	}
}
