package sim

import (
	"math/rand/v2"
	"time"

	"github.com/hotstuffd/hotstuffd/config"
	"github.com/hotstuffd/hotstuffd/node"
	"github.com/hotstuffd/hotstuffd/qc"
)

// Config is one run. Everything in it, and nothing else, decides what happens.
type Config struct {
	Seed      uint64
	Nodes     int
	Leaders   string // config.LeadersRoundRobin or config.LeadersReputation
	BLS       bool   // real signatures; else the mock scheme
	Codec     bool   // messages travel encoded
	Duration  qc.Ticks
	Limits    config.Limits
	Pacemaker config.Pacemaker
	Mempool   config.Mempool

	StartWithin qc.Ticks               // replicas start within this time
	Late        map[qc.NodeID]qc.Ticks // but these at their own: what the others have done by then they must fetch
	CrashAt     map[qc.NodeID]qc.Ticks // these crash at a time, and start again at once
	Dead        []qc.NodeID
	Byzantine   map[qc.NodeID]Behaviors
	Corrupted   map[qc.NodeID]qc.Height // whose state goes wrong at a height
	Forgetful   *qc.NodeID              // loses its disk and rejoins; nil: nobody

	// Network.
	Latency       Latency
	Bandwidth     qc.Ticks // bytes a second and link; 0: no bound
	Uplink        qc.Ticks // bytes a second that a replica sends over all its links; 0: no bound
	Loss          float64  // of a message
	Duplicate     float64
	Reorder       float64 // a message is overtaken by up to ReorderWithin
	ReorderWithin qc.Ticks
	DetectWithin  qc.Ticks // a lost connection is noticed within this time
	OneWayStaysUp bool     // a connection that is cut in one direction counts as up
	Partitions    Rate
	OneWay        Rate

	// Replicas.
	Crashes      Rate
	AllCrash     Rate // all at once: a power cut
	Pauses       Rate
	ClockSkew    int64 // nanoseconds: how far wall clocks are apart, both ways
	ClockSteps   Rate  // a wall clock is set to another skew
	SyncTime     qc.Ticks
	SlowSyncs    float64 // of writes take up to SlowSyncTime
	SlowSyncTime qc.Ticks
	DiskFailures Rate // a disk refuses writes for a while
	DiskLosses   Rate // the forgetful replica's disk is lost
	ReadFailures Rate // a disk refuses reads for a while
	ApplyTime    qc.Ticks
	SlowApplies  float64 // of blocks take up to SlowApplyTime
	SlowApply    qc.Ticks

	Clients Clients

	Snapshots node.KeeperConfig // when replicas take them, and what they keep of the log
	// SnapshotsApart has replicas take them at different heights, and Byzantine ones at every checkpoint: few offers are
	// alike, and the highest are a liar's.
	SnapshotsApart bool

	Devices  Devices  // real stores under the correct replicas, none of which may lose its disk; nil: the simulated disks alone
	Costs    *Costs   // what work costs; nil: nothing
	Events   int      // a run with more of them fails: it does not move on; at least eventsMax
	Observer Observer // may be nil
}

// Rate is how often a fault comes and how long it stays.
type Rate struct {
	Every qc.Ticks // mean; 0: never
	For   qc.Ticks // mean
}

// Latency is how long messages travel: a time for each pair of replicas, and jitter for each message.
type Latency struct {
	Min, Max qc.Ticks
	Jitter   qc.Ticks
	Matrix   [][]qc.Ticks // the times themselves, by sender and receiver; nil: drawn from Min to Max
}

func (l Latency) matrix(n int, r *rand.Rand) [][]qc.Ticks {
	if l.Matrix != nil {
		return l.Matrix
	}
	m := make([][]qc.Ticks, n)
	for i := range m {
		m[i] = make([]qc.Ticks, n)
	}
	for i := range n {
		for j := range i {
			m[i][j] = between(r, l.Min, l.Max)
			m[j][i] = m[i][j]
		}
	}
	return m
}

// Clients is the load.
type Clients struct {
	Count    int
	After    qc.Ticks // they begin within 100 ms from here
	Pipeline int      // requests of one connection under way
	Think    qc.Ticks // mean time between requests
	Open     bool     // requests come whether or not earlier ones were answered
	KeyValue bool     // on the key-value store, with a history to be linearized; else on the log
	Reads    float64  // share of requests that read
	Sessions int      // clients that have each command executed once, and send it again until they know its result; on the log
	Bytes    int      // of a command, about
	Steady   bool     // client i stays with the i-th correct replica and asks for one command of just so many Bytes each time
}

// Calm is n replicas without faults under a light load.
func Calm(seed uint64, n int) Config {
	return Config{
		Seed: seed, Nodes: n, Leaders: config.LeadersRoundRobin, Duration: 10 * qc.TicksPerSecond,
		Limits:    config.DefaultLimits(n),
		Pacemaker: config.Pacemaker{BaseTimeout: 100 * time.Millisecond, MaxTimeout: 2 * time.Second, Heartbeat: time.Second, MinView: 6 * time.Millisecond},
		Mempool:   config.Mempool{BatchBytes: 16 << 10, BatchDelay: 2 * time.Millisecond, PendingBytes: 1 << 20, PeerBytes: 4 << 20},
		Latency:   Latency{Min: 2, Max: 10, Jitter: 2}, DetectWithin: 5 * qc.TicksPerSecond, SyncTime: 10, ApplyTime: 1,
		Clients:   Clients{Count: 2, Pipeline: 1, Think: qc.TicksPerSecond, Bytes: 16},
		Snapshots: node.KeeperConfig{Bytes: 1 << 40},
	}
}

// Mixed is the run of a seed: its size, schedule, load and faults are drawn from it.
func Mixed(seed uint64) Config {
	r := newRandom(seed).config
	c := Calm(seed, 4+r.IntN(10))
	if r.IntN(2) == 0 {
		c.Nodes = 4
	}
	c.Limits = config.DefaultLimits(c.Nodes)
	c.Codec = r.IntN(8) == 0
	if r.IntN(2) == 0 {
		c.Leaders = config.LeadersReputation
		c.Limits.ReputationWindow = uint32(1 + r.IntN(2*c.Nodes))
	}
	c.Duration = qc.Ticks(1+r.IntN(6)) * qc.TicksPerSecond
	c.StartWithin = qc.Ticks(r.IntN(3)) * 3000
	c.tighten(r)
	c.Limits.CheckpointInterval = 1 + qc.Height(seed%16)
	c.network(r)
	c.troubles(r)
	c.load(r)
	c.corrupt(r)
	if !c.Clients.KeyValue {
		c.Clients.Sessions = int(seed % 4)
		c.Limits.SessionsMax = 2 + uint32(seed%5)
	}
	if r.IntN(6) == 0 { // as much load, and many more faults and views
		c.Duration *= 17
		c.Clients.Think *= 17
	}
	c.forget()
	c.prune()
	return c
}

// prune has replicas take snapshots every few checkpoints and keep little log. It is drawn by the seed alone, so that it
// changes no other draw.
func (c *Config) prune() {
	if c.Seed%5 < 3 {
		c.Snapshots = node.KeeperConfig{Bytes: 16 << 10 << (c.Seed / 5 % 4), Retain: qc.Height(c.Seed / 20 % 3 * 10)}
	}
}

// tighten draws limits so small that runs come to their edges.
func (c *Config) tighten(r *rand.Rand) {
	if r.IntN(2) == 0 {
		c.Limits.BlockBatchesMax = uint32(1 + r.IntN(8))
		c.Limits.BatchBytesMax = 2048
		c.Limits.BlockBytesMax = 2048 * uint64(1+r.IntN(4))
		c.Limits.ExpiryDistanceMax = qc.Height(8 + r.IntN(60))
		c.Mempool.BatchBytes = 128 + r.IntN(1024)
		c.Mempool.PendingBytes = 2048 + r.IntN(8192)
		c.Mempool.PeerBytes = 16<<10 + r.IntN(64<<10)
	}
	c.Pacemaker.Heartbeat = time.Duration(50+r.IntN(1000)) * time.Millisecond
	c.Pacemaker.BaseTimeout = time.Duration(20+r.IntN(100)) * time.Millisecond
	c.Limits.ClockSkewMax = time.Duration(100+r.IntN(2000)) * time.Millisecond
}

func (c *Config) network(r *rand.Rand) {
	switch r.IntN(3) {
	case 0: // one rack
		c.Latency = Latency{Min: 1, Max: 3, Jitter: 1}
		c.Pacemaker.MaxTimeout = time.Duration(300+r.IntN(1700)) * time.Millisecond
	case 1: // a few cities
		c.Latency = Latency{Min: 10, Max: 200, Jitter: 20}
		c.Pacemaker.MaxTimeout = time.Duration(500+r.IntN(1500)) * time.Millisecond
	case 2: // the globe, slower than the base timeout
		c.Latency = Latency{Min: 200, Max: 1500, Jitter: 300}
	}
	if r.IntN(6) == 0 {
		c.Codec = true
		c.Bandwidth = qc.Ticks(100_000 + r.IntN(2_000_000))
	}
	if r.IntN(2) == 0 {
		c.Loss = r.Float64() * 0.2
		c.Duplicate = r.Float64() * 0.1
		c.Reorder = r.Float64() * 0.3
		c.ReorderWithin = qc.Ticks(1 + r.IntN(3000))
	}
	if r.IntN(2) == 0 {
		c.Partitions = Rate{Every: qc.Ticks(2000 + r.IntN(30_000)), For: qc.Ticks(1000 + r.IntN(10_000))}
	}
	if r.IntN(3) == 0 {
		c.OneWay = Rate{Every: qc.Ticks(2000 + r.IntN(20_000)), For: qc.Ticks(1000 + r.IntN(10_000))}
	}
	c.OneWayStaysUp = r.IntN(2) == 0
	c.DetectWithin = qc.Ticks(300 + r.IntN(50_000))
}

func (c *Config) troubles(r *rand.Rand) {
	if r.IntN(3) > 0 {
		c.Crashes = Rate{Every: qc.Ticks(1000 + r.IntN(15_000)), For: qc.Ticks(200 + r.IntN(10_000))}
	}
	if r.IntN(6) == 0 {
		c.AllCrash = Rate{Every: qc.Ticks(5000 + r.IntN(20_000)), For: qc.Ticks(100 + r.IntN(3000))}
	}
	if r.IntN(3) == 0 {
		c.Pauses = Rate{Every: qc.Ticks(2000 + r.IntN(10_000)), For: qc.Ticks(100 + r.IntN(5000))}
	}
	if r.IntN(3) == 0 {
		c.ClockSkew = r.Int64N(3 * int64(c.Limits.ClockSkewMax) / 2)
		c.ClockSteps = Rate{Every: qc.Ticks(2000 + r.IntN(20_000)), For: 1}
	}
	c.SyncTime = qc.Ticks(1 + r.IntN(30))
	if r.IntN(3) == 0 {
		c.SlowSyncs, c.SlowSyncTime = r.Float64()*0.2, qc.Ticks(100+r.IntN(2000))
	}
	if r.IntN(6) == 0 {
		c.DiskFailures = Rate{Every: qc.Ticks(5000 + r.IntN(20_000)), For: qc.Ticks(500 + r.IntN(5000))}
	}
	if r.IntN(6) == 0 {
		c.ReadFailures = Rate{Every: qc.Ticks(5000 + r.IntN(20_000)), For: qc.Ticks(500 + r.IntN(5000))}
	}
	if r.IntN(4) == 0 {
		c.SlowApplies, c.SlowApply = r.Float64()*0.3, qc.Ticks(100+r.IntN(5000))
	}
}

func (c *Config) load(r *rand.Rand) {
	c.Clients = Clients{Count: 1 + r.IntN(5), Pipeline: 1 + r.IntN(8), Think: qc.Ticks(10 + r.IntN(3000)), Open: r.IntN(4) == 0,
		KeyValue: r.IntN(3) == 0, Reads: r.Float64() * 0.5, Bytes: 8 + r.IntN(200)}
	if c.Clients.KeyValue {
		c.Clients.Pipeline, c.Clients.Open = 1, false // histories of many operations at once cannot be decided
	}
}

// corrupt makes up to f replicas dead or Byzantine.
func (c *Config) corrupt(r *rand.Rand) {
	f := (c.Nodes - 1) / 3
	if r.IntN(3) == 0 {
		return
	}
	ids := r.Perm(c.Nodes)[:1+r.IntN(f)]
	c.Byzantine = make(map[qc.NodeID]Behaviors)
	for _, id := range ids {
		if r.IntN(5) == 0 {
			c.Dead = append(c.Dead, qc.NodeID(id))
			continue
		}
		c.Byzantine[qc.NodeID(id)] = drawBehaviors(r)
	}
}
