package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	goredis "github.com/redis/go-redis/v9"
)

// operation is one command on one key, and answer what came back.
type operation struct{ name, key, old, value string }

type answered struct {
	value   string // read; "" is an absent key, as it is for CAS
	swapped bool
	unknown bool // nobody knows whether it was applied
}

// register is what a key is to its clients: one value, on which commands act one after the other.
var register = porcupine.Model{
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		now, op, got := state.(string), input.(operation), output.(answered)
		switch op.name {
		case "GET":
			return got.value == now, now
		case "SET":
			return true, op.value
		case "GETSET":
			return got.unknown || got.value == now, op.value
		case "CAS":
			if now == op.old {
				return got.unknown || got.swapped, op.value
			}
			return got.unknown || !got.swapped, now
		}
		panic("no such operation: " + op.name)
	},
}

// do runs an operation. applied is false if it certainly was not.
func (op operation) do(ctx context.Context, client *goredis.Client) (got answered, applied bool) {
	var err error
	switch op.name {
	case "GET":
		got.value, err = client.Get(ctx, op.key).Result()
	case "SET":
		err = client.Set(ctx, op.key, op.value, 0).Err()
	case "GETSET":
		got.value, err = client.Do(ctx, "GETSET", op.key, op.value).Text()
	case "CAS":
		got.swapped, err = client.Do(ctx, "CAS", op.key, op.old, op.value).Bool()
	}
	var socket *net.OpError
	switch {
	case err == nil || errors.Is(err, goredis.Nil):
		return got, true
	case errors.As(err, &socket) && socket.Op == "dial":
		return got, false
	case strings.HasPrefix(err.Error(), "TRYAGAIN ") || strings.HasPrefix(err.Error(), "BUSY "):
		return got, false
	}
	// A timeout or a lost connection. A read that nobody saw says nothing.
	return answered{unknown: true}, op.name != "GET"
}

// history is what clients saw, in the order of their calls on one clock.
type history struct {
	began time.Time
	mu    sync.Mutex
	byKey map[string][]porcupine.Operation
	count int
}

// run does an operation and keeps it. ok is false if its outcome is not known, or it certainly was not applied.
func (h *history) run(ctx context.Context, client *goredis.Client, id int, op operation) (got answered, ok bool) {
	call := time.Since(h.began)
	got, applied := op.do(ctx, client)
	end := time.Since(h.began)
	if !applied {
		return got, false
	}
	if got.unknown {
		end = math.MaxInt64 // it may still be applied, at any time
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.byKey[op.key] = append(h.byKey[op.key], porcupine.Operation{ClientId: id, Input: op, Call: int64(call), Output: got, Return: int64(end)})
	h.count++
	return got, !got.unknown
}

// check fails the test unless there is one order of all operations that explains all answers, and in which none comes
// before one that had ended when it began.
func (h *history) check(t *testing.T) {
	t.Helper()
	open, swaps := 0, 0
	for key, all := range h.byKey {
		for _, op := range all {
			if op.Return == math.MaxInt64 {
				open++
			} else if op.Output.(answered).swapped {
				swaps++
			}
		}
		if verdict := porcupine.CheckOperationsTimeout(register, all, patience); verdict != porcupine.Ok {
			var text strings.Builder
			slices.SortFunc(all, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
			for _, op := range all {
				fmt.Fprintf(&text, "client %d, %v to %v: %+v: %+v\n", op.ClientId, time.Duration(op.Call), time.Duration(op.Return), op.Input, op.Output)
			}
			t.Errorf("linearizable: %s\nhistory of %s:\n%s", verdict, key, text.String())
		}
	}
	t.Logf("%d operations on %d keys, %d successful swaps, %d outcomes unknown", h.count, len(h.byKey), swaps, open)
}

// To clients of all four nodes the store looks like one, while a node is killed and comes back.
func TestHistoriesAreLinearizable(t *testing.T) {
	c, ctx := startedCluster(t, 4), patient(t)
	const clients, keys, victim = 8, 4, 1
	rounds := 15
	if testing.Short() {
		rounds = 6
	}
	h := &history{began: time.Now(), byKey: map[string][]porcupine.Operation{}}
	var back atomic.Bool            // the victim is up again
	var fled [clients]bool          // a client's node was killed: it goes to others until that is up again
	var known [clients][keys]string // what a client saw last
	l := startLoad(clients, func(i, round int) error {
		random := rand.New(rand.NewPCG(uint64(i), uint64(round)))
		k, name := random.IntN(keys), []string{"GET", "GET", "SET", "GETSET", "CAS", "CAS"}[random.IntN(6)]
		op := operation{name: name, key: fmt.Sprint("k", k), value: fmt.Sprintf("%d.%d", i, round), old: known[i][k]}
		node := i % 4
		if fled[i] && !back.Load() {
			node = (victim + 1 + round%3) % 4
		}
		switch got, ok := h.run(ctx, c.client(node), i, op); {
		case !ok && node != victim:
			return fmt.Errorf("%+v at node %d, which was not killed: no answer", op, node)
		case !ok:
			fled[i] = true
		case name == "GET":
			known[i][k] = got.value
		case name != "CAS" || got.swapped:
			known[i][k] = op.value
		}
		return nil
	})
	l.await(rounds)
	c.kill(victim)
	l.await(rounds)
	c.start(victim)
	back.Store(true)
	l.await(rounds)
	for _, err := range l.end() {
		t.Error(err)
	}
	h.check(t)
}
