// Package store keeps what a replica must not forget: its safety state, blocks, commits, and the batches of commands.
//
// What it is for. A vote may leave only when the vote, its block and its batches are on disk (PROTOCOL §2.6, §7).
// AppendBatches makes batches durable, Append everything else; both return after the sync. After a restart Recover,
// BlocksAbove and BatchesFrom give back what the node needs to go on. CreateSnapshot and ReceiveSnapshot keep states, whose
// bytes mean nothing here, and Prune forgets what came before one.
//
// A store is a directory:
//
//	CHAIN          format, chain and replica, in words
//	LOCK           held by the process that has the store open
//	RESERVE        room for a full disk, 32 MiB
//	safety/        LevelDB: the newest safety state and commit, blocks by ID and height, committed IDs by height
//	safety.slots   the newest two safety states, checksummed, each in a slot of its own with what LevelDB has not synced
//	payload/       batches: preallocated segment files, appended to; payload/index is a LevelDB that finds them
//	snapshots/     HEIGHT.snap and HEIGHT.meta: the newest two states, and what they are; HEIGHT.part and HEIGHT.want: one
//	               that is being received
//
// What a crash leaves. LevelDB at the state of the newest slot, one ahead, or behind by what the slot holds, one torn record
// at the end of a log, one torn slot, one torn frame at the end of the newest segment, an index that lags, a snapshot in the
// making: Open repairs all of that. Anything else is loss of something that was synced. A replica that forgot a vote can
// vote again, so Open refuses with ErrSafetyLost or ErrPayloadLost and the replica rejoins (Rejoin). Each synced safety state
// also records how far the payload had come, so that batches a vote relies on cannot vanish unnoticed, and a digest of the
// state before it, so that only its successor follows it. A damaged index is no loss: it is made again from the segments.
//
// What Prune leaves. The floor is durable before anything below it goes, and from then on readers find nothing there,
// however far the deletions have come. A segment is given up in the safety database before its file is removed: whatever
// is missing without that is lost.
//
// What gates no vote is worth no stop: a snapshot that cannot be written fails alone, one that is damaged is not listed, or
// is an error when it is read.
//
// What a killed process leaves is read by the next one and yet may not be on the disk, nor ever come there if a sync has
// failed. So Open makes durable, and reads from the disk itself, what it is going to build on.
//
// A full disk ends nothing. The write that met it fails with ErrFull, nothing is written from then on, and reads go on.
// When there is room, Revive opens everything again as after a crash, and the write is repeated. The reserve sees to it
// that this, and a start on a full disk, need no room that is not there.
//
// What it never does. It never repairs LevelDB by its recovery tool, which can bring old values back. It never goes on
// after any other failed write: what reached the disk is unknown then. It checks no signature and no rule of the protocol. It
// starts no goroutine of its own. It compresses nothing.
//
// Start with Open and Append, then safety.go for what is compared, level.go and levellog.go for what LevelDB does unasked,
// slots.go and segment.go for the two formats, prune.go for what goes, snapshots.go for the order in which a snapshot comes to be, full.go for the full disk.
package store
