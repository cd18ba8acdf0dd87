package node

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/store"
)

// transferTest plays the driver and the edge of a transfer of n0 among seven replicas, f = 2, and writes down what it asks
// for, a line each.
type transferTest struct {
	*testing.T
	t    *transfer
	now  qc.Ticks
	want want
}

func newTransferTest(t *testing.T) *transferTest {
	c, err := qc.NewCommittee(qc.ChainID{1}, 1, 7)
	if err != nil {
		t.Fatal(err)
	}
	return &transferTest{T: t, t: newTransfer(0, c), want: want{applied: 10, needs: 11}}
}

// offer is one of a snapshot of some chunks; of differs where the bytes do.
func offer(height qc.Height, chunks int, of string) *hotstuff.SnapshotOffer {
	o := &hotstuff.SnapshotOffer{Certificate: &qc.CheckpointCertificate{Checkpoint: qc.Checkpoint{Height: height}},
		Bytes: uint64(chunks) * hotstuff.SnapshotChunkBytes}
	for i := range chunks {
		o.Chunks = append(o.Chunks, sha256.Sum256(fmt.Append(nil, of, height, i)))
	}
	return o
}

func root(o *hotstuff.SnapshotOffer) [32]byte {
	m := store.SnapshotMeta{Certificate: o.Certificate, Bytes: int64(o.Bytes), Chunks: o.Chunks}
	return m.Root()
}

// step takes a turn and returns what came out of it, in words.
func (x *transferTest) step(after qc.Ticks) string {
	x.now += after
	x.t.step(x.now, x.want)
	var words []string
	out := x.t.take()
	for _, e := range out.Send {
		switch m := e.Message.(type) {
		case *hotstuff.SnapshotRequest:
			words = append(words, fmt.Sprintf("all: above %d?", m.Above))
		case *hotstuff.ChunkRequest:
			words = append(words, fmt.Sprintf("%v: %d/%d?", e.To, m.Height, m.Index))
		}
	}
	if out.Abort {
		words = append(words, "abort")
	}
	if out.Receive != nil {
		words = append(words, fmt.Sprintf("receive %d", out.Receive.Height()))
	}
	for _, p := range out.Put {
		words = append(words, fmt.Sprintf("put %d of %v", p.Index, p.From))
	}
	if out.Restore {
		words = append(words, "restore")
	}
	return strings.Join(words, ", ")
}

func (x *transferTest) expect(what, got, want string) {
	x.Helper()
	if got != want {
		x.Errorf("%s: %q, want %q", what, got, want)
	}
}

func (x *transferTest) pruned(floor qc.Height, by ...qc.NodeID) {
	for _, id := range by {
		x.t.onPruned(id, floor)
	}
}

func (x *transferTest) offered(o *hotstuff.SnapshotOffer, by ...qc.NodeID) {
	for _, id := range by {
		x.t.onOffer(id, o)
	}
}

// come has a chunk arrive.
func (x *transferTest) come(from qc.NodeID, height qc.Height, index int) {
	x.t.onChunk(from, &hotstuff.Chunk{Height: height, Index: uint32(index), Data: []byte{1}})
}

// begin brings a transfer to the fetching of a snapshot of four chunks that n1, n2 and n3 offer.
func (x *transferTest) begin() *hotstuff.SnapshotOffer {
	x.Helper()
	x.pruned(100, 1, 2, 3)
	x.expect("asks", x.step(1), "all: above 10?")
	o := offer(128, 4, "good")
	x.offered(o, 1, 2, 3)
	x.expect("chooses when others had their time", x.step(chooseAfter), "receive 128")
	x.t.onOpened(root(o), []int{0, 1, 2, 3}, false)
	return o
}

// f+1 must say that they keep nothing of what is wanted: fewer may lie, and one who keeps it can be asked.
func TestTransferNeedsAnHonestWord(t *testing.T) {
	x := newTransferTest(t)
	x.expect("nobody says anything", x.step(1), "")
	x.pruned(100, 1, 2)
	x.expect("two, who may both lie", x.step(1), "")
	x.pruned(11, 3)
	x.expect("a third, who keeps what is wanted", x.step(1), "")
	x.pruned(12, 3)
	x.want.needs = 0
	x.expect("nothing is wanted", x.step(1), "")
	x.want.needs = 11
	x.expect("three, and something is wanted", x.step(1), "all: above 10?")
	x.expect("asks again", x.step(askEvery), "all: above 10?")
	x.want = want{applied: 50, needs: 101}
	x.expect("somebody had it after all", x.step(1), "")
	x.want = want{applied: 50, needs: 51}
	x.expect("what was said is forgotten then", x.step(1), "")
}

// Chunks come from all who offer the snapshot; the one with the most holders is taken, of those the highest.
func TestTransferChoosesAndSpreads(t *testing.T) {
	x := newTransferTest(t)
	x.pruned(100, 1, 2, 3, 4, 5)
	x.step(1)
	x.offered(offer(300, 1, "alone"), 6)
	x.offered(offer(100, 2, "low"), 1, 2)
	x.offered(offer(200, 6, "high"), 2, 3)
	x.offered(offer(200, 6, "other bytes"), 4)
	x.offered(offer(10, 1, "not above ours"), 1, 2, 3, 4, 5)
	x.expect("not at once", x.step(1), "")
	x.expect("two hold it, and it is the highest of those", x.step(chooseAfter), "receive 200")
	x.t.onOpened(root(offer(200, 6, "high")), []int{1, 2, 4, 5}, false)
	x.expect("what is missing, from both", x.step(1), "n2: 200/1?, n3: 200/2?, n2: 200/4?, n3: 200/5?")
	x.come(3, 200, 1)
	x.come(2, 200, 0)
	x.expect("what was not asked of them does not count", x.step(1), "")
	for i, from := range map[int]qc.NodeID{1: 2, 2: 3, 4: 2, 5: 3} {
		x.come(from, 200, i)
		x.expect("a chunk goes to the disk", x.step(1), fmt.Sprintf("put %d of %v", i, from))
		x.come(from, 200, i)
		x.expect("once", x.step(1), "")
		x.t.onPut(x.t.root, i, PutDone)
	}
	x.expect("all is here", x.step(1), "restore")
	x.want = want{applied: 200}
	x.t.onRestored(x.t.root, true, false)
	x.expect("and that was it", x.step(10*askEvery), "")
}

// At most chunksPerPeer are under way to one peer.
func TestTransferIsBounded(t *testing.T) {
	x := newTransferTest(t)
	x.pruned(100, 1, 2, 3)
	x.step(1)
	x.offered(offer(200, 100, "large"), 1)
	x.step(chooseAfter)
	missing := make([]int, 100)
	for i := range missing {
		missing[i] = i
	}
	x.t.onOpened(x.t.root, missing, false)
	if n := strings.Count(x.step(1), "?"); n != chunksPerPeer {
		t.Errorf("%d chunks under way, want %d", n, chunksPerPeer)
	}
	for i := range 3 * offersMax {
		x.t.phase = transferAsking
		x.offered(offer(qc.Height(300+i), 1, "more"), 4)
	}
	if n := len(x.t.offers[4]); n > offersMax {
		t.Errorf("%d offers of one peer are remembered, want at most %d", n, offersMax)
	}
}

// A peer that sends wrong bytes is asked no more, and one that is late again and again neither; the others give what is
// missing. When nobody is left, all are asked anew.
func TestTransferLeavesOutTheBad(t *testing.T) {
	x := newTransferTest(t)
	o := x.begin()
	x.expect("spreads", x.step(1), "n1: 128/0?, n2: 128/1?, n3: 128/2?, n1: 128/3?")
	x.come(1, 128, 0)
	x.step(1)
	x.t.onPut(root(o), 0, PutWrong)
	x.expect("of another now", x.step(1), "n2: 128/0?")
	x.t.onChunk(1, &hotstuff.Chunk{Height: 128, Index: 3})
	x.expect("n1 has nothing any more", x.step(1), "n3: 128/3?")
	x.come(2, 128, 1)
	x.step(1)
	x.t.onPut(root(o), 1, PutDone)
	for range latesMax - 1 {
		x.step(chunkTime)
	}
	x.expect("all were late too often: all are asked anew", x.step(chunkTime), "all: above 10?")
	x.offered(o, 1, 2, 3)
	x.expect("the same will do, for an honest one offers it", x.step(1), "receive 128")
	x.t.onOpened(root(o), []int{0, 2, 3}, false)
	x.expect("what has come stays", x.step(1), "n1: 128/0?, n2: 128/2?, n3: 128/3?")
}

// An offer that is not what it says is never tried again, and the next one has its turn at once. A failure of our own
// costs a pause, and nobody is blamed for it.
func TestTransferTriesAnother(t *testing.T) {
	x := newTransferTest(t)
	o := x.begin()
	all := func() {
		x.Helper()
		x.step(1)
		for i := range 4 {
			for _, c := range x.t.underway {
				if c.index == i {
					x.come(c.from, 128, i)
				}
			}
			x.step(1)
			x.t.onPut(x.t.root, i, PutDone)
		}
		x.expect("all is here", x.step(1), "restore")
	}
	all()
	x.want = want{applied: 128}
	x.expect("a restoration is not given up half way", x.step(1), "")
	x.want = want{applied: 10, needs: 11}
	x.t.onRestored(root(o), false, true)
	x.expect("asks at once", x.step(1), "all: above 10?")
	x.offered(o, 1, 2, 3, 4, 5)
	good := offer(128, 4, "really good")
	x.offered(good, 6)
	x.expect("the honest one, though it is alone", x.step(chooseAfter), "receive 128")
	x.t.onOpened(root(good), nil, true)
	x.expect("our disk is full", x.step(1), "")
	x.expect("later", x.step(pauseTime), "all: above 10?")
	x.offered(good, 6)
	x.step(chooseAfter)
	x.t.onOpened(root(good), []int{0, 1, 2, 3}, false)
	all()
	x.t.onRestored(root(good), true, false)
	if x.t.phase != transferIdle {
		t.Errorf("phase %d at the end", x.t.phase)
	}
}

// A liar who offers one thing after the other does not have all its turns: whoever's offer came to nothing gives way to
// those whose did not, and others get more time to offer something, too.
func TestTransferLeavesLiarsBehind(t *testing.T) {
	x := newTransferTest(t)
	x.pruned(100, 1, 2, 3)
	x.expect("asks", x.step(1), "all: above 10?")
	honest := offer(128, 1, "honest")
	for range offersMax {
		x.offered(offer(128, 1, "nobody has it"), 6)
	}
	x.offered(honest, 1, 2)
	x.expect("who repeats himself is one", x.step(chooseAfter), "receive 128")
	if x.t.root != root(honest) {
		t.Error("an offer that one peer has made four times is preferred to that of two")
	}
	x.t.end()
	x.t.take()

	for round := range 3 {
		x.pruned(100, 1, 2, 3)
		x.expect("asks", x.step(1), "all: above 10?")
		lie := offer(512, 1, fmt.Sprint("lie ", round))
		x.offered(lie, 6)
		if round > 0 {
			x.expect("a liar alone is not good enough yet", x.step(chooseAfter), "all: above 10?")
			x.offered(honest, 1)
			x.expect("and then another is better", x.step(chooseAfter), "receive 128")
			x.t.end()
			x.t.take()
			continue
		}
		x.offered(honest, 1)
		x.expect("nobody knows that it is a lie: it is higher", x.step(chooseAfter), "receive 512")
		x.t.onOpened(x.t.root, []int{0}, false)
		x.expect("it is fetched", x.step(1), "n6: 512/0?")
		x.t.onChunk(6, &hotstuff.Chunk{Height: 512})
		x.expect("it does not come", x.step(1), "all: above 10?")
		x.t.end()
		x.t.take()
	}
	for range 3 {
		x.pruned(100, 1, 2, 3)
		x.step(1)
		x.offered(offer(512, 1, "another lie"), 6)
		x.step(chooseAfter)
		if x.t.phase == transferAsking {
			x.offered(offer(512, 1, "another lie"), 6)
			x.step(askEvery)
		}
		x.expect("nobody else offers anything", fmt.Sprint(x.t.phase == transferOpening), "true")
		x.t.end()
		x.t.take()
	}
}

// A log that begins with a block has the block, and not its batches: who lacks a batch is told so by that floor.
func TestTransferOfABatchAtTheFloor(t *testing.T) {
	x := newTransferTest(t)
	x.pruned(11, 1, 2, 3)
	x.expect("they have the block", x.step(1), "")
	x.want.payload = true
	x.expect("they do not have its batches", x.step(1), "all: above 10?")
}

// When a restoration has failed there is no state that the log could go on from: the transfer goes on though nothing is
// lacked any more.
func TestTransferGoesOnAfterAFailedRestoration(t *testing.T) {
	x := newTransferTest(t)
	x.pruned(100, 1, 2, 3)
	x.step(1)
	lie, good := offer(512, 1, "lie"), offer(128, 1, "good")
	take := func(o *hotstuff.SnapshotOffer, by qc.NodeID) {
		x.Helper()
		x.offered(o, by)
		x.expect("takes it", x.step(chooseAfter), fmt.Sprintf("receive %d", o.Certificate.Checkpoint.Height))
		x.t.onOpened(root(o), nil, false)
		x.expect("restores it", x.step(1), "restore")
	}
	take(lie, 6)
	x.want = want{applied: 10}
	x.t.onRestored(root(lie), false, true)
	x.expect("another one, although the log has come", x.step(1), "all: above 10?")
	take(good, 1)
	x.t.onRestored(root(good), true, false)
	x.expect("and that was it", x.step(1), "")
}
