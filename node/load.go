package node

import (
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/qc"
)

type mark = blocktree.Cursor

// loadMeter tells from the committed payload whether views should be paced: each view costs every replica a pairing
// check, so that under load a few larger blocks are worth more than many small ones. A lone client is never paced.
type loadMeter struct {
	rate uint64   // bytes and batches committed a second, smoothed; a batch weighs batchWeight bytes
	last qc.Ticks // of the last commit with payload
}

const (
	// batchWeight is what a batch weighs beside its bytes: even small ones cost messages, hashes and syncs.
	batchWeight = 1 << 10
	// heavyRate is the weight a second from which views are paced.
	heavyRate = 4 << 20
	// loadWindow is the time over which the rate is smoothed: 100 ms.
	loadWindow = qc.TicksPerSecond / 10
)

func (m *loadMeter) committed(now qc.Ticks, refs []blocktree.BatchRef) {
	m.decay(now)
	for i := range refs {
		m.rate += (uint64(refs[i].Bytes) + batchWeight) * uint64(qc.TicksPerSecond/loadWindow)
	}
}

// decay halves the rate for each window that has passed, in linear steps within a window.
func (m *loadMeter) decay(now qc.Ticks) {
	for ; now-m.last >= loadWindow && m.rate > 0; m.last += loadWindow {
		m.rate /= 2
	}
	if m.rate == 0 {
		m.last = now
	}
}

func (m *loadMeter) heavy(now qc.Ticks) bool {
	m.decay(now)
	return m.rate > heavyRate
}
