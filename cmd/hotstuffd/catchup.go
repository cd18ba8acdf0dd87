package main

import (
	"context"
	"fmt"
	"time"

	"github.com/hotstuffd/hotstuffd/node"
)

// catchUp shows how a replica comes up to the others: while it executes its log, is behind, or fetches a snapshot.
type catchUp struct {
	meter   *meter
	replica interface{ Progress() node.Progress }
	began   time.Time // zero: it is not behind
}

// From one look at the replica to the next: as an eye follows a bar, and as seldom as will do while there is none.
const (
	lookEvery  = 200 * time.Millisecond
	lookSeldom = time.Second
)

// run looks until ctx ends.
func (c *catchUp) run(ctx context.Context) error {
	next := time.NewTimer(lookEvery)
	defer next.Stop()
	for {
		c.look()
		if c.began.IsZero() {
			next.Reset(lookSeldom)
		} else {
			next.Reset(lookEvery)
		}
		select {
		case <-next.C:
		case <-ctx.Done():
			c.meter.end()
			return nil
		}
	}
}

// look shows the present step, and the end of the work in one line.
func (c *catchUp) look() {
	p := c.replica.Progress()
	behind := p.Behind()
	if behind && c.began.IsZero() {
		c.began = c.meter.now()
	}
	switch t := p.Transfer; {
	case behind && t.Height > 0:
		c.meter.show(step{what: fmt.Sprintf("fetching snapshot %d", t.Height), done: t.Have, total: t.Bytes, bytes: true})
	case behind && p.Applied < p.Target:
		c.meter.show(step{what: "catching up", done: int64(p.Applied), total: int64(p.Target)})
	case !behind && !c.began.IsZero():
		c.meter.end()
		c.meter.logger.Info("caught up", "height", p.Applied, "in", c.meter.now().Sub(c.began).Round(time.Millisecond))
		c.began = time.Time{}
	}
}
