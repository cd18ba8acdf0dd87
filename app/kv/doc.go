// Package kv is the built-in application: a key-value store with the string commands of Redis, and CAS.
//
// Store implements app.Snapshotter. A command is an operation byte and its arguments, each behind its length
// (AppendCommand); its result is a Redis-protocol reply (package resp), so that a front end copies results to sockets
// without looking into them. app/kv/redis is that front end.
//
// # State
//
// Keys stand in a trie of their hashes (trie.go): inner nodes lead by four bits of the hash each to leaves of at most 16
// keys. A leaf splits when it overflows and joins its neighbour when both fit into one, and by nothing else, so the
// shape is a function of the set of keys, however it came to be. This one structure gives
//
//   - a digest that costs what has changed: every node keeps the SHA-256 of what is below it until a write passes;
//   - SCAN cursors without state: a cursor is a position in hash order, which no growth moves;
//   - bounded work for each operation: there is no table to resize, and nothing is ever moved but one leaf;
//   - states that stand still while commands go on: see Snapshots.
//
// Clients choose the keys, so they could aim for equal hashes. The hash is SipHash-2-4 with a fixed key: every replica
// must place a key alike, so the key is no secret, and a client can make keys that share a long prefix of their hashes
// by trying. What that buys is a few more levels on the way to these keys: a leaf splits again, 64 bits deep. Only
// keys with all 64 bits equal would share a leaf without bound, and each of them costs some 2^64 tries.
//
// # Snapshots
//
// Store.Freeze keeps the root and begins a new generation (package snapshot); until it is released, writes copy the frozen
// nodes and leaves on their way instead of changing them (freeze.go). So a goroutine beside the executor takes the digest of
// a state that stands still, and writes it out, while commands go on. Leaves are in order at all times, since a frozen one
// cannot be sorted when it is read; the data of an entry is overwritten in place unless a frozen entry may share it; and the
// sum of a long value stands apart from its entry, so that it is computed once, whoever has a copy.
//
// A snapshot is the keys and values in the order of hashes (snapshot.go): one encoding of equal contents, which Restore
// takes in that form alone, whoever sent it.
//
// # Rules
//
// Everything Apply reads is the state and the command. The Limits decide results too, so they must be equal on all
// replicas. Apply and Query take any bytes: what makes no sense gets an error as its result. Keys do not expire.
package kv
