package node_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/hotstuffd/hotstuffd/app"
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/node"
	"github.com/hotstuffd/hotstuffd/qc"
)

// foreseer is an application that expects the commands it was told of.
type foreseer struct {
	counter
	t      *testing.T
	coming [][]byte
	told   int
}

func (f *foreseer) Foresee(commands [][]byte) {
	if len(f.coming) > 0 {
		f.t.Errorf("told of %q while %d others have not come", commands, len(f.coming))
	}
	f.told += len(commands)
	for _, c := range commands {
		f.coming = append(f.coming, bytes.Clone(c))
	}
}

func (f *foreseer) Apply(at app.Moment, command, reply []byte) []byte {
	if len(f.coming) > 0 {
		if !bytes.Equal(command, f.coming[0]) {
			f.t.Errorf("%q was told of, and %q comes", f.coming[0], command)
		}
		f.coming = f.coming[1:]
	}
	return f.counter.Apply(at, command, reply)
}

// An application is told of the commands that come, in order, each once, of whoever's batch; the engine's are not among them.
func TestApplicationIsToldWhatComes(t *testing.T) {
	genesis := blocktree.Genesis(qc.ChainID{1}, 1, 4)
	a := &foreseer{t: t}
	m := node.NewMachine(a, genesis, machineConfig)
	var commands [][]byte
	for i := range 200 {
		commands = append(commands, mempool.AppendCommand(nil, fmt.Append(nil, i)))
	}
	commands = slices.Insert(commands, 70, mempool.AppendRejoin(nil, mempool.Rejoin{Node: 1}))
	b := &mempool.Batch{Count: uint32(len(commands)), Blob: bytes.Join(commands, nil)}
	r := &app.Request{Count: b.Count, Complete: func(*app.Request, []byte, error) {}}
	m.Apply(mempool.Execution{Block: &blocktree.Block{Height: 1, Parent: genesis.ID()}, Batches: []*mempool.Batch{b, b},
		Spans: [][]mempool.Span{{{Owner: r, Count: b.Count}}, nil}})
	if a.count != 400 || a.told != 400 || len(a.coming) != 0 {
		t.Errorf("%d commands have come, %d were told of, %d of these have not come; want 400, all told of", a.count, a.told, len(a.coming))
	}
}
