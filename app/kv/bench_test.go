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
