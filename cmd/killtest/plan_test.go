package main

import (
	"fmt"
	"testing"
	"time"
)

// Every plan does what can be done, leaves all nodes running, and takes a few seconds; together they hold every kind of
// blow, to running and to paused nodes.
func TestPlans(t *testing.T) {
	seen := map[string]int{}
	const plans = 2000
	var total time.Duration
	for cycle := 1; cycle <= plans; cycle++ {
		p := newPlan(3, cycle)
		var is [nodes]condition
		var took time.Duration
		for _, s := range p {
			took += s.after
			seen[fmt.Sprintf("%v %d", s.action, len(s.nodes))]++
			for _, id := range s.nodes {
				was := is[id]
				allowed := map[action]bool{start: was == dead, resume: was == paused, pause: was == running, end: was == running, kill: was != dead}
				if !allowed[s.action] {
					t.Fatalf("cycle %d: %v: %v of node %d, which is %v", cycle, p, s.action, id, was)
				}
				if s.action == kill && was == paused {
					seen["kill of a paused one"]++
				}
				is[id] = map[action]condition{start: running, resume: running, pause: paused, kill: dead, end: dead}[s.action]
			}
		}
		if is != [nodes]condition{} || len(p) < 2 || took > 12*time.Second {
			t.Fatalf("cycle %d: %v: takes %v and leaves nodes %v", cycle, p, took, is)
		}
		total += took
	}
	for _, want := range []string{"kill 1", "kill 2", "kill 4", "end 1", "pause 1", "pause 2", "pause 4", "start 1", "resume 1", "kill of a paused one"} {
		if seen[want] < plans/50 {
			t.Errorf("%d plans have %d times %s", plans, seen[want], want)
		}
	}
	if mean := total / plans; mean < 2*time.Second || mean > 4*time.Second {
		t.Errorf("a plan takes %v on average", mean)
	}
}

// The seed decides the plan, and any six cycles in a row from the first on kill one, two and all nodes, and pause some.
func TestPlanFollowsItsSeed(t *testing.T) {
	if a, b := newPlan(7, 1).String(), newPlan(7, 1).String(); a != b {
		t.Errorf("one seed gives\n%s\n%s", a, b)
	}
	if a, b := newPlan(7, 1).String(), newPlan(7, 2).String(); a == b {
		t.Errorf("two cycles have one plan: %s", a)
	}
	for seed := range uint64(100) {
		first := map[string]bool{}
		for cycle := 7; cycle <= 12; cycle++ {
			s := newPlan(seed, cycle)[0]
			first[fmt.Sprintf("%v %d", s.action, len(s.nodes))] = true
			first[s.action.String()] = true
		}
		for _, want := range []string{"kill 1", "kill 2", "kill 4", "pause", "end"} {
			if !first[want] {
				t.Errorf("seed %d: six cycles begin without %s: %v", seed, want, first)
			}
		}
	}
}
