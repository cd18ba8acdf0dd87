package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// nodes is the size of the cluster: three make a quorum.
const nodes, quorum = 4, 3

// action is what is done to a node.
type action uint8

const (
	start  action = iota // one that does not run
	kill                 // kill -9, paused or not
	end                  // SIGTERM
	pause                // SIGSTOP
	resume               // SIGCONT
)

func (a action) String() string { return [...]string{"start", "kill", "end", "pause", "resume"}[a] }

// step is what is done to some nodes at once, some time after the step before.
type step struct {
	after  time.Duration
	action action
	nodes  []int
}

// plan is what is done in one cycle. It begins and ends with all nodes running.
type plan []step

func (p plan) String() string {
	var text strings.Builder
	for _, s := range p {
		fmt.Fprintf(&text, "%v %s %v, ", s.after.Round(time.Millisecond), s.action, s.nodes)
	}
	return strings.TrimSuffix(text.String(), ", ")
}

type condition uint8

const (
	running condition = iota
	paused
	dead
)

// planner makes a plan, step by step.
type planner struct {
	random *rand.Rand
	is     [nodes]condition
	plan   plan
}

// newPlan draws the plan of a cycle: one to three blows, between which nodes may or may not be brought back, and all are in
// the end. The first blows of six cycles in a row are of six kinds, so that a short run has them all.
func newPlan(seed uint64, cycle int) plan {
	turn, place := (cycle-1)/len(blows), (cycle-1)%len(blows)
	first := rand.New(rand.NewPCG(seed, uint64(turn)<<32)).Perm(len(blows))[place]
	p := planner{random: rand.New(rand.NewPCG(seed, uint64(cycle)<<32|1))}
	p.blow(first)
	for range p.random.IntN(3) {
		if p.random.IntN(2) == 0 {
			p.mend()
		}
		p.blow(p.random.IntN(len(blows)))
	}
	p.mend()
	return p.plan
}

// blows are what may happen: what to do, and to how many nodes.
var blows = []struct {
	action action
	counts []int
}{{kill, []int{1}}, {kill, []int{2}}, {kill, []int{nodes}}, {kill, []int{1, 1, 2, nodes}}, {pause, []int{1, 1, 2, nodes}}, {end, []int{1}}}

// blow strikes nodes that it can strike, as many of those drawn as there are.
func (p *planner) blow(kind int) {
	b := blows[kind]
	count := b.counts[p.random.IntN(len(b.counts))]
	var struck []int
	for _, id := range p.random.Perm(nodes)[:count] {
		if p.is[id] == running || p.is[id] == paused && b.action == kill {
			struck = append(struck, id)
		}
	}
	if len(struck) == 0 {
		return
	}
	p.do(p.between(200, 1200), b.action, struck...)
}

// mend brings all nodes back, in any order. One in eight that start is killed as it does.
func (p *planner) mend() {
	wait := p.between(50, 1200)
	for _, id := range p.random.Perm(nodes) {
		switch p.is[id] {
		case running:
			continue
		case paused:
			p.do(wait, resume, id)
		case dead:
			p.do(wait, start, id)
			if p.random.IntN(8) == 0 {
				p.do(p.between(2, 300), kill, id)
				p.do(p.between(0, 100), start, id)
			}
		}
		wait = p.between(0, 150)
	}
}

func (p *planner) do(after time.Duration, a action, ids ...int) {
	p.plan = append(p.plan, step{after, a, ids})
	for _, id := range ids {
		p.is[id] = map[action]condition{start: running, resume: running, pause: paused, kill: dead, end: dead}[a]
	}
}

// between draws a time from low up to high milliseconds.
func (p *planner) between(low, high int) time.Duration {
	return time.Duration(low)*time.Millisecond + time.Duration(p.random.Int64N(int64(high-low)*int64(time.Millisecond)))
}
