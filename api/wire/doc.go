// Package wire turns the engine's messages and records into bytes and back: one schema for the network and the disk,
// in core.proto, message.proto and disk.proto, readable by other languages.
//
// What it is for. Encode makes a frame of a message; Decode gives the message of a frame that a stranger may have
// written. AppendBlock, ParseBlock and their like do the same for what a replica stores. The generated types stay inside
// (internal/pb): the rest of the engine sees the types of packages hotstuff, blocktree, mempool and qc alone.
//
// What it checks. Form: every length, count, fixed size and replica number, each field at most once, nothing unknown,
// nothing required missing. All of it is checked on the bytes themselves, against the table in rules.go, before anything
// is allocated: a frame of many empty elements would otherwise grow a hundredfold in memory. A frame that passes decodes
// into memory of a small multiple of its size.
//
// What it never does. It verifies no signature and no rule of the protocol: what it returns is well-formed, not true.
// IDs and signatures never depend on its bytes. It never panics on any input.
//
// Start with Encode and Decode in frame.go, then the table in rules.go. After a change of the schema run go generate.
package wire

//go:generate ../../scripts/gen-proto
