package node

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hotstuffd/hotstuffd/app"
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/config"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	hsnet "github.com/hotstuffd/hotstuffd/net"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/store"
)

// Options is what a Node is made of. All but Logger are required.
type Options struct {
	Config      config.Config
	Genesis     *config.Genesis
	Secrets     *config.Secrets
	Application app.Application
	Logger      *slog.Logger // default: slog.Default
}

// Node is one replica. Make it with New, then call Run once.
type Node struct {
	cfg         config.Config
	self        qc.NodeID
	committee   *qc.Committee
	application app.Application
	logger      *slog.Logger

	store     *store.Store
	disk      *disk // the same store, to those who can wait
	network   *hsnet.Network
	inbox     *inbox
	driver    *Driver
	peers     *peers
	executor  *executor
	verifiers verifiers
	sums      *worker[sumRequest]
	payload   *payloadWriter
	loads     *worker[blocktree.Digest]
	snapshots *snapshots
	start     time.Time

	stages      *stages
	stalls      prometheus.Histogram // of the executor, by checkpoints
	intervals   intervals            // between commits
	progress    published
	written     *watermark // the height up to which committed blocks are on disk: the executor may be ahead
	admission   *admission
	lastApplied struct {
		mu    sync.Mutex
		value Applied
		asked <-chan Applied
	}

	ended   <-chan struct{} // Run's context
	failure chan error      // the first fatal error of any goroutine
	stop    chan struct{}   // closed when Run begins to stop
	pace    *pace           // the keeper's
	stopped chan struct{}   // closed when nothing answers any more
}

// New opens the replica's store, recovers its state and binds its address. Nothing is sent before Run.
// Expected errors: the store's (lost or damaged safety state, another chain, in use), a genesis that does not fit the
// configuration, an address in use.
func New(o Options) (_ *Node, err error) {
	n := &Node{cfg: o.Config, self: o.Secrets.ID, application: o.Application, logger: o.Logger, inbox: newInbox(), start: time.Now(),
		failure: make(chan error, 1), stop: make(chan struct{}), stopped: make(chan struct{}), stalls: newStalls(), intervals: newIntervals(), written: newWatermark(), admission: newAdmission(o.Config.Clients.Timeout)}
	n.stages = newStages(n.self, n.start)
	n.pace = newPace(n.stop)
	if n.logger == nil {
		n.logger = slog.Default()
	}
	if n.committee, err = qc.NewCommittee(o.Genesis.Chain, o.Genesis.Epoch, len(o.Genesis.Nodes)); err != nil {
		return nil, err
	}
	n.store, err = store.Open(o.Config.Path(o.Config.Storage.Dir), StoreIdentity(o.Genesis, n.self), store.Options{Rest: n.pace.rest})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			n.store.Close()
		}
	}()
	if err = n.assemble(o); err != nil {
		return nil, err
	}
	return n, nil
}

func (n *Node) assemble(o Options) error {
	k, err := newChecker(o.Genesis)
	if err != nil {
		return err
	}
	n.verifiers = make(verifiers, max(2, runtime.GOMAXPROCS(0)))
	for range cap(n.verifiers) {
		v, err := k.messages(n.self)
		if err != nil {
			return err
		}
		n.verifiers <- v
	}
	certs, scheme, err := k.certs()
	if err != nil {
		return err
	}
	assembled, err := Assemble(Parts{Config: o.Config, Genesis: o.Genesis, Committee: n.committee, Self: n.self, Identity: qc.IdentityKey(o.Secrets.Identity),
		Signer: scheme.Signer(o.Secrets.BLS), Certs: certs, Store: n.store}, n.now())
	if err != nil {
		return err
	}
	core := assembled.Core
	n.logger.Info("recovered", "replica", n.self, "view", core.View(), "committed", core.Tree().Committed().Block.Height,
		"snapshot", assembled.Base, "replay", assembled.ReplayTo, "held_batches", assembled.Pool.Stats().Batches)
	if core.Rejoining() {
		n.logger.Warn("rejoining: the safety state was lost, so this replica follows the others and signs nothing until its nonce is committed",
			"nonce", core.Safety().Nonce)
	}
	return n.connect(o, assembled, k.first, k.identities)
}

// connect makes the edges around the driver.
func (n *Node) connect(o Options, a Assembled, genesis *blocktree.Block, identities []ed25519.PublicKey) error {
	wireLimits := WireLimits(o.Genesis)
	dropped := newDropCounter(n.logger)
	n.peers = &peers{inbox: n.inbox, verifiers: n.verifiers, committee: n.committee, identities: identities, limits: wireLimits,
		dropped: dropped, stages: n.stages, logger: n.logger}
	var err error
	if n.network, err = hsnet.Listen(netConfig(o, n.committee, identities, wireLimits, n.logger), n.peers); err != nil {
		return err
	}
	t := transport{n.network, sentLog{n.self, n.logger}, n.stages}
	n.disk = newDisk(n.store, n.stages, n.logger, n.stop)
	n.peers.full = n.store.Full
	holds, ticking := NewHolds(), func() qc.Ticks { return n.now().Now }
	n.peers.server = &Server{Store: n.store, Reply: t.reply, Fail: n.failUnlessFull, Holds: holds, Now: ticking}
	config, err := MachineOf(o.Genesis, n.committee)
	if err != nil {
		return err
	}
	machine := NewMachine(n.application, genesis, config)
	WatchNonce(machine, a.Core, n.self, func(e NonceSeen) { n.inbox.answer(e) })
	n.snapshots = newSnapshots(n.store, n.pace, wireLimits, keeperConfig(o.Config.Storage), holds, ticking, n.inbox, n.logger, n.stop)
	machine.OnAnswer(n.stages.executed)
	machine.OnCheckpoint(func() {
		began := time.Now()
		n.snapshots.digestState(machine.Freeze(), nil)
		n.stalls.Observe(time.Since(began).Seconds())
	})
	n.executor = newExecutor(machine, func(h qc.Height) { n.inbox.answer(Executed{Height: h}) }, n.snapshots.digestState,
		func(x *executor) error {
			err := Begin(machine, n.disk, wireLimits, a.Base, a.ReplayTo, n.stop, func(h qc.Height) {
				n.pace.busy()
				x.cameTo(h, machine.block)
			})
			if err == nil && machine.Height() > 0 {
				x.cameTo(machine.Height(), machine.block) // by a snapshot alone, if no log was left above it
			}
			return err
		})
	n.executor.restored.Store(uint64(a.Base))
	n.snapshots.executor = n.executor
	if err := n.snapshots.recover(a.Core.Certified()); err != nil {
		return err
	}
	n.sums = newWorker[sumRequest]()
	n.loads = newWorker[blocktree.Digest]()
	n.payload = &payloadWriter{worker: newWorker[*mempool.Batch](), write: n.disk.AppendBatches,
		done: func(b []*mempool.Batch) { n.inbox.answer(Synced{Batches: b}) }}
	n.driver = NewDriver(a.Core, a.Pool, Edges{
		Store: loopStore{n}, Transport: t, App: n.executor, Verifier: edgeVerifier{n}, Snapshots: takesOver(n.application, n.snapshots),
		Refused: refuse, Committed: n.committed, Dropped: func(x hotstuff.Drop) { dropped.add(x.From, x.Reason) },
	})
	n.publish() // others may ask before the loop's first turn
	return nil
}

// takesOver is the edge for snapshots, if the application can be restored.
func takesOver(a app.Application, s *snapshots) Snapshots {
	if _, ok := a.(app.Snapshotter); ok {
		return s
	}
	return nil
}

// edgeVerifier gives the loop's slow work to the workers.
type edgeVerifier struct{ n *Node }

// sumRequest is a sum to check, and when it was asked for.
type sumRequest struct {
	hotstuff.VerifyRequest
	asked time.Time
}

// Sum implements Verifier.
func (e edgeVerifier) Sum(r hotstuff.VerifyRequest) { e.n.sums.put(sumRequest{r, time.Now()}) }

// Sync implements Verifier.
func (e edgeVerifier) Sync(b []*mempool.Batch) {
	e.n.stages.closed(b)
	e.n.payload.put(b...)
}

// Load implements Verifier.
func (e edgeVerifier) Load(digests []blocktree.Digest) { e.n.loads.put(digests...) }

func refuse(owner any, err error) {
	r := owner.(*app.Request)
	r.Complete(r, nil, err)
}

// committed notes that a block is committed.
func (n *Node) committed(b *blocktree.Block) {
	n.stages.committed(b)
	if len(b.Payload) > 0 {
		n.pace.busy()
	}
}

// now is the time as the core is told it.
func (n *Node) now() hotstuff.Tick {
	t := time.Now()
	return hotstuff.Tick{Now: ticks(t.Sub(n.start)), Wall: t.UnixNano()}
}

func ticks(d time.Duration) qc.Ticks {
	return qc.Ticks(d / tick)
}

// tick is how long a tick of the core is.
const tick = time.Second / time.Duration(qc.TicksPerSecond)

// Run runs the replica until ctx ends, which is no error, or something fails that it must not survive.
// Expected errors: a store that cannot be written or read, and hotstuff's: the replica's key is used elsewhere, or more
// than f replicas are faulty.
func (n *Node) Run(ctx context.Context) error {
	n.ended = ctx.Done()
	var group sync.WaitGroup
	launch := func(run func() error) {
		group.Go(func() {
			if err := run(); err != nil && !errors.Is(err, errStopped) {
				n.fail(err)
			}
		})
	}
	launch(n.executor.run)
	launch(n.payload.run)
	launch(n.runLoads)
	launch(n.runSums)
	n.snapshots.launch(&group, n.fail)
	launch(n.disk.run)
	n.network.Start()
	err := n.loop(ctx)
	if errors.Is(err, errStopped) { // while the disk was full: what was not written was not sent either
		err = nil
	}

	close(n.stop)
	if err != nil {
		n.executor.close() // at once: nobody is to be answered from a state that may be wrong
		err = errors.Join(err, n.keepProof(err))
	}
	// From the outside in: no new work, then the workers, then those who wait for answers.
	left := n.inbox.close()
	n.network.Close()
	n.executor.close()
	n.payload.close()
	n.sums.close()
	n.loads.close()
	n.snapshots.close()
	group.Wait()
	close(n.stopped)
	n.refuseAll(left, n.executor.unexecuted())
	return errors.Join(err, n.store.Close())
}

// keepProof has the disk remember the certificate that has proved this replica's state wrong: another start, which executes
// the same, then stops there by itself, and answers nobody from what comes after.
func (n *Node) keepProof(stopped error) error {
	var d *hotstuff.DivergedError
	if !errors.As(stopped, &d) {
		return nil
	}
	return n.store.Append([]hotstuff.Record{hotstuff.CheckpointRecord{Certificate: d.Proof}})
}

// runSums checks sums of votes, one after the other: they are the certificates of successive views.
func (n *Node) runSums() error {
	for {
		requests, ok := n.sums.take()
		if !ok {
			return nil
		}
		for _, r := range requests {
			sum := n.verifiers.sum(r.VerifyRequest, func(u hotstuff.Unchecked) { n.inbox.answer(AddedUp{u}) })
			if len(r.Checkpoints) == 0 {
				n.stages.sum.Observe(time.Since(r.asked).Seconds())
			}
			n.inbox.answer(Summed{sum})
		}
	}
}

// runLoads reads batches that the mempool has let go.
func (n *Node) runLoads() error {
	for {
		digests, ok := n.loads.take()
		if !ok {
			return nil
		}
		var found []*mempool.Batch
		for _, d := range digests {
			switch b, err := n.disk.Batch(d); {
			case err == nil:
				found = append(found, b)
			case !errors.Is(err, store.ErrNotFound):
				return err
			}
		}
		n.inbox.answer(Loaded{Asked: digests, Found: found})
	}
}

// failUnlessFull takes the errors of reads for peers: while the disk is full they ask somebody else.
func (n *Node) failUnlessFull(err error) {
	if !errors.Is(err, store.ErrFull) {
		n.fail(err)
	}
}

func (n *Node) fail(err error) {
	select {
	case n.failure <- err:
	default:
	}
}

// loop is the one goroutine that owns the driver.
func (n *Node) loop(ctx context.Context) error {
	var events []Event
	timer := time.NewTimer(0)
	defer timer.Stop()
	unreached := time.After(reachGrace)
	for {
		grace := false
		select {
		case <-ctx.Done():
			return nil
		case err := <-n.failure:
			return err
		case <-unreached:
			grace = true
		case <-timer.C:
		case <-n.inbox.wake:
		}
		events = n.inbox.take(events)
		at := n.now()
		if err := n.driver.Turn(at, events); err != nil {
			return err
		}
		if grace { // after the turn: what has come may tell of them
			if err := n.driver.Turn(at, n.silent()); err != nil {
				return err
			}
		}
		n.publish()
		n.intervals.at(n.driver.Core().Tree().Committed().Block.Height, time.Now())
		due := n.driver.Deadline()
		wait := time.Duration(0)
		if now := n.now().Now; due > now {
			wait = time.Duration(due-now) * tick
		}
		timer.Reset(wait)
	}
}

// reachGrace is how long after the start a peer that was never reached counts as neither up nor down. After it, its
// views are not waited for.
const reachGrace = 500 * time.Millisecond

// silent returns that the peers which were never reached are down.
func (n *Node) silent() (events []Event) {
	for id := range qc.NodeID(n.committee.Size()) {
		if id != n.self && !n.driver.Reached(id) {
			events = append(events, PeerChange{ID: id})
		}
	}
	return events
}

// publish shows the others where the loop stands.
func (n *Node) publish() {
	core := n.driver.Core()
	n.peers.publish(core.Window())
	f := core.Frontier()
	p := progress{view: f.View, leader: f.Leader, committed: core.Tree().Committed().Block.Height, synced: f.Known, votes: core.Votes(), pool: n.driver.Pool().Stats()}
	p.base = time.Duration(core.BaseTimeout()) * tick
	safety := core.Safety()
	if v := safety.LastVoted; v != nil {
		p.voted = v.View
	}
	if p.rejoining = core.Rejoining(); !p.rejoining && n.progress.read().rejoining {
		n.logger.Info("rejoined: this replica takes part again", "above_view", safety.Floor)
	}
	p.certified, p.reached, p.transfer = core.CheckpointHeight(), core.Reached(), n.driver.Transfer()
	if core.Stalled() {
		stall := core.Checkpoints()
		p.stall = &stall
	}
	n.tellStall(n.progress.read().stall, p.stall)
	n.progress.set(p)
	n.written.advance(uint64(p.committed))
	if p.pool.BacklogBytes > 0 {
		n.pace.busy()
	}
	n.admission.set(n.driver.Pool().Admitting())
}

// Submit implements app.Submitter.
func (n *Node) Submit(r *app.Request) error {
	if n.store.Full() {
		return app.ErrDiskFull
	}
	if err := n.admission.wait(n.stop); err != nil {
		return err
	}
	n.stages.taken(r)
	extra := 0
	for i := range r.Locals {
		extra += len(r.Locals[i].Query)
	}
	if !n.inbox.put(Submitted{Blob: r.Blob, Count: r.Count, Owner: r, Extra: extra}, len(r.Blob)+extra) {
		return app.ErrStopped
	}
	return nil
}

// Replied takes from a front end how long after Request.Executed a reply was with its client's connection. Do and Query
// have no connection: theirs is with the caller.
func (n *Node) Replied(after time.Duration) { n.stages.reply.Observe(after.Seconds()) }

// Do submits one command and waits for its result: the simplest way to use an embedded replica.
// Expected errors: Submit's, ErrNotApplied, ErrUnknownOutcome, and ctx's, after which the outcome is unknown.
func (n *Node) Do(ctx context.Context, command []byte) ([]byte, error) {
	return n.do(ctx, &app.Request{Blob: mempool.AppendCommand(nil, command), Count: 1})
}

// Query evaluates a linearizable read: it sees every command that was answered before it was asked.
// Expected errors: as for Do.
func (n *Node) Query(ctx context.Context, query []byte) ([]byte, error) {
	return n.do(ctx, &app.Request{Locals: []app.Local{{Query: query}}})
}

func (n *Node) do(ctx context.Context, r *app.Request) ([]byte, error) {
	type outcome struct {
		reply []byte
		err   error
	}
	done := make(chan outcome, 1)
	r.Complete = func(_ *app.Request, reply []byte, err error) { done <- outcome{reply, err} }
	if err := n.Submit(r); err != nil {
		return nil, err
	}
	select {
	case o := <-done:
		if o.err == nil {
			n.Replied(time.Since(r.Executed))
		}
		return o.reply, o.err
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-n.stopped: // it was taken in
		return nil, app.ErrUnknownOutcome
	}
}

// refuseAll answers requests that were under way when the node stopped: those that never reached a batch, and those
// whose batch is out.
func (n *Node) refuseAll(left []Event, unexecuted []mempool.Execution) {
	for _, e := range left {
		if s, ok := e.(Submitted); ok {
			refuse(s.Owner, app.ErrStopped)
		}
	}
	for _, e := range unexecuted {
		for _, spans := range e.Spans {
			for _, s := range spans {
				refuse(s.Owner, app.ErrUnknownOutcome)
			}
		}
	}
	for _, owner := range n.driver.Pool().Abandon() {
		refuse(owner, app.ErrUnknownOutcome)
	}
}

func (n *Node) String() string {
	return fmt.Sprintf("%v of chain %.8s", n.self, n.committee.Chain.Hex())
}
