// Package hotstuff is the protocol core: chained HotStuff with views by timeout certificates, as one pure step function.
//
// Core.Step takes one input: a message that Verify has checked, the time, a payload that was built, a peer that came or
// went, a finished sum of votes. Core.Ready tells what the world must do now: hand Commit to the executor; write Persist in one
// synced batch; and send Send, after that write if it is Gated. Core.Advance says that it was done. The core never reads a
// clock, never starts a goroutine, never touches a disk or a socket, and never changes anything but itself, so that
// everything hard about consensus can be tested by feeding it inputs in every order.
//
// Where to read:
//
//	core.go      the state, Step, and where each input goes
//	verify.go    what a message must prove before it may be stepped
//	safety.go    the one place that signs: vote, timeout and proposal rules (PROTOCOL §2, §3, §7)
//	vote.go      the vote rule's conditions, candidate blocks, collecting votes into certificates
//	view.go      entering views by certificates, timeouts, joining and rebroadcasting
//	propose.go   holding, pacing, building and sending proposals (PROTOCOL §5)
//	ahead.go     proposing before the check of one's own sum is over (PROTOCOL §5)
//	commit.go    certificates on the tree: lock and three-chain commit
//	fetch.go     blocks that are named but not held
//	ranges.go    many of them, from several peers at once
//	rejoin.go    the way back after the safety state was lost (PROTOCOL §7)
//	ready.go     what comes out
//
// The rules are Yin et al., "HotStuff: BFT Consensus in the Lens of Blockchain", PODC 2019 (arXiv 1803.05069),
// Algorithms 3 to 5, with the view change of DiemBFT v4 and Jolteon (arXiv 2106.10362).
package hotstuff
