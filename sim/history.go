package sim

import (
	"fmt"
	"math"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/hotstuffd/hotstuffd/qc"
)

// history is what clients asked of the key-value store and what they saw, to be checked for linearizability.
type history struct {
	operations []operation
}

type operation struct {
	client, key int
	value       string // written; "" reads
	seen        string // the reply, as on the wire
	call, ret   qc.Ticks
	done, dead  bool
}

func (h *history) begin(now qc.Ticks, client, key int, value string) int {
	h.operations = append(h.operations, operation{client: client, key: key, value: value, call: now})
	return len(h.operations) - 1
}

func (h *history) end(now qc.Ticks, op int, seen string) {
	o := &h.operations[op]
	o.seen, o.ret, o.done = seen, now, true
}

// cancel marks an operation that was refused for good.
func (h *history) cancel(op int) {
	if op < len(h.operations) {
		h.operations[op].dead = true
	}
}

// registers is the model: one register a key.
var registers = porcupine.Model{
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		o, seen := input.(operation), output.(operation)
		if o.value != "" {
			return true, o.value
		}
		return seen.seen == bulk(state.(string)), state
	},
}

// bulk is how the store answers with a value.
func bulk(value string) string {
	if value == "" {
		return "$-1\r\n"
	}
	return fmt.Sprintf("$%d\r\n%s\r\n", len(value), value)
}

// linearizable checks the history, key by key. An operation without an outcome may have happened at any time since; if it
// is a write whose value nobody saw, it may have happened after all others, and is left out: many of them would make the
// search hopeless.
func (h *history) linearizable() error {
	observed := make(map[string]bool)
	for _, o := range h.operations {
		if o.done && o.value == "" {
			observed[o.seen] = true
		}
	}
	byKey := make(map[int][]porcupine.Operation)
	for _, o := range h.operations {
		end := int64(o.ret)
		switch {
		case o.dead || !o.done && (o.value == "" || !observed[bulk(o.value)]):
			continue
		case !o.done:
			end = math.MaxInt64
		}
		byKey[o.key] = append(byKey[o.key], porcupine.Operation{ClientId: o.client, Input: o, Output: o, Call: int64(o.call), Return: end})
	}
	for key := range len(byKey) {
		switch r := porcupine.CheckOperationsTimeout(registers, byKey[key], 10*time.Second); r {
		case porcupine.Illegal:
			return fmt.Errorf("the history of key %d is not linearizable (%d operations)", key, len(byKey[key]))
		case porcupine.Unknown:
			return fmt.Errorf("the history of key %d could not be decided in time (%d operations)", key, len(byKey[key]))
		}
	}
	return nil
}
