package floor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Figure is one part's cost.
type Figure struct {
	Name  string  // with its unit, such as sign_us
	Value float64 // in that unit
	What  string  // a few words for people
}

// part is something that is measured: prepare returns an operation and how often it does what the figure is of.
type part struct {
	name, what string
	prepare    func(dir string) (operation func() error, times int, done func() error, err error)
}

// parts are measured in this order.
var parts = []part{
	{"pairing_check_us", "check a certificate of 3 signers of 4, as a replica does in a view (BLS12-381, two pairings)", pairing},
	{"sign_us", "sign a vote (BLS12-381, hashing it to the curve included)", sign},
	{"sum_us", "add up the votes of 3 of 4, and check the sum", sum},
	{"ed25519_sign_us", "sign a proposal or batch", identitySign},
	{"ed25519_verify_us", "check that", identityVerify},
	{"sha256_us_per_mb", "hash a megabyte of payload", hash},
	{"fsync_us", "append 4 KiB to a file and sync it", fsync},
	{"fdatasync_us", "write 4 KiB over in a preallocated file, and sync its data", fdatasync},
	{"quic_us_per_mb", "a megabyte from one replica to another over loopback, both ends, mutual TLS", quicMegabyte},
	{"store_append_us", "make a block and a safety state durable, as before a vote", storeAppend},
}

const (
	samplesMin = 5
	samplesMax = 20_000
)

// Measure measures all parts, each for about so long. It makes files in dir, and leaves them to the caller to remove.
// Expected errors: those of the disk and of the network, and ctx's.
func Measure(ctx context.Context, dir string, each time.Duration) (figures []Figure, err error) {
	for _, p := range parts {
		value, err := p.measure(ctx, filepath.Join(dir, p.name), each)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		} else if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		figures = append(figures, Figure{Name: p.name, Value: value, What: p.what})
	}
	return figures, nil
}

// measure returns a part's median in microseconds.
func (p *part) measure(ctx context.Context, dir string, each time.Duration) (median float64, err error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return 0, err
	}
	operation, times, done, err := p.prepare(dir)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, done()) }()
	if err := operation(); err != nil { // what is remembered from then on
		return 0, err
	}
	var samples []time.Duration
	for begun := time.Now(); len(samples) < samplesMin || time.Since(begun) < each && len(samples) < samplesMax; {
		from := time.Now()
		if err := operation(); err != nil {
			return 0, err
		}
		samples = append(samples, time.Since(from))
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
	}
	slices.Sort(samples)
	return float64(samples[len(samples)/2].Nanoseconds()) / 1000 / float64(times), nil
}

func nothing() error { return nil }
