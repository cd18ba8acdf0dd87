package hotstuff

import "errors"

// Reasons for which a message or block from a peer is refused. None of them stops the node.
var (
	ErrMessage      = errors.New("message: malformed for its kind")
	ErrStale        = errors.New("message: for a view that is over")
	ErrSender       = errors.New("message: sender is not its signer")
	ErrProposer     = errors.New("proposal: signature is not its proposer's")
	ErrNotLeader    = errors.New("proposal: proposer does not lead the view on this branch")
	ErrJustify      = errors.New("proposal: justify and timeout certificate do not fit the view")
	ErrLimits       = errors.New("proposal: payload exceeds the genesis limits")
	ErrTime         = errors.New("proposal: time is not after its parent's")
	ErrEquivocation = errors.New("proposal: a further block by the leader of one view")
	ErrDoubleVote   = errors.New("vote: a second one by one signer in one view")
	ErrBadVote      = errors.New("vote: signature does not verify")
	ErrPayload      = errors.New("proposal: a named batch contradicts the block")
	ErrUnasked      = errors.New("blocks: not asked for")

	ErrBadCheckpoint = errors.New("checkpoint: signature does not verify")
)

// Errors of Step. Each stops the node, with one clear line.
var (
	// ErrKeyInUse: a vote or timeout of this replica was seen that it never signed: its key is used elsewhere (S14).
	ErrKeyInUse = errors.New("this replica's key signs elsewhere: find the other node with the same key, stop it for good, and rejoin: see \"When safety state is lost\" in docs/operations.md")
	// ErrAssumption: what only more than f faulty replicas can bring about.
	ErrAssumption = errors.New("more than f replicas are faulty")
)
