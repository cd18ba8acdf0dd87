package mempool

import (
	"errors"
	"slices"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/qc"
)

// Errors of Submit: nothing was taken in.
var (
	ErrTooLarge = errors.New("mempool: request is larger than a batch may be")
	ErrPaused   = errors.New("mempool: admission is paused")
)

// requestOverhead is what a request costs beside its bytes, bytes: reads alone would otherwise be admitted without bound.
const requestOverhead = 64

// ownLane is the lane that this replica fills: requests gather in a draft, a closed draft is sealed into a batch as soon as the lane is open, and a
// sealed batch is in flight until it is committed. All three together are bounded by Config.PendingBytes plus one request.
type ownLane struct {
	incarnation blocktree.Incarnation
	isOpen      bool             // false from the lane's end until the next incarnation is synced
	seq         uint64           // of the next batch
	last        blocktree.Digest // of the batch before it

	draft  draft
	closed []draft  // waiting for a lane
	flight []sealed // not committed, in order; contiguous up to seq
	dead   []any    // owners to be answered once the next lane is open

	underway int // batches sealed and not executed
	pending  int // cost of all requests taken in and not answered, bytes
}

// draft is a batch that requests may still join.
type draft struct {
	blob  []byte
	count uint32
	spans []Span
	cost  int
	since qc.Ticks // when its first request came
}

// sealed is an own batch with its owners.
type sealed struct {
	item  *item
	spans []Span
	cost  int
}

// Admitting tells whether Submit takes in requests. It stops when too many bytes are under way, or the executor is behind;
// and it has not begun before the first own lane is open, for a replica that rejoins cannot tell its clients when that is.
func (p *Pool) Admitting() bool {
	return p.own.incarnation != (blocktree.Incarnation{}) && p.own.pending < p.cfg.PendingBytes && !p.behind()
}

// Submit takes in one request: count commands in blob, framed as AppendCommand does, and extra bytes that the caller keeps for it beside the blob. The
// commands are copied, stay in one batch, and follow those of all earlier requests. With no commands the request gets a position only, for reads.
// The caller answers for the form of blob. owner comes back once: in a Span, or in Ready.Dead or Ready.Unknown.
// Expected errors: ErrTooLarge, ErrPaused.
func (p *Pool) Submit(blob []byte, count uint32, owner any, extra int) error {
	if uint64(len(blob)) > uint64(p.cfg.BatchBytesMax) {
		return ErrTooLarge
	}
	if !p.Admitting() {
		return ErrPaused
	}
	d := &p.own.draft
	if len(d.blob)+len(blob) > p.cfg.BatchBytes {
		p.closeDraft()
	}
	if len(d.spans) == 0 {
		d.since = p.now
	}
	d.blob = append(d.blob, blob...)
	d.spans = append(d.spans, Span{Owner: owner, First: d.count, Count: count})
	d.count += count
	cost := len(blob) + extra + requestOverhead
	d.cost += cost
	p.own.pending += cost
	if len(d.blob) >= p.cfg.BatchBytes {
		p.closeDraft()
	}
	return nil
}

// closeDue closes the draft at the end of a turn. A partial batch never waits for a full one (L9): with nothing of ours under way it goes at once, and
// otherwise after BatchDelay, so that batches do not become many and small under load.
func (p *Pool) closeDue() {
	if at, ok := p.closeDeadline(); ok && at <= p.now {
		p.closeDraft()
	}
}

func (p *Pool) closeDeadline() (at qc.Ticks, ok bool) {
	o := &p.own
	switch {
	case len(o.draft.spans) == 0 || !o.isOpen:
		return 0, false
	case o.underway == 0:
		return p.now, true
	}
	return o.draft.since + p.cfg.BatchDelay, true
}

func (p *Pool) closeDraft() {
	d := &p.own.draft
	if len(d.spans) == 0 {
		return
	}
	p.own.closed = append(p.own.closed, *d)
	// The next batch is likely to be like this one: start at its size rather than grow to it by copying.
	*d = draft{blob: make([]byte, 0, len(d.blob)), spans: make([]Span, 0, len(d.spans))}
	p.sealClosed()
}

func (p *Pool) sealClosed() {
	o := &p.own
	if !o.isOpen {
		return
	}
	for i := range o.closed {
		p.seal(&o.closed[i])
	}
	clear(o.closed)
	o.closed = o.closed[:0]
}

// seal makes a draft the next batch of the lane, to be synced and pushed.
func (p *Pool) seal(d *draft) {
	o := &p.own
	b := &Batch{Origin: p.cfg.Self, Incarnation: o.incarnation, Seq: o.seq, Prev: o.last, Expiry: p.newExpiry(), Count: d.count, Blob: d.blob}
	b.Signature = p.cfg.Identity.Sign(SigningMessage(p.cfg.Committee.Chain, p.cfg.Committee.Epoch, b.Digest()))
	o.seq++
	o.last = b.Digest()
	o.underway++

	it := p.items[b.Digest()]
	if it == nil {
		it = p.add(b.Ref())
	}
	p.name(it) // in flight: no quota and no expiry takes it away
	if it.batch == nil {
		p.fill(it, b) // a block may have guessed its digest
	}
	o.flight = append(o.flight, sealed{it, d.spans, d.cost})
	p.ready.Persist = append(p.ready.Persist, b)
	p.ready.Broadcast = append(p.ready.Broadcast, b)
}

// newExpiry lies half the greatest distance above the block that the next proposal extends. So a block may name the batch although its proposer is
// that far behind, and the batch may wait for as many blocks.
func (p *Pool) newExpiry() qc.Height {
	return max(p.frontier.height, p.height) + p.cfg.ExpiryDistanceMax/2
}

// claimOwn returns what belongs to a committed own batch, and moves the flight past it.
func (p *Pool) claimOwn(ref blocktree.BatchRef) (s sealed, ok bool) {
	o := &p.own
	if ref.Origin != p.cfg.Self || len(o.flight) == 0 || o.flight[0].item.ref.Digest != ref.Digest {
		return sealed{}, false
	}
	s = o.flight[0]
	o.flight = slices.Delete(o.flight, 0, 1)
	return s, true
}

// checkOwnLane ends the own lane if nothing more of it can be committed: the committed height has reached the expiry of its next batch, which all later
// ones link to; or the committed chain shows another batch in its place or a later lane of ours, which only a lost incarnation or a copied key brings
// about. What was in flight is never applied, then.
func (p *Pool) checkOwnLane() {
	o := &p.own
	if !o.isOpen {
		return
	}
	next := blocktree.Cursor{Incarnation: o.incarnation, Seq: o.seq, Last: o.last}
	expired := false
	if len(o.flight) > 0 {
		b := o.flight[0].item.batch
		next.Seq, next.Last = b.Seq, b.Prev
		expired = b.Expiry <= p.height
	}
	at := p.lanes[p.cfg.Self]
	closed := at.Incarnation.Compare(o.incarnation) > 0 || at.Incarnation == o.incarnation && at != next
	if !expired && !closed {
		return
	}
	for _, s := range o.flight {
		o.dead = appendOwners(o.dead, s.spans)
		p.forgetOwn(s)
	}
	o.flight = nil
	o.isOpen = false
	want := o.incarnation
	if at.Incarnation.Compare(want) > 0 {
		want = at.Incarnation
	}
	want.Starts++
	p.ready.OpenLane = want
}

// Opened says that the incarnation of a new own lane is synced. Only now do the owners of the dead batches learn of it: whatever they send again
// enters the new lane, which closes the old one for good. If the committed chain shows that the incarnation is used, another is asked for.
func (p *Pool) Opened(inc blocktree.Incarnation) {
	o := &p.own
	if o.isOpen || inc.Compare(o.incarnation) <= 0 {
		return
	}
	o.incarnation, o.seq, o.last = inc, 0, blocktree.Digest{}
	o.isOpen = true
	p.ready.Dead = append(p.ready.Dead, o.dead...)
	o.dead = nil
	if p.checkOwnLane(); o.isOpen {
		p.sealClosed()
	}
}

// skipOwn answers for own batches whose position a snapshot passed: they are in it, or their lane was closed before them.
func (p *Pool) skipOwn(at blocktree.Cursor) {
	o := &p.own
	n := 0
	for _, s := range o.flight {
		if comparePosition(s.item.ref.Incarnation, s.item.ref.Seq, at.Incarnation, at.Seq) >= 0 {
			break
		}
		p.ready.Unknown = appendOwners(p.ready.Unknown, s.spans)
		p.forgetOwn(s)
		n++
	}
	o.flight = slices.Delete(o.flight, 0, n)
}

// forgetOwn ends the accounts of a batch that is in flight and will not be executed here.
func (p *Pool) forgetOwn(s sealed) {
	p.own.underway--
	p.own.pending -= s.cost
	p.release(s.item)
}

func appendOwners(owners []any, spans []Span) []any {
	for _, s := range spans {
		owners = append(owners, s.Owner)
	}
	return owners
}
