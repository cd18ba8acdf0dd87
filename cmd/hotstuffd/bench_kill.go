package main

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/hotstuffd/hotstuffd/api/server"
	loader "github.com/hotstuffd/hotstuffd/cmd/internal/load"
)

// outage is what the loss of a leader cost.
type outage struct {
	Node        int     `json:"node"`
	BaseTimeout float64 `json:"base_timeout_ms"`        // before the loss, as measured views have made it
	Replies     float64 `json:"longest_gap_replies_ms"` // in the whole run
	Commits     float64 `json:"longest_gap_commits_ms"` // after the loss, seen at another node
}

// killing kills the present leader, and watches another node's commits from then on.
type killing struct {
	place   *place
	victim  int
	base    float64       // the present base timeout, before that, ms
	longest time.Duration // between commits
	err     error
}

// do does it, until ctx ends. Results are read after the load.
func (k *killing) do(ctx context.Context) {
	leader, present, err := k.leader(ctx)
	if err != nil {
		k.err = err
		return
	}
	leader.target.Gone()
	k.victim = leader.id
	k.base = present.BaseTimeoutMs
	if k.err = k.place.own.kill(k.victim); k.err != nil {
		return
	}
	for _, n := range k.place.nodes {
		if n.id != k.victim {
			k.watch(ctx, n.http, present.AppliedHeight)
			return
		}
	}
}

// leader finds a leader that lives, as a node shows it: views of those that are dead are waited out.
func (k *killing) leader(ctx context.Context) (leader benchNode, s server.Status, err error) {
	for next := uint64(0); ; next = s.AppliedHeight + 1 {
		_, s, err = askStatus(ctx, k.place.nodes[0].http, strconv.FormatUint(next, 10))
		if err != nil {
			return leader, s, err
		}
		for _, n := range k.place.nodes {
			if n.id == int(s.Leader) {
				return n, s, nil
			}
		}
	}
}

// watch follows the commits of a node.
func (k *killing) watch(ctx context.Context, witness string, height uint64) {
	last := time.Now()
	for {
		_, s, err := askStatus(ctx, witness, strconv.FormatUint(height+1, 10))
		if ctx.Err() != nil {
			return
		}
		now := time.Now()
		k.longest = max(k.longest, now.Sub(last))
		if err != nil {
			k.err = err
			return
		}
		if s.AppliedHeight > height {
			height, last = s.AppliedHeight, now
		}
	}
}

// outage returns what came of it.
func (k *killing) outage(r *loader.Result) (*outage, error) {
	if k.err != nil {
		return nil, k.err
	}
	if k.longest == 0 {
		return nil, errors.New("the run ended before a commit was seen: give it a longer --duration")
	}
	return &outage{Node: k.victim, BaseTimeout: k.base, Replies: r.LongestGap, Commits: ms(k.longest)}, nil
}

func ms(d time.Duration) float64 { return d.Seconds() * 1000 }
