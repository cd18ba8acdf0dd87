// Package load puts a load of SETs on servers of the Redis protocol, and measures how long each takes.
//
//   - Closed loop: each client sends a number of commands, waits for all replies, and sends the next ones. It finds what a
//     cluster can do, and how long a lone command takes. A stall makes clients wait, so that they ask less of it.
//   - Open loop: commands are due on a schedule, whatever the replies do, and the latency of each is counted from when it was
//     due. So a stall costs every command that fell into it what it would have cost its user (no coordinated omission).
//
// Start with Run, then client.go for the two loops and recorder.go for what is counted. Stages reads where the time went
// from what replicas show to operators; Picture draws several runs.
//
// A load shares its machine with what it measures, so it is cheap: requests are built in place, replies are read without
// allocating, nothing crosses a channel. It starts no nodes, and never takes an error reply for success.
package load
