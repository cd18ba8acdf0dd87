package hotstuff_test

import (
	"fmt"
	"testing"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
)

// What the store, the driver and the executor do for a replica that rejoins.

// lose takes a replica's disk, and prepares a new one with a fresh nonce. Its past stays: what it signed was signed.
func (c *cluster) lose(r *replica) {
	if r.core != nil {
		c.crash(r)
	}
	c.losses++
	nonce := hotstuff.Nonce{c.losses}
	r.disk = c.newDisk()
	r.disk.safety.Nonce = nonce
	c.note(r.id, "has lost its disk and draws %s", name(nonce))
}

func name(n hotstuff.Nonce) string { return fmt.Sprintf("nonce%d", n[0]) }

// orderRejoin puts a nonce into the lane of a replica that was asked, once.
func (c *cluster) orderRejoin(r *replica, from qc.NodeID, nonce hotstuff.Nonce) {
	for _, ref := range c.batches[r.id] {
		if c.nonces[ref.Digest] == nonce {
			return
		}
	}
	c.submit(r.id, fmt.Sprintf("%s-of-%v-by-%v", name(nonce), from, r.id))
	lane := c.batches[r.id]
	c.nonces[lane[len(lane)-1].Digest] = nonce
}

// notice tells a core of the nonces in a block that was executed.
func (c *cluster) notice(r *replica, b *blocktree.Block) {
	for _, ref := range b.Payload {
		nonce, ok := c.nonces[ref.Digest]
		if !ok || r.core == nil || !r.core.Rejoining() {
			continue
		}
		c.turn(r, hotstuff.Rejoined{Nonce: nonce})
		if r.core != nil && !r.core.Rejoining() {
			c.note(r.id, "rejoins above view %d", r.core.Safety().Floor)
		}
	}
}

// noticeStored executes the committed blocks on disk again, as a start does.
func (c *cluster) noticeStored(r *replica) {
	for _, id := range r.disk.chain {
		c.notice(r, r.disk.blocks[id])
	}
}

var lostNonce = hotstuff.Nonce{9}

// newAmnesiac is a core under test that has lost its safety state.
func newAmnesiac(t *testing.T) *solo {
	s := newSolo(t)
	s.crash(s.r)
	s.r.disk.safety.Nonce = lostNonce
	s.take()
	s.start(s.r)
	return s
}

// signed filters what a replica has put its name to.
func signed(said []packet) (list []packet) {
	for _, name := range []string{"vote", "timeout", "proposal"} {
		list = append(list, of(said, name)...)
	}
	return list
}

// TestRejoinSignsNothing, whatever calls for a vote, a timeout, a proposal or a lane; but it moves views and commits. A
// nonce that is not the one drawn after the last loss changes nothing of that (S13).
func TestRejoinSignsNothing(t *testing.T) {
	s := newAmnesiac(t)
	s.take()
	bs := s.chainOf(1, 2, 3, 4)
	said := s.propose(bs[1])
	for id := qc.NodeID(1); id < 4; id++ {
		said = append(said, s.give(id, &hotstuff.TimeoutMessage{Timeout: s.timeout(id, 1, s.genesis)})...)
	}
	for _, b := range bs[2:4] {
		said = append(said, s.propose(b)...)
	}
	said = append(said, s.giveQC(bs[3])...) // it leads view 4
	s.submit(1, "work")
	s.turn(s.r, hotstuff.OpenLane{})
	s.turn(s.r, hotstuff.Rejoined{Nonce: hotstuff.Nonce{8}})
	s.turn(s.r, hotstuff.Rejoined{})
	said = append(said, s.wait(30_000)...)
	if list := signed(said); len(list) > 0 {
		t.Errorf("signed %s", s.describe(list[0].msg))
	}
	safety := s.r.core.Safety()
	if !s.r.core.Rejoining() || safety.Nonce != lostNonce || safety.Incarnation != (blocktree.Incarnation{}) {
		t.Errorf("rejoining %v, nonce %v, lane %v", s.r.core.Rejoining(), safety.Nonce, safety.Incarnation)
	}
	if v, h := s.r.core.View(), s.r.core.Tree().Committed().Block.Height; v != 4 || h != 1 || s.r.core.Votes() != 0 {
		t.Errorf("view %d, committed height %d, %d votes; want 4, 1, none", v, h, s.r.core.Votes())
	}
}

// TestRejoined: the right nonce clears itself, sets the floor at the highest certificate's view and opens the way for
// lanes above all earlier ones, in one write, which every crash finds whole. Then it signs.
func TestRejoined(t *testing.T) {
	s := newAmnesiac(t)
	bs := s.chainOf(1, 2, 3, 4)
	for _, b := range bs[1:] {
		s.propose(b)
	}
	s.giveQC(bs[4])
	s.take()
	before := s.r.disk.safety.Sequence
	s.turn(s.r, hotstuff.Rejoined{Nonce: lostNonce})
	got := s.r.disk.safety
	if !got.Nonce.IsZero() || got.Floor != 4 || got.HighQC.View != 4 ||
		got.Incarnation != (blocktree.Incarnation{Rejoin: 4}) || got.Sequence != before+1 {
		t.Fatalf("on disk: nonce %v, floor %d, high QC %d, lane %v, %d writes",
			got.Nonce, got.Floor, got.HighQC.View, got.Incarnation, got.Sequence-before)
	}
	s.crash(s.r)
	s.start(s.r)
	b := s.on(bs[4], 5)
	s.mustVote(s.propose(b), b, true)
	s.turn(s.r, hotstuff.OpenLane{})
	if inc := s.r.disk.safety.Incarnation; inc != (blocktree.Incarnation{Rejoin: 4, Starts: 1}) {
		t.Errorf("its first lane is %v", inc)
	}
}

// TestRejoinedJoinsTimeouts that came while it was silent (L3).
func TestRejoinedJoinsTimeouts(t *testing.T) {
	s := newAmnesiac(t)
	s.take()
	bs := s.chainOf(1, 2, 3)
	for _, b := range bs[1:] {
		s.propose(b)
	}
	s.giveQC(bs[3])
	for id := qc.NodeID(1); id < 3; id++ {
		s.give(id, &hotstuff.TimeoutMessage{Timeout: s.timeout(id, 4, bs[3])})
	}
	s.turn(s.r, hotstuff.Rejoined{Nonce: lostNonce})
	if said := s.take(); len(of(said, "timeout")) != 1 || len(of(said, "tc")) != 1 {
		t.Errorf("said %v", said)
	}
}

// TestFloor: nothing is signed in views up to the floor, whichever view the certificates on disk lead to.
func TestFloor(t *testing.T) {
	s := newSolo(t)
	s.crash(s.r)
	s.take()
	s.r.disk.safety.Floor = 2
	s.start(s.r)
	bs := s.chainOf(1, 2, 3)
	s.mustVote(append(s.propose(bs[1]), s.wait(20_000)...), bs[1], false)
	said := append(s.propose(bs[2]), s.wait(40_000)...)
	if list := signed(said); len(list) > 0 {
		t.Errorf("signed %s", s.describe(list[0].msg))
	}
	s.propose(bs[3]) // it leads the next view, so its vote stays at home
	if v := s.r.disk.safety.LastVoted; v == nil || v.Block != bs[3].ID() {
		t.Errorf("above the floor it has voted for %v", v)
	}
}

// TestRejoinAndOwnMessages: what its own key signed is ignored while it rejoins, and below the floor for ever: the
// alarm must not be a weapon. At the floor and above it the replica knows what it signed (S14).
func TestRejoinAndOwnMessages(t *testing.T) {
	for _, c := range []struct {
		name     string
		rejoined bool
		view     qc.View
		halts    bool
	}{
		{"while it rejoins", false, 9, false},
		{"below the floor", true, 3, false},
		{"at the floor", true, 4, true},
		{"above the floor", true, 5, true},
	} {
		for _, kind := range []string{"vote", "timeout"} {
			s := newAmnesiac(t)
			bs := s.chainOf(1, 2, 3, 4)
			for _, b := range bs[1:] {
				s.propose(b)
			}
			s.giveQC(bs[4])
			if c.rejoined {
				s.turn(s.r, hotstuff.Rejoined{Nonce: lostNonce})
			}
			switch kind {
			case "vote":
				s.give(1, &hotstuff.VoteMessage{Vote: s.forgeVote(0, c.view, bs[1].ID())})
			default:
				s.give(1, &hotstuff.TimeoutMessage{Timeout: s.timeout(0, c.view, bs[1])})
			}
			if halted := s.r.halted != nil; halted != c.halts {
				t.Errorf("a %s %s: halted by %v", kind, c.name, s.r.halted)
			}
		}
	}
}

// TestRejoinIsAskedFor: at once, of a peer that comes up, and again ever more slowly; not after it is done.
func TestRejoinIsAskedFor(t *testing.T) {
	s := newAmnesiac(t)
	count := func(said []packet) int { return len(of(said, "rejoin")) }
	if n := count(s.take()); n != 1 {
		t.Fatalf("asked %d times at the start", n)
	}
	s.turn(s.r, hotstuff.Peer{ID: 2, Up: true})
	said := of(s.take(), "rejoin")
	if len(said) != 1 || said[0].to != 2 || said[0].msg.(*hotstuff.RejoinRequest).Nonce != lostNonce {
		t.Fatalf("to a peer that comes up it says %v", said)
	}
	var times []qc.Ticks
	for range 8 {
		next := s.r.core.Deadline()
		if n := count(s.wait(next)); n == 1 {
			times = append(times, next/qc.TicksPerSecond)
		}
	}
	if want := "[1 3 7 15 31 61 91 121]"; fmt.Sprint(times) != want {
		t.Errorf("asked again after %v seconds, want %s", times, want)
	}
	s.turn(s.r, hotstuff.Rejoined{Nonce: lostNonce})
	if n := count(s.wait(200 * qc.TicksPerSecond)); n != 0 {
		t.Errorf("asked %d times after it was done", n)
	}
}

// TestRejoinRequestNeedsANonce: without one there is nothing to order.
func TestRejoinRequestNeedsANonce(t *testing.T) {
	s := newSolo(t)
	for nonce, want := range map[hotstuff.Nonce]error{{}: hotstuff.ErrMessage, lostNonce: nil} {
		if _, err := s.r.verifier.Verify(hotstuff.Window{}, 1, &hotstuff.RejoinRequest{Nonce: nonce}); err != want {
			t.Errorf("nonce %v: got %v, want %v", nonce, err, want)
		}
	}
}
