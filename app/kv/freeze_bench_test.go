package kv_test

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/hotstuffd/hotstuffd/app"
	"github.com/hotstuffd/hotstuffd/app/kv"
)

// millionKeys returns a store of 1,000,000 keys, of 100 bytes each with their values, and overwrites of them.
func millionKeys(b *testing.B) (s *kv.Store, commands [][]byte) {
	s = newStore(b)
	value := bytes.Repeat([]byte("x"), 84)
	for i := range 1_000_000 {
		command := kv.AppendCommand(nil, kv.OpSet, fmt.Appendf(nil, "key:%012d", i), value)
		s.Apply(app.Moment{}, command, nil)
		if i%10 == 0 {
			commands = append(commands, command)
		}
	}
	return s, commands
}

func BenchmarkFreeze(b *testing.B) {
	s, commands := millionKeys(b)
	b.ReportAllocs()
	longest := time.Duration(0)
	for i := 0; b.Loop(); i++ {
		start := time.Now()
		f := s.Freeze()
		longest = max(longest, time.Since(start))
		s.Apply(app.Moment{}, commands[i%len(commands)], nil)
		f.Release()
	}
	b.ReportMetric(float64(longest), "longest-ns")
}

// BenchmarkSetBesideFrozen overwrites keys while another goroutine takes the digest of what was frozen 10,000 commands ago,
// or writes it out: how long do the slowest take. "alone" is the same without.
func BenchmarkSetBesideFrozen(b *testing.B) {
	for _, name := range []string{"alone", "digest", "write"} {
		b.Run(name, func(b *testing.B) {
			s, commands := millionKeys(b)
			s.Digest()
			frozen, done := make(chan app.Frozen), make(chan struct{})
			go func() {
				defer close(done)
				for f := range frozen {
					if name == "digest" {
						f.Digest()
					} else if _, err := f.WriteTo(io.Discard); err != nil {
						b.Error(err)
					}
					f.Release()
				}
			}()
			var took []time.Duration
			reply, i := []byte(nil), uint32(0)
			b.ReportAllocs()
			for b.Loop() {
				if len(took)%10_000 == 0 && name != "alone" {
					f := s.Freeze()
					select {
					case frozen <- f:
					default: // it is not through yet
						f.Release()
					}
				}
				i = i*1664525 + 1013904223
				start := time.Now()
				reply = s.Apply(app.Moment{}, commands[i>>8%uint32(len(commands))], reply[:0])
				took = append(took, time.Since(start))
			}
			close(frozen)
			<-done
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*999/1000]), "p999-ns")
			b.ReportMetric(float64(took[len(took)-1]), "longest-ns")
		})
	}
}

// BenchmarkSnapshot writes a store of 1,000,000 keys, and restores it.
func BenchmarkSnapshot(b *testing.B) {
	s, _ := millionKeys(b)
	f := s.Freeze()
	snapshot := written(b, f)
	b.Run("write", func(b *testing.B) {
		b.SetBytes(int64(len(snapshot)))
		for b.Loop() {
			if _, err := f.WriteTo(io.Discard); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("restore", func(b *testing.B) {
		b.SetBytes(int64(len(snapshot)))
		for b.Loop() {
			if err := newStore(b).Restore(bytes.NewReader(snapshot)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("digest", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			fresh := newStore(b)
			if err := fresh.Restore(bytes.NewReader(snapshot)); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			fresh.Digest()
		}
	})
}
