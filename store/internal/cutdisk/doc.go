// Package cutdisk is a disk in memory that loses power, tears writes, rots, fails and fills. It stands under a store as
// its FS, and so under LevelDB too. Tests use it to look at every state that a store can be found in.
//
// How it is used. A Disk records what is done to it as a Trace. A Player plays the trace again, operation by operation,
// and at each one Cut gives a disk as it may be found when the power comes back. The same trace, position, Loss and seed
// give the same disk.
//
// What a cut may do, which is all that POSIX leaves open and more than ext4 and XFS do:
//
//   - A write, truncation or allocation is certain once Sync of its file has returned. Before that each may be kept or
//     lost by itself, whatever their order; a write by sectors; its sectors may also hold zeros, rubbish, or the first
//     bytes of what was written and then the old ones. The file may have grown without the data.
//   - A name that was made, replaced or removed is certain once SyncDir of its directory has returned. Before that each
//     change may be kept or lost by itself. Sync of a file does not make its name durable. A rename is atomic.
//   - Bytes that no write since the last sync has covered keep their values, those in the same sector included.
//
// What a failed Sync does: each change is on the disk or never will be, and the next Sync knows nothing of it, as in
// Linux since 4.13, where the pages count as clean. Reads still see what was written.
//
// What it never does. It orders nothing by itself: LevelDB's goroutines come to it as they run, unless a Gate holds them
// back. It has no permissions, no links, and no renames between directories, for the store uses none.
//
// PowerFor has the disk itself lose power at an operation, for those whose user is to notice, and a Schedule runs calls of
// a store so that LevelDB's goroutines come to it in an order that a seed says.
//
// Start with Disk, then cut.go for what is lost and level.go for LevelDB's view.
package cutdisk
