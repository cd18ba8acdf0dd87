// Package hsnet moves opaque frames between the replicas of one chain, over QUIC. It knows nothing of consensus: not
// what a frame says, nor when it should be sent again.
//
// # What it gives
//
//   - One connection a pair of replicas, TLS 1.3 with both Ed25519 keys pinned to the genesis roster, so that the id
//     beside a received frame is proven.
//   - Three classes of frames: Consensus, Bulk and Sync. Each has its own stream, writer and reader in each
//     direction, so that a megabyte of batches never delays a vote, and a handler that blocks on one class of one peer
//     holds up nothing else.
//   - Send and Broadcast that never block: what does not fit into a peer's bounded queue is dropped, and counted by
//     reason.
//   - PeerUp and PeerDown, strictly alternating for each peer. A peer is up only once both sides have taken the
//     other's hello. It is down at once when it closes. When its process dies and its host says that the port is
//     closed, it is down within about a third of a second if frames are sent to it, and within about two seconds on
//     an idle connection. In all other cases it is down after the idle timeout of five seconds.
//   - A restarted replica is connected again at once: it dials everybody, and the newest connection of an identity wins.
//
// # What it never does
//
// It never resends a frame, keeps one for a peer that is down, or reorders frames of one class. It does not deliver
// exactly once: frames under way are lost with their connection. It never lets an unauthenticated peer allocate more
// than a bounded handshake, nor an authenticated one more than its stream windows and one frame a class.
//
// # How two replicas find one connection
//
// Both dial, because whoever was restarted must not wait for the other to notice. Of each pair the replica with the
// higher id is the arbiter: it alone decides which connection is used. The other, the follower, says hello first; the
// arbiter answers with a hello of its own only on the connection it takes up, and numbers these, so that the follower
// takes up the same one, in the same order. See hello.go and peer.go.
//
// # Where to start
//
// Network is the whole surface: Listen, Start, Send, Broadcast, Close, and a Handler that receives. Inside, peer.go is
// the loop that owns one peer, session.go is one connection in use, queue.go the bounded outgoing queues, frame.go the
// bytes on a stream, and admission.go what strangers can cost.
package hsnet
