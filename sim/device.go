package sim

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/hotstuffd/hotstuffd/api/wire"
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/node"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/store"
)

// Devices are real stores under the correct replicas of a run. The simulated disks stay beside them, as the record of what
// was acknowledged: what a replica finds when it starts again must be that, and of what was being written all or nothing.
type Devices interface {
	// Open begins a life of a replica's store, which is a new one at first.
	// Expected errors: ErrPowerCut. Any other is a refusal, and ends the run: power cuts are no reason for one.
	Open(store.Identity) (Device, error)
	// Calm says that from here on the power stays.
	Calm()
}

// Device is a replica's store in one life. An error of ErrPowerCut says that the power has failed meanwhile, and that it
// is unknown what was written.
type Device interface {
	node.Stored
	// Append is that of store.Store.
	Append([]hotstuff.Record) error
	// BeginBatches begins store.Store's AppendBatches, which goes on beside calls of Append; end waits for its end.
	BeginBatches([]*mempool.Batch) (end func() error)
	// Crash ends the life, and names those whose power fails with this one's.
	Crash() (also []qc.NodeID)
}

// ErrPowerCut is a call of a Device during which the power has failed.
var ErrPowerCut = errors.New("the power is cut")

// unsure is what was being written when the power failed.
type unsure struct {
	records []hotstuff.Record
	batches []*mempool.Batch
}

// stored is what a life reads.
func (l *life) stored() node.Stored {
	if l.device != nil {
		return reader{l.device, l}
	}
	return reader{l.r.disk, l}
}

// open begins a life of the replica's device, if it has one.
func (l *life) open() error {
	r, w := l.r, l.r.w
	if w.cfg.Devices == nil || r.byzantine() {
		return nil
	}
	device, err := w.cfg.Devices.Open(store.Identity{Chain: w.committee.Chain, Epoch: w.committee.Epoch, Node: r.id, Limits: w.limits})
	if err != nil {
		return err
	}
	l.device = device
	return r.settle(device)
}

// appends has a device make records durable.
func (l *life) appends(records []hotstuff.Record) error {
	if l.device == nil {
		return nil
	}
	err := l.device.Append(records)
	if !errors.Is(err, ErrPowerCut) {
		return err
	}
	l.r.unsure.records = slices.Clone(records)
	if l.r.w.random.disk.IntN(2) == 0 {
		l.exec.hurries()
	}
	return errCrash
}

// appended is the end of a write of batches: that of the device, if there is one.
func (l *life) appended() error {
	if l.device == nil {
		return nil
	}
	return l.endWrite()
}

// leaves notes what of a write of batches is left after a crash: of a simulated disk's any part, of a device's what will
// be seen.
func (l *life) leaves() {
	r := l.r
	if l.device != nil {
		r.unsure.batches = l.writing
		return
	}
	if len(l.writing) > 0 && r.w.random.disk.IntN(2) == 0 {
		for _, b := range l.writing[:r.w.random.disk.IntN(len(l.writing)+1)] {
			r.disk.addBatch(b)
		}
	}
}

// settle finds out what became of what was being written, and then holds the device to it: what was acknowledged is
// there, and nothing else.
func (r *replica) settle(device Device) error {
	u := r.unsure
	r.unsure = unsure{}
	if err := r.settleBatches(device, u.batches); err != nil {
		return err
	}
	if len(u.records) > 0 {
		there, err := r.disk.reached(device, u.records[0])
		if err != nil {
			return err
		}
		if !there {
			r.w.check.unsaid(r, u.records)
		} else if err := r.disk.write(u.records); err != nil {
			return err
		} else {
			r.w.check.persisted(r, u.records)
		}
	}
	return r.disk.is(device)
}

func (r *replica) settleBatches(device Device, batches []*mempool.Batch) error {
	for _, b := range batches { // each by itself: some may have been there before
		has, err := device.HasBatch(b.Digest())
		if err != nil {
			return err
		}
		if has {
			r.disk.addBatch(b)
		}
	}
	for _, b := range batches {
		if r.disk.batches[b.Digest()] != nil && r.disk.batches[batches[0].Digest()] == nil {
			return errors.New("a part of one write of batches is there")
		}
	}
	return nil
}

// reached tells whether a device is past a record that is not on this disk yet.
func (d *disk) reached(device Device, r hotstuff.Record) (bool, error) {
	found, err := device.Recover()
	if err != nil {
		return false, err
	}
	switch r := r.(type) {
	case hotstuff.BlockRecord:
		_, err := device.Block(r.Block.ID())
		if errors.Is(err, store.ErrNotFound) {
			return false, nil
		}
		return err == nil, err
	case hotstuff.CommitRecord:
		return found.Commit.Height >= r.Height, nil
	case hotstuff.CheckpointRecord:
		return found.Certified != nil && found.Certified.Checkpoint.Height >= r.Certificate.Checkpoint.Height, nil
	case hotstuff.SafetyState:
		return found.Safety.Sequence >= r.Sequence, nil
	}
	return false, fmt.Errorf("unknown record %T", r)
}

// is compares a device with this disk, and says where they differ.
func (d *disk) is(device Device) error {
	found, err := device.Recover()
	if err != nil {
		return err
	}
	if !bytes.Equal(encoded(&found.Safety), encoded(&d.safety)) {
		return fmt.Errorf("it has safety state %d, want state %d as it was acknowledged", found.Safety.Sequence, d.safety.Sequence)
	}
	if found.Commit.Height != d.last.Height || found.Commit.Block != d.last.Block || !slices.Equal(found.Commit.Lanes, d.last.Lanes) {
		return fmt.Errorf("its newest commit is %+v, want %+v", found.Commit, d.last)
	}
	if has, want := found.Certified, d.certified; (has == nil) != (want == nil) || has != nil && has.Checkpoint != want.Checkpoint {
		return fmt.Errorf("its newest checkpoint is %+v, want %+v", has, want)
	}
	if err := d.hasChain(device); err != nil {
		return err
	}
	return d.hasLanes(device)
}

func encoded(s *hotstuff.SafetyState) []byte {
	data, err := wire.AppendSafetyState(nil, s)
	if err != nil {
		panic(err) // it was written before
	}
	return data
}

// hasChain compares the committed blocks, and those above.
func (d *disk) hasChain(device Device) error {
	for h := range qc.Height(len(d.chain)) + 1 {
		want, wanted, _ := d.CommittedID(h)
		switch id, ok, err := device.CommittedID(h); {
		case err != nil:
			return err
		case ok != wanted || id != want:
			return fmt.Errorf("its committed block of height %d is %v, want %v", h, id, want)
		case ok:
			if _, err := device.Block(id); err != nil {
				return fmt.Errorf("its committed block of height %d: %w", h, err)
			}
		}
	}
	has, err := device.BlocksAbove(d.last.Height)
	want, _ := d.BlocksAbove(d.last.Height)
	if err == nil && !slices.EqualFunc(has, want, func(a, b *blocktree.Block) bool { return a.ID() == b.ID() }) {
		err = fmt.Errorf("it has %d blocks above height %d, want %d others", len(has), d.last.Height, len(want))
	}
	return err
}

// hasLanes compares the batches, in the order of their lanes: what a start puts back into the mempool, and what it replays.
func (d *disk) hasLanes(device Device) error {
	for origin := range qc.NodeID(len(d.lanes)) {
		var has, want []blocktree.Digest
		for b, err := range device.BatchesFrom(origin, blocktree.Cursor{}) {
			if err != nil {
				return err
			}
			has = append(has, b.Digest())
		}
		for b := range d.BatchesFrom(origin, blocktree.Cursor{}) {
			want = append(want, b.Digest())
		}
		if !slices.Equal(has, want) {
			return fmt.Errorf("it has %d batches of %v, want %d others", len(has), origin, len(want))
		}
	}
	return nil
}
