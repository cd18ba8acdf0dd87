package hsnet

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"

	"github.com/quic-go/quic-go"
)

// admission bounds what those cost who have not yet said a valid hello: strangers, floods, and peers that are slow to
// greet. A slot is held from the first packet of an inbound connection until its greeting has ended.
//
//   - Above retryAbove slots a newcomer must first prove its source address (a QUIC Retry, which keeps no state).
//   - One source address holds at most addressMax slots, so that one host cannot keep all others out.
//   - Above slotsMax slots newcomers are refused.
type admission struct {
	retryAbove, addressMax, slotsMax int

	mu        sync.Mutex
	slots     int
	byAddress map[netip.Addr]int // no entry is zero
}

// newAdmission returns the bounds for a roster of n. They leave room for all replicas to connect at once from one
// host, which is what a local testnet does.
func newAdmission(n int) *admission {
	return &admission{retryAbove: max(32, n), addressMax: max(64, 2*n), slotsMax: max(256, 4*n), byAddress: make(map[netip.Addr]int)}
}

var errTooManyHandshakes = errors.New("too many handshakes under way")

// slotKey finds an inbound connection's slot in its context.
type slotKey struct{}

// mustProveAddress is asked for every newcomer whose source address may be forged.
func (a *admission) mustProveAddress(net.Addr) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.slots >= a.retryAbove
}

// enter takes a slot for a new inbound connection. The slot is given back by leave, or when the connection ends.
// Expected errors: errTooManyHandshakes.
func (a *admission) enter(ctx context.Context, from net.Addr) (context.Context, error) {
	var address netip.Addr
	if udp, ok := from.(*net.UDPAddr); ok {
		address = udp.AddrPort().Addr().Unmap()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.slots >= a.slotsMax || a.byAddress[address] >= a.addressMax {
		return nil, errTooManyHandshakes
	}
	a.slots++
	a.byAddress[address]++
	leave := sync.OnceFunc(func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.slots--
		if a.byAddress[address]--; a.byAddress[address] == 0 {
			delete(a.byAddress, address)
		}
	})
	context.AfterFunc(ctx, leave)
	return context.WithValue(ctx, slotKey{}, leave), nil
}

// leave gives an inbound connection's slot back, because its greeting has ended.
func (a *admission) leave(conn *quic.Conn) {
	if leave, ok := conn.Context().Value(slotKey{}).(func()); ok {
		leave()
	}
}
