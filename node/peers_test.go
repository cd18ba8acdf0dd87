package node

import (
	"crypto/ed25519"
	"log/slog"
	"testing"
	"time"

	"github.com/hotstuffd/hotstuffd/api/wire"
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	hsnet "github.com/hotstuffd/hotstuffd/net"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/store"
)

// shelf is a store with one block.
type shelf struct {
	Stored
	block *blocktree.Block
}

func (s shelf) Block(id qc.BlockID) (*blocktree.Block, error) {
	if id != s.block.ID() {
		return nil, store.ErrNotFound
	}
	return s.block, nil
}

func (shelf) Floor() qc.Height { return 0 }

// While the disk is full, peers get what they ask for, and what they send does not reach the loop, which takes nothing in.
func TestPeersAreServedWhileTheDiskIsFull(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	committee, err := qc.NewCommittee(qc.ChainID{7}, 1, 4)
	if err != nil {
		t.Fatal(err)
	}
	batch := &mempool.Batch{Origin: 1, Incarnation: blocktree.Incarnation{Starts: 1}, Expiry: 9}
	batch.Signature = qc.IdentityKey(private).Sign(mempool.SigningMessage(committee.Chain, committee.Epoch, batch.Digest()))
	block := blocktree.Genesis(committee.Chain, committee.Epoch, 4)
	var full bool
	var replies []any
	p := &peers{inbox: newInbox(), committee: committee, identities: qc.Roster{public, public, public, public},
		limits:  wire.Limits{Nodes: 4, BlockBatchesMax: 8, BatchBytesMax: 1 << 10, ResponseBlocksMax: 8, RequestDigestsMax: 8},
		dropped: newDropCounter(slog.New(slog.DiscardHandler)), stages: newStages(0, time.Now()), full: func() bool { return full },
		server: &Server{Store: shelf{block: block}, Holds: NewHolds(), Now: func() qc.Ticks { return 0 }, Fail: func(err error) { t.Error(err) },
			Reply: func(_ qc.NodeID, m any) bool { replies = append(replies, m); return true }}}
	for _, full = range []bool{false, true} {
		replies = nil
		p.Frame(1, hsnet.Bulk, encode(batch))
		p.Frame(1, hsnet.Sync, encode(&hotstuff.BlockRequest{Target: block.ID()}))
		if taken := len(p.inbox.take(nil)); taken != 1 && !full || taken != 0 && full {
			t.Errorf("full: %v: the loop gets %d events of a batch", full, taken)
		}
		if len(replies) != 1 {
			t.Errorf("full: %v: %d replies to a request", full, len(replies))
		}
	}
}
