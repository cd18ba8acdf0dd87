package server

import "context"

// Node is what the server shows. Its methods are called by many goroutines at once.
type Node interface {
	// Status returns a snapshot of the replica. It is cheap: no disk, no waiting for the protocol.
	Status() Status
	// Ready tells whether the replica is in touch with a quorum and caught up; reason says what is missing, in one line.
	Ready() (ok bool, reason string)
	// Await blocks until the replica has applied the given height.
	// Expected errors: ctx's, and the node's own when it stops first.
	Await(ctx context.Context, height uint64) error
	// Log shows the committed commands from height from on, oldest first, the commands of one block at a time; blocks
	// without commands are passed over. It returns nil at the end of the applied log, or with follow waits there for
	// more until ctx ends.
	// Expected errors: ctx's, the reader's, and the node's own when it stops first.
	Log(ctx context.Context, from uint64, follow bool, to LogReader) error
}

// LogReader takes the log in the order of heights. Its errors end it.
type LogReader interface {
	// Entries takes the commands of one block. The slice is the reader's only until it returns, so that memory is bounded by
	// one block.
	Entries([]Entry) error
	// Gap takes that heights are not kept here: the log was pruned, or a state was taken over from another replica.
	Gap(Gap) error
}

// Status is one replica's state, as GET /status shows it.
type Status struct {
	ID                uint16   `json:"id"`
	View              uint64   `json:"view"`
	Leader            uint16   `json:"leader"`                      // of View, as far as the replica knows
	BaseTimeoutMs     float64  `json:"base_timeout_ms"`             // the present timeout of a view with work, before any backoff: eight measured views, at least pacemaker.base_timeout
	CommittedHeight   uint64   `json:"committed_height"`            // of the newest committed block
	AppliedHeight     uint64   `json:"applied_height"`              // up to which the application has executed; at most CommittedHeight
	CommittedCommands uint64   `json:"committed_commands"`          // applied since genesis
	LastBlock         string   `json:"last_block"`                  // ID of the newest applied block, 64 hex digits
	StateDigest       string   `json:"state_digest"`                // of the whole state at AppliedHeight, the engine's and the application's, 64 hex digits
	PeersConnected    int      `json:"peers_connected"`             // authenticated in both directions, this replica not counted
	Chain             string   `json:"chain"`                       // 64 hex digits
	Nodes             int      `json:"nodes"`                       // size of the committee
	Rejoining         bool     `json:"rejoining"`                   // has lost its safety state, and signs nothing until its nonce is committed
	DiskFull          bool     `json:"disk_full"`                   // votes no more and takes no commands until there is room
	CheckpointHeight  uint64   `json:"checkpoint_height"`           // of the newest state that a quorum has signed; 0 before the first
	CheckpointStalled bool     `json:"checkpoint_stalled"`          // blocks get no payload for want of a newer one
	CheckpointDiffer  []uint16 `json:"checkpoint_differ,omitempty"` // while stalled: replicas whose states are not this one's
	CatchingUpTo      uint64   `json:"catching_up_to"`              // while the application is behind: the height where the others are, as far as the replica knows; else 0
	LogFrom           uint64   `json:"log_from"`                    // the lowest height whose commands are kept
	SnapshotHeight    uint64   `json:"snapshot_height"`             // of the snapshot that is fetched from the others; 0: none is
	SnapshotBytes     uint64   `json:"snapshot_bytes"`              // of that one
	SnapshotHave      uint64   `json:"snapshot_have"`               // as many of them are here, about
	UptimeSeconds     float64  `json:"uptime_seconds"`              // set by the server
	Version           string   `json:"version"`                     // set by the server
}

// Entry is one committed command, as GET /log shows it.
type Entry struct {
	Height  uint64 `json:"height"`
	Index   uint32 `json:"index"`   // among the commands of its block, from 0
	Origin  uint16 `json:"origin"`  // the replica that took it in
	Command string `json:"command"` // one printable line
}

// Gap is a run of heights whose commands are not kept here, as GET /log shows it.
type Gap struct {
	From uint64 `json:"gap_from"`
	To   uint64 `json:"gap_to"`
}
