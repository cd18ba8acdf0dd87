package load

import (
	"bufio"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/hotstuffd/hotstuffd/app/kv/resp"
)

// What a command of 128 bytes costs a client besides the system's calls, in pipelines of 64.
func BenchmarkCommand(b *testing.B) {
	const pipeline = 64
	r := newRequests(pipeline, 128, 100_000, rand.New(rand.NewPCG(1, 2)))
	replies := strings.NewReader("")
	text := strings.Repeat(resp.OK, pipeline)
	c := &client{run: &run{o: &Options{}, recorder: newRecorder(0, second)}, in: bufio.NewReaderSize(replies, repliesBytes), requests: r}
	b.ReportAllocs()
	for i := 0; i < b.N; i += pipeline {
		r.fill(pipeline)
		replies.Reset(text)
		if err := c.read(c.answered + pipeline); err != nil {
			b.Fatal(err)
		}
	}
}
