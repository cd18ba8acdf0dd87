package witness

import (
	"errors"
	"fmt"
	"net"
	"strings"

	goredis "github.com/redis/go-redis/v9"
)

// What a client may know of a command that has no result. Any other error is a reply that no node should have given.
var (
	ErrNotApplied = errors.New("not applied, and never will be")
	ErrUnknown    = errors.New("outcome unknown")
)

// judge sorts a client's error. The client must not retry by itself.
// Expected errors: ErrNotApplied, ErrUnknown.
func judge(err error) error {
	var socket *net.OpError
	var reply goredis.Error
	switch {
	case err == nil || errors.Is(err, goredis.Nil):
		return nil
	case errors.As(err, &socket) && socket.Op == "dial":
		return fmt.Errorf("%w: %w", ErrNotApplied, err)
	case !errors.As(err, &reply) || strings.HasPrefix(reply.Error(), "TIMEOUT "):
		return fmt.Errorf("%w: %w", ErrUnknown, err) // a lost connection, or nobody's patience lasted
	}
	for _, word := range []string{"TRYAGAIN ", "BUSY ", "ERR node is stopping"} {
		if strings.HasPrefix(reply.Error(), word) {
			return fmt.Errorf("%w: %w", ErrNotApplied, err)
		}
	}
	return err
}

func isUnknown(err error) bool { return errors.Is(err, ErrUnknown) }

// Unanswered tells whether an error is ErrNotApplied or ErrUnknown: what a client expects of a node that is killed, and of
// the others when too many are.
func Unanswered(err error) bool { return errors.Is(err, ErrNotApplied) || isUnknown(err) }
