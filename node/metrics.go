package node

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hotstuffd/hotstuffd/mempool"
	hsnet "github.com/hotstuffd/hotstuffd/net"
	"github.com/hotstuffd/hotstuffd/qc"
)

// Collectors returns the replica's metrics, for a prometheus registry of the caller's.
func (n *Node) Collectors() []prometheus.Collector {
	return []prometheus.Collector{metrics{n}, n.peers.dropped.counts, n.stalls, n.intervals.histogram, n.stages.histograms}
}

// newStalls measures for how long checkpoints and snapshots keep commands waiting: freezing the state, and waiting for
// digests that are behind.
func newStalls() prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{Name: "hotstuffd_checkpoint_stall_seconds",
		Help: "How long the executor stood still for a checkpoint.", Buckets: []float64{.00001, .0001, .001, .002, .005, .01, .02, .05, .1, .5}})
}

// metrics reads what loop, mempool and network publish, when it is asked and not before.
type metrics struct{ n *Node }

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("hotstuffd_"+name, help, labels, nil)
}

var (
	descView      = describe("view", "Present view.")
	descBase      = describe("base_timeout_seconds", "Present timeout of a view with work, before any backoff.")
	descVoted     = describe("voted_view", "Newest view that this replica voted in.")
	descVotes     = describe("votes_total", "Votes cast since the start.")
	descCommitted = describe("committed_height", "Height of the newest committed block.")
	descApplied   = describe("applied_height", "Height of the newest applied block.")
	descPending   = describe("mempool_pending_bytes", "Own requests taken in and not answered, bytes.")
	descMissing   = describe("mempool_missing_batches", "Named batches that are being fetched.")
	descBacklog   = describe("mempool_backlog_bytes", "Payload committed and not executed, bytes.")
	descRefused   = describe("mempool_refused_batches_total", "Received batches that were not kept, by reason.", "reason")
	descRejoining = describe("rejoining", "1 while this replica has lost its safety state and signs nothing, else 0.")
	descCertified = describe("checkpoint_height", "Height of the newest state that a quorum has signed.")
	descStalled   = describe("checkpoint_stalled", "1 while blocks get no payload for want of a checkpoint certificate, else 0.")
	descDiskFull  = describe("disk_full", "1 while the disk is full, so that this replica votes no more and takes no commands, else 0.")
	descPeers     = describe("peers_connected", "Replicas that are connected, this one not counted.")
	descFrames    = describe("net_frames_total", "Frames by class and direction.", "class", "direction")
	descBytes     = describe("net_bytes_total", "Bytes of frames by class and direction.", "class", "direction")
	descLost      = describe("net_dropped_frames_total", "Outgoing frames dropped, by class and reason.", "class", "reason")
	descFaults    = describe("net_faults_total", "Connections refused or ended for a fault of the peer's.", "fault")
)

// intervals measures the time from one turn with commits to the next. It belongs to the loop.
type intervals struct {
	histogram prometheus.Histogram
	last      time.Time
	height    qc.Height
}

func newIntervals() intervals {
	return intervals{histogram: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "hotstuffd_commit_interval_seconds",
		Help: "Time from one commit to the next, heartbeats of an idle chain included.", Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5}})}
}

// at takes the committed height after a turn.
func (i *intervals) at(h qc.Height, now time.Time) {
	if h == i.height {
		return
	}
	if !i.last.IsZero() {
		i.histogram.Observe(now.Sub(i.last).Seconds())
	}
	i.last, i.height = now, h
}

// Describe implements prometheus.Collector.
func (m metrics) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(m, ch) }

// Collect implements prometheus.Collector.
func (m metrics) Collect(ch chan<- prometheus.Metric) {
	p := m.n.progress.read()
	applied, _ := m.n.executor.progress.get()
	gauge := func(d *prometheus.Desc, v float64) { ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	gauge(descView, float64(p.view))
	gauge(descBase, p.base.Seconds())
	gauge(descVoted, float64(p.voted))
	gauge(descCommitted, float64(p.committed))
	gauge(descApplied, float64(applied))
	gauge(descPeers, float64(m.n.network.Connected()))
	gauge(descRejoining, truth(p.rejoining))
	gauge(descDiskFull, truth(m.n.store.Full()))
	gauge(descCertified, float64(p.certified))
	gauge(descStalled, truth(p.stall != nil))
	collectPool(ch, p.pool)
	counter(ch, descVotes, p.votes)
	collectNet(ch, m.n.network.Stats())
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func counter(ch chan<- prometheus.Metric, d *prometheus.Desc, v uint64, labels ...string) {
	ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
}

func collectPool(ch chan<- prometheus.Metric, s mempool.Stats) {
	ch <- prometheus.MustNewConstMetric(descPending, prometheus.GaugeValue, float64(s.PendingBytes))
	ch <- prometheus.MustNewConstMetric(descMissing, prometheus.GaugeValue, float64(s.Missing))
	ch <- prometheus.MustNewConstMetric(descBacklog, prometheus.GaugeValue, float64(s.BacklogBytes))
	counter(ch, descRefused, s.Drops.Oversized, "oversized")
	counter(ch, descRefused, s.Drops.Stale, "stale")
	counter(ch, descRefused, s.Drops.Quota, "quota")
	counter(ch, descRefused, s.Drops.Sibling, "sibling")
}

func collectNet(ch chan<- prometheus.Metric, s hsnet.Stats) {
	for class := range hsnet.Class(hsnet.Classes) {
		counter(ch, descFrames, s.Sent[class].Frames, class.String(), "sent")
		counter(ch, descFrames, s.Received[class].Frames, class.String(), "received")
		counter(ch, descBytes, s.Sent[class].Bytes, class.String(), "sent")
		counter(ch, descBytes, s.Received[class].Bytes, class.String(), "received")
		for reason, lost := range s.Dropped[class] {
			counter(ch, descLost, lost, class.String(), hsnet.DropReason(reason).String())
		}
	}
	for fault, count := range s.Faults {
		counter(ch, descFaults, count, hsnet.Fault(fault).String())
	}
}
