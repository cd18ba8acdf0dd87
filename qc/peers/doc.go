// Package peers ranks the other replicas as sources of what is missing here: whom to ask first, and how long to wait.
//
// # The rule
//
// Each peer has a penalty from 0 to 16. An answer that has nothing adds 1, one that does not come in time 2, one that does
// not fit what others say 4. An answer that serves takes 1 away, and each second halves what is left. Of those that may be
// asked, Best chooses a connected one before others, then the one with the least penalty in steps of 4, then the one with
// the least under way, then the next in turn. A peer has Patience to answer: what its own answers take, twice, and the time that the caller
// gives everybody; at most 16 times that.
//
// # The bound
//
// A penalty only puts a peer behind others, and never shuts it out: nobody can say which peer alone has what is missing.
// So callers note who was asked for a thing, and ask every connected peer once before anybody twice. Whatever the
// penalties are, and with any number of peers that lie, are slow or say nothing, a thing comes from a connected peer that
// has it within one round: at most as many waits as there are peers, each of at most 16 times the caller's own.
// For how much of all it gets to give, a peer that never serves counts little: it is the last in each round while its
// penalty is above the others'.
//
// It has no clock and no random numbers: the same calls give the same order.
package peers
