package node

import (
	"cmp"
	"slices"

	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/store"
)

// transfer takes over another replica's snapshot when the log that this one lacks is kept by nobody who was asked. It is
// pure, and belongs to the Driver: messages and the answers of the Snapshots edge come in, requests and calls of the edge
// come out.
//
//	f+1 peers say that their log begins above what is wanted
//	→ ask all for their snapshots → choose one: of those with the most holders the highest
//	  (whose holders have led nowhere before comes after all others)
//	→ fetch its chunks from all holders at once → restore it and compare the state with its certificate
//
// Why f+1: one of them is honest, so liars alone cannot make a replica give up what its clients wait for.
//
// What a liar can do. The certificate of an offer is verified, so there is such a state; which chunks make it is the
// offerer's word. Equal offers are the word of all who made them, and each chunk is checked against them at once, so that
// whoever sends a wrong one is asked no more. An offer whose chunks do not make the certified state is found out when it was
// restored: it is banned, and the next one has its turn. Whoever's offers come to nothing, for want of chunks or for wrong
// ones, gives way to all others from then on. Each of f liars so costs a download or two, and nothing but a certified state
// is ever served from. A restoration that has failed leaves no state that blocks could be applied to, so from then on the
// transfer goes on to its end, whatever others say.
type transfer struct {
	self   qc.NodeID
	faults int

	now    qc.Ticks
	phase  transferPhase
	due    qc.Ticks    // asking: when to ask again or to choose; receiving: when the next chunk is late; pausing: its end
	floors []qc.Height // by peer: where its log begins, as it has told since the last transfer; 0: it has not

	offers  [][]store.SnapshotMeta // by peer, each once. Bound: offersMax each
	asked   qc.Ticks               // when asking began
	above   qc.Height              // what was asked for then
	offered bool                   // an offer has come since
	banned  [][32]byte             // roots of what was not what it was offered as, oldest first. Bound: bannedMax
	// By peer: how many snapshots that it had offered came to nothing. A correct peer's may too, since it removes old ones.
	failures []int
	broken   bool // a restoration has failed, and none has succeeded since

	chosen   store.SnapshotMeta
	root     [32]byte
	holders  []holder // by peer
	missing  []int    // chunks that nobody was asked for, ascending
	underway []chunkAsked

	out transferOut
}

type transferPhase uint8

const (
	transferIdle      transferPhase = iota
	transferAsking                  // for offers
	transferOpening                 // the edge looks for what it has of the chosen snapshot
	transferReceiving               // chunks
	transferRestoring               // the executor takes it over
	transferPausing                 // after a failure that was no peer's fault, such as a full disk
)

// holder is what is known of a peer as a source of the chosen snapshot.
type holder struct {
	offered  bool
	holds    bool // it has offered it, and was not found wanting
	underway int  // chunks asked of it
	late     int  // how often in a row chunks were late
}

// chunkAsked is one chunk that was asked for.
type chunkAsked struct {
	index   int
	from    qc.NodeID
	due     qc.Ticks
	arrived bool // it is being written
}

// transferOut is what must be done, in the order of the fields.
type transferOut struct {
	Send    []hotstuff.Envelope
	Abort   bool                // forget the snapshot that is being received
	Receive *store.SnapshotMeta // make ready for it
	Put     []SnapshotChunk
	Restore bool // all of it is here
}

// SnapshotChunk is one chunk of the snapshot that is being received.
type SnapshotChunk struct {
	Index int
	From  qc.NodeID
	Data  []byte
}

const (
	// offersMax bounds the offers of one peer that are remembered: the newest ones. A correct peer makes two, or a few more
	// while somebody fetches older ones.
	offersMax = 4
	// bannedMax bounds the offers that are remembered as wrong.
	bannedMax = 64
	// chunksPerPeer are asked of one peer at a time.
	chunksPerPeer = 4
	// latesMax is how often in a row chunks may be late before a peer is asked no more.
	latesMax = 3
	// askEvery is how often offers are asked for while none has come.
	askEvery = qc.TicksPerSecond
	// chooseAfter the first offer the others have had their time to come.
	chooseAfter = qc.TicksPerSecond / 4
	// patienceMax bounds how often as long as usual better offers are waited for: 30 s.
	patienceMax = 30
	// chunkTime is how long a peer has for a chunk.
	chunkTime = 5 * qc.TicksPerSecond
	// pauseTime is how long a transfer rests after a failure of our own.
	pauseTime = 5 * qc.TicksPerSecond
)

func newTransfer(self qc.NodeID, c *qc.Committee) *transfer {
	n := c.Size()
	return &transfer{self: self, faults: c.Faults(), floors: make([]qc.Height, n), offers: make([][]store.SnapshotMeta, n),
		failures: make([]int, n), holders: make([]holder, n)}
}

// want is what this replica lacks.
type want struct {
	applied qc.Height // its own state
	needs   qc.Height // the least height of which it lacks the block or a batch; 0: nothing
	payload bool      // it lacks a batch: a log that begins with that block has it no more
}

// goneAt tells whether a log with this floor has nothing of what is lacked.
func (w want) goneAt(floor qc.Height) bool { return floor > w.needs || w.payload && floor == w.needs }

// step does what is due. It runs once a turn.
func (t *transfer) step(now qc.Ticks, w want) {
	t.now = max(t.now, now)
	if t.phase != transferIdle && t.phase != transferRestoring && !t.calledFor(w) {
		t.end()
		return
	}
	switch t.phase {
	case transferIdle:
		if t.calledFor(w) {
			t.ask(w)
		}
	case transferAsking:
		if t.now >= t.due {
			t.choose(w)
		}
	case transferReceiving:
		t.dropLate()
		t.fetch(w)
	case transferPausing:
		if t.now >= t.due {
			t.ask(w)
		}
	}
}

// calledFor tells whether f+1 peers keep nothing of what is wanted; or a restoration has failed, so that there is no state
// that the log could go on from.
func (t *transfer) calledFor(w want) bool {
	told := 0
	for _, floor := range t.floors {
		if w.goneAt(floor) {
			told++
		}
	}
	return t.broken || w.needs > 0 && told > t.faults
}

// deadline is when step next has something to do.
func (t *transfer) deadline() (at qc.Ticks, ok bool) {
	switch t.phase {
	case transferAsking, transferReceiving, transferPausing:
		return t.due, true
	}
	return 0, false
}

// ask asks all for their snapshots.
func (t *transfer) ask(w want) {
	t.phase, t.asked, t.above, t.due, t.offered = transferAsking, t.now, w.applied, t.now+askEvery, false
	clear(t.offers)
	t.request(w)
}

func (t *transfer) request(w want) {
	t.out.Send = append(t.out.Send, hotstuff.Envelope{Broadcast: true, Message: &hotstuff.SnapshotRequest{Above: w.applied}})
}

// end gives a transfer up, or has brought it to its end.
func (t *transfer) end() {
	if t.phase == transferOpening || t.phase == transferReceiving {
		t.out.Abort = true
	}
	t.phase = transferIdle
	clear(t.floors)
	t.missing, t.underway = nil, nil
}

// onPruned takes a peer's word of where its log begins.
func (t *transfer) onPruned(from qc.NodeID, floor qc.Height) {
	t.floors[from] = max(t.floors[from], floor)
}

// onOffer takes an offer whose certificate is verified.
func (t *transfer) onOffer(from qc.NodeID, o *hotstuff.SnapshotOffer) {
	if t.phase != transferAsking || len(t.offers[from]) == offersMax {
		return
	}
	meta := store.SnapshotMeta{Certificate: o.Certificate, Bytes: int64(o.Bytes), Chunks: o.Chunks}
	root := meta.Root()
	same := func(m store.SnapshotMeta) bool { return m.Root() == root }
	if slices.Contains(t.banned, root) || slices.ContainsFunc(t.offers[from], same) {
		return
	}
	t.offers[from] = append(t.offers[from], meta)
	if soon := t.now + chooseAfter; !t.offered || soon < t.due {
		t.offered, t.due = true, soon
	}
	holders := 0
	for _, of := range t.offers {
		if slices.ContainsFunc(of, same) {
			holders++
		}
	}
	if holders > t.faults && meta.Height() > t.above { // an honest one among them: nothing better can come, and snapshots do not stay for ever
		t.due = t.now
	}
}

// candidate is a snapshot that is offered.
type candidate struct {
	meta     store.SnapshotMeta
	root     [32]byte
	holders  int
	failures int // of the one of its holders that has the fewest
}

// better tells which of two to take: the one whose holders have failed less often; of those the one with more holders, of
// those the higher one. Were it not for the failures, one liar could be chosen again and again: he knows the newest
// certificate, and can offer other chunks under it each time.
func (c *candidate) better(than *candidate) bool {
	return cmp.Or(cmp.Compare(than.failures, c.failures), cmp.Compare(c.holders, than.holders),
		cmp.Compare(c.meta.Height(), than.meta.Height())) > 0
}

// candidates returns what is offered above a height, in the order of the offers.
func (t *transfer) candidates(above qc.Height) (list []*candidate) {
	known := make(map[[32]byte]*candidate)
	for id, of := range t.offers {
		for _, m := range of {
			if m.Height() <= above {
				continue
			}
			root := m.Root()
			c := known[root]
			if c == nil {
				c = &candidate{meta: m, root: root, failures: t.failures[id]}
				known[root] = c
				list = append(list, c)
			}
			c.holders++
			c.failures = min(c.failures, t.failures[id])
		}
	}
	for _, c := range list {
		if c.holders > t.faults {
			c.failures = 0 // an honest one offers it, whoever else does
		}
	}
	return list
}

// choose takes the best offer. If all who have made it have failed before, the others get more time first: they may be
// further away.
func (t *transfer) choose(w want) {
	var best *candidate
	for _, c := range t.candidates(w.applied) {
		if best == nil || c.better(best) {
			best = c
		}
	}
	if best == nil {
		t.ask(w)
		return
	}
	if ripe := t.asked + qc.Ticks(min(best.failures, patienceMax))*askEvery; t.now < ripe {
		t.due = min(ripe, t.now+askEvery)
		clear(t.offers) // what was offered may be gone by then
		t.request(w)
		return
	}
	t.chosen, t.root = best.meta, best.root
	for id, of := range t.offers {
		offered := slices.ContainsFunc(of, func(m store.SnapshotMeta) bool { return m.Root() == best.root })
		t.holders[id] = holder{offered: offered, holds: offered}
	}
	clear(t.offers)
	chosen := t.chosen
	t.phase, t.out.Receive = transferOpening, &chosen
}

// failed notes that the chosen snapshot came to nothing.
func (t *transfer) failed() {
	for id, h := range t.holders {
		if h.offered {
			t.failures[id]++
		}
	}
}

// onOpened takes which chunks are not here yet: some may be, from before a crash.
func (t *transfer) onOpened(root [32]byte, missing []int, failed bool) {
	if t.phase != transferOpening || root != t.root {
		return
	}
	if failed {
		t.pause()
		return
	}
	t.phase, t.missing, t.underway, t.due = transferReceiving, missing, nil, t.now
}

func (t *transfer) pause() { t.phase, t.due = transferPausing, t.now+pauseTime }

// fetch asks holders for chunks, those with the fewest under way first, and has the whole restored when all are here.
func (t *transfer) fetch(w want) {
	if len(t.missing) == 0 && len(t.underway) == 0 {
		t.phase, t.out.Restore = transferRestoring, true
		return
	}
	for len(t.missing) > 0 {
		to, ok := t.source()
		if !ok {
			break
		}
		index := t.missing[0]
		t.missing = t.missing[1:]
		t.holders[to].underway++
		t.underway = append(t.underway, chunkAsked{index: index, from: to, due: t.now + chunkTime})
		t.out.Send = append(t.out.Send, hotstuff.Envelope{To: to,
			Message: &hotstuff.ChunkRequest{Height: t.chosen.Height(), Index: uint32(index)}})
	}
	if len(t.underway) == 0 { // nobody holds it any more; what has come stays, for it may be offered again
		t.failed()
		t.ask(w)
		return
	}
	t.due = t.underway[0].due
	for _, c := range t.underway {
		t.due = min(t.due, c.due)
	}
}

// source is the holder with the fewest chunks under way, if one has room.
func (t *transfer) source() (id qc.NodeID, ok bool) {
	for i, h := range t.holders {
		if h.holds && h.underway < chunksPerPeer && (!ok || h.underway < t.holders[id].underway) {
			id, ok = qc.NodeID(i), true
		}
	}
	return id, ok
}

// dropLate gives up on chunks that are late; a peer that is late again and again is asked no more.
func (t *transfer) dropLate() {
	late := make([]bool, len(t.holders))
	for i := 0; i < len(t.underway); {
		c := t.underway[i]
		if c.arrived || t.now < c.due {
			i++
			continue
		}
		t.giveBack(i)
		late[c.from] = true
	}
	for id := range t.holders {
		if h := &t.holders[id]; late[id] {
			h.late++
			h.holds = h.holds && h.late < latesMax
		}
	}
}

// giveBack has a chunk asked for again.
func (t *transfer) giveBack(i int) {
	c := t.underway[i]
	t.underway = slices.Delete(t.underway, i, i+1)
	t.holders[c.from].underway--
	at, _ := slices.BinarySearch(t.missing, c.index)
	t.missing = slices.Insert(t.missing, at, c.index)
}

// onChunk takes a chunk: it goes to the disk, which checks it.
func (t *transfer) onChunk(from qc.NodeID, m *hotstuff.Chunk) {
	if t.phase != transferReceiving || m.Height != t.chosen.Height() {
		return
	}
	i := slices.IndexFunc(t.underway, func(c chunkAsked) bool {
		return !c.arrived && c.from == from && c.index == int(m.Index)
	})
	if i < 0 {
		return
	}
	if len(m.Data) == 0 {
		t.giveBack(i)
		t.holders[from].holds = false
		t.due = t.now
		return
	}
	t.underway[i].arrived = true
	t.out.Put = append(t.out.Put, SnapshotChunk{Index: int(m.Index), From: from, Data: m.Data})
}

// onPut takes whether a chunk was right, and is on disk.
func (t *transfer) onPut(root [32]byte, index int, o PutOutcome) {
	if t.phase != transferReceiving || root != t.root {
		return
	}
	i := slices.IndexFunc(t.underway, func(c chunkAsked) bool { return c.arrived && c.index == index })
	if i < 0 {
		return
	}
	h := &t.holders[t.underway[i].from]
	t.due = t.now
	switch o {
	case PutDone:
		h.late = 0
		h.underway--
		t.underway = slices.Delete(t.underway, i, i+1)
	case PutWrong:
		h.holds = false
		t.giveBack(i)
	case PutFailed:
		t.pause()
	}
}

// onRestored takes the end of a restoration. wrong tells that the chunks did not make the certified state.
func (t *transfer) onRestored(root [32]byte, done, wrong bool) {
	if t.phase != transferRestoring || root != t.root {
		return
	}
	t.broken = !done
	if wrong {
		t.failed()
		if t.banned = append(t.banned, root); len(t.banned) > bannedMax {
			t.banned = slices.Delete(t.banned, 0, 1)
		}
	}
	if done {
		t.phase = transferIdle
		clear(t.floors)
		return
	}
	if t.pause(); wrong {
		t.due = t.now // the next offer has its turn
	}
}

// take returns what must be done since the last call, and forgets it.
func (t *transfer) take() transferOut {
	out := t.out
	t.out = transferOut{}
	return out
}

// TransferStatus is what an operator wants to know of a transfer.
type TransferStatus struct {
	Active bool
	Height qc.Height // of the snapshot; 0: none is chosen
	Bytes  int64     // of it
	Have   int64     // bytes that are here, about
}

func (t *transfer) status() TransferStatus {
	s := TransferStatus{Active: t.phase != transferIdle}
	switch t.phase {
	case transferReceiving, transferRestoring:
		left := int64(len(t.missing)+len(t.underway)) * store.SnapshotChunkBytes
		s.Have = max(0, t.chosen.Bytes-left)
		fallthrough
	case transferOpening:
		s.Height, s.Bytes = t.chosen.Height(), t.chosen.Bytes
	}
	return s
}
