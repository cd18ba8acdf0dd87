package main

import (
	"context"
	"errors"
)

// part is something that runs until ctx ends or it fails.
type part func(ctx context.Context) error

// serving makes a part of a server.
func serving(serve, shut func() error) part {
	return func(ctx context.Context) error {
		ended := make(chan error, 1)
		go func() { ended <- serve() }()
		select {
		case err := <-ended:
			return err
		case <-ctx.Done():
			return errors.Join(shut(), <-ended)
		}
	}
}

// runAll runs all parts until ctx ends or the first of them does, which ends the others.
func runAll(ctx context.Context, parts []part) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, len(parts))
	for _, run := range parts {
		go func() { ended <- run(ctx) }()
	}
	var all error
	for range parts {
		all = errors.Join(all, <-ended)
		cancel()
	}
	return all
}
