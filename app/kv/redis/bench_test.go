package redis_test

import (
	"io"
	"strings"
	"testing"
)

// BenchmarkPipeline sends pipelines of 64 SETs of 128 bytes over a socket to a store in the same process; the unit is one
// command, from the client's write to the read of its reply.
func BenchmarkPipeline(b *testing.B) {
	s, _ := start(b, defaults())
	c := dial(b, s)
	const depth = 64
	pipeline := []byte(strings.Repeat(array("SET", "key:000000000001", strings.Repeat("x", 128)), depth))
	replies := make([]byte, depth*len("+OK\r\n"))
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if n++; n%depth != 0 {
			continue
		}
		if _, err := c.Write(pipeline); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(c.in, replies); err != nil {
			b.Fatal(err)
		}
	}
}
