// Package mempool decides what becomes of commands between a client and execution: it groups a replica's own into signed batches, keeps the batches of
// all, and says what to sync, push, propose, fetch and execute (PROTOCOL §6).
//
// # The idea
//
// Every replica that takes in commands fills a lane: a chain of batches, numbered from zero, each linked to the one before by its digest. A block
// does not carry commands, it names batches, and may only continue lanes from where its parent left them. That one rule gives most of what a mempool is
// usually built for: a batch applies at most once, with no window of remembered commands (L12); the batches of an orphaned block are proposed again by
// the next leader, since on its branch the lanes stand before them (L10); and one connection's commands apply in its order.
//
//	clients ──Submit──► draft ──► batch ──Persist, Broadcast──► disk, peers
//	                                │
//	peers ────Receive────────────► shelf by origin ──Build────► payload of a proposal
//	                                │
//	core ─────Require────────────► claim ──Available, Invalid─► vote
//	core ─────Committed──────────► queue ──Execute────────────► executor
//
// A vote waits for Available, so that a certificate proves that a quorum has every named batch on disk (S17).
//
// # Where to start
//
// Pool is the whole of it: New, the inputs, Ready. ready.go lists all that it can ask for. Then, by idea:
//
//   - own.go: admission, batching, the end of an own lane
//   - receive.go, item.go, shelf.go: what is kept, under which quota, and what is forgotten
//   - require.go, fetch.go: payload for votes, and getting what is missing, from all peers
//   - runs.go, build.go, held.go: what a proposal may name, and how origins share it
//   - commit.go: execution in order
//   - batch.go: the batch itself and its verification
//
// # A turn of the Driver
//
//	Tick(now); inputs in any order; Flush
//	for Ready is not empty: sync Persist, then Persisted; look up Load, then Loaded; send; hand Execute to the executor
//
// Deadline tells when the next turn is due at the latest.
//
// # What it never does
//
// It has no goroutines, locks, clocks, files or random numbers, and the same inputs give the same outputs, so that the simulator runs this very code.
// It never looks into commands, and never copies a blob but once, from a request into its batch. It never sends a dead batch's commands again by itself:
// their client is told "not applied", which is final.
//
// # Bounds
//
//   - own requests: Config.PendingBytes, and one request more; beyond it Submit refuses
//   - batches that no block names: Config.PeerBytes an origin; beyond it they are dropped, and fetched if a block names them after all
//   - batches that uncommitted blocks name: 32 blocks; beyond it the lowest view is let go
//   - batches that committed blocks name: Config.ResolveBytes are known, loaded or fetched ahead of execution; beyond it only the blocks are kept
//   - batches under way from one peer: Config.FetchBytes, and those that a vote waits for
//   - marks of peers: two for each peer
package mempool
