package node

import (
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hotstuffd/hotstuffd/api/wire"
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/store"
)

// snapshots is the production edge for snapshots: three goroutines, so that none waits for what another is long at. One
// digests states, in their order; one is the keeper's, which writes snapshots and prunes; one receives another replica's.
type snapshots struct {
	store    *store.Store
	executor *executor
	limits   wire.Limits
	inbox    *inbox
	logger   *slog.Logger
	stop     <-chan struct{}

	states  chan stateAsked // to be digested
	keeping *worker[func() error]
	keeper  *Keeper
	waiting atomic.Int32 // states that were handed to the keeper, and that it has not taken yet

	receiving *worker[func()]
	receiver  *store.SnapshotReceiver // the receiving goroutine's; nil: there is none
	meta      store.SnapshotMeta
}

// stateAsked is a frozen state: of a checkpoint, or one that somebody has asked for.
type stateAsked struct {
	state  *State
	answer chan<- Applied // nil: of a checkpoint
}

// statesMax is how many frozen states wait to be digested before the executor waits for that, and how many for the keeper
// before further ones pass it by, as while it writes a large snapshot: each costs a copy of what is written meanwhile.
const statesMax = 2

func newSnapshots(s *store.Store, p *pace, l wire.Limits, cfg KeeperConfig, holds *Holds, now func() qc.Ticks, in *inbox, logger *slog.Logger,
	stop <-chan struct{}) *snapshots {
	return &snapshots{store: s, limits: l, inbox: in, logger: logger, stop: stop, states: make(chan stateAsked, statesMax),
		keeping: newWorker[func() error](), receiving: newWorker[func()](),
		keeper: NewKeeper(keptIn{s, p}, cfg, holds, now)}
}

// recover tells the keeper of what is on disk.
func (s *snapshots) recover(certified *qc.CheckpointCertificate) error {
	if damaged := s.store.DamagedSnapshots(); len(damaged) > 0 {
		s.logger.Warn("snapshots that are not whole were removed: an older one is used, or the log", "heights", damaged)
	}
	return s.keeper.Recover(s.store, s.limits, certified, func(h qc.Height, err error) {
		s.logger.Warn("a snapshot is damaged: another is used, and it goes when newer ones come", "height", h, "error", err)
	})
}

// launch starts the goroutines.
func (s *snapshots) launch(group *sync.WaitGroup, fail func(error)) {
	group.Go(s.digest)
	group.Go(func() {
		if err := s.keep(); err != nil {
			fail(err)
		}
	})
	group.Go(s.receive)
}

func (s *snapshots) close() {
	s.keeping.close()
	s.receiving.close()
}

// digestState hands a state over to be digested. It waits while too many are under way.
func (s *snapshots) digestState(state *State, answer chan<- Applied) {
	select {
	case s.states <- stateAsked{state, answer}:
	case <-s.stop:
		state.Release()
	}
}

// digest digests states, one after the other: what is cached in them is the digester's.
func (s *snapshots) digest() {
	for {
		select {
		case a := <-s.states:
			if a.answer != nil {
				a.answer <- a.state.Applied() // buffered by its maker
				a.state.Release()
				continue
			}
			s.inbox.answer(Checkpointed{a.state.Checkpoint()})
			s.offer(a.state)
		case <-s.stop:
			return
		}
	}
}

// offer hands a state to the keeper, unless that is behind: then the next one that is due will do.
func (s *snapshots) offer(state *State) {
	if s.waiting.Add(1) > statesMax {
		s.waiting.Add(-1)
		state.Release()
		return
	}
	s.keeping.put(func() error {
		s.waiting.Add(-1)
		return s.tell(s.keeper.Executed(state))
	})
}

// keep runs the keeper.
func (s *snapshots) keep() error {
	defer s.keeper.Close()
	for {
		tasks, ok := s.keeping.take()
		if !ok {
			return nil
		}
		for _, task := range tasks {
			if err := task(); err != nil {
				return err
			}
		}
	}
}

// tell logs what the keeper has come to. That a snapshot cannot be written or the log not pruned harms nothing but space.
func (s *snapshots) tell(meta *store.SnapshotMeta, err error) error {
	switch {
	case errors.Is(err, store.ErrClosed):
	case err != nil:
		s.logger.Warn("cannot take a snapshot, or prune the log: the next checkpoint tries again", "error", err)
	case meta != nil:
		s.logger.Info("snapshot", "height", meta.Height(), "bytes", meta.Bytes, "log_from", s.store.Floor())
	}
	return nil
}

// Certified implements Snapshots.
func (s *snapshots) Certified(cert *qc.CheckpointCertificate) {
	s.keeping.put(func() error { return s.tell(s.keeper.Certified(cert)) })
}

// receive runs what the driver asks for.
func (s *snapshots) receive() {
	for {
		tasks, ok := s.receiving.take()
		if !ok {
			s.forget((*store.SnapshotReceiver).Close) // what has come stays for the next start
			return
		}
		for _, task := range tasks {
			task()
		}
	}
}

// forget ends what is being received.
func (s *snapshots) forget(how func(*store.SnapshotReceiver) error) {
	if s.receiver == nil {
		return
	}
	if err := how(s.receiver); err != nil && !errors.Is(err, store.ErrClosed) {
		s.logger.Warn("cannot clear away a snapshot that was being received", "error", err)
	}
	s.receiver = nil
}

// Receive implements Snapshots.
func (s *snapshots) Receive(meta store.SnapshotMeta) {
	s.receiving.put(func() {
		s.forget((*store.SnapshotReceiver).Close)
		answer := SnapshotOpened{Root: meta.Root()}
		var err error
		if s.receiver, err = s.store.ReceiveSnapshot(meta); err != nil {
			s.logger.Warn("cannot receive a snapshot: tried again", "height", meta.Height(), "error", err)
			answer.Failed = true
		} else {
			s.meta, answer.Missing = meta, s.receiver.Missing()
			s.logger.Info("fetching a snapshot: the others keep no log from where this replica stands", "height", meta.Height(), "bytes", meta.Bytes,
				"chunks", len(meta.Chunks), "missing", len(answer.Missing))
		}
		s.inbox.answer(answer)
	})
}

// Put implements Snapshots.
func (s *snapshots) Put(c SnapshotChunk) {
	s.receiving.put(func() {
		if s.receiver == nil {
			return
		}
		answer := ChunkPut{Root: s.meta.Root(), Index: c.Index}
		switch err := s.receiver.Put(c.Index, c.Data); {
		case errors.Is(err, store.ErrChunk):
			s.logger.Warn("a chunk of a snapshot is not what was offered: its sender is asked no more", "from", c.From, "chunk", c.Index)
			answer.Outcome = PutWrong
		case err != nil:
			s.logger.Warn("cannot write a snapshot that is being received: tried again", "error", err)
			answer.Outcome = PutFailed
		}
		s.inbox.answer(answer)
	})
}

// Abort implements Snapshots.
func (s *snapshots) Abort() {
	s.receiving.put(func() { s.forget((*store.SnapshotReceiver).Abort) })
}

// Restore implements Snapshots.
func (s *snapshots) Restore() {
	s.receiving.put(func() {
		if s.receiver == nil {
			return
		}
		began := time.Now()
		answer := SnapshotRestored{Root: s.meta.Root()}
		answer.State, answer.Err = s.takeOver()
		switch {
		case errors.Is(answer.Err, errStopped):
			return
		case answer.Err != nil:
			s.logger.Error("a snapshot that was fetched cannot be taken over: one is fetched again", "height", s.meta.Height(), "error", answer.Err)
			s.forget((*store.SnapshotReceiver).Abort)
		case answer.State == nil:
			s.forget((*store.SnapshotReceiver).Abort)
		default:
			s.logger.Info("took over a snapshot", "height", s.meta.Height(), "bytes", s.meta.Bytes, "restored_in", time.Since(began).Round(time.Millisecond))
			s.receiver = nil
		}
		s.inbox.answer(answer)
	})
}

// takeOver restores what was received, and makes it this replica's own snapshot. Only when that is durable the executor goes
// on from there and the driver hears of it: a restart stands where they do.
func (s *snapshots) takeOver() (*hotstuff.Restored, error) {
	f, err := s.receiver.Open()
	if err != nil {
		return nil, err
	}
	out := s.executor.takeSnapshot(&restoration{from: f, limits: s.limits, cp: s.meta.Certificate.Checkpoint}, s.stop)
	if err := errors.Join(out.err, f.Close()); err != nil || out.head == nil {
		return nil, err
	}
	meta, err := s.receiver.Commit()
	if meta.Certificate == nil {
		return nil, err // the executor waits for the next one
	}
	_ = s.tell(nil, err)
	s.executor.adopt(out.head)
	s.keeping.put(func() error {
		s.keeper.stands(out.head, meta.Bytes)
		return s.tell(nil, s.keeper.Prune())
	})
	return out.head.restored(s.meta.Certificate), nil
}

// keptIn is a store as a Keeper sees it, which takes its time.
type keptIn struct {
	*store.Store
	pace *pace
}

// Prune implements SnapshotStore.
func (k keptIn) Prune(height qc.Height, lanes blocktree.Lanes) error {
	k.pace.begin()
	return k.Store.Prune(height, lanes)
}

// WriteSnapshot implements SnapshotStore.
func (k keptIn) WriteSnapshot(cert *qc.CheckpointCertificate, write func(io.Writer) error) (store.SnapshotMeta, error) {
	w, err := k.CreateSnapshot(cert.Checkpoint.Height)
	if err != nil {
		return store.SnapshotMeta{}, err
	}
	k.pace.begin()
	if err = write(pacedWriter{w, k.pace}); err == nil {
		err = w.Finish()
	}
	if err != nil {
		return store.SnapshotMeta{}, errors.Join(err, w.Abort())
	}
	return w.Commit(cert)
}
