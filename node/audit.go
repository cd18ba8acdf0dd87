package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/hotstuffd/hotstuffd/api/wire"
	"github.com/hotstuffd/hotstuffd/config"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/store"
)

// Audit looks for faults in what a replica has on disk. It believes nothing but the genesis: every certificate is verified with
// its keys. It changes nothing. Its methods belong to one goroutine; Log makes others of its own for as long as it runs.
//
// What it can tell is whether the disk contradicts itself or the chain's keys. That something was forgotten as a whole, it sees
// as little as a start does.
type Audit struct {
	// Seen, if not nil, is told how far a part has come, by one goroutine at a time.
	Seen func(AuditProgress)

	store  *store.Store
	check  *checker
	self   qc.NodeID
	limits wire.Limits
	stored store.Recovered

	certified map[qc.Height]qc.Checkpoint // of the snapshots and the newest certificate
	end       qc.Height                   // the highest of those states that this replica has come to; 0: none

	mu       sync.Mutex
	findings Findings
	holes    holes
}

// AuditProgress is how far a part of an audit has come.
type AuditProgress struct {
	Part        string // what is being done, for people
	Done, Total int64  // blocks, or bytes
	Bytes       bool
}

// Findings is what an audit has come to.
type Findings struct {
	Problems []string // what is wrong; no more than problemsMax
	Further  int      // problems beyond those
	Notes    []string // what is worth knowing, and no fault

	Snapshots []AuditedSnapshot // newest first

	Blocks    int // checked, with their certificates
	Timeouts  int // timeout certificates among those
	Signed    int // blocks with their proposers' signatures
	Batches   int // checked, with their origins' signatures
	Compared  []qc.Height
	Highest   qc.Height // of a block
	LogBegins qc.Height // height of the lowest block; 0: none
}

// AuditedSnapshot is what an audit has come to about one snapshot.
type AuditedSnapshot struct {
	Height qc.Height
	Bytes  int64
	Chunks int
	Fault  string // empty: there is none
}

// problemsMax bounds the problems that are listed: a damaged disk may have very many.
const problemsMax = 100

// NewAudit begins an audit of a replica's store.
// Expected errors: the store cannot be read, or its newest records are damaged.
func NewAudit(s *store.Store, g *config.Genesis, self qc.NodeID) (*Audit, error) {
	k, err := newChecker(g)
	if err != nil {
		return nil, err
	}
	a := &Audit{store: s, check: k, self: self, limits: WireLimits(g), certified: make(map[qc.Height]qc.Checkpoint)}
	if a.stored, err = s.Recover(); err != nil {
		return nil, err
	}
	for _, m := range s.Snapshots() {
		a.certified[m.Height()] = m.Certificate.Checkpoint
		a.end = max(a.end, m.Height())
	}
	if c := a.stored.Certified; c != nil {
		at := c.Checkpoint
		if a.certified[at.Height] = at; at.Height <= a.stored.Commit.Height {
			a.end = max(a.end, at.Height)
		}
	}
	return a, nil
}

// Findings returns what was found so far.
func (a *Audit) Findings() Findings {
	f := a.findings
	f.Problems = slices.Clone(f.Problems)
	return f
}

func (a *Audit) problem(format string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.findings.Problems) == problemsMax {
		a.findings.Further++
		return
	}
	a.findings.Problems = append(a.findings.Problems, fmt.Sprintf(format, args...))
}

func (a *Audit) note(format string, args ...any) {
	a.findings.Notes = append(a.findings.Notes, fmt.Sprintf(format, args...))
}

func (a *Audit) seen(p AuditProgress) {
	if a.Seen != nil {
		a.Seen(p)
	}
}

// Safety checks the newest safety state, the newest checkpoint certificate, and whether the facts on disk fit together well
// enough for a start.
func (a *Audit) Safety() error {
	certs, _, err := a.check.certs()
	if err != nil {
		return err
	}
	s := &a.stored.Safety
	if err := certs.QC(&s.HighQC); err != nil {
		a.problem("safety state: its highest certificate, of view %d: %v", s.HighQC.View, err)
	}
	if s.LastTC != nil {
		if err := certs.TC(s.LastTC); err != nil {
			a.problem("safety state: its timeout certificate, of view %d: %v", s.LastTC.View, err)
		}
	}
	if v := s.LastVoted; v != nil {
		if err := certs.Vote(v); err != nil {
			a.problem("safety state: its last vote, of view %d: %v", v.View, err)
		} else if v.Signer != a.self {
			a.problem("safety state: its last vote, of view %d, is one of %v", v.View, v.Signer)
		}
	}
	if t := s.LastTimeout; t != nil {
		if err := certs.Timeout(t); err != nil {
			a.problem("safety state: its last timeout, of view %d: %v", t.View, err)
		} else if t.Signer != a.self {
			a.problem("safety state: its last timeout, of view %d, is one of %v", t.View, t.Signer)
		}
	}
	if c := a.stored.Certified; c != nil {
		if err := certs.Checkpoint(c); err != nil {
			a.problem("checkpoint certificate of height %d: %v", c.Checkpoint.Height, err)
		}
	}
	if err := CheckStored(a.store, a.check.genesis); err != nil {
		a.problem("%v", err)
	}
	return nil
}

// Snapshots reads all snapshots: every chunk, and whether they are what their certificates name.
// Expected errors: ctx's; the disk's.
func (a *Audit) Snapshots(ctx context.Context) error {
	certs, _, err := a.check.certs()
	if err != nil {
		return err
	}
	for _, height := range a.store.DamagedSnapshots() {
		const fault = "its description is damaged, or its bytes are not all there"
		a.problem("snapshot %d: %s: the next start removes it", height, fault)
		a.findings.Snapshots = append(a.findings.Snapshots, AuditedSnapshot{Height: height, Fault: fault})
	}
	for _, m := range a.store.Snapshots() {
		fault := certs.Checkpoint(m.Certificate)
		if fault == nil {
			fault = a.readSnapshot(ctx, m)
		}
		found := AuditedSnapshot{Height: m.Height(), Bytes: m.Bytes, Chunks: len(m.Chunks)}
		if err := ctx.Err(); err != nil {
			return err
		}
		if fault != nil {
			found.Fault = fault.Error()
			a.problem("snapshot %d: %v: it is not used, and goes when newer ones come", m.Height(), fault)
		}
		a.findings.Snapshots = append(a.findings.Snapshots, found)
	}
	return nil
}

// readSnapshot reads a snapshot to its end.
func (a *Audit) readSnapshot(ctx context.Context, m store.SnapshotMeta) (err error) {
	if _, err := headOf(a.store, m, a.limits); err != nil {
		return err
	}
	id, ok, err := a.store.CommittedID(m.Height())
	if err == nil && ok && id != m.Certificate.Checkpoint.Block {
		err = errors.New("another block of its height is committed here")
	}
	if err != nil {
		return err
	}
	f, err := a.store.OpenSnapshot(m.Height())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	buf := make([]byte, 1<<20)
	p := AuditProgress{Part: fmt.Sprintf("snapshot %d", m.Height()), Total: m.Bytes, Bytes: true}
	for {
		n, err := f.Read(buf)
		p.Done += int64(n)
		a.seen(p)
		if err == io.EOF {
			return ctx.Err()
		}
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
	}
}
