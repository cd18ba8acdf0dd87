// Package sim runs whole clusters in one goroutine: the production Driver, core, mempool and verifiers of package node, on
// a network, disks, clocks and clients that do what a seed says. One seed is one run, and one run has one trace: the
// SHA-256 over every event is the same every time, so whatever a seed finds, it finds again.
//
// What it is for: evidence. Each run draws its size, leader schedule, limits, load and faults from its seed (Mixed):
// loss, duplication, reordering and delay; partitions, one way or both; slow links; crashes before, in and after a write
// and between two messages; pauses; clocks that are wrong; disks that are slow, full or cannot be read; slow applications; and up to f
// replicas that are dead or lie, each in several ways at once. After every event the checks hold each correct replica to
// the rules of docs/guarantees.md. When the time of faults is over, everything must commit within a number of views, and
// every correct replica must come to the same state.
//
// What it never does: it starts no goroutine, reads no clock, and copies nothing of the protocol: what runs here is what
// runs in production, up to the four edges of node.Driver. The disk keeps the promises of package store; that the real one
// keeps them under torn and lost writes is shown there, and for whole clusters on real stores in store/internal/outage.
//
// Where to read:
//
//	config.go            what a run is made of, and how Mixed draws it from a seed
//	world.go, queue.go   the clock: events in order of time
//	random.go, trace.go  a source of randomness for each concern; the hash and the lines of a trace
//	replica.go, edges.go a replica through its lives, and its edges
//	disk.go, reads.go    what survives a crash, and reads that fail
//	device.go            real stores in place of the disks, held to what was acknowledged
//	executor.go, ledger.go the application
//	snapshots.go         snapshots, and what is pruned
//	network.go           connections, links, queues
//	cost.go, observe.go  what work costs a replica's processors, and who watches: package sim/plan
//	words.go             what a run is made of, in words
//	client.go, history.go the load, and what clients must be able to believe
//	faults.go, calm.go   what goes wrong by itself, and how it ends
//	views.go             within how many views a commit must come, and why
//	mind.go, attack*.go  Byzantine replicas: wrappers around a correct core
//	beyond.go            one correct replica among Byzantine ones alone
//	check.go, bounds.go  the rules that every run is held to
//	rules.go, sound.go   what is signed, recomputed from the protocol's text; certificates, likewise
//	duties.go            what a replica must do about what has reached it
//	mutants/             the rules broken one by one: each break must be noticed
//
// # Running it
//
// go test ./sim/... is a newcomer's run, half a minute of processor time: 300 seeds, one Twins scenario in forty, the
// liveness tests for some numbers of replicas. Where the environment variable CI is set, to anything, it is the full
// campaign, minutes on two cores: 10,000 seeds with over a million view changes, 1,000 seeds twice, every Twins scenario,
// every f up to 10. Runs are spread over the processors, each on one goroutine, and told in the order of their seeds; -v
// shows what each campaign has come to. The flags -sim.seeds, -sim.first and -sim.stop choose other seeds.
//
// To see a failing seed: go test ./sim -run TestMixedSeeds -sim.seed=N
package sim
