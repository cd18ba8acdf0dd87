package node

import (
	"fmt"

	"github.com/hotstuffd/hotstuffd/app"
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
)

// Machine applies committed blocks to an application: in commit order, and commands in block, batch and index order
// (PROTOCOL §6). It belongs to one goroutine.
type Machine struct {
	app      app.Application
	height   qc.Height // of the last applied block
	block    qc.BlockID
	commands uint64 // applied since genesis
	scratch  []byte
}

// Applied is what the application has come to.
type Applied struct {
	Height   qc.Height
	Block    qc.BlockID
	Commands uint64 // since genesis
	Digest   [32]byte
}

// NewMachine returns a machine on an application that stands at genesis.
func NewMachine(a app.Application, genesis *blocktree.Block) *Machine {
	return &Machine{app: a, block: genesis.ID()}
}

// Applied returns where the machine stands.
func (m *Machine) Applied() Applied {
	return Applied{Height: m.height, Block: m.block, Commands: m.commands, Digest: m.app.Digest()}
}

// Apply executes one block. Requests that this replica took in, app.Request owners all of them, are answered as soon as
// their last command is applied.
func (m *Machine) Apply(e mempool.Execution) {
	at := app.Moment{Height: uint64(e.Block.Height), Time: e.Block.Time}
	for i, b := range e.Batches {
		if i < len(e.Spans) && e.Spans[i] != nil {
			m.applyOwn(at, b, e.Spans[i])
		} else {
			m.applyForeign(at, b)
		}
		m.commands += uint64(b.Count)
	}
	m.height, m.block = e.Block.Height, e.Block.ID()
}

// applyForeign executes commands whose results another replica's client gets.
func (m *Machine) applyForeign(at app.Moment, b *mempool.Batch) {
	rest := b.Blob
	for {
		command, after, ok := mempool.NextCommand(rest)
		if !ok {
			return
		}
		m.scratch = m.app.Apply(at, command, m.scratch[:0])
		rest = after
	}
}

// applyOwn executes a batch of this replica, with the reads of its requests at their positions among the commands: that
// is what makes them linearizable.
func (m *Machine) applyOwn(at app.Moment, b *mempool.Batch, spans []mempool.Span) {
	rest := b.Blob
	for _, s := range spans {
		r := s.Owner.(*app.Request)
		var reply []byte
		local := 0
		for i := uint32(0); ; i++ {
			for ; local < len(r.Locals) && r.Locals[local].After <= i; local++ {
				reply = m.evaluate(&r.Locals[local], reply)
			}
			if i == s.Count {
				break
			}
			var command []byte
			command, rest, _ = mempool.NextCommand(rest)
			reply = m.app.Apply(at, command, reply)
		}
		for ; local < len(r.Locals); local++ {
			reply = m.evaluate(&r.Locals[local], reply)
		}
		r.Complete(r, reply, nil)
	}
}

func (m *Machine) evaluate(l *app.Local, reply []byte) []byte {
	if l.Literal {
		return append(reply, l.Query...)
	}
	return m.app.Query(l.Query, reply)
}

// ApplyStored applies the committed block of a height from disk, as at a start.
func (m *Machine) ApplyStored(s Stored, h qc.Height) error {
	e, err := storedExecution(s, h)
	if err != nil {
		return err
	}
	m.Apply(e)
	return nil
}

func storedExecution(s Stored, h qc.Height) (mempool.Execution, error) {
	b, err := committedBlock(s, h)
	if err != nil {
		return mempool.Execution{}, err
	}
	e := mempool.Execution{Block: b, Batches: make([]*mempool.Batch, len(b.Payload))}
	for i := range b.Payload {
		if e.Batches[i], err = s.Batch(b.Payload[i].Digest); err != nil {
			return mempool.Execution{}, fmt.Errorf("store: batch %v of committed block %d: %w", b.Payload[i].Digest, h, err)
		}
	}
	return e, nil
}
