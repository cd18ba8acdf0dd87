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

// hello writes a follower's hello, field by field as documented.
func (p *rawPeer) hello(chain qc.ChainID, from qc.NodeID, boot uint64) *rawPeer {
	b := append([]byte("HSN\x01"), chain[:]...)
	b = binary.BigEndian.AppendUint16(b, uint16(from))
	b = binary.BigEndian.AppendUint64(b, boot)
	return p.write(append(b, make([]byte, 16)...))
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
	silent.refused()
	wantFault(t, victim, hsnet.FaultHello, 2)
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

// Connections that never say hello are bounded for each source address, and hold their slots for seconds only.
func TestFloodOfHandshakesIsBounded(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	victim := c.start(1)
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
	began := time.Now()
	a.Send(1, hsnet.Consensus, []byte{1})
	b.awaitFrame(hsnet.Consensus)
	if len(b.down) != 0 {
		t.Errorf("the connection was lost within %v", time.Since(began))
	}
}
