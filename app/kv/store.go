package kv

import (
	"errors"
	"fmt"

	"github.com/hotstuffd/hotstuffd/app"
	"github.com/hotstuffd/hotstuffd/app/kv/resp"
)

// Limits bounds what the store holds and answers. They decide the results of commands, so they must be equal on all
// replicas of a chain: treat them as part of its genesis.
type Limits struct {
	KeyBytes   int // of one key
	ValueBytes int // of one value, also after APPEND; at least 32, so that every number fits
	ReplyBytes int // of the reply to one MGET, KEYS or SCAN, and of all replies to the reads of one request
}

// DefaultLimits are the limits of a store for general use: keys of 64 KiB, values of 1 MiB, replies of 16 MiB.
func DefaultLimits() Limits {
	return Limits{KeyBytes: 64 << 10, ValueBytes: 1 << 20, ReplyBytes: 16 << 20}
}

// limitMax keeps lengths far from overflow.
const limitMax = 1 << 30

func (l Limits) check() error {
	if l.KeyBytes < 1 || l.ValueBytes < 32 || l.ReplyBytes < 1 {
		return errors.New("kv: limits must be positive, and ValueBytes at least 32")
	}
	if max(l.KeyBytes, l.ValueBytes, l.ReplyBytes) > limitMax {
		return fmt.Errorf("kv: limits must be at most %d", limitMax)
	}
	return nil
}

// Store is the key-value state machine. It belongs to one goroutine, the executor; Describe alone may be called by any,
// and what Freeze returns belongs to another one.
type Store struct {
	limits Limits
	keys   *trie
	page   []byte // SCAN collects its keys here
	seen   uint64 // what Foresee has read, so that it is not left out as useless
}

var (
	_ app.Snapshotter = (*Store)(nil)
	_ app.Describer   = (*Store)(nil)
	_ app.Foreseer    = (*Store)(nil)
)

// New returns an empty store. It fails if a limit is out of its range.
func New(limits Limits) (*Store, error) {
	if err := limits.check(); err != nil {
		return nil, err
	}
	return &Store{limits: limits, keys: newTrie()}, nil
}

// Apply executes a command and appends its result, a Redis-protocol reply, to reply. It takes reads too: a read that is
// ordered by the log has the same result on all replicas.
func (s *Store) Apply(_ app.Moment, command, reply []byte) []byte {
	c, args, complaint := decode(command)
	if complaint != "" {
		return resp.AppendError(reply, complaint)
	}
	if c.Write {
		return s.write(c.Op, args, reply)
	}
	// What stands in reply already must not decide a result of Apply: it may differ between replicas.
	return s.read(c.Op, args, reply, s.limits.ReplyBytes)
}

// Query evaluates a read and appends its result to reply. Reads answer with an error once reply, with all that stands in
// it already, would grow above Limits.ReplyBytes: otherwise a small pipeline of reads of one large value would make
// a reply that fills the memory.
func (s *Store) Query(query, reply []byte) []byte {
	c, args, complaint := decode(query)
	if complaint == "" && c.Write {
		complaint = "ERR a write is not a query"
	}
	if complaint != "" {
		return resp.AppendError(reply, complaint)
	}
	return s.read(c.Op, args, reply, s.limits.ReplyBytes-len(reply))
}

// Digest returns the digest of all keys and values. It costs one hash over a few entries for each key written since the
// last call, and is a function of the contents alone.
func (s *Store) Digest() [32]byte { return s.keys.root.sum() }
