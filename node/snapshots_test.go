package node

import (
	"io"
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/hotstuffd/hotstuffd/api/wire"
	"github.com/hotstuffd/hotstuffd/app"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
)

// counted is a frozen application that counts its releases.
type counted struct {
	app.Frozen
	released *atomic.Int32
}

// Release implements app.Frozen.
func (c counted) Release() {
	c.Frozen.Release()
	c.released.Add(1)
}

// While the keeper writes a large snapshot, states do not pile up before it: each would keep what was overwritten since.
func TestStatesDoNotPileUp(t *testing.T) {
	stop := make(chan struct{})
	s := newSnapshots(nil, newPace(nil), wire.Limits{}, KeeperConfig{}, NewHolds(), func() qc.Ticks { return 0 }, newInbox(), slog.New(slog.NewTextHandler(io.Discard, nil)), stop)
	ended := make(chan struct{})
	go func() {
		s.digest()
		close(ended)
	}()
	m, _ := newState(t, 2)
	var released atomic.Int32
	freeze := func() *State {
		state := m.Freeze()
		state.app = counted{state.app, &released}
		return state
	}
	for range 10 {
		s.digestState(freeze(), nil)
	}
	answer := make(chan Applied, 1)
	s.digestState(freeze(), answer)
	<-answer // behind all those before it
	close(stop)
	<-ended
	if n := released.Load(); n != 10-statesMax+1 {
		t.Errorf("%d of 11 states were released, want all but the %d that wait", n, statesMax)
	}
	if events := len(s.inbox.events); events != 10 {
		t.Errorf("%d states were told of, want all 10: they are signed all the same", events)
	}
}

// What a peer may send unasked and large counts for the bound of the inbox.
func TestLargeMessagesHaveWeight(t *testing.T) {
	for _, c := range []struct {
		message hotstuff.Message
		weight  int
	}{
		{&hotstuff.SnapshotOffer{Chunks: make([][32]byte, 1000)}, 32000},
		{&hotstuff.Chunk{Data: make([]byte, 500)}, 500},
		{&hotstuff.Pruned{}, 0},
	} {
		if got := weightOf(c.message); got != c.weight {
			t.Errorf("%T weighs %d, want %d", c.message, got, c.weight)
		}
	}
}
