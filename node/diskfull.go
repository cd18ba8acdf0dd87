package node

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/store"
)

// A full disk stops a replica and does not end it. The loop waits in the write that has met it, so nothing that rests on
// the write is sent, nothing more is signed, and when there is room it goes on where it was: to the others it was slow.
// Meanwhile clients are refused, peers' messages are dropped as a network might, and all that only reads goes on.

// reviveEvery is the time between two looks for room: nothing tells when there is some.
const reviveEvery = time.Second

// disk makes those wait who meet a full disk, and takes the store back into use. One goroutine does that, run.
type disk struct {
	*store.Store
	stages *stages
	logger *slog.Logger
	stop   <-chan struct{}
	met    chan error // one slot: somebody has met a full disk

	mu   sync.Mutex
	over chan struct{} // set while somebody waits, and closed when the disk is full no more
}

func newDisk(s *store.Store, stages *stages, logger *slog.Logger, stop <-chan struct{}) *disk {
	return &disk{Store: s, stages: stages, logger: logger, stop: stop, met: make(chan error, 1)}
}

// why says in one line what a full disk is in want of.
func (d *disk) why() string {
	const mebibyte = 1 << 20
	return fmt.Sprintf("disk full: votes and commands wait until %d MiB are free", (d.Missing()+mebibyte-1)/mebibyte)
}

// outlast returns nil once the full disk that a call has met is full no more: then the call is to be repeated. Any other
// error of the call it returns, and failure's, and errStopped once stop is closed.
func (d *disk) outlast(err error, stop <-chan struct{}, failure <-chan error) error {
	if !errors.Is(err, store.ErrFull) {
		return err
	}
	d.mu.Lock()
	if d.over == nil {
		d.over = make(chan struct{})
		d.met <- err
	}
	over := d.over
	d.mu.Unlock()
	select {
	case <-over:
		return nil
	case err := <-failure:
		return err
	case <-stop:
		return errStopped
	}
}

// run takes the store back into use whenever the disk was full, until stop is closed. Its error is the store's.
func (d *disk) run() error {
	for {
		select {
		case err := <-d.met:
			if err := d.revive(err); err != nil {
				return err
			}
		case <-d.stop:
			return nil
		}
	}
}

func (d *disk) revive(failure error) error {
	if d.Full() { // else somebody was late to wait
		began := time.Now()
		d.logger.Error("disk full: this replica votes no more and takes no commands until there is room", "error", failure)
		again := time.NewTicker(reviveEvery)
		defer again.Stop()
		for err := failure; err != nil; err = d.Revive() {
			if !errors.Is(err, store.ErrFull) {
				return err
			}
			select {
			case <-again.C:
			case <-d.stop:
				return errStopped
			}
		}
		d.logger.Info("the disk has room again: this replica votes and takes commands", "was_full", time.Since(began).Round(time.Millisecond))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	close(d.over)
	d.over = nil
	return nil
}

// patiently makes a call of the store, and again after the disk was full.
func patiently[T any](d *disk, call func() (T, error)) (T, error) {
	for {
		v, err := call()
		if err == nil {
			return v, nil
		}
		if err = d.outlast(err, d.stop, nil); err != nil {
			return v, err
		}
	}
}

// AppendBatches waits while the disk is full.
func (d *disk) AppendBatches(batches []*mempool.Batch) error {
	_, err := patiently(d, func() (struct{}, error) {
		began := time.Now()
		err := d.Store.AppendBatches(batches)
		if err == nil {
			d.stages.payloadSync.Observe(time.Since(began).Seconds())
		}
		return struct{}{}, err
	})
	return err
}

// Reads wait while the disk is so full that the store could not be opened again.

func (d *disk) CommittedID(h qc.Height) (id qc.BlockID, ok bool, err error) {
	id, err = patiently(d, func() (id qc.BlockID, err error) {
		id, ok, err = d.Store.CommittedID(h)
		return id, err
	})
	return id, ok, err
}

func (d *disk) Block(id qc.BlockID) (*blocktree.Block, error) {
	return patiently(d, func() (*blocktree.Block, error) { return d.Store.Block(id) })
}

func (d *disk) Batch(digest blocktree.Digest) (*mempool.Batch, error) {
	return patiently(d, func() (*mempool.Batch, error) { return d.Store.Batch(digest) })
}

// loopStore is the store as the driver sees it: Append waits while the disk is full, but no longer than the node runs.
type loopStore struct{ n *Node }

// Append implements Store.
func (s loopStore) Append(records []hotstuff.Record) error {
	for {
		began := time.Now()
		err := s.n.store.Append(records)
		if err == nil {
			s.n.stages.sync.Observe(time.Since(began).Seconds())
			return nil
		}
		if err = s.n.disk.outlast(err, s.n.ended, s.n.failure); err != nil {
			return err
		}
	}
}
