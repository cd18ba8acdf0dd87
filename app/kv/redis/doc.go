// Package redis is the key-value store's front end: it speaks the Redis protocol (version 2) with any Redis client and
// hands what they ask for to an app.Submitter, which is the node. It has no state of its own and never touches the store.
//
// # The way of a command
//
//	socket → resp.Parser → conn.take → request → Submitter.Submit
//	socket ← writer ← reply queue ← request.complete ←┘
//
// Each connection has two goroutines. The reader parses everything that has arrived and turns it into one request: writes
// are encoded straight into its blob, reads and answers known at once become locals between them, so that a pipeline of
// 64 commands travels, commits and comes back as a whole. The writer sends replies in the order of the requests, whatever
// order they are completed in, and many in one write. A command's own replies come from the store as protocol bytes.
//
// # Bounds
//
// A connection has at most requestsMax requests under way, each of at most Config.MaxPipeline commands and
// Config.MaxRequestBytes; then it is read no further, and TCP holds the client back. A client that does not read its
// replies blocks its own writer, then its own reader, and is cut off after Config.WriteTimeout. Arguments, their sizes,
// inline commands and connections are bounded too; see config.go.
//
// # Outcomes
//
// A reply is final. Otherwise a client is told, once for each command: "TRYAGAIN" and "BUSY", nothing was applied;
// "TIMEOUT outcome unknown", applied once or never.
//
// Start with Listen, then conn.go and request.go.
package redis
