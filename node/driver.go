package node

import (
	"errors"
	"fmt"

	"github.com/hotstuffd/hotstuffd/app"
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
)

// Edges are the four sides of a Driver, and where it tells the outcome of requests that never reach the application.
type Edges struct {
	Store     Store
	Transport Transport
	App       App
	Verifier  Verifier
	Snapshots Snapshots // nil: this replica takes none over
	// Refused is told the owner of a request that the application will not answer here, and why: app.ErrNotApplied,
	// app.ErrUnknownOutcome, app.ErrBusy or app.ErrTooLarge.
	Refused func(owner any, err error)
	// Committed is told of each committed block, before it is handed on. It may be nil.
	Committed func(*blocktree.Block)
	// Dropped is told what was refused from a peer, and why. It may be nil.
	Dropped func(hotstuff.Drop)
}

// Driver owns a core and a mempool, and turns inputs into effects. It belongs to one goroutine.
type Driver struct {
	core  *hotstuff.Core
	pool  *mempool.Pool
	edges Edges
	load  loadMeter

	includable bool               // what the core was told last
	out        mempool.Ready      // of the mempool, not yet performed
	reached    map[qc.NodeID]bool // peers of which a PeerChange has told
	laneSynced bool               // the incarnation of the own lane is on disk, if there is one: batches may leave
	rejoins    rejoins
	transfer   *transfer
}

// NewDriver returns a driver. The core and the pool must stand at the same committed block, and belong to the driver from
// now on.
func NewDriver(core *hotstuff.Core, pool *mempool.Pool, edges Edges) *Driver {
	return &Driver{core: core, pool: pool, edges: edges, reached: make(map[qc.NodeID]bool), laneSynced: core.Rejoining(),
		rejoins: make(rejoins), transfer: newTransfer(core.Self(), core.Committee())}
}

// Core returns the core, for reading between turns.
func (d *Driver) Core() *hotstuff.Core { return d.core }

// Pool returns the mempool, for reading between turns.
func (d *Driver) Pool() *mempool.Pool { return d.pool }

// Turn takes the events that have come since the last turn and does all that follows from them. Any error is final: the
// node must stop.
func (d *Driver) Turn(at hotstuff.Tick, events []Event) error {
	d.pool.Tick(at.Now)
	if err := d.core.Step(at); err != nil {
		return err
	}
	if err := d.takeRestored(events); err != nil {
		return err
	}
	for _, e := range events {
		if err := d.take(at.Now, e); err != nil {
			return err
		}
	}
	d.pool.Flush()
	d.stepTransfer(at.Now)
	for {
		if err := d.settle(); err != nil {
			return err
		}
		worked, err := d.perform(at)
		if err != nil || !worked {
			return err
		}
	}
}

// Deadline returns when the next turn must come at the latest.
func (d *Driver) Deadline() qc.Ticks {
	at := d.core.Deadline()
	if p, ok := d.pool.Deadline(); ok {
		at = min(at, p)
	}
	if t, ok := d.transfer.deadline(); ok {
		at = min(at, t)
	}
	return at
}

// Reached tells whether a peer was ever up or down since the start: until then nothing is known of it.
func (d *Driver) Reached(id qc.NodeID) bool { return d.reached[id] }

func (d *Driver) take(at qc.Ticks, e Event) error {
	switch e := e.(type) {
	case Received:
		if d.takeAside(at, e.Verified) {
			return nil
		}
		if held := heldMarks(e.Verified.Message()); held != nil {
			d.pool.PeerHeld(e.Verified.From(), held)
		}
		return d.core.Step(e.Verified)
	case ReceivedBatch:
		d.pool.Receive(e.From, e.Batch)
	case AddedUp:
		return d.core.Step(e.Sum)
	case Summed:
		return d.core.Step(e.Sum)
	case Synced:
		d.pool.Persisted(e.Batches)
	case Loaded:
		d.pool.Loaded(e.Asked, e.Found)
	case Executed:
		d.pool.Executed(e.Height)
	case PeerChange:
		d.reached[e.ID] = true
		d.pool.SetPeer(e.ID, e.Up)
		return d.core.Step(hotstuff.Peer{ID: e.ID, Up: e.Up})
	case Submitted:
		switch err := d.pool.Submit(e.Blob, e.Count, e.Owner, e.Extra); {
		case errors.Is(err, mempool.ErrTooLarge):
			d.edges.Refused(e.Owner, app.ErrTooLarge)
		case err != nil:
			d.edges.Refused(e.Owner, app.ErrBusy)
		}
	case Checkpointed:
		return d.core.Step(hotstuff.Executed{Checkpoint: e.Checkpoint})
	case NonceSeen:
		return d.onNonceSeen(e.Nonce)
	case SnapshotOpened:
		d.transfer.onOpened(e.Root, e.Missing, e.Failed)
	case ChunkPut:
		d.transfer.onPut(e.Root, e.Index, e.Outcome)
	case SnapshotRestored: // takeRestored has had it
	default:
		return fmt.Errorf("node: unknown event %T", e)
	}
	return nil
}

// takeAside takes the messages that are not for the core.
func (d *Driver) takeAside(at qc.Ticks, v hotstuff.Verified) bool {
	switch m := v.Message().(type) {
	case *hotstuff.RejoinRequest:
		d.orderRejoin(at, v.From(), m.Nonce)
	case *hotstuff.Pruned:
		d.transfer.onPruned(v.From(), m.Floor)
	case *hotstuff.SnapshotOffer:
		d.transfer.onOffer(v.From(), m)
	case *hotstuff.Chunk:
		d.transfer.onChunk(v.From(), m)
	default:
		return false
	}
	return true
}

// takeRestored has core and mempool go on from a snapshot that was taken over. It comes before all else of a turn, while
// nothing that the core has committed waits to be handed to the mempool.
func (d *Driver) takeRestored(events []Event) error {
	for _, e := range events {
		r, ok := e.(SnapshotRestored)
		if !ok {
			continue
		}
		d.transfer.onRestored(r.Root, r.Err == nil, errors.Is(r.Err, errSnapshot))
		if r.State == nil {
			continue
		}
		if err := d.core.Step(*r.State); err != nil {
			return err
		}
		d.pool.Restored(r.State.Block.Height, r.State.Lanes)
	}
	return nil
}

// stepTransfer fetches a snapshot if that is the only way on.
func (d *Driver) stepTransfer(now qc.Ticks) {
	if d.edges.Snapshots == nil {
		return
	}
	w := want{applied: d.pool.Applied()}
	if at, ok := d.pool.Starved(); ok {
		w.needs, w.payload = at, true
	} else if d.core.Fetching() {
		w.needs = d.core.Tree().Committed().Block.Height + 1
	}
	d.transfer.step(now, w)
	out := d.transfer.take()
	d.sendAll(out.Send)
	if out.Abort {
		d.edges.Snapshots.Abort()
	}
	if out.Receive != nil {
		d.edges.Snapshots.Receive(*out.Receive)
	}
	for _, c := range out.Put {
		d.edges.Snapshots.Put(c)
	}
	if out.Restore {
		d.edges.Snapshots.Restore()
	}
}

// Transfer tells how the fetching of a snapshot stands.
func (d *Driver) Transfer() TransferStatus { return d.transfer.status() }

// settle lets core and mempool answer each other until neither has a question. Both are pure: nothing leaves yet, so that
// all that a turn brings about is one write.
func (d *Driver) settle() error {
	for {
		if err := d.offer(); err != nil {
			return err
		}
		q := d.core.Questions()
		for _, r := range q.Require {
			d.pool.Require(r.Block, r.Before)
		}
		if b := q.Build; b != nil {
			p := hotstuff.Payload{View: b.View, Parent: b.Parent, Refs: d.pool.Build(b.Lanes, b.Height)}
			if err := d.core.Step(p); err != nil {
				return err
			}
		}
		answered, err := d.answers()
		if err != nil {
			return err
		}
		if len(q.Require) == 0 && q.Build == nil && !answered {
			return nil
		}
	}
}

// offer tells the mempool where the next block would stand, and the core whether there is something to put into it.
func (d *Driver) offer() error {
	if f := d.core.Frontier(); f.Known {
		d.pool.SetFrontier(f.Lanes, f.Height, f.View, f.Leader)
	}
	includable := d.pool.Includable()
	if includable == d.includable {
		return nil
	}
	d.includable = includable
	return d.core.Step(hotstuff.Work{Includable: includable})
}

// answers collects what has come out of the mempool, and steps its answers to Require.
func (d *Driver) answers() (any bool, err error) {
	d.collect()
	available, invalid := d.out.Available, d.out.Invalid
	d.out.Available, d.out.Invalid = nil, nil
	for _, id := range available {
		if err := d.core.Step(hotstuff.PayloadStatus{Block: id, Valid: true}); err != nil {
			return true, err
		}
	}
	for _, id := range invalid {
		if err := d.core.Step(hotstuff.PayloadStatus{Block: id}); err != nil {
			return true, err
		}
	}
	return len(available)+len(invalid) > 0, nil
}

// collect adds what has come out of the mempool to what waits to be performed.
func (d *Driver) collect() {
	p := d.pool.Ready()
	d.out.Available = append(d.out.Available, p.Available...)
	d.out.Invalid = append(d.out.Invalid, p.Invalid...)
	d.out.Persist = append(d.out.Persist, p.Persist...)
	d.out.Broadcast = append(d.out.Broadcast, p.Broadcast...)
	d.out.Push = append(d.out.Push, p.Push...)
	d.out.Fetch = append(d.out.Fetch, p.Fetch...)
	d.out.Load = append(d.out.Load, p.Load...)
	d.out.Execute = append(d.out.Execute, p.Execute...)
	d.out.Dead = append(d.out.Dead, p.Dead...)
	d.out.Unknown = append(d.out.Unknown, p.Unknown...)
	if p.OpenLane != (blocktree.Incarnation{}) {
		d.out.OpenLane = p.OpenLane
	}
}

// perform does what has come out. Commits first: they rest on the votes that a quorum has on disk, not on our own note of
// them. Then the write, and what is gated by it. worked is false when there was nothing to do.
func (d *Driver) perform(at hotstuff.Tick) (worked bool, err error) {
	openLane := d.out.OpenLane
	d.out.OpenLane = blocktree.Incarnation{}
	if openLane != (blocktree.Incarnation{}) {
		// The incarnation is raised and synced before the first batch of the lane exists (PROTOCOL §6).
		if err := d.core.Step(hotstuff.OpenLane{AtLeast: openLane}); err != nil {
			return true, err
		}
		d.laneSynced = false
	}
	r := d.core.Ready()
	for _, c := range r.Commit {
		if d.edges.Committed != nil {
			d.edges.Committed(c.Block)
		}
		d.pool.Committed(c.Block, c.Lanes)
		d.load.committed(at.Now, c.Block.Payload)
	}
	d.collect()
	if d.laneSynced {
		d.performPool()
	}
	d.sendAll(r.First)
	if !r.Gated {
		d.sendAll(r.Send)
	}
	if len(r.Persist) > 0 {
		if err := d.edges.Store.Append(r.Persist); err != nil {
			return true, fmt.Errorf("safety store: %w", err)
		}
		d.tellCertified(r.Persist)
	}
	if r.Gated {
		// Synced first: a restart would otherwise forget what others were told. The safety state that every start writes
		// holds its incarnation, so now the lane may be used.
		d.laneSynced = true
		d.sendAll(r.Send)
	}
	return d.finish(at, r, openLane != (blocktree.Incarnation{}))
}

// tellCertified tells of the certificates of states that were written.
func (d *Driver) tellCertified(records []hotstuff.Record) {
	if d.edges.Snapshots == nil {
		return
	}
	for _, r := range records {
		if c, ok := r.(hotstuff.CheckpointRecord); ok {
			d.edges.Snapshots.Certified(c.Certificate)
		}
	}
}

// finish does the rest of a Ready, which waits for nothing, and tells whether it calls for another round.
func (d *Driver) finish(at hotstuff.Tick, r hotstuff.Ready, openLane bool) (worked bool, err error) {
	for _, v := range r.Verify {
		d.edges.Verifier.Sum(v)
	}
	if d.edges.Dropped != nil {
		for _, x := range r.Dropped {
			d.edges.Dropped(x)
		}
	}
	if r.Push {
		d.pool.PushToLeader()
	}
	d.core.Advance()
	if len(r.Commit) > 0 {
		if err := d.core.Step(hotstuff.Load{Heavy: d.load.heavy(at.Now)}); err != nil {
			return true, err
		}
	}
	if d.laneSynced {
		d.performPool()
	}
	if openLane {
		d.pool.Opened(d.core.Safety().Incarnation)
	}
	// Only what changes the core or the mempool calls for another round: an edge that answers inline puts its answers
	// into the next turn.
	return len(r.Persist)+len(r.Commit) > 0 || r.Push || openLane || d.out.OpenLane != (blocktree.Incarnation{}), nil
}

func (d *Driver) sendAll(envelopes []hotstuff.Envelope) {
	for _, e := range envelopes {
		d.send(e)
	}
}

// performPool does what has come out of the mempool, but its answers to Require, which are settle's, and its wish for a
// new lane, which is the next round's.
func (d *Driver) performPool() {
	p := d.out
	d.out = mempool.Ready{Available: p.Available, Invalid: p.Invalid, OpenLane: p.OpenLane}
	if len(p.Persist) > 0 {
		d.edges.Verifier.Sync(p.Persist)
	}
	for _, b := range p.Broadcast {
		d.edges.Transport.Broadcast(b)
	}
	for _, x := range p.Push {
		d.edges.Transport.Send(x.To, x.Batch)
	}
	for _, x := range p.Fetch {
		d.edges.Transport.Send(x.To, x.Request)
	}
	if len(p.Load) > 0 {
		d.edges.Verifier.Load(p.Load)
	}
	for _, x := range p.Execute {
		d.edges.App.Execute(x)
	}
	for _, owner := range p.Dead {
		d.edges.Refused(owner, app.ErrNotApplied)
	}
	for _, owner := range p.Unknown {
		d.edges.Refused(owner, app.ErrUnknownOutcome)
	}
}

// send gives votes and timeouts the marks of what is held here, and hands the message to the transport.
func (d *Driver) send(e hotstuff.Envelope) {
	switch m := e.Message.(type) {
	case *hotstuff.VoteMessage:
		m.Held = d.pool.Held()
	case *hotstuff.TimeoutMessage:
		m.Held = d.pool.Held()
	}
	if e.Broadcast {
		d.edges.Transport.Broadcast(e.Message)
		return
	}
	d.edges.Transport.Send(e.To, e.Message)
}

// heldMarks returns the lanes that a message's sender says it holds, nil if it says nothing.
func heldMarks(m hotstuff.Message) (held []mark) {
	switch m := m.(type) {
	case *hotstuff.VoteMessage:
		return m.Held
	case *hotstuff.TimeoutMessage:
		return m.Held
	}
	return nil
}
