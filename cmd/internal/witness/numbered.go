package witness

import (
	"context"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// Numbered is a client that has increments of a key of its own executed exactly once: each has a number in a session, and
// is sent again, to another node, until it has its result. It belongs to one goroutine at a time.
type Numbered struct {
	Key    string
	Resent int // how often a number was sent again whose outcome was unknown

	session int64
	seq     int64 // of the increment that is not answered yet
	sent    bool  // it was sent before, and may have been executed
}

// OpenNumbered opens a session for increments of a key that does not exist yet.
// Expected errors: ErrNotApplied, ErrUnknown. Then there is no session, or one that nobody knows.
func OpenNumbered(ctx context.Context, client *goredis.Client, key string) (*Numbered, error) {
	session, err := client.Do(ctx, "SESSION").Int64()
	if err := judge(err); err != nil {
		return nil, err
	}
	return &Numbered{Key: key, session: session, seq: 1}, nil
}

// Step sends one increment to the nodes in turn, until one of them answers within patience. If none does, the next Step
// sends the same one.
// Expected errors: ErrNotApplied, ErrUnknown: no node has answered.
func (n *Numbered) Step(ctx context.Context, nodes []*goredis.Client, patience time.Duration) (err error) {
	for _, node := range nodes {
		var got int64
		got, err = n.ask(ctx, node, patience)
		if n.sent && !errors.Is(err, ErrNotApplied) {
			n.Resent++
		}
		if err == nil {
			if got != n.seq {
				return fmt.Errorf("increment %d of %s gives %d", n.seq, n.Key, got)
			}
			n.seq++
			n.sent = false
			return nil
		}
		if !Unanswered(err) {
			return fmt.Errorf("increment %d of %s: %w", n.seq, n.Key, err)
		}
		n.sent = n.sent || isUnknown(err)
	}
	return err
}

func (n *Numbered) ask(ctx context.Context, node *goredis.Client, patience time.Duration) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, patience) // the client must be made to heed it
	defer cancel()
	got, err := node.Do(ctx, "ONCE", n.session, n.seq, "INCR", n.Key).Int64()
	return got, judge(err)
}

// Count returns how many increments were answered. They have the numbers from 1 up to it.
func (n *Numbered) Count() int64 { return n.seq - 1 }

// Check returns an error unless the key has counted the answered increments, each once: one that is sent again gives what
// it gave first, and does not count. An increment that is not answered yet may or may not have been.
// Expected errors: ErrNotApplied, ErrUnknown, when a node does not answer.
func (n *Numbered) Check(ctx context.Context, again, reader *goredis.Client) error {
	if n.Count() > 0 {
		last := *n
		last.seq--
		if err := last.Step(ctx, []*goredis.Client{again}, time.Minute); err != nil {
			return fmt.Errorf("sent again: %w", err)
		}
	}
	got, err := reader.Get(ctx, n.Key).Int64()
	if err := judge(err); err != nil {
		return err
	}
	return n.compare(got)
}

// compare compares what the key has counted to with what was answered.
func (n *Numbered) compare(got int64) error {
	if got == n.Count() || n.sent && got == n.seq {
		return nil
	}
	return fmt.Errorf("%s has counted to %d, and %d increments were answered", n.Key, got, n.Count())
}
