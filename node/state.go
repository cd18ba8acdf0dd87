package node

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/hotstuffd/hotstuffd/api/wire"
	"github.com/hotstuffd/hotstuffd/app"
	"github.com/hotstuffd/hotstuffd/app/session"
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
)

// State is a replica's whole state as it was after one block, the engine's and the application's. It was frozen by the
// executor, and is read by another goroutine while commands go on.
type State struct {
	height   qc.Height
	block    qc.BlockID
	head     stateHead
	sessions *session.Frozen
	app      app.Frozen // nil: the application cannot be frozen, and digest is known

	digest [32]byte
	known  bool
}

// stateHead is the small part of a state, at the beginning of a snapshot: where it stands, and what a core and a mempool
// need to go on from there.
type stateHead struct {
	blocks   []*blocktree.Block // ascending; the last is the one that the state comes after, those before it the leader function reads
	lanes    blocktree.Lanes    // next() of the last
	commands uint64             // applied since genesis
	weight   uint64             // bytes of the log since genesis, about
}

func (h *stateHead) block() *blocktree.Block { return h.blocks[len(h.blocks)-1] }

// Checkpoint names the state. It costs a digest of what has changed since the last one.
func (s *State) Checkpoint() qc.Checkpoint {
	if !s.known {
		s.digest, s.known = digestOf(&s.head, s.sessions.Digest(), s.app.Digest()), true
	}
	return qc.Checkpoint{Height: s.height, Block: s.block, Digest: s.digest}
}

// Applied tells where the state stands.
func (s *State) Applied() Applied {
	cp := s.Checkpoint()
	return Applied{Height: cp.Height, Block: cp.Block, Commands: s.head.commands, Digest: cp.Digest}
}

// Writable tells whether the state can become a snapshot.
func (s *State) Writable() bool { return s.app != nil }

// Release lets the state go. It is called once.
func (s *State) Release() {
	if s.app != nil {
		s.app.Release()
	}
	s.sessions.Release()
}

// A snapshot's bytes are a function of the state alone, so that replicas with one state can offer the same chunks:
//
//	magic, the head's length (4 bytes), the head
//	the sessions' length (8 bytes), the sessions
//	the application's bytes, to the end
//
// The head is the number of commands (8), the weight of the log (8), the lanes, 56 bytes each, behind their number (2), and the blocks, each behind its
// length (4), behind their number (2). Blocks are without their proposers' signatures: these are not bound by the blocks'
// names, and nobody checks them below a certificate.
const (
	stateMagic   = "hotstuffd/snapshot\x00\x01"
	headBytesMax = 64 << 20
)

// WriteTo writes the state, which must be Writable.
func (s *State) WriteTo(w io.Writer) (int64, error) {
	head, err := s.head.append(nil)
	if err != nil {
		return 0, err
	}
	var sessions bytes.Buffer
	if _, err := s.sessions.WriteTo(&sessions); err != nil {
		return 0, err
	}
	b := append(make([]byte, 0, len(stateMagic)+12+len(head)+sessions.Len()), stateMagic...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(head)))
	b = append(b, head...)
	b = binary.BigEndian.AppendUint64(b, uint64(sessions.Len()))
	b = append(b, sessions.Bytes()...)
	n, err := w.Write(b)
	if err != nil {
		return int64(n), err
	}
	m, err := s.app.WriteTo(w)
	return int64(n) + m, err
}

func (h *stateHead) append(b []byte) ([]byte, error) {
	b = binary.BigEndian.AppendUint64(b, h.commands)
	b = binary.BigEndian.AppendUint64(b, h.weight)
	b = binary.BigEndian.AppendUint16(b, uint16(len(h.lanes)))
	for i := range h.lanes {
		b = appendCursor(b, &h.lanes[i])
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(h.blocks)))
	for _, block := range h.blocks {
		bare := *block
		clear(bare.Signature[:])
		data, err := wire.AppendBlock(nil, &bare)
		if err != nil {
			return nil, err
		}
		b = binary.BigEndian.AppendUint32(b, uint32(len(data)))
		b = append(b, data...)
	}
	return b, nil
}

func appendCursor(b []byte, c *blocktree.Cursor) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(c.Incarnation.Rejoin))
	b = binary.BigEndian.AppendUint64(b, c.Incarnation.Starts)
	b = binary.BigEndian.AppendUint64(b, c.Seq)
	return append(b, c.Last[:]...)
}

const cursorBytes = 3*8 + 32

// errSnapshot is wrapped by the errors of reading a snapshot's bytes: they are not those of the certified state.
var errSnapshot = errors.New("not the certified state")

// readHead reads a snapshot's head and checks that its blocks are those that the certificate names. The lanes are bound by
// the digest, which is known when all is restored.
func readHead(r io.Reader, l wire.Limits, cp qc.Checkpoint) (*stateHead, error) {
	start := make([]byte, len(stateMagic)+4)
	if _, err := io.ReadFull(r, start); err != nil {
		return nil, short(err)
	}
	size := binary.BigEndian.Uint32(start[len(stateMagic):])
	if string(start[:len(stateMagic)]) != stateMagic || size > headBytesMax {
		return nil, fmt.Errorf("%w: no snapshot, or of another version", errSnapshot)
	}
	body, err := readSized(r, uint64(size))
	if err != nil {
		return nil, err
	}
	h, err := parseHead(body, l)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errSnapshot, err)
	}
	if b := h.block(); b.ID() != cp.Block || b.Height != cp.Height {
		return nil, fmt.Errorf("%w: it comes after another block", errSnapshot)
	}
	return h, nil
}

// readSized reads size bytes, and takes memory only for what has come.
func readSized(r io.Reader, size uint64) ([]byte, error) {
	var b bytes.Buffer
	if n, err := io.CopyN(&b, r, int64(size)); err != nil || uint64(n) != size {
		return nil, short(err)
	}
	return b.Bytes(), nil
}

// short words the error of a read: bytes that end too early are wrong ones.
func short(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it ends early", errSnapshot)
	}
	return err
}

func parseHead(b []byte, l wire.Limits) (*stateHead, error) {
	bad := errors.New("malformed head")
	if len(b) < 18 {
		return nil, bad
	}
	h := &stateHead{commands: binary.BigEndian.Uint64(b), weight: binary.BigEndian.Uint64(b[8:])}
	lanes := int(binary.BigEndian.Uint16(b[16:]))
	if b = b[18:]; lanes != l.Nodes || len(b) < lanes*cursorBytes+2 {
		return nil, bad
	}
	for range lanes {
		h.lanes = append(h.lanes, blocktree.Cursor{
			Incarnation: blocktree.Incarnation{Rejoin: qc.View(binary.BigEndian.Uint64(b)), Starts: binary.BigEndian.Uint64(b[8:])},
			Seq:         binary.BigEndian.Uint64(b[16:]), Last: blocktree.Digest(b[24:cursorBytes])})
		b = b[cursorBytes:]
	}
	blocks := int(binary.BigEndian.Uint16(b))
	b = b[2:]
	for range blocks {
		if len(b) < 4 {
			return nil, bad
		}
		size := uint64(binary.BigEndian.Uint32(b))
		if b = b[4:]; size > uint64(len(b)) {
			return nil, bad
		}
		block, err := wire.ParseBlock(b[:size], l)
		if err != nil {
			return nil, err
		}
		if n := len(h.blocks); n > 0 && (block.Parent != h.blocks[n-1].ID() || block.Height != h.blocks[n-1].Height+1) {
			return nil, errors.New("its blocks do not follow each other")
		}
		h.blocks, b = append(h.blocks, block), b[size:]
	}
	if len(h.blocks) == 0 || len(b) > 0 {
		return nil, bad
	}
	return h, nil
}

// restored is what a core is told of a state that was taken over.
func (h *stateHead) restored(cert *qc.CheckpointCertificate) *hotstuff.Restored {
	return &hotstuff.Restored{Certificate: cert, Block: h.block(), Lanes: h.lanes, Below: h.blocks[:len(h.blocks)-1]}
}

// Freeze returns the present state. An application that cannot be frozen is digested at once.
func (m *Machine) Freeze() *State {
	s := &State{height: m.height, block: m.block, head: m.head(), sessions: m.sessions.Freeze()}
	if a, ok := m.app.(app.Snapshotter); ok {
		s.app = a.Freeze()
		return s
	}
	s.digest, s.known = digestOf(&s.head, s.sessions.Digest(), m.app.Digest()), true
	return s
}

// Restore replaces the machine's state by a snapshot's, and compares it with its certificate. After an error the machine
// applies nothing before another Restore has succeeded.
// Expected errors: errSnapshot, if the bytes are not those of the certified state; else the reader's.
func (m *Machine) Restore(r io.Reader, l wire.Limits, cp qc.Checkpoint) error {
	a, ok := m.app.(app.Snapshotter)
	if !ok {
		return errors.New("this application takes no snapshots: it does not implement app.Snapshotter")
	}
	m.broken = true
	source := &failing{Reader: r}
	err := m.restore(source, a, l, cp)
	switch {
	case source.err != nil:
		return source.err // whatever was made of it
	case err == nil:
		m.broken = false
	}
	return err
}

// failing remembers the error of a reader, which what reads from it may word as damage.
type failing struct {
	io.Reader
	err error
}

// Read implements io.Reader.
func (f *failing) Read(b []byte) (int, error) {
	n, err := f.Reader.Read(b)
	if err != nil && err != io.EOF {
		f.err = err
	}
	return n, err
}

func (m *Machine) restore(source io.Reader, a app.Snapshotter, l wire.Limits, cp qc.Checkpoint) error {
	r := bufio.NewReaderSize(source, 1<<16)
	head, err := readHead(r, l, cp)
	if err != nil {
		return err
	}
	// The digest does not say how many there are: with fewer, the leader function would see another branch than elsewhere.
	if want := min(cp.Height, qc.Height(m.cfg.Depth)+1); qc.Height(len(head.blocks)) != want {
		return fmt.Errorf("%w: it has %d blocks, want %d", errSnapshot, len(head.blocks), want)
	}
	var size [8]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return short(err)
	}
	sessions := &io.LimitedReader{R: r, N: int64(binary.BigEndian.Uint64(size[:]) & math.MaxInt64)}
	if err := m.sessions.Restore(sessions); err != nil {
		return fmt.Errorf("%w: %w", errSnapshot, err)
	}
	if sessions.N != 0 {
		return fmt.Errorf("%w: its sessions end early", errSnapshot)
	}
	if err := a.Restore(r); err != nil {
		return fmt.Errorf("%w: %w", errSnapshot, err)
	}
	m.stand(head)
	s := m.Freeze()
	defer s.Release()
	if got := s.Checkpoint(); got != cp {
		return fmt.Errorf("%w: its digest is %x, certified is %x", errSnapshot, got.Digest, cp.Digest)
	}
	return nil
}

// head is the small part of the state.
func (m *Machine) head() stateHead {
	return stateHead{blocks: slices.Clone(m.recent), lanes: slices.Clone(m.lanes), commands: m.commands, weight: m.weight}
}

// Broken tells that a restoration has failed, so that nothing may be applied before another one succeeds.
func (m *Machine) Broken() bool { return m.broken }

// Restored is what a core is told of the present state, when it was taken over under a certificate.
func (m *Machine) Restored(cert *qc.CheckpointCertificate) *hotstuff.Restored {
	h := m.head()
	return h.restored(cert)
}

// stand puts the machine where a state stands.
func (m *Machine) stand(h *stateHead) {
	m.recent, m.lanes, m.commands, m.weight = slices.Clone(h.blocks), slices.Clone(h.lanes), h.commands, h.weight
	m.height, m.block = h.block().Height, h.block().ID()
}
