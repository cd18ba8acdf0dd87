// Package snapshot is what states have in common that are frozen while they change, written out and restored: app/kv and
// app/session keep theirs by it, and an application of one's own may.
//
//   - generation.go: copy on write. A state is made of nodes; each remembers the generation in which it was made. Freezing
//     keeps the root and begins a new generation; a write then copies the nodes on its way that are frozen.
//   - stream.go: the bytes. A Writer that counts, and a Reader that trusts no length and takes one form alone, so that
//     equal contents have one encoding.
//
// # Rules
//
// Two goroutines have a frozen state's nodes: the executor, and the one that holds what was frozen. Neither writes what the
// other one reads. So whatever digests keep in a node belongs to the holder while the node is frozen, the executor does not
// even read it, and a copy begins without; everything else in a frozen node is written by nobody. When a Mark is released
// its holder has done with it, and the executor, who sees that by an atomic load, may write those nodes again.
package snapshot
