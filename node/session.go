package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/hotstuffd/hotstuffd/app"
	"github.com/hotstuffd/hotstuffd/app/session"
	"github.com/hotstuffd/hotstuffd/mempool"
)

// Errors of DoOnce beside those of Do. With ErrSessionExpired and ErrResultGone the command may have been executed before.
var (
	// ErrSessionExpired: there is no such session, or it was evicted. The command is not executed.
	ErrSessionExpired = errors.New("session expired")
	// ErrTooFarAhead: the number is too far ahead of the least one that is missing. The command is not executed.
	ErrTooFarAhead = fmt.Errorf("sequence number %d or more ahead of the least one that is missing", session.Window)
	// ErrNumberTaken: another command was executed under this number. This one is not executed.
	ErrNumberTaken = errors.New("another command was executed under this number")
	// ErrResultGone: the command was executed before, and its result is too old or too large to be kept.
	ErrResultGone = errors.New("executed before, and the result is not kept")
)

// answer takes what comes of a command about a session, on the executor's goroutine, before the request is complete.
type answer struct {
	id  uint64
	err error
}

// Opened implements session.Words.
func (a *answer) Opened(reply []byte, id uint64) []byte {
	a.id = id
	return reply
}

// Refused implements session.Words.
func (a *answer) Refused(reply []byte, o session.Outcome) []byte {
	switch o {
	case session.Expired:
		a.err = ErrSessionExpired
	case session.Ahead:
		a.err = ErrTooFarAhead
	case session.Forgotten:
		a.err = ErrResultGone
	case session.Taken:
		a.err = ErrNumberTaken
	default:
		a.err = errors.New("sequence numbers begin at 1")
	}
	return reply
}

// OpenSession opens a session for DoOnce, on this replica or any other.
// Expected errors: as for Do. After an unknown outcome open another one: sessions that nobody uses go by themselves.
func (n *Node) OpenSession(ctx context.Context) (id uint64, err error) {
	var a answer
	_, err = n.do(ctx, &app.Request{Blob: session.AppendOpen(nil), Count: 1, Words: &a})
	if err != nil {
		return 0, err
	}
	return a.id, nil
}

// DoOnce has a command executed exactly once under its number in a session, and returns the result of that one execution:
// after a lost reply or an unknown outcome, send the same number again, through any replica. Numbers begin at 1; they may
// overtake each other by less than session.Window.
// Expected errors: Do's, ErrSessionExpired, ErrTooFarAhead, ErrNumberTaken, ErrResultGone.
func (n *Node) DoOnce(ctx context.Context, id, seq uint64, command []byte) ([]byte, error) {
	var a answer
	blob := append(session.AppendOnce(nil, id, seq, len(command)), command...)
	reply, err := n.do(ctx, &app.Request{Blob: blob, Count: 1, Words: &a})
	if err != nil {
		return nil, err
	}
	return reply, a.err
}

// describeEngine shows an engine command as one printable line.
func describeEngine(body []byte, ofApplication func([]byte) string) string {
	switch c, ok := session.Parse(body); {
	case !ok:
		return mempool.DescribeEngine(body)
	case c.Open:
		return "engine: open a session"
	default:
		return fmt.Sprintf("session %d number %d: %s", c.ID, c.Seq, ofApplication(c.Command))
	}
}
