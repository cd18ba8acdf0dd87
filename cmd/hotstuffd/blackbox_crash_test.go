package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// slowest bounds a command while one node of four is dead. It takes a view's timeout now and then, 0.1 s; the bound is
// for a machine that has much else to do.
const slowest = 3 * time.Second

// longest keeps the longest of some durations. Any goroutine may use it.
type longest struct{ nanoseconds atomic.Int64 }

func (l *longest) add(d time.Duration) {
	for {
		old := l.nanoseconds.Load()
		if int64(d) <= old || l.nanoseconds.CompareAndSwap(old, int64(d)) {
			return
		}
	}
}

func (l *longest) get() time.Duration { return time.Duration(l.nanoseconds.Load()) }

// load is clients that do round after round of work, without a pause, until they are told to stop or their work fails.
type load struct {
	mu      sync.Mutex
	changed sync.Cond
	done    []int   // rounds that each client has done
	failed  []error // what ended each client, if anything has
	stopped bool
	clients sync.WaitGroup
}

// startLoad has n clients do rounds of work, counted from 0.
func startLoad(n int, work func(i, round int) error) *load {
	l := &load{done: make([]int, n), failed: make([]error, n)}
	l.changed.L = &l.mu
	for i := range n {
		l.clients.Go(func() {
			for round := 0; l.note(i, round, work(i, round)); round++ {
			}
		})
	}
	return l
}

func (l *load) note(i, round int, err error) (goOn bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.failed[i] = fmt.Errorf("client %d, round %d: %w", i, round, err)
	} else {
		l.done[i]++
	}
	l.changed.Broadcast()
	return err == nil && !l.stopped
}

// await waits until each client has done some more rounds, or its work has failed.
func (l *load) await(rounds int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, from := range slices.Clone(l.done) {
		for l.failed[i] == nil && l.done[i] < from+rounds {
			l.changed.Wait()
		}
	}
}

// end stops the clients and returns what failed.
func (l *load) end() (failed []error) {
	l.mu.Lock()
	l.stopped = true
	l.mu.Unlock()
	l.clients.Wait()
	for _, err := range l.failed {
		if err != nil {
			failed = append(failed, err)
		}
	}
	return failed
}

// Whichever node is killed, and at whatever moment, clients of the others notice nothing but a delay. Started again, it
// catches up.
func TestAnyOneNodeMayBeKilled(t *testing.T) {
	c, ctx := startedCluster(t, 4), patient(t)
	victims, rounds := upTo(4), 6
	if testing.Short() {
		victims, rounds = victims[:1], 2
	}
	for _, victim := range victims {
		others := upTo(4, victim)
		var worst longest
		timed := func(command func() error) error {
			began := time.Now()
			err := command()
			took := time.Since(began)
			worst.add(took)
			if err == nil && took > slowest {
				err = fmt.Errorf("took %v", took)
			}
			return err
		}
		l := startLoad(len(others), func(i, round int) error {
			writer, reader, key := c.client(others[i]), c.client(others[(i+round)%3]), fmt.Sprintf("%d:%d", victim, i)
			if err := timed(func() error { return writer.Set(ctx, key, round, 0).Err() }); err != nil {
				return fmt.Errorf("SET: %w", err)
			}
			return timed(func() error {
				if got, err := reader.Get(ctx, key).Int(); err != nil || got != round {
					return fmt.Errorf("GET: %d, %w", got, err)
				}
				return nil
			})
		})
		l.await(rounds / 2)
		c.kill(victim)
		l.await(rounds)
		c.start(victim)
		l.await(rounds / 2)
		for _, err := range l.end() {
			t.Errorf("node %d killed: %v", victim, err)
		}
		took := c.agree(upTo(4)...)
		t.Logf("node %d killed: slowest command %v; started again, all agreed %v after the load", victim, worst.get(), took)
	}
}

// A kill of all nodes at once, under load, loses nothing that a client was told.
func TestAcknowledgedWritesSurviveAKillOfAll(t *testing.T) {
	c, ctx := startedCluster(t, 4), patient(t)
	const clients, commands = 8, 16
	kills, rounds := 2, 6
	if testing.Short() {
		kills, rounds = 1, 3
	}
	var acknowledged [clients]int // how many of its writes each client knows to be done
	key := func(client, i int) string { return fmt.Sprintf("%d:%d", client, i) }
	for kill := range kills {
		var known sync.Mutex
		started := acknowledged
		l := startLoad(clients, func(client, round int) error {
			pipe, from := c.client((client+kill)%4).Pipeline(), started[client]+round*commands
			for i := range commands {
				pipe.Set(ctx, key(client, from+i), from+i, 0)
				pipe.Set(ctx, "newest"+strconv.Itoa(client), from+i, 0)
			}
			replies, err := pipe.Exec(ctx)
			known.Lock()
			defer known.Unlock()
			for i := range commands {
				if replies[2*i].Err() == nil && replies[2*i+1].Err() == nil {
					acknowledged[client] = from + i + 1
				}
			}
			return err
		})
		l.await(rounds)
		c.kill(upTo(4)...)
		if failed := l.end(); len(failed) != clients {
			t.Errorf("%d of %d clients had commands under way", len(failed), clients)
		}
		began := time.Now()
		c.start(upTo(4)...)
		t.Logf("kill %d: %v commands acknowledged; all back after %v", kill+1, acknowledged, time.Since(began))
		for client, count := range acknowledged {
			node := c.client((client + kill + 1) % 4)
			keys := make([]string, count)
			for i := range keys {
				keys[i] = key(client, i)
			}
			values, err := node.MGet(ctx, keys...).Result()
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range values {
				if v != strconv.Itoa(i) {
					t.Errorf("kill %d: write %d of client %d was acknowledged, and reads %v", kill+1, i, client, v)
				}
			}
			if newest, err := node.Get(ctx, "newest"+strconv.Itoa(client)).Int(); err != nil || newest < count-1 {
				t.Errorf("kill %d: client %d wrote %d last, and reads %d, %v", kill+1, client, count-1, newest, err)
			}
		}
		c.agree(upTo(4)...)
	}
}

// f nodes that never start, or die and stay dead, stop nothing (L1): the others commit all the same, and a node that
// comes late learns everything.
func TestCommitsGoOnWithoutTheDead(t *testing.T) {
	type absence struct {
		nodes       int
		never, dies []int
	}
	tests := []absence{
		{nodes: 4, never: []int{2}},
		{nodes: 7, never: []int{2}, dies: []int{5}}, // only nodes 6, 0, 1 lead three views in a row
	}
	if testing.Short() {
		tests = tests[:1]
	}
	for _, test := range tests {
		t.Run(fmt.Sprintf("%d nodes", test.nodes), func(t *testing.T) {
			c, ctx := newCluster(t, test.nodes), patient(t)
			alive := upTo(test.nodes, append(test.never, test.dies...)...)
			c.start(upTo(test.nodes, test.never...)...)
			c.kill(test.dies...)
			var worst longest
			for round := range 2 {
				atOnce(t, len(alive), func(i int) error {
					began := time.Now()
					defer func() { worst.add(time.Since(began)) }()
					return c.client(alive[i]).Append(ctx, "log", strings.Repeat("x", round+1)).Err()
				})
			}
			want := int64(3 * len(alive))
			for _, id := range alive {
				if n, err := c.client(id).StrLen(ctx, "log").Result(); err != nil || n != want {
					t.Errorf("node %d has %d bytes, %v, want %d", id, n, err, want)
				}
			}
			late := test.never[0]
			c.start(late)
			if n, err := c.client(late).StrLen(ctx, "log").Result(); err != nil || n != want {
				t.Errorf("node %d, started late, has %d bytes, %v, want %d", late, n, err, want)
			}
			t.Logf("slowest command %v; all agree %v after the late start", worst.get(), c.agree(upTo(test.nodes, test.dies...)...))
		})
	}
}
