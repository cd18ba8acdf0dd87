package witness

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// never is the end of an operation without an answer.
const never = time.Duration(math.MaxInt64)

// A history that no single store can have shown is found, and one that a store can have shown passes.
func TestHistoriesAreDecided(t *testing.T) {
	type op struct {
		Operation
		Answer
		call, end time.Duration
	}
	get := func(value string, call, end time.Duration) op {
		return op{Operation{Name: "GET"}, Answer{Value: value}, call, end}
	}
	set := func(value string, call, end time.Duration) op {
		return op{Operation{Name: "SET", Value: value}, Answer{Unknown: end == never}, call, end}
	}
	cas := func(old, value string, swapped bool, call, end time.Duration) op {
		return op{Operation{Name: "CAS", Old: old, Value: value}, Answer{Swapped: swapped}, call, end}
	}
	incr := func(value string, call, end time.Duration) op {
		return op{Operation{Name: "INCR"}, Answer{Value: value, Unknown: end == never}, call, end}
	}
	for _, test := range []struct {
		name  string
		sound bool
		ops   []op
	}{
		{"a read sees the write before it", true, []op{set("a", 0, 1), get("a", 2, 3)}},
		{"a read that has missed the write before it", false, []op{set("a", 0, 1), get("", 2, 3)}},
		{"an acknowledged write is gone later", false, []op{set("a", 0, 1), get("a", 2, 3), get("", 4, 5)}},
		{"reads disagree about the order of writes", false, []op{set("a", 0, 9), set("b", 0, 9), get("a", 1, 2), get("b", 3, 4), get("a", 5, 6)}},
		{"a write without an answer comes late", true, []op{set("a", 0, never), set("b", 1, 2), get("b", 3, 4), get("a", 5, 6)}},
		{"a write without an answer never comes", true, []op{set("a", 0, never), get("", 1, 2), get("", 3, 4)}},
		{"a write without an answer comes twice", false, []op{set("a", 0, never), get("a", 1, 2), set("b", 3, 4), get("a", 5, 6)}},
		{"two swaps from one value", false, []op{cas("", "a", true, 0, 9), cas("", "b", true, 0, 9)}},
		{"one of two swaps gets through", true, []op{cas("", "a", true, 0, 9), cas("", "b", false, 0, 9), get("a", 10, 11)}},
		{"a swap fails without a reason", false, []op{cas("", "a", false, 0, 1)}},
		{"a count", true, []op{incr("1", 0, 9), incr("2", 0, 9), get("2", 10, 11)}},
		{"an increment is lost", false, []op{incr("1", 0, 1), incr("1", 2, 3)}},
		{"an increment without an answer counts twice", false, []op{incr("", 0, never), get("2", 1, 2)}},
	} {
		h := NewHistory()
		for i, o := range test.ops {
			o.Key = "k"
			h.keep(i, o.Operation, o.Answer, o.call, o.end)
		}
		h.keep(0, Operation{Name: "GET", Key: "other"}, Answer{}, 0, 1)
		n, err := h.Check(time.Minute)
		if (err == nil) != test.sound {
			t.Errorf("%s: %v", test.name, err)
		}
		if n.Operations != len(test.ops)+1 || n.Histories != 2 {
			t.Errorf("%s: checked %+v", test.name, n)
		}
	}
}

// A history that cannot be decided in time does not pass.
func TestUndecidedHistoryFails(t *testing.T) {
	h := NewHistory()
	for i := range 40 { // 40 writes at once without an answer, and a value that none of them wrote
		h.keep(i, Operation{Name: "SET", Key: "k", Value: fmt.Sprint(i)}, Answer{Unknown: true}, 0, never)
	}
	h.keep(40, Operation{Name: "GET", Key: "k"}, Answer{Value: "none of them"}, 1, 2)
	if _, err := h.Check(time.Millisecond); err == nil || !strings.Contains(err.Error(), "was not decided within 1ms") {
		t.Errorf("%v", err)
	}
	if n, open := h.Size("k"); n != 41 || open != 40 {
		t.Errorf("%d operations, %d open", n, open)
	}
}

// A lost write is found, and so is a value from nowhere. What was not acknowledged may be there or not.
func TestLostWriteIsFound(t *testing.T) {
	w := &Writes{Name: "w", acknowledged: []bool{true, true, false, true, false}}
	for _, test := range []struct {
		from   int
		values []any
		want   string
	}{
		{0, []any{"0", "1", nil, "3", "4"}, ""},
		{0, []any{"0", "1", "2", "3", nil}, ""},
		{0, []any{"0", nil, nil, "3", nil}, "w:1 was acknowledged, and is not there"},
		{2, []any{nil, nil, nil}, "w:3 was acknowledged, and is not there"},
		{0, []any{"0", "0", nil, "3", nil}, "w:1 holds 0, which was never written there"},
		{4, []any{"5"}, "w:4 holds 5, which was never written there"},
	} {
		_, err := w.compare(test.from, test.values)
		if got := fmt.Sprint(err); err == nil && test.want != "" || err != nil && got != test.want {
			t.Errorf("%v from %d: %v, want %q", test.values, test.from, err, test.want)
		}
	}
	if n, err := w.compare(0, []any{"0", "1", "2", "3", nil}); n != 3 || err != nil {
		t.Errorf("%d acknowledged ones found, %v", n, err)
	}
}

// An increment that counts twice, or not at all, is found. One that waits for its answer may have counted.
func TestMiscountIsFound(t *testing.T) {
	for _, test := range []struct {
		sent  bool
		got   int64
		sound bool
	}{{false, 6, true}, {false, 5, false}, {false, 7, false}, {true, 6, true}, {true, 7, true}, {true, 8, false}} {
		n := &Numbered{Key: "count", seq: 7, sent: test.sent}
		if err := n.compare(test.got); (err == nil) != test.sound {
			t.Errorf("6 answered, another one sent: %v, counted to %d: %v", test.sent, test.got, err)
		}
	}
}

// What a client's error tells of its command decides what is checked: nothing may pass for an answer that is none.
func TestOutcomes(t *testing.T) {
	for _, test := range []struct {
		err, want error
	}{
		{goredis.Nil, nil},
		{&net.OpError{Op: "dial", Err: errors.New("refused")}, ErrNotApplied},
		{&net.OpError{Op: "read", Err: errors.New("reset")}, ErrUnknown},
		{io.EOF, ErrUnknown},
		{reply("TRYAGAIN not applied"), ErrNotApplied},
		{reply("BUSY too much work under way, try again"), ErrNotApplied},
		{reply("ERR node is stopping"), ErrNotApplied},
		{reply("TIMEOUT outcome unknown"), ErrUnknown},
	} {
		if err := judge(test.err); !errors.Is(err, test.want) || (err != nil) != Unanswered(err) {
			t.Errorf("%v is judged %v, want %v", test.err, err, test.want)
		}
	}
	if err := judge(reply("ERR value is not an integer or out of range")); err == nil || Unanswered(err) {
		t.Errorf("a wrong reply is judged %v", err)
	}
}

// reply is an error that a node has answered.
type reply string

func (r reply) Error() string { return string(r) }
func (reply) RedisError()     {}
