// Package qc is the vocabulary of agreement: views, block names, votes and timeouts, and the certificates that a quorum
// of a committee makes of them.
//
// A replica signs a Vote for a block or a Timeout for a view. A quorum of votes adds up to a QuorumCertificate, a quorum
// of timeouts to a TimeoutCertificate: one BLS12-381 signature of 48 bytes, and a Bitmap that tells whose it is. How
// large the committee is does not change what a certificate costs to check: one pairing check.
//
// # Where to start
//
//   - types.go and committee.go say what is signed, and by how many.
//   - Verifier (verifier.go) decides whether a foreign certificate, vote or timeout is valid; CollectVotes and
//     SumTimeouts (collect.go) make certificates.
//   - Scheme (scheme.go) is the signature scheme underneath: NewBLS in production, NewMock where a simulation needs
//     signatures that cannot be forged but cost next to nothing.
//   - SecretKey and PublicKey (keys.go, possession.go) are what an operator holds and a genesis document lists.
//
// # What it rests on
//
//   - Every key in a committee has a proof of possession. NewBLS does not check that: whoever reads the genesis
//     document does, with PublicKey.VerifyPossession, before anything else (package config). Without it one replica
//     could choose its key so that it signs alone for a whole quorum (a rogue key).
//   - Every signed message names what it is for, the chain, the epoch and the view, so that none can be replayed as
//     another (Committee.VoteMessage, Committee.TimeoutMessage).
//   - A certificate is remembered as verified only by the hash of its whole encoding (Cache).
//
// # What it never does
//
// It holds no goroutine, lock, clock, file or socket, and it decides nothing about the protocol: which votes are safe to
// cast is package hotstuff's business. It never panics on foreign input, and the work and memory that one certificate
// can cost are bounded by the size of the committee, checked before anything is allocated or paired.
package qc
