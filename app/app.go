package app

import (
	"errors"
	"time"

	"github.com/hotstuffd/hotstuffd/app/session"
)

// Application is a deterministic state machine under the replicated log. Every correct replica applies the same commands
// in the same order, so all that Apply reads must come from the state, the command and the moment: no clock, no random
// numbers, no ranging over maps. All methods are called by one goroutine, the executor.
type Application interface {
	// Apply executes one committed command and appends its result to reply, which it returns. It must accept any bytes:
	// a command that makes no sense has a deterministic error as its result. It must not keep command or reply.
	Apply(at Moment, command, reply []byte) []byte
	// Query evaluates a read on the present state and appends its result to reply, which it returns. It changes nothing.
	// It must not keep query or reply.
	Query(query, reply []byte) []byte
	// Digest returns a digest of the whole state, the same on all replicas after the same commands, however they came to
	// it. Its cost follows what has changed since the last call, not the size of the state.
	Digest() [32]byte
}

// Describer is an Application that can show a command to a person, as one printable line.
type Describer interface {
	// Describe may be called by any goroutine: it depends on the command alone.
	Describe(command []byte) string
}

// Foreseer is an Application that wants to know what comes: with a state that is larger than a processor's caches it can
// fetch what many commands need at once, instead of waiting for memory at each.
type Foreseer interface {
	// Foresee is told commands that Apply gets next, in this order. It changes nothing that another method shows, and must
	// accept any bytes. It must not keep commands.
	Foresee(commands [][]byte)
}

// Moment is where in the log a command stands.
type Moment struct {
	Height uint64 // of the block
	Time   int64  // the block's time, nanoseconds since the Unix epoch: strictly growing, the same on all replicas
}

// Request is an ordered run of operations of one client, taken in, batched and answered as a whole. Its writes are
// proposed together, in order, and are never spread over two batches; each command is atomic by itself.
type Request struct {
	Blob   []byte  // Count write commands, framed as mempool.AppendCommand does
	Count  uint32  // number of write commands in Blob
	Locals []Local // operations that stay at this replica, in order
	// Words says what comes of commands about sessions. It may be nil if there are none in Blob.
	Words session.Words
	// Complete is called exactly once, unless Submit returned an error. reply is the results of all operations in
	// order, end to end; it belongs to the callee. err is nil or one of the outcomes below, and then
	// reply is nil. It is called on the replica's own goroutines and must not block.
	Complete func(r *Request, reply []byte, err error)
	// Taken and Executed are the engine's, which measures its stages: when it took the request in, and when the last of its
	// operations was executed; zero if it was not. Executed may be read from Complete on.
	Taken, Executed time.Time
}

// Local is an operation that is evaluated at this replica alone, at its position among the writes: a query, linearizable
// since its position is in the log, or a literal result.
type Local struct {
	After   uint32 // how many write commands of the request come before it; ascending
	Query   []byte // passed to Application.Query, unless Literal
	Literal bool   // Query is the result itself
}

// Submitter takes in requests. It is implemented by node.Node, and used by front ends.
type Submitter interface {
	// Submit hands a request over. It blocks while admission is paused.
	// Expected errors: ErrBusy, ErrTooLarge, ErrDiskFull, ErrStopped; then nothing was taken in.
	Submit(r *Request) error
}

// Outcomes of a request. Every front end turns them into its protocol's words.
var (
	// ErrNotApplied: the request was not and will never be applied; it is safe to send it again.
	ErrNotApplied = errors.New("not applied")
	// ErrUnknownOutcome: the request is applied once or never; this replica cannot tell which.
	ErrUnknownOutcome = errors.New("outcome unknown")
	// ErrBusy: admission stayed paused for as long as a client is made to wait.
	ErrBusy = errors.New("too much work under way, try again")
	// ErrTooLarge: the request is larger than a batch may be.
	ErrTooLarge = errors.New("request too large")
	// ErrDiskFull: the replica cannot store anything, and takes nothing in until it can.
	ErrDiskFull = errors.New("disk full")
	// ErrStopped: the node is stopping.
	ErrStopped = errors.New("node is stopping")
)
