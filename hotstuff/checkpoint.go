package hotstuff

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/hotstuffd/hotstuffd/qc"
)

// Checkpoints (PROTOCOL §9; S15). Every Limits.CheckpointEvery blocks a replica signs the digest of its state and tells
// everybody. A quorum of equal signatures is a certificate: at least one correct replica has come to that state, so every
// correct one does. A replica halts when it comes to a certified height with another state. Where no certificate comes for CheckpointLag blocks, because
// applications are slow or because they differ, leaders propose empty blocks: voting goes on, and nobody runs further ahead
// of what is known to be agreed.
//
// Nothing in the safety of consensus rests on checkpoints: they guard against applications that are not deterministic, and
// against memory and disks that fail without a word.

// checkpoints is what a core knows of them.
type checkpoints struct {
	every, lag qc.Height
	certified  *qc.CheckpointCertificate // the highest known; nil before the first
	// Certificates above our own newest state, to compare it with when it comes, ascending. Bound: aheadMax.
	ahead    []*qc.CheckpointCertificate
	executed qc.Height       // of our own newest state
	own      []qc.Checkpoint // above the certified one, ascending. Bound: ownCheckpointsMax
	// The newest above the certified one of each signer, ascending. Bound: checkpointsPerSigner each.
	signed   [][]qc.SignedCheckpoint
	summing  []qc.Checkpoint      // being verified. Bound: sumsMax
	repeated *qc.SignedCheckpoint // our newest one, until something as high is certified
	due      qc.Ticks             // when it is sent again
	heard    []qc.Height          // the highest that each peer has signed
	reached  qc.Height            // the highest that f+1 peers have signed
}

const (
	// ownCheckpointsMax bounds the uncertified checkpoints of our own that are remembered: the newest ones.
	ownCheckpointsMax = 64
	// checkpointsPerSigner bounds those of each other replica: who is ahead signs several before we follow.
	checkpointsPerSigner = 24
	// aheadMax bounds the certificates that wait for us to execute so far: the newest ones.
	aheadMax = 64
	// repeatCheckpointEvery is how often the newest uncertified checkpoint is sent again: 1 s.
	repeatCheckpointEvery = qc.TicksPerSecond
)

// DivergedError stops a replica whose state is not the one that a quorum has signed: its application is not
// deterministic, or its memory or disk has failed. It must not serve anybody from that state.
type DivergedError struct {
	Height         qc.Height
	Own, Certified [32]byte // digests of the state after the block of Height
	Proof          *qc.CheckpointCertificate
}

// Error tells what to do.
func (e *DivergedError) Error() string {
	return fmt.Sprintf("state differs from the certified one at height %d: own digest %x, certified %x: this replica's state is "+
		"wrong; keep its files, and see \"When states differ\" in docs/operations.md", e.Height, e.Own, e.Certified)
}

func newCheckpoints(n int, limits Limits, lag qc.Height, certified *qc.CheckpointCertificate) checkpoints {
	return checkpoints{every: limits.CheckpointEvery, lag: lag, certified: certified, signed: make([][]qc.SignedCheckpoint, n), heard: make([]qc.Height, n)}
}

// height returns the highest certified height, 0 before the first.
func (k *checkpoints) height() qc.Height {
	if k.certified == nil {
		return 0
	}
	return k.certified.Checkpoint.Height
}

// stalled tells whether a block of a height lies too far above the certified state to have payload.
func (k *checkpoints) stalled(h qc.Height) bool { return k.every > 0 && h > k.height()+k.lag }

// differs compares our own state with the certified one of the same height.
func differs(own qc.Checkpoint, certified *qc.CheckpointCertificate) error {
	switch {
	case certified == nil || own.Height != certified.Checkpoint.Height || own == certified.Checkpoint:
		return nil
	case own.Block != certified.Checkpoint.Block:
		return ErrAssumption // a quorum has committed another block
	}
	return &DivergedError{Height: own.Height, Own: own.Digest, Certified: certified.Checkpoint.Digest, Proof: certified}
}

// onExecuted takes the state that the application has come to.
func (c *Core) onExecuted(cp qc.Checkpoint) error {
	k := &c.checkpoints
	if k.every == 0 || cp.Height == 0 || cp.Height%k.every != 0 {
		return nil
	}
	if err := differs(cp, k.certified); err != nil {
		return err
	}
	for _, cert := range k.ahead {
		if err := differs(cp, cert); err != nil {
			return err
		}
	}
	k.skipTo(cp.Height)
	if cp.Height <= k.height() {
		return nil
	}
	if k.own = append(k.own, cp); len(k.own) > ownCheckpointsMax {
		k.own = slices.Delete(k.own, 0, 1)
	}
	c.signNewest()
	return nil
}

// skipTo notes that our own state has come to a height: certificates up to there wait for it no more.
func (k *checkpoints) skipTo(h qc.Height) {
	k.executed = max(k.executed, h)
	k.ahead = slices.DeleteFunc(k.ahead, func(c *qc.CheckpointCertificate) bool { return c.Checkpoint.Height <= h })
}

// signNewest signs our newest uncertified checkpoint and tells everybody; if they have left it behind, they answer with the
// certificate of a higher one. While it rejoins, a replica signs nothing.
func (c *Core) signNewest() {
	k := &c.checkpoints
	if c.Rejoining() || len(k.own) == 0 {
		return
	}
	cp := k.own[len(k.own)-1]
	s := c.safety.checkpoint(cp)
	k.keep(s)
	if k.repeated == nil { // one that waits to be repeated gives way to the newer one, and its turn stays
		k.due = c.now + repeatCheckpointEvery
	}
	k.repeated = &s
	c.broadcast(&CheckpointMessage{Signed: &s})
	c.sumCheckpoint(cp)
}

// onCheckpoint takes a verified certificate, or a signature, which is verified with the others of a quorum.
func (c *Core) onCheckpoint(m *CheckpointMessage, from qc.NodeID) error {
	if m.Certificate != nil {
		return c.onCheckpointCertificate(m.Certificate)
	}
	k, s := &c.checkpoints, *m.Signed
	repeat := s.Checkpoint.Height <= k.heard[s.Signer]
	if !repeat {
		k.heard[s.Signer] = s.Checkpoint.Height
		k.reached = reachedBy(k.heard, c.cfg.Committee.Faults()+1)
	}
	if s.Checkpoint.Height <= k.height() {
		if repeat { // whoever repeats itself has not seen the certificate
			c.send(from, &CheckpointMessage{Certificate: k.certified})
		}
		return nil
	}
	if k.keep(s) {
		c.sumCheckpoint(s.Checkpoint)
	}
	return nil
}

// reachedBy returns the highest height that so many of a list have come to.
func reachedBy(heights []qc.Height, want int) qc.Height {
	if want > len(heights) {
		return 0
	}
	ordered := slices.Sorted(slices.Values(heights))
	return ordered[len(ordered)-want]
}

// Reached returns the height of the highest checkpoint that f+1 peers have signed, as far as they have told: a correct replica has
// come to it. Their signatures may be unchecked, so it is good for showing alone.
func (c *Core) Reached() qc.Height { return c.checkpoints.reached }

// keep adds a signature. One of another state at the same height takes the place of the older one, for its signer may have
// been mended and started again; one that was found bad leaves its place taken, or each would cost another check.
func (k *checkpoints) keep(s qc.SignedCheckpoint) bool {
	held := k.signed[s.Signer]
	i, found := slices.BinarySearchFunc(held, s.Checkpoint.Height, func(x qc.SignedCheckpoint, h qc.Height) int {
		return cmp.Compare(x.Checkpoint.Height, h)
	})
	if found {
		if held[i].Checkpoint == s.Checkpoint || held[i].Checkpoint.Block.IsZero() {
			return false
		}
		held[i] = s
		return true
	}
	held = slices.Insert(held, i, s)
	if len(held) > checkpointsPerSigner {
		held = slices.Delete(held, 0, 1)
	}
	k.signed[s.Signer] = held
	return true
}

// sumCheckpoint asks for the sum of the signatures of a state once they are a quorum.
func (c *Core) sumCheckpoint(cp qc.Checkpoint) {
	k := &c.checkpoints
	if len(k.summing) >= sumsMax || slices.Contains(k.summing, cp) || cp.Height <= k.height() {
		return
	}
	var equal []qc.SignedCheckpoint
	for _, held := range k.signed {
		for _, s := range held {
			if s.Checkpoint == cp {
				equal = append(equal, s)
			}
		}
	}
	if len(equal) < c.cfg.Committee.Quorum() {
		return
	}
	k.summing = append(k.summing, cp)
	c.out.Verify = append(c.out.Verify, VerifyRequest{Checkpoint: cp, Checkpoints: equal})
}

// onCheckpointSum takes the certificate that our sum made, or the names of those who spoiled it.
func (c *Core) onCheckpointSum(s Sum) error {
	k := &c.checkpoints
	k.summing = slices.DeleteFunc(k.summing, func(cp qc.Checkpoint) bool { return cp == s.state })
	for _, id := range s.bad {
		c.drop(id, ErrBadCheckpoint)
		for i := range k.signed[id] {
			if held := &k.signed[id][i]; held.Checkpoint == s.state {
				held.Checkpoint = qc.Checkpoint{Height: s.state.Height} // the place stays taken, for no state
			}
		}
	}
	if s.stateCert != nil {
		if err := c.onCheckpointCertificate(s.stateCert); err != nil {
			return err
		}
	}
	c.sumCheckpoints()
	return nil
}

// sumCheckpoints takes up what had to wait while sums were under way: good signatures that came meanwhile, when bad ones
// had to be left out, and further states.
func (c *Core) sumCheckpoints() {
	count := make(map[qc.Checkpoint]int)
	for _, held := range c.checkpoints.signed {
		for _, s := range held {
			if count[s.Checkpoint]++; count[s.Checkpoint] == c.cfg.Committee.Quorum() && !s.Checkpoint.Block.IsZero() {
				c.sumCheckpoint(s.Checkpoint)
			}
		}
	}
}

// onCheckpointCertificate takes a verified certificate. A replica that has come to another state halts.
func (c *Core) onCheckpointCertificate(cert *qc.CheckpointCertificate) error {
	k := &c.checkpoints
	at := cert.Checkpoint.Height
	if at <= k.height() {
		return nil
	}
	for _, own := range k.own {
		if err := differs(own, cert); err != nil {
			return err
		}
	}
	k.certified = cert
	if at > k.executed {
		if k.ahead = append(k.ahead, cert); len(k.ahead) > aheadMax {
			k.ahead = slices.Delete(k.ahead, 0, 1)
		}
	}
	k.own = slices.DeleteFunc(k.own, func(cp qc.Checkpoint) bool { return cp.Height <= at })
	for i, held := range k.signed {
		k.signed[i] = slices.DeleteFunc(held, func(s qc.SignedCheckpoint) bool { return s.Checkpoint.Height <= at })
	}
	if k.repeated != nil && k.repeated.Checkpoint.Height <= at {
		k.repeated = nil
	}
	c.out.Persist = append(c.out.Persist, CheckpointRecord{Certificate: cert})
	c.refused = false // there may be payload again
	return nil
}

// repeatCheckpoint sends our newest uncertified checkpoint again when it is due.
func (c *Core) repeatCheckpoint() {
	if k := &c.checkpoints; k.repeated != nil && c.now >= k.due {
		k.due = c.now + repeatCheckpointEvery
		c.broadcast(&CheckpointMessage{Signed: k.repeated})
	}
}

// Certified returns the certificate of the highest certified state; nil before the first.
func (c *Core) Certified() *qc.CheckpointCertificate { return c.checkpoints.certified }

// CheckpointHeight returns the height of the highest certified state; 0: there is none yet.
func (c *Core) CheckpointHeight() qc.Height { return c.checkpoints.height() }

// Stalled tells whether blocks get no payload because no certificate has come for too many of them.
func (c *Core) Stalled() bool { return c.checkpoints.stalled(c.tree.Committed().Block.Height + 1) }

// CheckpointStatus is what an operator wants to know of checkpoints.
type CheckpointStatus struct {
	Certified qc.Height // the highest certified state; 0: none yet
	Executed  qc.Height // our own newest checkpoint; 0: none above the certified one
	Stalled   bool      // as Core.Stalled
	Differ    []qc.NodeID
	Silent    []qc.NodeID
}

// Checkpoints tells how checkpoints stand. Differ and Silent are those whose newest state that can be compared is not
// ours, and who have signed none; the others may be right, and we wrong.
func (c *Core) Checkpoints() CheckpointStatus {
	k := &c.checkpoints
	s := CheckpointStatus{Certified: k.height(), Stalled: c.Stalled()}
	if len(k.own) == 0 {
		return s
	}
	s.Executed = k.own[len(k.own)-1].Height
	for id, held := range k.signed {
		switch {
		case qc.NodeID(id) == c.cfg.Self:
		case len(held) == 0:
			s.Silent = append(s.Silent, qc.NodeID(id))
		case k.contradicted(held):
			s.Differ = append(s.Differ, qc.NodeID(id))
		}
	}
	return s
}

// contradicted tells whether the newest state of one signer at a height that we have come to is not ours.
func (k *checkpoints) contradicted(held []qc.SignedCheckpoint) bool {
	for _, theirs := range slices.Backward(held) {
		for _, ours := range k.own {
			if ours.Height == theirs.Checkpoint.Height {
				return ours != theirs.Checkpoint
			}
		}
	}
	return false
}
