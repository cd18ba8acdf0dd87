package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/hotstuffd/hotstuffd/api/server"
	"github.com/hotstuffd/hotstuffd/app"
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/store"
)

// Log implements server.Node. It reads the store, never the loop.
func (n *Node) Log(ctx context.Context, from uint64, follow bool, to server.LogReader) error {
	describe := describer(n.application)
	gap := logGap{to: to, from: max(from, 1)}
	for h := gap.from; ctx.Err() == nil; h++ {
		h = max(h, n.logFrom())
		if applied, _ := n.executor.progress.get(); h > applied {
			if err := gap.end(min(h, applied+1)); err != nil || !follow {
				return err
			}
		}
		if err := n.Await(ctx, h); err != nil {
			return err
		}
		if ok, err := n.awaitWritten(ctx, h, follow); !ok || err != nil {
			return errors.Join(err, gap.end(h))
		}
		entries, err := n.entries(qc.Height(h), describe)
		if n.passedOver(qc.Height(h), err) {
			continue
		}
		if err == nil {
			err = gap.end(h)
		}
		if err == nil && len(entries) > 0 {
			err = to.Entries(entries)
		}
		if err != nil {
			return err
		}
		gap.from = h + 1
	}
	return ctx.Err()
}

// awaitWritten waits until an applied block is on disk: it is applied first, and written in the same turn of the loop. Who does
// not follow the log does not wait for a disk that is long at it.
func (n *Node) awaitWritten(ctx context.Context, h uint64, follow bool) (ok bool, err error) {
	if follow {
		return true, n.written.await(ctx, n.stopped, h)
	}
	short, cancel := context.WithTimeout(ctx, statusWait)
	defer cancel()
	if err = n.written.await(short, n.stopped, h); err != nil && short.Err() != nil {
		return false, ctx.Err()
	}
	return err == nil, err
}

// logGap is how far a reader of the log has been told of it.
type logGap struct {
	to   server.LogReader
	from uint64 // the first height that it knows nothing of
}

// end tells of the heights that are not here, up to one that is.
func (g *logGap) end(at uint64) error {
	if g.from >= at {
		return nil
	}
	gap := server.Gap{From: g.from, To: at - 1}
	g.from = at
	return g.to.Gap(gap)
}

// passedOver tells whether the error of a block that was applied says that its log is not kept: it was pruned since, or its
// state was taken over from another replica. Above the newest state that was restored all is here.
func (n *Node) passedOver(h qc.Height, err error) bool {
	return errors.Is(err, store.ErrNotFound) && (h <= n.store.Floor() || uint64(h) <= n.executor.restored.Load())
}

// appliedBlock returns the block of a height that was applied. That a block is committed is noted on disk only with the
// next vote; until then the executor knows which one it is.
func (n *Node) appliedBlock(h qc.Height) (*blocktree.Block, error) {
	if id, ok := n.executor.recent(h); ok {
		return n.store.Block(id)
	}
	return committedBlock(n.store, h)
}

// describer returns how a command is shown to a person, in one printable line.
func describer(a app.Application) func(mempool.Command) string {
	ofApplication := func(command []byte) string { return fmt.Sprintf("%d bytes", len(command)) }
	if d, ok := a.(app.Describer); ok {
		ofApplication = d.Describe
	}
	return func(c mempool.Command) string {
		if c.Engine {
			return describeEngine(c.Body, ofApplication)
		}
		return ofApplication(c.Body)
	}
}

func (n *Node) entries(h qc.Height, describe func(mempool.Command) string) ([]server.Entry, error) {
	b, err := n.appliedBlock(h)
	if err != nil {
		return nil, err
	}
	var entries []server.Entry
	for i := range b.Payload {
		batch, err := n.store.Batch(b.Payload[i].Digest)
		if err != nil {
			return nil, err
		}
		for command, rest, ok := mempool.NextCommand(batch.Blob); ok; command, rest, ok = mempool.NextCommand(rest) {
			entries = append(entries, server.Entry{Height: uint64(h), Index: uint32(len(entries)), Origin: uint16(batch.Origin),
				Command: describe(command)})
		}
	}
	return entries, nil
}
