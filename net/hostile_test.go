package hsnet_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"math/big"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	hsnet "github.com/hotstuffd/hotstuffd/net"
	"github.com/hotstuffd/hotstuffd/qc"
)

// rawPeer is a client that speaks the wire format by itself, so that it can also speak it wrongly.
type rawPeer struct {
	t    testing.TB
	conn *quic.Conn
	out  *quic.SendStream
	in   *quic.ReceiveStream
}

// dialRaw connects to a replica with a certificate of the given key.
func dialRaw(t testing.TB, address string, key ed25519.PrivateKey) (*rawPeer, error) {
	template := &x509.Certificate{SerialNumber: big.NewInt(7)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := quic.DialAddr(ctx, address, &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		NextProtos:   []string{"hotstuffd/1"}, InsecureSkipVerify: true,
	}, &quic.Config{MaxIdleTimeout: patience})
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = conn.CloseWithError(0, "") })
	return &rawPeer{t: t, conn: conn}, nil
}

// connectRaw connects with a key of the roster.
func connectRaw(t testing.TB, address string, key ed25519.PrivateKey) *rawPeer {
	t.Helper()
	p, err := dialRaw(t, address, key)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// hello writes the hello of a follower that has taken up no connection yet.
func (p *rawPeer) hello(chain qc.ChainID, from qc.NodeID, boot uint64) *rawPeer {
	return p.helloAt(chain, from, boot, 0, 0)
}

// helloAt writes a hello, field by field as documented.
func (p *rawPeer) helloAt(chain qc.ChainID, from qc.NodeID, boot, session, arbiterBoot uint64) *rawPeer {
	b := append([]byte("HSN\x01"), chain[:]...)
	b = binary.BigEndian.AppendUint16(b, uint16(from))
	b = binary.BigEndian.AppendUint64(b, boot)
	b = binary.BigEndian.AppendUint64(b, session)
	return p.write(binary.BigEndian.AppendUint64(b, arbiterBoot))
}

// write sends bytes on the consensus stream.
func (p *rawPeer) write(b []byte) *rawPeer {
	p.t.Helper()
	if p.out == nil {
		var err error
		if p.out, err = p.conn.OpenUniStream(); err != nil {
			p.t.Fatal(err)
		}
	}
	if _, err := p.out.Write(b); err != nil {
		p.t.Fatal(err)
	}
	return p
}

// welcomed waits for the arbiter's hello.
func (p *rawPeer) welcomed() *rawPeer {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	in, err := p.conn.AcceptUniStream(ctx)
	if err == nil {
		p.in = in
		_, err = io.ReadFull(in, make([]byte, 62))
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return p
}

// refused waits until the replica has closed the connection.
func (p *rawPeer) refused() {
	p.t.Helper()
	await(p.t, p.conn.Context().Done(), "end of the connection")
	err := context.Cause(p.conn.Context())
	if e, ok := errors.AsType[*quic.ApplicationError](err); ok && e.Remote {
		return
	}
	if e, ok := errors.AsType[*quic.TransportError](err); ok && e.Remote {
		return
	}
	p.t.Fatalf("the connection ended with %v, wanted to be refused", err)
}

func wantFault(t *testing.T, r *replica, fault hsnet.Fault, count uint64) {
	t.Helper()
	if got := r.Stats().Faults[fault]; got != count {
		t.Errorf("%d faults of kind %v, wanted %d; all: %v", got, fault, count, r.Stats().Faults)
	}
}

// A key outside the roster is refused in the handshake, and the log says so.
func TestStrangerIsRefused(t *testing.T) {
	c := newCluster(t, 2)
	victim := c.start(1)
	stranger, err := dialRaw(t, c.peers[1].Address, testKey(99))
	if err == nil {
		stranger.refused()
	}
	victim.awaitLog("refused", "not in the roster")
	wantFault(t, victim, hsnet.FaultStranger, 1)
	victim.neverUp()
}

// A replica with another roster learns from its log which side does not know the other.
func TestReplicaOfAnotherRosterIsRefused(t *testing.T) {
	c := newCluster(t, 2)
	impostor := c.config(1)
	impostor.Identity = testKey(99)
	impostor.Peers = []hsnet.Peer{c.peers[0], {Address: c.peers[1].Address, Identity: publicOf(impostor.Identity)}}
	known, other := c.start(0), c.startWith(impostor, muchRoom)
	known.awaitLog("not in the roster")
	other.awaitLog("cannot connect to peer", "n0", "does not know this replica's identity key")
	known.neverUp()
	other.neverUp()
}

// A roster member can be nobody but itself: neither in its hello nor at another's address; nor can it be us.
func TestClaimedIdentityIsRefused(t *testing.T) {
	c := newCluster(t, 4)
	victim := c.start(3)
	connectRaw(t, c.peers[3].Address, c.keys[1]).hello(testChain, 2, 7).refused()
	wantFault(t, victim, hsnet.FaultIdentity, 1)

	if p, err := dialRaw(t, c.peers[3].Address, c.keys[3]); err == nil {
		p.refused()
	}
	wantFault(t, victim, hsnet.FaultIdentity, 2)
	victim.neverUp()

	misplaced := c.config(0) // its roster lists n3's address for n1
	misplaced.Peers = append([]hsnet.Peer(nil), c.peers...)
	misplaced.Peers[1].Address = c.peers[3].Address
	c.startWith(misplaced, muchRoom).awaitLog("cannot connect to peer", "n1", "is answered by n3")
}

// Replicas of two chains do not connect, and both logs name the reason.
func TestWrongChainIsRefused(t *testing.T) {
	c := newCluster(t, 2)
	cfg := c.config(0)
	cfg.Chain = qc.ChainID{9}
	other, victim := c.startWith(cfg, muchRoom), c.start(1)
	victim.awaitLog("belongs to chain 09000000")
	other.awaitLog("belongs to another chain: compare the genesis files")
	if victim.Stats().Faults[hsnet.FaultChain] == 0 {
		t.Error("the fault was not counted")
	}
	victim.neverUp()
	other.neverUp()
}

// A malformed hello, and none at all, end the connection.
func TestBadHelloIsRefused(t *testing.T) {
	c := newCluster(t, 2)
	victim := c.start(1)
	silent := connectRaw(t, c.peers[1].Address, c.keys[0])
	connectRaw(t, c.peers[1].Address, c.keys[0]).write(bytes.Repeat([]byte{'x'}, 100)).refused()
	wantFault(t, victim, hsnet.FaultHello, 1)
	halfway := connectRaw(t, c.peers[1].Address, c.keys[0]).write([]byte("HSN\x01"))
	silent.refused()
	halfway.refused()
	wantFault(t, victim, hsnet.FaultHello, 3)
	victim.neverUp()
}

// A declared length above the limit ends the connection before a byte of it is allocated.
func TestOversizedLengthIsRefusedWithoutAllocation(t *testing.T) {
	c := newCluster(t, 2)
	c.limits[hsnet.Consensus] = hsnet.Limits{FrameBytesMax: 64 << 20, QueueFrames: 8, QueueBytes: 64 << 20}
	victim := c.start(1)
	p := connectRaw(t, c.peers[1].Address, c.keys[0]).hello(testChain, 0, 7).welcomed()
	victim.awaitUp(1)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	p.write(binary.BigEndian.AppendUint32(nil, 64<<20+1)).refused()
	runtime.ReadMemStats(&after)
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 8<<20 {
		t.Errorf("%d bytes were allocated", allocated)
	}
	await(t, victim.down, "PeerDown")
	victim.awaitLog("peer is down", "larger than the limit")
	wantFault(t, victim, hsnet.FaultFrame, 1)
}

// A stream that ends, within a frame or between two, ends the connection: streams live as long as it does.
func TestEndedStreamIsRefused(t *testing.T) {
	c := newCluster(t, 2)
	victim := c.start(1)
	for i, sent := range [][]byte{{0, 0, 0, 9, 1, 2}, {0, 0, 0, 1, 5}, {0, 0}} {
		p := connectRaw(t, c.peers[1].Address, c.keys[0]).hello(testChain, 0, uint64(i)).welcomed()
		victim.awaitUp(1)
		p.write(sent)
		_ = p.out.Close()
		p.refused()
		await(t, victim.down, "PeerDown")
		wantFault(t, victim, hsnet.FaultFrame, uint64(i+1))
	}
}

// The newest authenticated connection of an identity wins, and PeerUp and PeerDown alternate.
func TestNewestConnectionOfAnIdentityWins(t *testing.T) {
	c := newCluster(t, 2)
	victim := c.start(1)
	first := connectRaw(t, c.peers[1].Address, c.keys[0]).hello(testChain, 0, 7).welcomed()
	victim.awaitUp(1)
	second := connectRaw(t, c.peers[1].Address, c.keys[0]).hello(testChain, 0, 8).welcomed()
	await(t, victim.down, "PeerDown")
	victim.awaitUp(1)
	first.refused()
	second.write([]byte{0, 0, 0, 1, 42})
	if got := victim.awaitFrame(hsnet.Consensus); got.from != 0 || !bytes.Equal(got.frame, []byte{42}) {
		t.Fatalf("frame over the second connection: %v", got)
	}
	// A third one, of the same process, from before it had heard of the second: both dialed at once. It does not win.
	connectRaw(t, c.peers[1].Address, c.keys[0]).hello(testChain, 0, 8).refused()
	if up := victim.Connected(); up != 1 || len(victim.down) != 0 {
		t.Fatalf("%d connected, %d down", up, len(victim.down))
	}
}

// A follower uses the connection that the arbiter took up last, in whatever order it hears of them, and starts anew
// with a restarted arbiter.
func TestFollowerFollowsTheArbiter(t *testing.T) {
	c := newCluster(t, 2)
	victim := c.start(0)
	arbiter := func(boot, session uint64) *rawPeer {
		return connectRaw(t, c.peers[0].Address, c.keys[1]).helloAt(testChain, 1, boot, session, boot)
	}
	second := arbiter(7, 2)
	victim.awaitUp(1)
	arbiter(7, 1).refused()
	third := arbiter(7, 3)
	second.refused()
	await(t, victim.down, "PeerDown")
	victim.awaitUp(1)
	restarted := arbiter(8, 1)
	third.refused()
	await(t, victim.down, "PeerDown")
	victim.awaitUp(1)
	_ = restarted.conn.CloseWithError(0, "")
	await(t, victim.down, "PeerDown")
	arbiter(8, 1).refused() // given up before, even if no other is in use
	arbiter(8, 2)
	victim.awaitUp(1)
}

// While a handler is still busy with a frame of a peer's old connection, frames of that class over the new one wait,
// and the peer is up meanwhile: PeerDown and PeerUp do not wait for a blocked handler.
func TestFramesOfTwoConnectionsNeverOverlap(t *testing.T) {
	c := newCluster(t, 2)
	h := &busyHandler{entered: make(chan byte, 8), release: make(chan struct{}), up: make(chan qc.NodeID, 8)}
	n, err := hsnet.Listen(c.config(1), h)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	n.Start()
	send := func(boot uint64, value byte) *rawPeer {
		p := connectRaw(t, c.peers[1].Address, c.keys[0]).hello(testChain, 0, boot).welcomed()
		await(t, h.up, "PeerUp")
		bulk, err := p.conn.OpenUniStream()
		if err == nil {
			_, err = bulk.Write([]byte{0, 0, 0, 1, value})
		}
		if err != nil {
			t.Fatal(err)
		}
		return p.write([]byte{0, 0, 0, 1, 100 + value})
	}
	send(7, 1)
	if a, b := await(t, h.entered, "frame"), await(t, h.entered, "frame"); a+b != 1+101 {
		t.Fatalf("frames %d and %d", a, b)
	}
	second := send(8, 2)
	if got := await(t, h.entered, "frame"); got != 102 {
		t.Fatalf("frame %d came first over the new connection, wanted 102: bulk must wait", got)
	}
	for range 100 { // which gives the bulk frame all the time it needs to come too early
		second.write([]byte{0, 0, 0, 1, 103})
		if got := await(t, h.entered, "frame"); got != 103 {
			t.Fatalf("frame %d came over the new connection, wanted 103: bulk must wait", got)
		}
	}
	close(h.release)
	if got := await(t, h.entered, "frame"); got != 2 {
		t.Fatalf("frame %d came last, wanted 2", got)
	}
	if h.overlapped.Load() {
		t.Error("bulk frames of one peer were handed over by two goroutines at once")
	}
}

// busyHandler stays in its first bulk frame until it is released.
type busyHandler struct {
	entered    chan byte
	release    chan struct{}
	up         chan qc.NodeID
	inside     atomic.Int32
	overlapped atomic.Bool
}

func (h *busyHandler) Frame(_ qc.NodeID, class hsnet.Class, frame []byte) {
	if class != hsnet.Bulk {
		h.entered <- frame[0]
		return
	}
	if h.inside.Add(1) > 1 {
		h.overlapped.Store(true)
	}
	h.entered <- frame[0]
	<-h.release
	h.inside.Add(-1)
}
func (h *busyHandler) PeerUp(id qc.NodeID) { h.up <- id }
func (h *busyHandler) PeerDown(qc.NodeID)  {}

// Two processes under one identity are told so, and do not replace each other as fast as they can.
func TestTwoProcessesOfOneIdentityAreTold(t *testing.T) {
	c := newCluster(t, 2)
	other, original := c.start(1), c.start(0)
	original.awaitUp(1)
	other.awaitUp(1)
	copied := c.config(0)
	copied.Listen = freeAddresses(t, 1)[0]
	c.startWith(copied, muchRoom).awaitUp(1)
	original.awaitLog("peer is down", "two processes share one identity key")
	told := time.Now()
	original.awaitUp(1) // and so on
	if waited := time.Since(told); waited < 500*time.Millisecond {
		t.Errorf("the two replace each other every %v, wanted about once a second", waited)
	}
}

// A peer that keeps its connection alive but reads nothing is disconnected once a write was stuck for the idle timeout.
func TestStuckPeerIsDisconnected(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	victim := c.start(1)
	p := connectRaw(t, c.peers[1].Address, c.keys[0]).hello(testChain, 0, 7).welcomed()
	victim.awaitUp(1)
	for victim.Send(0, hsnet.Bulk, make([]byte, 1<<20)) {
		// until the queue is full
	}
	p.refused()
	await(t, victim.down, "PeerDown")
	victim.awaitLog("peer is down", "took nothing for 5s")
	wantFault(t, victim, hsnet.FaultStalled, 1)
}

// Connections that never say hello are bounded for each source address, and hold their slots for seconds only;
// strangers hold theirs no longer than the handshake.
func TestFloodOfHandshakesIsBounded(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	victim := c.start(1)
	for range 70 { // more than the slots of one address
		if p, err := dialRaw(t, c.peers[1].Address, testKey(99)); err == nil {
			p.refused()
		}
	}
	wantFault(t, victim, hsnet.FaultBusy, 0)
	wantFault(t, victim, hsnet.FaultStranger, 70)
	var group sync.WaitGroup
	for range 100 {
		group.Go(func() {
			if p, err := dialRaw(t, c.peers[1].Address, c.keys[0]); err == nil {
				p.refused() // no hello in time
			}
		})
	}
	group.Wait()
	if victim.Stats().Faults[hsnet.FaultBusy] == 0 {
		t.Errorf("none of 100 handshakes at once was refused: %v", victim.Stats().Faults)
	}
	victim.neverUp()
	c.start(0).awaitUp(1)
	victim.awaitUp(1)
}

// Garbage on the socket does nothing.
func TestGarbageDatagramsAreIgnored(t *testing.T) {
	c := newCluster(t, 2)
	a, b := pair(t, c, muchRoom)
	socket, err := net.Dial("udp", c.peers[1].Address)
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	for size := range 200 {
		garbage := make([]byte, 1+size*7)
		_, _ = rand.Read(garbage)
		_, _ = socket.Write(garbage)
	}
	a.Send(1, hsnet.Consensus, []byte{1})
	b.awaitFrame(hsnet.Consensus)
	if len(a.down)+len(b.down) != 0 {
		t.Error("the connection was lost")
	}
}
