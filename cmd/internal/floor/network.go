package floor

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"net"
	"time"

	hsnet "github.com/hotstuffd/hotstuffd/net"
	"github.com/hotstuffd/hotstuffd/qc"
)

// together is how many frames of a megabyte are sent at once.
const together = 8

// patience is how long loopback may take for anything.
const patience = 10 * time.Second

var errSlow = errors.New("loopback is silent: look whether a firewall drops UDP to 127.0.0.1")

// end is one end of a connection. Its handler counts what comes.
type end struct {
	network *hsnet.Network
	up      chan struct{}
	frames  chan struct{}
}

func (e *end) Frame(qc.NodeID, hsnet.Class, []byte) { e.frames <- struct{}{} }
func (e *end) PeerUp(qc.NodeID)                     { e.up <- struct{}{} }
func (e *end) PeerDown(qc.NodeID)                   {}

// quicMegabyte sends frames from one replica's network to another's.
func quicMegabyte(string) (func() error, int, func() error, error) {
	ends, err := connect()
	done := func() error {
		for _, e := range ends {
			e.network.Close()
		}
		return nil
	}
	if err != nil {
		return nil, 0, nil, errors.Join(err, done())
	}
	frame := make([]byte, megabyte)
	return func() error {
		over := time.After(patience)
		for range together {
			ends[0].network.Send(1, hsnet.Bulk, frame)
		}
		for range together {
			select {
			case <-ends[1].frames:
			case <-over:
				return errSlow
			}
		}
		return nil
	}, together, done, nil
}

// connect starts two networks, and waits until they are connected.
func connect() (ends []*end, err error) {
	var keys []ed25519.PrivateKey
	var peers []hsnet.Peer
	for i := range 2 {
		address, err := freeAddress()
		if err != nil {
			return nil, err
		}
		keys = append(keys, ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(i + 1)}, ed25519.SeedSize)))
		peers = append(peers, hsnet.Peer{Address: address, Identity: keys[i].Public().(ed25519.PublicKey)})
	}
	for i := range peers {
		cfg := hsnet.Config{Self: qc.NodeID(i), Chain: chain, Identity: keys[i], Peers: peers, Listen: peers[i].Address, Logger: slog.New(slog.DiscardHandler)}
		for class := range cfg.Limits {
			cfg.Limits[class] = hsnet.Limits{FrameBytesMax: 4 * megabyte, QueueFrames: 1024, QueueBytes: 32 * megabyte}
		}
		// A peer may come and go some times; what does not fit is of no interest.
		e := &end{up: make(chan struct{}, 1024), frames: make(chan struct{}, 1024)}
		if e.network, err = hsnet.Listen(cfg, e); err != nil {
			return ends, err
		}
		e.network.Start()
		ends = append(ends, e)
	}
	over := time.After(patience)
	for _, e := range ends {
		select {
		case <-e.up:
		case <-over:
			return ends, errSlow
		}
	}
	return ends, nil
}

// freeAddress is a UDP port that nobody used a moment ago.
func freeAddress() (string, error) {
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer socket.Close()
	return socket.LocalAddr().String(), nil
}
