package hsnet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/quic-go/quic-go"
)

// candidate is an authenticated connection whose other side has said a valid hello. It is not yet in use.
type candidate struct {
	conn  *quic.Conn
	out   *quic.SendStream    // consensus stream of this side
	in    *quic.ReceiveStream // consensus stream of the other side, behind its hello
	hello hello               // of the other side
}

func (c *candidate) close(code quic.ApplicationErrorCode) { _ = c.conn.CloseWithError(code, "") }

// arbiter tells whether this replica decides which connection of the pair is used: the higher id does.
func (p *peer) arbiter() bool { return p.n.cfg.Self > p.id }

// greet reads the other side's hello, and says ours if this replica is the follower. The arbiter says its own when it
// takes the connection up. On failure the connection is closed.
// Expected errors: refusal, and those of the connection.
func (p *peer) greet(ctx context.Context, conn *quic.Conn) (*candidate, error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.CloseWithError(codeRedundant, "") })
	defer stop()
	c := &candidate{conn: conn}
	err := p.exchange(ctx, c)
	if err == nil {
		return c, nil
	}
	if conn.Context().Err() != nil {
		return nil, endedBy(conn) // says more than the stream's error
	}
	if errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
		err = p.n.fault(FaultHello, "no hello in time")
	}
	refuse(conn, err)
	return nil, err
}

func (p *peer) exchange(ctx context.Context, c *candidate) (err error) {
	deadline := time.Now().Add(handshakeTimeout)
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	if c.out, err = c.conn.OpenUniStream(); err != nil {
		return err
	}
	c.out.SetPriority(0, false) // before all other classes
	if !p.arbiter() {
		if err := p.sayHello(c, p.lastSession()); err != nil {
			return err
		}
	}
	if c.in, err = c.conn.AcceptUniStream(ctx); err != nil {
		return err
	}
	_ = c.in.SetReadDeadline(deadline) // returns nil always
	var b [helloSize]byte
	if _, err := io.ReadFull(c.in, b[:]); err != nil {
		return err
	}
	_ = c.in.SetReadDeadline(time.Time{})
	if c.hello, err = parseHello(b[:]); err != nil {
		return p.n.fault(FaultHello, err.Error())
	}
	if c.hello.Chain != p.n.cfg.Chain {
		return p.n.fault(FaultChain, fmt.Sprintf("it belongs to chain %s, this replica to %s: compare the genesis files",
			c.hello.Chain.Hex(), p.n.cfg.Chain.Hex()))
	}
	if c.hello.From != p.id {
		return p.n.fault(FaultIdentity, fmt.Sprintf("%v claims to be %v", p.id, c.hello.From))
	}
	return nil
}

// sayHello writes our hello: the arbiter's with the number of this connection, the follower's with the last it took up.
func (p *peer) sayHello(c *candidate, at position) error {
	h := hello{Chain: p.n.cfg.Chain, From: p.n.cfg.Self, Boot: p.n.boot, Session: at.session, ArbiterBoot: at.boot}
	_ = c.out.SetWriteDeadline(time.Now().Add(handshakeTimeout)) // returns nil always
	_, err := c.out.Write(h.append(make([]byte, 0, helloSize)))
	return err
}
