package hsnet

import (
	"sync/atomic"
	"time"

	"github.com/hotstuffd/hotstuffd/qc"
)

// DropReason says why an outgoing frame was not sent.
type DropReason uint8

const (
	DropDown      DropReason = iota // the peer is not connected
	DropFull                        // the queue was full: this frame was refused (bulk, sync)
	DropDisplaced                   // the queue was full: this frame, the oldest, made room for a newer one (consensus)
	DropLost                        // still queued when the connection ended
	DropSize                        // empty, or larger than its class allows
)

// DropReasons is the number of reasons.
const DropReasons = 5

// String gives the name that metrics use.
func (r DropReason) String() string {
	return [DropReasons]string{"down", "full", "displaced", "lost", "size"}[r]
}

// Fault says why this replica refused or ended a connection through the other side's fault.
type Fault uint8

const (
	FaultStranger Fault = iota // its certificate carries no key of the roster
	FaultIdentity              // a roster member in another's place, or a copy of this replica
	FaultChain                 // a replica of another chain
	FaultHello                 // no hello in time, or a malformed one
	FaultFrame                 // an oversized or cut-off frame, or a stream it should have kept open
	FaultStalled               // it took nothing from a stream for the whole idle timeout
	FaultBusy                  // too many handshakes under way
)

// Faults is the number of faults.
const Faults = 7

// String gives the name that logs and metrics use.
func (f Fault) String() string {
	return [Faults]string{"stranger", "identity", "chain", "hello", "frame", "stalled", "busy"}[f]
}

// Traffic counts frames and their bytes, without headers.
type Traffic struct{ Frames, Bytes uint64 }

// Stats are plain numbers since the start, for metrics.
type Stats struct {
	Sent     [Classes]Traffic             // handed to the connection
	Received [Classes]Traffic             // handed to the handler
	Dropped  [Classes][DropReasons]uint64 // outgoing frames
	Faults   [Faults]uint64               // refused or ended connections
	Sessions uint64                       // connections taken up
}

// PeerStatus is what an operator wants to know of one peer.
type PeerStatus struct {
	ID      qc.NodeID
	Address string // as in the roster
	Up      bool
	Since   time.Time     // of the last change of Up; zero if there was none
	RTT     time.Duration // smoothed round trip; zero when down
	Problem string        // why it could not be reached, or why it went down; empty when up
}

type trafficCounter struct{ frames, bytes atomic.Uint64 }

func (c *trafficCounter) add(t Traffic) {
	c.frames.Add(t.Frames)
	c.bytes.Add(t.Bytes)
}

func (c *trafficCounter) load() Traffic { return Traffic{c.frames.Load(), c.bytes.Load()} }

// counters are what Stats is read from.
type counters struct {
	sent, received [Classes]trafficCounter
	dropped        [Classes][DropReasons]atomic.Uint64
	faults         [Faults]atomic.Uint64
	sessions       atomic.Uint64
}

func (c *counters) snapshot() Stats {
	s := Stats{Sessions: c.sessions.Load()}
	for class := range Classes {
		s.Sent[class], s.Received[class] = c.sent[class].load(), c.received[class].load()
		for reason := range DropReasons {
			s.Dropped[class][reason] = c.dropped[class][reason].Load()
		}
	}
	for fault := range Faults {
		s.Faults[fault] = c.faults[fault].Load()
	}
	return s
}
