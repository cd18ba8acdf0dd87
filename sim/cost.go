package sim

import (
	"crypto/ed25519"
	"time"

	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
)

// Costs is how long work occupies the processors of a replica. The code that runs is production's; the signatures under it
// are the mock's, which cost next to nothing. So each call of the scheme is charged as what real signatures would cost.
//
// A replica has a loop, which is one thread, and workers that check what comes, sum votes, and put messages on the wire.
type Costs struct {
	Sign      time.Duration // one BLS signature, its message hashed to the curve
	Verify    time.Duration // one BLS pairing check of an aggregate over one message, not hashed before
	Distinct  time.Duration // each further distinct message in an aggregate: another pairing
	Key       time.Duration // each public key added to an aggregate, or taken from the sum of all
	Sum       time.Duration // each vote that is summed: decompression and subgroup check
	EdSign    time.Duration // one Ed25519 signature: of a proposal or a batch
	EdVerify  time.Duration // the check of one
	HashMB    time.Duration // SHA-256 over a million bytes
	Message   time.Duration // a message on either side of the wire: encoding, encryption and system calls
	MessageMB time.Duration // a million bytes of messages on either side
	Step      time.Duration // the loop's own work for one event
	Workers   int           // at least 1
}

// perBytes is what work at a price for each million bytes costs.
func perBytes(perMB time.Duration, n int) time.Duration { return perMB * time.Duration(n) / 1_000_000 }

// nanosPerTick converts between the clock of a run and the processors' finer one.
const nanosPerTick = int64(time.Second) / int64(qc.TicksPerSecond)

func nearestTick(nanos int64) qc.Ticks { return qc.Ticks((nanos + nanosPerTick/2) / nanosPerTick) }

// meter adds up what the schemes and signers of a run are asked to do. Everything runs in one goroutine: whoever asks
// takes the sum away afterwards.
type meter struct {
	costs Costs
	nodes int
	sum   time.Duration
}

// take returns what has been added since the last time.
func (m *meter) take() (d time.Duration) {
	d, m.sum = m.sum, 0
	return d
}

// keys is the price of adding up the keys of signers; of more than half, the others are taken from the sum of all.
func (m *meter) keys(signers qc.Bitmap) time.Duration {
	k := signers.Count()
	return m.costs.Key * time.Duration(min(k, m.nodes-k))
}

// metered is a qc.Scheme that adds each call's price to a meter.
type metered struct {
	qc.Scheme
	meter *meter
}

// Sum implements qc.Scheme.
func (s metered) Sum(sigs []qc.Signature) (qc.Signature, []int) {
	s.meter.sum += s.meter.costs.Sum * time.Duration(len(sigs))
	return s.Scheme.Sum(sigs)
}

// VerifySame implements qc.Scheme.
func (s metered) VerifySame(msg []byte, signers qc.Bitmap, sig qc.Signature) bool {
	s.meter.sum += s.meter.costs.Verify + s.meter.keys(signers)
	return s.Scheme.VerifySame(msg, signers, sig)
}

// VerifyDistinct implements qc.Scheme.
func (s metered) VerifyDistinct(msgs [][]byte, groups []qc.Bitmap, sig qc.Signature) bool {
	s.meter.sum += s.meter.costs.Verify + s.meter.costs.Distinct*time.Duration(len(msgs)-1)
	for _, g := range groups {
		s.meter.sum += s.meter.keys(g)
	}
	return s.Scheme.VerifyDistinct(msgs, groups, sig)
}

// meteredSigner is a qc.Signer that adds each signature's price to a meter.
type meteredSigner struct {
	qc.Signer
	meter *meter
}

// Sign implements qc.Signer.
func (s meteredSigner) Sign(msg []byte) qc.Signature {
	s.meter.sum += s.meter.costs.Sign
	return s.Signer.Sign(msg)
}

// meteredIdentity is a qc.Identity that adds each signature's price to a meter.
type meteredIdentity struct {
	qc.Identity
	meter *meter
}

// Sign implements qc.Identity.
func (i meteredIdentity) Sign(message []byte) [ed25519.SignatureSize]byte {
	i.meter.sum += i.meter.costs.EdSign
	return i.Identity.Sign(message)
}

// meteredRoster is qc.Identities that add each check's price to a meter.
type meteredRoster struct {
	qc.Identities
	meter *meter
}

// Verify implements qc.Identities.
func (r meteredRoster) Verify(member qc.NodeID, message, signature []byte) bool {
	r.meter.sum += r.meter.costs.EdVerify
	return r.Identities.Verify(member, message, signature)
}

// meterKeys has every signature of a run, made or checked, charged.
func meterKeys(k keys, m *meter) keys {
	charged := keys{roster: meteredRoster{k.roster, m}, scheme: func() qc.Scheme { return metered{k.scheme(), m} }}
	for _, s := range k.signers {
		charged.signers = append(charged.signers, meteredSigner{s, m})
	}
	for _, i := range k.identities {
		charged.identities = append(charged.identities, meteredIdentity{i, m})
	}
	return charged
}

// processor is the processors of one replica: its loop and its workers, each busy until some time. What is asked of the
// workers is begun in the order in which it comes, by the worker that is free first. Times are nanoseconds of the run.
type processor struct {
	meter   *meter
	loop    int64
	workers []int64
	checked []qc.Ticks // by sender: when its last message was checked; a peer's messages stay in order
	usage   Usage
}

// Usage is the time for which a replica's processors were busy.
type Usage struct {
	Loop, Workers time.Duration
}

func newProcessor(m *meter, nodes int) *processor {
	return &processor{meter: m, workers: make([]int64, max(1, m.costs.Workers)), checked: make([]qc.Ticks, nodes)}
}

// run gives work to a worker, and returns when it is done.
func (p *processor) run(now qc.Ticks, work time.Duration) qc.Ticks {
	first := 0
	for i := range p.workers {
		if p.workers[i] < p.workers[first] {
			first = i
		}
	}
	p.workers[first] = max(p.workers[first], int64(now)*nanosPerTick) + int64(work)
	p.usage.Workers += work
	return max(now, nearestTick(p.workers[first]))
}

// check gives a worker a message that has come, with what its verification has added to the meter, and returns when the
// loop gets it.
func (p *processor) check(now qc.Ticks, from qc.NodeID, message any, size int) qc.Ticks {
	c := &p.meter.costs
	work := p.meter.take() + c.Message + perBytes(c.MessageMB, size)
	switch message.(type) {
	case *hotstuff.Proposal, *mempool.Batch:
		work += perBytes(c.HashMB, size)
	}
	p.checked[from] = max(p.checked[from], p.run(now, work))
	return p.checked[from]
}

// send gives a worker a message to put on the wire, and returns when it has left the processor.
func (p *processor) send(at qc.Ticks, size int) qc.Ticks {
	c := &p.meter.costs
	return p.run(at, c.Message+perBytes(c.MessageMB, size))
}

// spend has the loop pay for what the meter shows, and returns when it is free.
func (p *processor) spend(now qc.Ticks) qc.Ticks {
	work := p.meter.take()
	p.loop = max(p.loop, int64(now)*nanosPerTick) + int64(work)
	p.usage.Loop += work
	return nearestTick(p.loop)
}

// step begins a turn of the loop with so many events.
func (p *processor) step(events int) {
	p.meter.sum = p.meter.costs.Step * time.Duration(events)
}

// usage is that of every replica so far.
func (w *World) usage() (all []Usage) {
	if w.meter == nil {
		return nil
	}
	for _, r := range w.replicas {
		var u Usage
		if r.life != nil {
			u = r.life.cpu.usage
		}
		all = append(all, u)
	}
	return all
}

// workGrace is what checks allow for work that takes time: what is due at once may wait for a processor.
func (w *World) workGrace() qc.Ticks {
	if w.meter == nil {
		return 0
	}
	return qc.TicksPerSecond
}
