package witness

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
	goredis "github.com/redis/go-redis/v9"
)

// Operation is one command on one key: GET, SET, GETSET and CAS on a register, GET and INCR on a counter.
type Operation struct{ Name, Key, Old, Value string }

// Answer is what came back.
type Answer struct {
	Value   string // read, or counted to; "" is an absent key, as it is for CAS
	Swapped bool
	Unknown bool // nobody knows whether it was applied
}

// key is what a key is to its clients: one value, on which commands act one after the other.
var key = porcupine.Model{
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		now, op, got := state.(string), input.(Operation), output.(Answer)
		switch op.Name {
		case "GET":
			return got.Value == now, now
		case "SET":
			return true, op.Value
		case "GETSET":
			return got.Unknown || got.Value == now, op.Value
		case "CAS":
			if now == op.Old {
				return got.Unknown || got.Swapped, op.Value
			}
			return got.Unknown || !got.Swapped, now
		case "INCR":
			count, _ := strconv.Atoi(now) // an absent key counts from 0
			next := strconv.Itoa(count + 1)
			return got.Unknown || got.Value == next, next
		}
		panic("witness: no such operation: " + op.Name)
	},
}

func (op Operation) do(ctx context.Context, client *goredis.Client) (got Answer, err error) {
	switch op.Name {
	case "GET":
		got.Value, err = client.Get(ctx, op.Key).Result()
	case "SET":
		err = client.Set(ctx, op.Key, op.Value, 0).Err()
	case "GETSET":
		got.Value, err = client.Do(ctx, "GETSET", op.Key, op.Value).Text()
	case "CAS":
		got.Swapped, err = client.Do(ctx, "CAS", op.Key, op.Old, op.Value).Bool()
	case "INCR":
		var count int64
		count, err = client.Incr(ctx, op.Key).Result()
		got.Value = strconv.FormatInt(count, 10)
	}
	return got, judge(err)
}

// History is what clients saw, in the order of their calls on one clock. Any goroutine may use it.
type History struct {
	began time.Time
	mu    sync.Mutex
	byKey map[string][]porcupine.Operation
	open  map[string]int // outcomes that are unknown, by key
}

// NewHistory returns one without operations.
func NewHistory() *History {
	return &History{began: time.Now(), byKey: make(map[string][]porcupine.Operation), open: make(map[string]int)}
}

// Run does an operation for a client and keeps it, unless it says nothing.
// Expected errors: ErrNotApplied, ErrUnknown.
func (h *History) Run(ctx context.Context, client *goredis.Client, id int, op Operation) (Answer, error) {
	call := time.Since(h.began)
	got, err := op.do(ctx, client)
	switch {
	case err == nil:
		h.keep(id, op, got, call, time.Since(h.began))
	case isUnknown(err) && op.Name != "GET": // a read that nobody saw says nothing
		got = Answer{Unknown: true}
		h.keep(id, op, got, call, math.MaxInt64) // it may still be applied, at any time
	}
	return got, err
}

func (h *History) keep(id int, op Operation, got Answer, call, end time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.byKey[op.Key] = append(h.byKey[op.Key], porcupine.Operation{ClientId: id, Input: op, Call: int64(call), Output: got, Return: int64(end)})
	if got.Unknown {
		h.open[op.Key]++
	}
}

// Size returns how many operations on a key are kept, and how many of these have no known outcome. Each of those doubles
// what the check may have to try.
func (h *History) Size(key string) (operations, open int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.byKey[key]), h.open[key]
}

// Keys returns the keys that have operations, sorted.
func (h *History) Keys() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Sorted(maps.Keys(h.byKey))
}

// Checked counts what a check has looked at.
type Checked struct{ Operations, Histories, Swaps, Open int }

// Check returns an error unless, for each key, there is one order of all operations that explains all answers, and in
// which none comes before one that had ended when it began. It must be found within patience for each key: a history that
// is not decided is an error as well, for it shows nothing.
func (h *History) Check(patience time.Duration) (n Checked, err error) {
	for _, name := range h.Keys() {
		all := h.byKey[name]
		n.Histories++
		n.Operations += len(all)
		n.Open += h.open[name]
		for _, op := range all {
			if op.Output.(Answer).Swapped {
				n.Swaps++
			}
		}
		if verdict := porcupine.CheckOperationsTimeout(key, all, patience); verdict != porcupine.Ok && err == nil {
			what := "is not linearizable"
			if verdict == porcupine.Unknown {
				what = fmt.Sprintf("was not decided within %v", patience)
			}
			err = fmt.Errorf("the history of %s %s:\n%s", name, what, describe(all))
		}
	}
	return n, err
}

func describe(all []porcupine.Operation) string {
	var text strings.Builder
	slices.SortFunc(all, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	for _, op := range all {
		end := time.Duration(op.Return).String()
		if op.Return == math.MaxInt64 {
			end = "?"
		}
		fmt.Fprintf(&text, "client %d, %v to %s: %+v: %+v\n", op.ClientId, time.Duration(op.Call), end, op.Input, op.Output)
	}
	return text.String()
}
