// Package node makes a running replica of the protocol core, the mempool and their edges.
//
// Driver is the seam: one synchronous loop that owns the core and the mempool. A turn takes the inputs that have come,
// steps them, and does what comes out: what was decided goes to the executor, then comes one synced write, then the
// messages that rest on it. It knows its edges only as four small interfaces (edges.go), so that the same Driver runs on QUIC, LevelDB and a real executor
// here, and on a seeded network and a tearing disk in a simulation.
//
// Node assembles the production edges around a Driver: a network with a reader and a writer a peer, a pool of verifiers,
// one writer of batches, one executor. It is the entry point for programs that embed the engine:
//
//	n, err := node.New(node.Options{Config: cfg, Genesis: genesis, Secrets: secrets, Application: app})
//	...
//	err = n.Run(ctx)
//
// Goroutines talk to the loop through its inbox alone, and nothing but the loop touches the core. The loop never waits
// for the application, the network or a pairing check; it waits for the disk alone, since a vote must not leave before
// its write.
package node
