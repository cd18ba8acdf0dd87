package load

import (
	"context"
	"errors"
	"sync"
	"time"
)

// run is one load, under way.
type run struct {
	o        *Options
	begun    time.Time
	recorder *recorder
}

func (r *run) now() int64 { return int64(time.Since(r.begun)) }

// Run puts the load on and returns what it measured. It ends early only with an error.
// Expected errors: UserError for impossible options; a target that cannot be reached, is no Redis server, or was lost
// without having been Gone; ctx's.
func Run(ctx context.Context, o Options) (*Result, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	if len(o.Targets) == 0 {
		return nil, errors.New("load: no servers to put a load on")
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	r := &run{o: &o, recorder: newRecorder(int64(o.Warmup), int64(o.Warmup+o.Duration))}
	clients := make([]*client, o.Clients)
	defer func() {
		for _, c := range clients {
			if c != nil {
				c.close()
			}
		}
	}()
	for id := range clients {
		clients[id] = r.newClient(id)
		if err := clients[id].connect(ctx); err != nil {
			return nil, err
		}
	}
	r.begun = time.Now()
	beside, over := context.WithCancel(ctx)
	defer over()
	var others, working sync.WaitGroup
	r.beside(beside, &others)
	for _, c := range clients {
		working.Go(func() {
			if err := c.work(ctx); err != nil {
				fail(err)
			}
		})
	}
	working.Wait()
	end := r.now()
	over()
	others.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return r.recorder.result(&o, end), nil
}

// beside starts what is done beside the load, until ctx ends.
func (r *run) beside(ctx context.Context, others *sync.WaitGroup) {
	for _, m := range r.o.Moments {
		others.Go(func() {
			wait := time.NewTimer(m.After)
			defer wait.Stop()
			select {
			case <-wait.C:
				m.Do(ctx)
			case <-ctx.Done():
			}
		})
	}
	if r.o.Live != nil {
		others.Go(func() { r.live(ctx) })
	}
}

// live tells of each second.
func (r *run) live(ctx context.Context) {
	each := time.NewTicker(time.Second)
	defer each.Stop()
	for last := time.Duration(0); ; {
		select {
		case <-each.C:
			now := time.Duration(r.now())
			r.o.Live(r.recorder.take(now, now-last))
			last = now
		case <-ctx.Done():
			return
		}
	}
}
