package hsnet_test

import (
	"context"
	"testing"

	hsnet "github.com/hotstuffd/hotstuffd/net"
)

// pump keeps so many bulk frames under way from a to b until count have arrived or ctx has ended.
func pump(ctx context.Context, a, b *replica, frame []byte, underWay, count int) {
	for range underWay {
		a.Send(1, hsnet.Bulk, frame)
	}
	for range count {
		select {
		case <-b.frames[hsnet.Bulk]:
			a.Send(1, hsnet.Bulk, frame)
		case <-ctx.Done():
			return
		}
	}
}

// BenchmarkBulk is the cost of a megabyte from one replica to another, both ends, in this one process.
func BenchmarkBulk(b *testing.B) {
	from, to := pair(b, newCluster(b, 2), muchRoom)
	b.SetBytes(1 << 20)
	b.ResetTimer()
	pump(b.Context(), from, to, make([]byte, 1<<20), 8, b.N)
}

// BenchmarkVote is the round trip of a small consensus frame, alone and beside bulk in the same direction.
func BenchmarkVote(b *testing.B) {
	for name, bulk := range map[string]bool{"alone": false, "beside-bulk": true} {
		b.Run(name, func(b *testing.B) {
			from, to := pair(b, newCluster(b, 2), muchRoom)
			ctx, cancel := context.WithCancel(b.Context())
			pumped := make(chan struct{})
			go func() {
				defer close(pumped)
				for bulk && ctx.Err() == nil {
					pump(ctx, from, to, make([]byte, 1<<20), 2, 1<<10)
				}
			}()
			vote := make([]byte, 200)
			b.ResetTimer()
			for range b.N {
				from.Send(1, hsnet.Consensus, vote)
				to.Send(0, hsnet.Consensus, to.awaitFrame(hsnet.Consensus).frame)
				from.awaitFrame(hsnet.Consensus)
			}
			b.StopTimer()
			cancel()
			<-pumped
		})
	}
}
