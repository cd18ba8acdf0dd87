package node

import (
	"fmt"

	"github.com/hotstuffd/hotstuffd/app"
	"github.com/hotstuffd/hotstuffd/app/session"
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
)

// Machine applies committed blocks: in commit order, and commands in block, batch and index order (PROTOCOL §6). The
// application gets its commands, and the engine's own take effect in the machine itself. It belongs to one goroutine.
type Machine struct {
	cfg      MachineConfig
	app      app.Application
	height   qc.Height // of the last applied block
	block    qc.BlockID
	commands uint64             // applied since genesis
	lanes    blocktree.Lanes    // next() of the last applied block
	recent   []*blocktree.Block // the newest applied blocks, ascending: as many as the leader function reads
	weight   uint64             // bytes of the log since genesis, about
	broken   bool               // a restoration has failed: the state is nobody's
	scratch  []byte
	ahead    ahead

	checkpoint func() // nil, or called at each checkpoint
	sessions   *session.Table
	moment     app.Moment // of the block that is applied
	place      qc.BlockID // its name

	watched mempool.Rejoin
	seen    func() // nil, or called when watched is executed

	answering func(*mempool.Batch, *app.Request) // nil, or called before a request is completed
}

// MachineConfig is what the state of a machine depends on beside the log: all of it is fixed by genesis.
type MachineConfig struct {
	Nodes           int       // size of the committee
	Depth           int       // blocks below the tip that the leader function may read
	CheckpointEvery qc.Height // blocks from one checkpoint to the next; 0: there are none
	Sessions        session.Limits
}

// Applied is what the application has come to.
type Applied struct {
	Height   qc.Height
	Block    qc.BlockID
	Commands uint64 // since genesis
	Digest   [32]byte
}

// NewMachine returns a machine on an application that stands at genesis.
func NewMachine(a app.Application, genesis *blocktree.Block, cfg MachineConfig) *Machine {
	return &Machine{cfg: cfg, app: a, ahead: newAhead(a), block: genesis.ID(), lanes: make(blocktree.Lanes, cfg.Nodes),
		sessions: session.NewTable(cfg.Sessions)}
}

// OnCheckpoint has due called after each block whose height is a multiple of MachineConfig.CheckpointEvery, by the goroutine
// that applies, to Freeze the state. Call it before the first block.
func (m *Machine) OnCheckpoint(due func()) { m.checkpoint = due }

// OnAnswer has answering called of each request of this replica's when its last operation was executed, before it is
// completed, with the batch that it was in. Call it before the first block.
func (m *Machine) OnAnswer(answering func(*mempool.Batch, *app.Request)) { m.answering = answering }

// Height returns the height of the last applied block.
func (m *Machine) Height() qc.Height { return m.height }

// Applied returns where the machine stands.
func (m *Machine) Applied() Applied {
	s := m.Freeze()
	defer s.Release()
	return s.Applied()
}

// Apply executes one block. Requests that this replica took in, app.Request owners all of them, are answered as soon as
// their last command is applied.
//
// It panics if the block does not follow the last one: a replica that is gone is better than one that answers from a state
// that never was.
func (m *Machine) Apply(e mempool.Execution) {
	if !m.follows(e.Block) {
		panic(fmt.Sprintf("node: block %d (%v) does not follow the executed one, %d (%v)", e.Block.Height, e.Block.Parent, m.height, m.block))
	}
	m.moment, m.place = app.Moment{Height: uint64(e.Block.Height), Time: e.Block.Time}, e.Block.ID()
	for i, b := range e.Batches {
		if i < len(e.Spans) && e.Spans[i] != nil {
			m.applyOwn(b, e.Spans[i])
		} else {
			m.applyForeign(b)
		}
		m.commands += uint64(b.Count)
	}
	m.follow(e)
	if every := m.cfg.CheckpointEvery; m.checkpoint != nil && every > 0 && m.height%every == 0 {
		m.checkpoint()
	}
}

// follows tells whether a block comes next.
func (m *Machine) follows(b *blocktree.Block) bool { return b.Parent == m.block }

// blockWeight is what a block weighs beside the bytes of its batches: a start takes about as long for one as for that much
// of commands, so that a log of small blocks does not become long to execute before it has the weight of a snapshot.
const blockWeight = 4 << 10

// follow moves past a block.
func (m *Machine) follow(e mempool.Execution) {
	m.height, m.block = e.Block.Height, m.place
	if len(m.recent) > m.cfg.Depth {
		m.recent = append(m.recent[:0], m.recent[1:]...)
	}
	m.recent = append(m.recent, e.Block)
	m.weight += blockWeight
	for _, b := range e.Batches {
		m.lanes[b.Origin] = blocktree.Cursor{Incarnation: b.Incarnation, Seq: b.Seq + 1, Last: b.Digest()}
		m.weight += uint64(len(b.Blob))
	}
}

// applyForeign executes commands whose results another replica's client gets.
func (m *Machine) applyForeign(b *mempool.Batch) {
	rest := b.Blob
	m.ahead.begin()
	for {
		m.ahead.look(rest)
		command, after, ok := mempool.NextCommand(rest)
		if !ok {
			return
		}
		m.scratch = m.execute(command, nil, m.scratch[:0])
		rest = after
	}
}

// applyOwn executes a batch of this replica, with the reads of its requests at their positions among the commands: that
// is what makes them linearizable.
func (m *Machine) applyOwn(b *mempool.Batch, spans []mempool.Span) {
	rest := b.Blob
	m.ahead.begin()
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
			m.ahead.look(rest)
			var command mempool.Command
			command, rest, _ = mempool.NextCommand(rest)
			reply = m.execute(command, r.Words, reply)
		}
		for ; local < len(r.Locals); local++ {
			reply = m.evaluate(&r.Locals[local], reply)
		}
		if m.answering != nil {
			m.answering(b, r)
		}
		r.Complete(r, reply, nil)
	}
}

// Watch has seen called when a block with this rejoin is applied, be it again. Call it before the first block.
func (m *Machine) Watch(r mempool.Rejoin, seen func()) { m.watched, m.seen = r, seen }

// execute executes one command and appends its result. words may be nil: then outcomes of sessions are not worded.
func (m *Machine) execute(c mempool.Command, words session.Words, reply []byte) []byte {
	if !c.Engine {
		return m.app.Apply(m.moment, c.Body, reply)
	}
	if s, ok := session.Parse(c.Body); ok {
		return m.executeSession(s, words, reply)
	}
	return m.executeEngine(c.Body, reply)
}

// executeSession opens a session, or has the application execute a command that it has not executed before.
func (m *Machine) executeSession(c session.Command, words session.Words, reply []byte) []byte {
	if c.Open {
		id := m.sessions.Open(m.place)
		if words != nil {
			reply = words.Opened(reply, id)
		}
		return reply
	}
	reply, outcome := m.sessions.Once(c.ID, c.Seq, c.Command, reply, func(reply []byte) []byte { return m.app.Apply(m.moment, c.Command, reply) })
	if outcome != session.Done && words != nil {
		reply = words.Refused(reply, outcome)
	}
	return reply
}

// Results of engine commands, one byte each.
const (
	engineDone    = 0
	engineInvalid = 1 // the command makes no sense: nothing was done
)

// executeEngine executes one of the engine's own commands: the one place where they take effect. Like the application it
// accepts any bytes, for a Byzantine origin may put any into its batches.
func (m *Machine) executeEngine(body, reply []byte) []byte {
	r, ok := mempool.ParseRejoin(body)
	if !ok {
		return append(reply, engineInvalid)
	}
	if m.seen != nil && r == m.watched {
		m.seen()
	}
	return append(reply, engineDone)
}

func (m *Machine) evaluate(l *app.Local, reply []byte) []byte {
	if l.Literal {
		return append(reply, l.Query...)
	}
	return m.app.Query(l.Query, reply)
}

// storedExecution reads the committed block of a height from disk, with its batches.
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
