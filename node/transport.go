package node

import (
	"fmt"

	"github.com/hotstuffd/hotstuffd/api/wire"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	hsnet "github.com/hotstuffd/hotstuffd/net"
	"github.com/hotstuffd/hotstuffd/qc"
)

// ClassOf chooses a message's stream, so that bulk never delays a vote.
func ClassOf(message any) hsnet.Class {
	switch message.(type) {
	case *mempool.Batch:
		return hsnet.Bulk
	case *hotstuff.BlockRequest, *hotstuff.BlockResponse, *mempool.BatchRequest,
		*hotstuff.SnapshotRequest, *hotstuff.SnapshotOffer, *hotstuff.ChunkRequest, *hotstuff.Chunk, *hotstuff.Pruned:
		return hsnet.Sync
	}
	return hsnet.Consensus
}

// transport encodes messages and queues them on the network.
type transport struct {
	network *hsnet.Network
	sent    sentLog
	stages  *stages
}

// Send implements Transport.
func (t transport) Send(to qc.NodeID, message any) {
	t.sent.show(message) // first: a kill in between must not leave a vote that nobody knows of
	t.network.Send(to, ClassOf(message), encode(message))
	t.stages.sent(message)
}

// Broadcast implements Transport. The message is encoded once.
func (t transport) Broadcast(message any) {
	t.sent.show(message)
	t.network.Broadcast(ClassOf(message), encode(message))
	t.stages.broadcast(message)
}

// reply answers a peer's request on the stream that it waits on. It tells whether there was room.
func (t transport) reply(to qc.NodeID, message any) bool {
	return t.network.Send(to, hsnet.Sync, encode(message))
}

func encode(message any) []byte {
	frame, err := wire.Encode(message)
	if err != nil {
		panic(fmt.Sprintf("node: %v", err)) // our own message: only a fault of this program can make it unfit
	}
	return frame
}
