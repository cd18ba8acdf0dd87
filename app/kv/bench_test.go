package kv_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/hotstuffd/hotstuffd/app"
	"github.com/hotstuffd/hotstuffd/app/kv"
)

// BenchmarkSet overwrites 128-byte values of 100,000 keys in random order, as redis-benchmark does.
func BenchmarkSet(b *testing.B) {
	s := newStore(b)
	commands, reply := benchmarkSets(s)
	b.ReportAllocs()
	i := uint32(0)
	for b.Loop() {
		i = i*1664525 + 1013904223
		reply = s.Apply(app.Moment{}, commands[i>>8%uint32(len(commands))], reply[:0])
	}
}

// BenchmarkSetForeseen does the same, and tells the store of 64 commands before it gets them, as a replica does.
func BenchmarkSetForeseen(b *testing.B) {
	s := newStore(b)
	commands, reply := benchmarkSets(s)
	next := make([][]byte, 64)
	b.ReportAllocs()
	i, at := uint32(0), len(next)
	for b.Loop() {
		if at == len(next) {
			for at = range next {
				i = i*1664525 + 1013904223
				next[at] = commands[i>>8%uint32(len(commands))]
			}
			s.Foresee(next)
			at = 0
		}
		reply = s.Apply(app.Moment{}, next[at], reply[:0])
		at++
	}
}

// batchCommands is how many commands a batch of the next two has.
const batchCommands = 128

// applyBatch overwrites values of keys that are there, as one batch would.
func applyBatch(s *kv.Store, commands [][]byte, reply []byte) []byte {
	for _, c := range commands {
		reply = s.Apply(app.Moment{}, c, reply)
	}
	return reply
}

// BenchmarkApplyBatch applies a batch of 128 SETs of 128 bytes; the unit is a batch.
func BenchmarkApplyBatch(b *testing.B) {
	s := newStore(b)
	commands, reply := benchmarkSets(s)
	b.ReportAllocs()
	for i := 0; b.Loop(); i = (i + batchCommands) % (len(commands) - batchCommands) {
		reply = applyBatch(s, commands[i:i+batchCommands], reply[:0])
	}
}

// Writing over values of the same size, and reading, takes no memory.
func TestCommandsAllocateNothing(t *testing.T) {
	s := newStore(t)
	commands, reply := benchmarkSets(s)
	reply = applyBatch(s, commands[:batchCommands], reply)
	if allocs := testing.AllocsPerRun(100, func() { reply = applyBatch(s, commands[:batchCommands], reply[:0]) }); allocs != 0 {
		t.Errorf("a batch of %d SETs: %v allocations", batchCommands, allocs)
	}
	get := kv.AppendCommand(nil, kv.OpGet, []byte("key:000000000001"))
	if allocs := testing.AllocsPerRun(100, func() { reply = s.Query(get, reply[:0]) }); allocs != 0 {
		t.Errorf("a GET: %v allocations", allocs)
	}
}

// BenchmarkInsert writes keys that are not there, into a store that grows to a million of them; the unit is a key.
func BenchmarkInsert(b *testing.B) {
	s := newStore(b)
	value, reply := bytes.Repeat([]byte("x"), 128), []byte(nil)
	command, key := []byte(nil), []byte(nil)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%1_000_000 == 0 {
			s = newStore(b)
		}
		key = fmt.Appendf(key[:0], "key:%012d", i)
		command = kv.AppendCommand(command[:0], kv.OpSet, key, value)
		reply = s.Apply(app.Moment{}, command, reply[:0])
	}
}

func BenchmarkGet(b *testing.B) {
	s := newStore(b)
	commands, reply := benchmarkSets(s)
	queries := make([][]byte, len(commands))
	for i := range queries {
		queries[i] = kv.AppendCommand(nil, kv.OpGet, fmt.Appendf(nil, "key:%012d", i))
	}
	b.ReportAllocs()
	i := uint32(0)
	for b.Loop() {
		i = i*1664525 + 1013904223
		reply = s.Query(queries[i>>8%uint32(len(queries))], reply[:0])
	}
}

// BenchmarkDigest takes the digest after every 1,000 overwrites of 100,000 keys; the unit is one overwrite and its share.
func BenchmarkDigest(b *testing.B) {
	s := newStore(b)
	commands, reply := benchmarkSets(s)
	s.Digest()
	b.ReportAllocs()
	i, n := uint32(0), 0
	for b.Loop() {
		i = i*1664525 + 1013904223
		reply = s.Apply(app.Moment{}, commands[i>>8%uint32(len(commands))], reply[:0])
		if n++; n%1000 == 0 {
			s.Digest()
		}
	}
}

func benchmarkSets(s *kv.Store) (commands [][]byte, reply []byte) {
	commands = make([][]byte, 100_000)
	value := bytes.Repeat([]byte("x"), 128)
	for i := range commands {
		commands[i] = kv.AppendCommand(nil, kv.OpSet, fmt.Appendf(nil, "key:%012d", i), value)
		reply = s.Apply(app.Moment{}, commands[i], reply[:0])
	}
	return commands, reply
}
