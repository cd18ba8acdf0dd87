// Package blocktree holds blocks and the tree that they form.
//
// A Block is a header and the references of the batches that it names; its BlockID is the SHA-256 of the header, which
// covers the batches by a Merkle root. Lanes is next(b): where each origin's lane stands after a block, a pure function
// of the block and its ancestors. Tree holds the part of the chain that still matters: a few blocks below the committed
// one, for the leader function reads them, and every block above it that does not conflict with it.
//
// The package never decides: which block to vote for, lock or commit is the business of package hotstuff. It never
// verifies a signature, and it never touches a disk, a clock or the network.
//
// Start with Block, then Tree.Insert and Tree.Commit.
package blocktree
