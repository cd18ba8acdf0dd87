package kv_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hotstuffd/hotstuffd/app"
	"github.com/hotstuffd/hotstuffd/app/kv"
)

func newStore(t testing.TB) *kv.Store {
	t.Helper()
	s, err := kv.New(kv.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// encode turns words into a command, as a front end does.
func encode(t testing.TB, words ...string) (command []byte, write bool) {
	t.Helper()
	c, ok := kv.Lookup([]byte(words[0]))
	if !ok {
		t.Fatalf("no command %q", words[0])
	}
	args := make([][]byte, 0, len(words))
	for _, w := range words[1:] {
		args = append(args, []byte(w))
	}
	command = kv.AppendCommand(nil, c.Op, args...)
	if len(command) != kv.CommandSize(args) {
		t.Fatalf("%q: %d bytes, CommandSize says %d", words, len(command), kv.CommandSize(args))
	}
	return command, c.Write
}

// do runs a command given as words and returns the reply.
func do(t testing.TB, s *kv.Store, words ...string) string {
	t.Helper()
	command, write := encode(t, words...)
	if write {
		return string(s.Apply(app.Moment{}, command, nil))
	}
	return string(s.Query(command, nil))
}

// Each script runs on one store, and shows a command's replies in Redis's own words.
func TestCommandsReplyAsRedis(t *testing.T) {
	const notInteger = "-ERR value is not an integer or out of range"
	scripts := map[string][][2]string{
		"set and get": {
			{"GET k", "$-1"}, {"SET k 1", "+OK"}, {"GET k", "$1 1"}, {"STRLEN k", ":1"}, {"STRLEN none", ":0"},
			{"set k 2 nx", "$-1"}, {"SET k 3 XX", "+OK"}, {"SET new 1 XX", "$-1"}, {"SET new 1 NX", "+OK"},
			{"SET k 4 GET", "$1 3"}, {"SET k 5 NX GET", "$1 4"}, {"GET k", "$1 4"}, {"SET fresh 1 GET", "$-1"},
			{"SET other 1 NX GET", "$-1"}, {"GET other", "$1 1"}, {"SET no 1 XX GET", "$-1"}, {"GET no", "$-1"},
			{"SET k 1 NX XX", "-ERR syntax error"}, {"SET k 1 FOO", "-ERR syntax error"},
			{"SET k 1 EX 10", "-ERR keys do not expire: EX, PX, EXAT, PXAT and KEEPTTL are not supported"},
			{"GET k", "$1 4"}, {"DBSIZE", ":4"},
		},
		"getset, getdel, setnx": {
			{"GETSET k 1", "$-1"}, {"GETSET k 2", "$1 1"}, {"GETDEL k", "$1 2"}, {"GETDEL k", "$-1"},
			{"SETNX k 1", ":1"}, {"SETNX k 2", ":0"}, {"GET k", "$1 1"},
		},
		"many keys": {
			{"MSET a 1 b 2 a 3", "+OK"}, {"MGET a x b", "*3 $1 3 $-1 $1 2"}, {"EXISTS a a x", ":2"},
			{"MSET a 1 b", "-ERR wrong number of arguments for 'mset' command"},
			{"DEL a a x b", ":2"}, {"DBSIZE", ":0"},
		},
		"append": {
			{"APPEND k ab", ":2"}, {"APPEND k cd", ":4"}, {"GET k", "$4 abcd"},
		},
		"numbers": {
			{"INCR n", ":1"}, {"INCR n", ":2"}, {"DECR n", ":1"}, {"INCRBY n 41", ":42"}, {"DECRBY n 50", ":-8"},
			{"INCRBY n 1x", notInteger}, {"INCRBY n +1", notInteger}, {"INCRBY n 01", notInteger},
			{"SET n 9223372036854775807", "+OK"}, {"INCR n", "-ERR increment or decrement would overflow"},
			{"GET n", "$19 9223372036854775807"}, {"INCRBY n 9223372036854775808", notInteger},
			{"SET n -9223372036854775808", "+OK"}, {"DECR n", "-ERR increment or decrement would overflow"},
			{"DECRBY n -9223372036854775808", "-ERR decrement would overflow"}, {"INCR n", ":-9223372036854775807"},
			{"SET n 1.5", "+OK"}, {"INCR n", notInteger}, {"SET n 007", "+OK"}, {"INCR n", notInteger},
			{"SET n -0", "+OK"}, {"INCR n", notInteger}, {"SET n -", "+OK"}, {"INCR n", notInteger},
		},
		"compare and swap": {
			{"CAS k x 1", ":0"}, {"CAS k  1", ":1"}, {"CAS k  2", ":0"}, {"CAS k 1 2", ":1"}, {"CAS k 1 3", ":0"},
			{"GET k", "$1 2"}, {"MSET e ", "+OK"}, {"CAS e  1", ":0"},
		},
		"arity": {
			{"GET", "-ERR wrong number of arguments for 'get' command"},
			{"GET a b", "-ERR wrong number of arguments for 'get' command"},
			{"SET k", "-ERR wrong number of arguments for 'set' command"},
		},
		"scan": {
			{"SCAN x", "-ERR invalid cursor"}, {"SCAN -1", "-ERR invalid cursor"}, {"SCAN 0", "*2 $1 0 *0"},
			{"SET k 1", "+OK"}, {"SCAN 0", "*2 $1 0 *1 $1 k"}, {"SCAN 0 TYPE string", "*2 $1 0 *1 $1 k"},
			{"SCAN 0 TYPE list", "*2 $1 0 *0"}, {"SCAN 0 MATCH x*", "*2 $1 0 *0"}, {"SCAN 0 match ? count 5", "*2 $1 0 *1 $1 k"},
			{"SCAN 0 COUNT 0", "-ERR syntax error"}, {"SCAN 0 COUNT x", notInteger}, {"SCAN 0 MATCH", "-ERR syntax error"},
			{"SCAN 0 FOO bar", "-ERR syntax error"}, {"KEYS *", "*1 $1 k"}, {"KEYS k?", "*0"}, {"KEYS [j-l]", "*1 $1 k"},
		},
	}
	for name, script := range scripts {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			for _, step := range script {
				reply := do(t, s, strings.Split(step[0], " ")...)
				if got := strings.TrimSuffix(strings.ReplaceAll(reply, "\r\n", " "), " "); got != step[1] {
					t.Errorf("%s: got %q, want %q", step[0], got, step[1])
				}
			}
		})
	}
}

func TestLimitsAnswerWithErrors(t *testing.T) {
	s, err := kv.New(kv.Limits{KeyBytes: 10, ValueBytes: 40, ReplyBytes: 200})
	if err != nil {
		t.Fatal(err)
	}
	key, value := strings.Repeat("k", 10), strings.Repeat("v", 40)
	const tooLongKey, tooLongValue = "-ERR key exceeds", "-ERR string exceeds maximum allowed size"
	for _, step := range [][]string{
		{"+OK", "SET", key, value},
		{tooLongKey, "SET", key + "k", value},
		{tooLongValue, "SET", key, value + "v"},
		{tooLongValue, "GETSET", key, value + "v"},
		{tooLongValue, "APPEND", key, "v"},
		{tooLongValue, "MSET", "a", "1", "b", value + "v"},
		{"$-1", "GET", "a"},
		{tooLongKey, "MSET", "a", "1", key + "k", value},
		{tooLongKey, "INCR", key + "k"},
		{tooLongKey, "APPEND", key + "k", "v"},
		{tooLongKey, "SETNX", key + "k", "v"},
		{tooLongKey, "CAS", key + "k", "", "v"},
		{"*3", "MGET", key, key, key},
		{"-ERR replies to one pipeline would exceed 200 bytes", "MGET", key, key, key, key},
		{":1", "DBSIZE"},
	} {
		if got := do(t, s, step[1:]...); !strings.HasPrefix(got, step[0]) {
			t.Errorf("%q: got %q, want %q", step[1:], got, step[0])
		}
	}
}

// A pipeline of reads is answered in one buffer: what is in it already counts, for queries only. In Apply it must not:
// the result of a command of the log may depend on nothing but the state.
func TestRepliesOfOneRequestAreBounded(t *testing.T) {
	s, err := kv.New(kv.Limits{KeyBytes: 10, ValueBytes: 40, ReplyBytes: 200})
	if err != nil {
		t.Fatal(err)
	}
	do(t, s, "SET", "k", strings.Repeat("v", 40))
	var reply []byte
	get, _ := encode(t, "GET", "k")
	for range 1000 {
		reply = s.Query(get, reply)
	}
	if full := strings.Count(string(reply), "$40\r\n"); full != 4 {
		t.Errorf("%d values in a reply of at most 200 bytes", full)
	}
	if got := string(s.Apply(app.Moment{}, get, make([]byte, 200))[200:]); got != string(s.Apply(app.Moment{}, get, nil)) {
		t.Errorf("a read of the log depends on the reply before it: %q", got)
	}
}

func TestBadLimitsAreRefused(t *testing.T) {
	for _, l := range []kv.Limits{{}, {KeyBytes: 1, ValueBytes: 31, ReplyBytes: 1},
		{KeyBytes: 1 << 31, ValueBytes: 32, ReplyBytes: 1}} {
		if _, err := kv.New(l); err == nil {
			t.Errorf("%+v is accepted", l)
		}
	}
}

func TestWritesAreNotQueries(t *testing.T) {
	s := newStore(t)
	command, _ := encode(t, "SET", "k", "1")
	if got := string(s.Query(command, nil)); got != "-ERR a write is not a query\r\n" {
		t.Errorf("got %q", got)
	}
	if got := do(t, s, "GET", "k"); got != "$-1\r\n" {
		t.Errorf("the query has written: %q", got)
	}
}

// The store must copy what it keeps: the executor uses the command's memory again.
func TestCommandIsNotKept(t *testing.T) {
	s := newStore(t)
	for key, value := range map[string]string{"key": "value", "empty": ""} {
		command, _ := encode(t, "SET", key, value)
		s.Apply(app.Moment{}, command, nil)
		clear(command)
		if got, want := do(t, s, "GET", key), fmt.Sprintf("$%d\r\n%s\r\n", len(value), value); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestMalformedCommandsAnswerWithErrors(t *testing.T) {
	s := newStore(t)
	for command, want := range map[string]string{
		"":                         "-ERR empty command\r\n",
		"\x00":                     "-ERR unknown operation\r\n",
		"\x06\x05a":                "-ERR malformed command\r\n", // DEL, and an argument that is cut off
		"\x06\xff":                 "-ERR malformed command\r\n",
		"\x06" + overlong + "\x00": "-ERR malformed command\r\n",
		"\x06":                     "-ERR wrong number of arguments for 'del' command\r\n",
	} {
		if got := string(s.Apply(app.Moment{}, []byte(command), nil)); got != want {
			t.Errorf("%q: %q", command, got)
		}
	}
}

// overlong is a uvarint of more than 64 bits.
const overlong = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"

func TestOverwriteDoesNotAllocate(t *testing.T) {
	s := newStore(t)
	commands, reply := benchmarkSets(s)
	n := 0
	if allocs := testing.AllocsPerRun(1000, func() {
		reply = s.Apply(app.Moment{}, commands[n%len(commands)], reply[:0])
		n++
	}); allocs != 0 {
		t.Errorf("%v allocations for an overwrite", allocs)
	}
}

func TestDescribe(t *testing.T) {
	s := newStore(t)
	many := append([]string{"DEL"}, strings.Split("a b c d e f g h i j", " ")...)
	for _, c := range []struct {
		want  string
		words []string
	}{
		{`SET x 1`, []string{"set", "x", "1"}},
		{`SET "a b" "\x00\n\""`, []string{"set", "a b", "\x00\n\""}},
		{`SET "" "\xff"`, []string{"set", "", "\xff"}},
		{`SET x ` + strings.Repeat("y", 64) + `...(1000 bytes)`, []string{"set", "x", strings.Repeat("y", 1000)}},
		{`DEL a b c d e f g h ... (2 more)`, many},
	} {
		command, _ := encode(t, c.words...)
		if got := s.Describe(command); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
	if got := s.Describe([]byte{250, 1}); got != "invalid command of 2 bytes" {
		t.Errorf("got %s", got)
	}
}

func ExampleStore() {
	store, err := kv.New(kv.DefaultLimits())
	if err != nil {
		fmt.Println(err)
		return
	}
	set := kv.AppendCommand(nil, kv.OpSet, []byte("greeting"), []byte("hello"))
	get := kv.AppendCommand(nil, kv.OpGet, []byte("greeting"))
	fmt.Printf("%s: %q\n", store.Describe(set), store.Apply(app.Moment{Height: 1}, set, nil))
	fmt.Printf("%s: %q\n", store.Describe(get), store.Query(get, nil))
	// Output:
	// SET greeting hello: "+OK\r\n"
	// GET greeting: "$5\r\nhello\r\n"
}
