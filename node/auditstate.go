package node

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/hotstuffd/hotstuffd/app"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/store"
)

// State executes the log anew, from the oldest snapshot from which it is whole (or genesis) up to the newest certified state, and
// compares the states with all certificates on the way. Call it after Log. The application stands at genesis, and is used up.
// Expected errors: ctx's; the disk's.
func (a *Audit) State(ctx context.Context, fresh app.Application) error {
	if a.end == 0 {
		a.note("no state that this replica has come to is certified: there is nothing to compare")
		return nil
	}
	cfg, err := MachineOf(a.check.genesis, a.check.committee)
	if err != nil {
		return err
	}
	m := NewMachine(fresh, a.check.first, cfg)
	m.OnCheckpoint(func() {
		if want, ok := a.certified[m.Height()]; ok {
			s := m.Freeze()
			a.compare(s.Checkpoint(), want)
			s.Release()
		}
	})
	if err := a.standBelow(m); err != nil {
		a.problem("state: %v", err)
		return nil
	}
	return a.execute(ctx, m)
}

func (a *Audit) compare(got, want qc.Checkpoint) {
	if got != want {
		a.problem("state after block %d: its digest is %x, certified is %x", want.Height, got.Digest, want.Digest)
		return
	}
	a.findings.Compared = append(a.findings.Compared, got.Height)
}

// standBelow puts the machine at the oldest state from which the log is whole.
func (a *Audit) standBelow(m *Machine) error {
	whole := a.holes.highest
	if whole == 0 && a.store.Floor() == 0 {
		return nil
	}
	var failed error
	list := a.store.Snapshots()
	slices.Reverse(list)
	for _, meta := range list {
		if at := meta.Height(); at < whole || at < a.store.Floor() {
			continue
		}
		f, err := a.store.OpenSnapshot(meta.Height())
		if err != nil {
			return err
		}
		err = errors.Join(m.Restore(f, a.limits, meta.Certificate.Checkpoint), f.Close())
		if err == nil {
			a.findings.Compared = append(a.findings.Compared, meta.Height())
			return nil
		}
		if !errors.Is(err, errSnapshot) && !errors.Is(err, store.ErrChunk) {
			return err
		}
		failed = fmt.Errorf("snapshot %d: %w", meta.Height(), err)
		a.problem("%v", failed)
	}
	if failed != nil {
		return failed
	}
	return fmt.Errorf("no whole snapshot up to height %d, from which the log goes on", a.end)
}

// execute applies the log.
func (a *Audit) execute(ctx context.Context, m *Machine) error {
	end := min(a.end, max(m.Height(), a.stored.Commit.Height))
	if end < a.end {
		a.note("the log is noted up to height %d, the snapshot of height %d was durable before that: it is not compared with the log", end, a.end)
	}
	p := AuditProgress{Part: "execution", Total: int64(end - m.Height())}
	for h := m.Height() + 1; h <= end; h++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		e, err := storedExecution(a.store, h)
		if err != nil {
			a.problem("state: %v", err)
			return nil
		}
		if !m.follows(e.Block) {
			a.problem("state: committed block %d does not follow the one before it", h)
			return nil
		}
		m.Apply(e)
		p.Done++
		a.seen(p)
	}
	return nil
}
