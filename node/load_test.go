package node

import (
	"testing"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/qc"
)

// TestViewsArePacedUnderLoadAlone: a megabyte a second, as of some hundred clients that wait for each command, is not paced;
// eight are, until nothing comes.
func TestViewsArePacedUnderLoadAlone(t *testing.T) {
	for _, c := range []struct {
		bytes uint32 // a second
		heavy bool
	}{{1 << 20, false}, {8 << 20, true}} {
		const blocks = 100 // a second
		var m loadMeter
		now := qc.Ticks(0)
		for range 2 * blocks {
			now += qc.TicksPerSecond / blocks
			m.committed(now, []blocktree.BatchRef{{Bytes: c.bytes / blocks}})
		}
		if got := m.heavy(now); got != c.heavy {
			t.Errorf("%d bytes a second: heavy %v, want %v", c.bytes, got, c.heavy)
		}
		if m.heavy(now + qc.TicksPerSecond) {
			t.Errorf("%d bytes a second: heavy a second after the last", c.bytes)
		}
	}
}
