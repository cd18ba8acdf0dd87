package mempool

import "github.com/hotstuffd/hotstuffd/blocktree"

// RequestDigestsMax bounds the digests of one BatchRequest: what one message may make a peer look up and send.
const RequestDigestsMax = 64

// BatchRequest asks a peer for batches by digest: at least one, at most RequestDigestsMax. The peer answers with the batches that it holds, each in a
// message of its own, and is silent about the rest: the requester rotates to another peer by itself.
type BatchRequest struct {
	Digests []blocktree.Digest
}
