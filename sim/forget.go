package sim

import (
	"slices"

	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
)

// A forgetful replica loses its disk, more than once perhaps, and rejoins each time as its operator would have it
// (PROTOCOL §7). It counts among the f from the loss until it has rejoined. Meanwhile the checks for correct replicas
// are off, but for those of what it sends: whatever it has ever signed it must never contradict.

// forget makes one replica forgetful, if there is room for one more among the f. It is drawn by the seed alone, so that
// it changes no other draw.
func (c *Config) forget() {
	f := (c.Nodes - 1) / 3
	if c.Seed%3 != 0 || len(c.Byzantine)+len(c.Dead)+len(c.Corrupted) >= f {
		return
	}
	id := qc.NodeID(c.Seed / 3 % uint64(c.Nodes))
	for c.Byzantine[id] != 0 || slices.Contains(c.Dead, id) || c.Corrupted[id] > 0 {
		id = (id + 1) % qc.NodeID(c.Nodes)
	}
	c.Forgetful = &id
	c.DiskLosses = Rate{Every: c.Duration / qc.Ticks(1+c.Seed/3%3)}
}

// loseDisk is a crash that takes the disk. The next start finds one that was prepared for a rejoin.
func (r *replica) loseDisk() {
	w := r.w
	r.crash()
	r.lost = true
	r.disk = newDisk(w.root, w.cfg.Nodes)
	for i := range r.disk.safety.Nonce {
		r.disk.safety.Nonce[i] = byte(1 + w.random.disk.IntN(255))
	}
	w.counts.Losses++
	w.trace.note(w.now, "%v has lost its disk and draws nonce %v", r.id, r.disk.safety.Nonce)
}

// rejoins takes the write that ends a rejoin: from here on the replica is correct again.
func (r *replica) rejoins(records []hotstuff.Record) {
	for _, rec := range records {
		if s, ok := rec.(hotstuff.SafetyState); ok && r.lost && s.Nonce.IsZero() {
			r.lost = false
			r.w.check.rejoined(r, &s)
			r.w.counts.Rejoins++
			r.w.check.watches[r.id].entered = r.w.now
			r.w.trace.note(r.w.now, "%v rejoins above view %d", r.id, s.Floor)
		}
	}
}
