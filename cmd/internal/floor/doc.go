// Package floor measures what a replica's work is made of, part by part, on the machine it runs on: signatures, hashes,
// syncs of a disk, a megabyte over QUIC, one write of the store. A cluster can be no faster than these allow, so figures of
// a cluster mean something beside them.
//
// Measure does it, one part after the other, each for a share of a second. A figure is the median of its samples: a
// machine that is busy for a moment does not change it. Nothing is kept, and the keys it signs with are worth nothing.
package floor
