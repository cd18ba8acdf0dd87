package load

import (
	"context"
	"net"
	"sync/atomic"
	"time"

	"github.com/hotstuffd/hotstuffd/config"
)

// Target is one server. Its methods may be called by several goroutines.
type Target struct {
	Name    string // for people
	Address string // host and port
	gone    atomic.Bool
}

// Gone says that the server is about to be ended on purpose: its clients go on at the others, and send again there what was
// not answered. Without it, a lost connection ends the run.
func (t *Target) Gone() { t.gone.Store(true) }

// IsGone tells whether Gone was called.
func (t *Target) IsGone() bool { return t.gone.Load() }

// Moment is something that is done beside the load.
type Moment struct {
	After time.Duration // since the load began, the warm-up included
	Do    func(ctx context.Context)
}

// Options say what Run does.
type Options struct {
	Targets  []*Target
	Clients  int // connections, in turns at the targets
	Pipeline int // closed loop: commands that a client sends before it waits
	Rate     int // open loop: commands a second that are due, over all clients; 0: closed loop
	Duration time.Duration
	Warmup   time.Duration // before it, not counted
	Payload  int           // bytes of a value
	Keys     int           // how many there are to draw from
	Seed     uint64

	Moments []Moment
	Live    func(Second)                                                // told of each second as it ends; nil: nobody is
	Dial    func(ctx context.Context, address string) (net.Conn, error) // nil: TCP
}

// Bounds of the options. A batch of requests is kept in memory by each client.
const (
	clientsMax  = 4096
	pipelineMax = 4096
	rateMax     = 10_000_000
	payloadMax  = 1 << 20
	keysMax     = 1_000_000_000_000
	batchMax    = 64 << 20 // bytes of the requests of one client
)

// Check finds what is wrong with the options, by the names of their flags.
// Expected errors: UserError.
func (o *Options) Check() error {
	for _, bound := range []struct {
		name       string
		value      int
		from, upTo int
	}{
		{"clients", o.Clients, 1, clientsMax}, {"pipeline", o.Pipeline, 1, pipelineMax}, {"rate", o.Rate, 0, rateMax},
		{"payload", o.Payload, 0, payloadMax}, {"keys", o.Keys, 1, keysMax},
	} {
		if bound.value < bound.from || bound.value > bound.upTo {
			return config.Errorf("--%s = %d: want %d to %d", bound.name, bound.value, bound.from, bound.upTo)
		}
	}
	switch {
	case o.Duration < time.Millisecond || o.Duration > 24*time.Hour:
		return config.Errorf("--duration = %s: want 1ms to 24h", o.Duration)
	case o.Warmup < 0 || o.Warmup > 24*time.Hour:
		return config.Errorf("--warmup = %s: want 0s to 24h", o.Warmup)
	case o.Rate == 0 && o.Pipeline*o.Payload > batchMax:
		return config.Errorf("--pipeline %d of --payload %d are %d bytes for each client: want at most %d", o.Pipeline, o.Payload, o.Pipeline*o.Payload, batchMax)
	}
	return nil
}

func (o *Options) dial(ctx context.Context, address string) (net.Conn, error) {
	if o.Dial != nil {
		return o.Dial(ctx, address)
	}
	return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", address)
}
