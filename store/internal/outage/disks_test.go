package outage

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/sim"
	"github.com/hotstuffd/hotstuffd/store"
	"github.com/hotstuffd/hotstuffd/store/internal/cutdisk"
)

// outage is where the power fails in a run.
type outage struct {
	name    string
	seed    uint64              // of all that is left to chance
	cuts    map[qc.NodeID][]cut // by life
	also    []qc.NodeID         // whose power fails with the first cut
	variant int                 // of what the first cut leaves
}

// cut is where a life ends: after so many operations on the disk, from its beginning or from the end of store.Open.
type cut struct {
	opened     bool
	operations int64
}

// site is the disks of one run, and what their cuts have left. It implements sim.Devices.
type site struct {
	outage
	machines map[qc.NodeID]*machine
	calm     bool
	calmAt   map[qc.NodeID]int64 // operations done in the present life when the faults were over
	found    []found
	met      bool // the planned first cut has come
	repeats  bool // and leaves no such variant
}

// found is what a cut has left.
type found struct {
	replica qc.NodeID
	life    int
	loss    string
	recent  []string
	image   *cutdisk.Disk
}

// machine is one replica's disk through all its lives.
type machine struct {
	id    store.Identity
	disk  *cutdisk.Disk
	lives int
	open  *device // nil: it is down
	since int64   // operations done before this life
}

func newSite(o outage) *site { return &site{outage: o, machines: make(map[qc.NodeID]*machine)} }

const dir = "/store"

// onDisk are the options of a store on a simulated disk: everything is small, so that segments roll, journals turn over
// and tables merge within a short run.
func onDisk(d *cutdisk.Disk) store.Options {
	return store.Options{FS: d, SegmentBytes: 4 << 10, WriteBuffer: 4 << 10}
}

// Open implements sim.Devices.
func (s *site) Open(id store.Identity) (sim.Device, error) {
	m := s.machines[id.Node]
	if m == nil {
		disk, err := fresh(id)
		if err != nil {
			return nil, err
		}
		m = &machine{id: id, disk: disk}
		s.machines[id.Node] = m
	}
	m.disk.Record()
	m.since = m.disk.Operations()
	var end *cut
	if cuts := s.cuts[id.Node]; m.lives < len(cuts) && !s.calm {
		end = &cuts[m.lives]
	}
	if m.lives++; end != nil && !end.opened {
		m.disk.PowerFor(end.operations)
	}
	// What is done to a segment may be done beside Append.
	gate := &cutdisk.Gate{Also: func(path string) bool { return m.open != nil && strings.Contains(path, ".seg") }}
	d := &device{site: s, machine: m, schedule: cutdisk.NewSchedule(m.disk, gate, s.seedOf("schedule", id.Node, m.lives))}
	err := d.schedule.Run(func() (err error) {
		d.Store, err = store.Open(dir, id, onDisk(m.disk))
		return err
	})
	if m.open = d; m.disk.Off() {
		d.Crash()
		return nil, sim.ErrPowerCut
	}
	if end != nil && end.opened {
		m.disk.PowerFor(end.operations)
	}
	return d, err
}

// Calm implements sim.Devices.
func (s *site) Calm() {
	s.calm = true
	s.calmAt = make(map[qc.NodeID]int64)
	for id, m := range s.machines {
		m.disk.PowerStays()
		s.calmAt[id] = m.disk.Operations() - m.since
	}
}

// close ends all lives.
func (s *site) close() {
	for _, m := range s.machines {
		if m.open != nil {
			m.open.shut()
		}
	}
}

// seedOf returns a number that depends on the run and what it is for.
func (s *site) seedOf(what string, id qc.NodeID, life int) uint64 {
	seed := s.seed
	if life == 1 && what == "schedule" {
		seed = 0 // all runs of a scenario go the same way until the power fails
	}
	return hash(fmt.Sprintf("%d/%s/%v/%d", seed, what, id, life))
}

func hash(name string) uint64 {
	h := uint64(14695981039346656037) // FNV-1a
	for _, c := range []byte(name) {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}

// images are the disks of new stores, made once.
var images sync.Map

func fresh(id store.Identity) (*cutdisk.Disk, error) {
	key := fmt.Sprintf("%+v", id)
	if image, ok := images.Load(key); ok {
		return image.(*cutdisk.Disk).Kill(), nil
	}
	disk := cutdisk.New()
	if err := store.Init(dir, id, onDisk(disk)); err != nil {
		return nil, err
	}
	images.Store(key, disk.Kill())
	return disk, nil
}

// device is one life of a replica's store. It implements sim.Device.
type device struct {
	*store.Store
	*machine
	site     *site
	schedule *cutdisk.Schedule
	writing  func() error // waits for the end of AppendBatches; nil: it is not under way
}

// Append implements sim.Device.
func (d *device) Append(records []hotstuff.Record) error {
	return d.powered(d.schedule.Run(func() error { return d.Store.Append(records) }))
}

// BeginBatches implements sim.Device.
func (d *device) BeginBatches(batches []*mempool.Batch) (end func() error) {
	d.writing = d.schedule.Begin(func() error { return d.Store.AppendBatches(batches) })
	return func() error {
		err := d.writing()
		d.writing = nil
		return d.powered(err)
	}
}

// A life that reads while its power is off, as between a write that failed and the end of its call, is over too.

// CommittedID implements node.Stored.
func (d *device) CommittedID(h qc.Height) (qc.BlockID, bool, error) {
	id, ok, err := d.Store.CommittedID(h)
	return id, ok, d.unread(err)
}

// Block implements node.Stored.
func (d *device) Block(id qc.BlockID) (*blocktree.Block, error) {
	b, err := d.Store.Block(id)
	return b, d.unread(err)
}

// BlocksAbove implements node.Stored.
func (d *device) BlocksAbove(h qc.Height) ([]*blocktree.Block, error) {
	blocks, err := d.Store.BlocksAbove(h)
	return blocks, d.unread(err)
}

// HasBatch implements node.Stored.
func (d *device) HasBatch(digest blocktree.Digest) (bool, error) {
	has, err := d.Store.HasBatch(digest)
	return has, d.unread(err)
}

// Batch implements node.Stored.
func (d *device) Batch(digest blocktree.Digest) (*mempool.Batch, error) {
	b, err := d.Store.Batch(digest)
	return b, d.unread(err)
}

// BatchesFrom implements node.Stored.
func (d *device) BatchesFrom(origin qc.NodeID, from blocktree.Cursor) iter.Seq2[*mempool.Batch, error] {
	return func(yield func(*mempool.Batch, error) bool) {
		for b, err := range d.Store.BatchesFrom(origin, from) {
			if !yield(b, d.unread(err)) {
				return
			}
		}
	}
}

// unread is what a read comes to: one that fails has no power, if that is off.
func (d *device) unread(err error) error {
	if err == nil {
		return nil
	}
	return d.powered(err)
}

// powered is what a call comes to: whatever it says, nobody hears it once the power is off.
func (d *device) powered(err error) error {
	if d.disk.Off() {
		return errors.Join(sim.ErrPowerCut, err)
	}
	return err
}

// Crash implements sim.Device.
func (d *device) Crash() (also []qc.NodeID) {
	s, m := d.site, d.machine
	planned := m.disk.Off() && !s.met && m.lives == 1
	recent := m.disk.Recent()
	m.disk.PowerOff()
	d.shut()
	variant := 0
	if planned {
		s.met, variant, also = true, s.variant, s.also
	}
	left, loss, ok := leave(m.disk, s.seedOf("found", m.id.Node, m.lives), variant)
	if planned {
		s.repeats = !ok
	}
	s.found = append(s.found, found{m.id.Node, m.lives, loss, recent, left.Kill()})
	m.disk = left
	return also
}

// shut ends what the life has running.
func (d *device) shut() {
	if d.writing != nil {
		_ = d.writing() // it has no power, or is done
	}
	if d.Store != nil {
		_ = d.schedule.Run(d.Store.Close) // likewise
	}
	d.disk.Hold(nil)
	d.open = nil
}

// leave returns the disk as the next life finds it: one of those that differ, by the number of the variant. ok is false if
// there are not so many.
func leave(disk *cutdisk.Disk, seed uint64, variant int) (left *cutdisk.Disk, loss string, ok bool) {
	type kind struct {
		loss    cutdisk.Loss // Losses: the process alone is killed
		attempt uint64
	}
	var kinds []kind
	for l := range cutdisk.Losses + 1 {
		kinds = append(kinds, kind{l, 0})
	}
	for i := range uint64(3) { // what chance has most to say about
		kinds = append(kinds, kind{cutdisk.Mixed, 1 + i}, kind{cutdisk.Suffix, 1 + i}, kind{cutdisk.Losses, 1 + i})
	}
	slices.SortFunc(kinds, func(a, b kind) int {
		return cmp.Compare(rand.New(rand.NewPCG(seed, uint64(a.loss)<<8|a.attempt)).Uint64(), rand.New(rand.NewPCG(seed, uint64(b.loss)<<8|b.attempt)).Uint64())
	})
	seen := map[string]bool{}
	for _, k := range kinds {
		image, fates, name := (*cutdisk.Disk)(nil), "killed", "kill"
		if k.loss == cutdisk.Losses {
			image = disk.Kill()
		} else {
			image, fates = disk.Cut(k.loss, seed+k.attempt)
			name = k.loss.String()
		}
		if seen[fates] {
			continue
		}
		seen[fates] = true
		left, loss = image, name
		if len(seen) > variant {
			return left, loss, true
		}
	}
	return left, loss, false
}
