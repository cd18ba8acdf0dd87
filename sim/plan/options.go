package plan

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/hotstuffd/hotstuffd/config"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/sim"
)

// Options is a deployment, its load, and for how long it is watched.
type Options struct {
	Nodes     int
	Sites     Sites
	Faults    int // replicas that are dead all the time; which ones is drawn from the seed
	Seed      uint64
	Duration  time.Duration
	Rate      int // commands a second, over all live replicas
	Bytes     int // of a command
	Leaders   string
	Bandwidth int // megabits a second that each replica can send
	Cores     int // of each replica: one runs the loop, the others check and send
	Costs     Costs
	// BaseTimeout is the setting pacemaker.base_timeout of every replica; 0: four times the longest way between two sites,
	// and no less than the default of the daemon.
	BaseTimeout time.Duration

	// Progress is told, now and then, how much of Duration is over. It may be nil.
	Progress func(share float64)
}

// DefaultOptions is 100 replicas in the cloud without a fault, with the settings that the daemon has by default.
func DefaultOptions() Options {
	return Options{Nodes: 100, Sites: AWS(), Seed: 1, Duration: time.Minute, Rate: 200, Bytes: 64,
		Leaders: config.LeadersReputation, Bandwidth: 1000, Cores: 4, Costs: DefaultCosts()}
}

// Bounds of Options.
const (
	nodesMin, nodesMax       = 4, 128
	durationMin, durationMax = 2 * time.Second, time.Hour
	rateMax                  = 1_000_000
	bytesMin, bytesMax       = 8, 64 << 10
	coresMax                 = 1024
	bandwidthMax             = 1_000_000
)

// Check returns a *config.UserError that names the flag of the first value that cannot be.
func (o *Options) Check() error {
	f := (o.Nodes - 1) / 3
	switch {
	case o.Nodes < nodesMin || o.Nodes > nodesMax:
		return config.Errorf("--nodes = %d: want %d to %d", o.Nodes, nodesMin, nodesMax)
	case o.Faults < 0 || o.Faults > f:
		return config.Errorf("--faults = %d: %d nodes bear 0 to %d", o.Faults, o.Nodes, f)
	case o.Duration < durationMin || o.Duration > durationMax:
		return config.Errorf("--duration = %s: want %s to %s", o.Duration, durationMin, durationMax)
	case o.Rate < 0 || o.Rate > rateMax:
		return config.Errorf("--rate = %d: want 0 to %d commands a second", o.Rate, rateMax)
	case o.Bytes < bytesMin || o.Bytes > bytesMax:
		return config.Errorf("--bytes = %d: want %d to %d", o.Bytes, bytesMin, bytesMax)
	case o.Leaders != config.LeadersRoundRobin && o.Leaders != config.LeadersReputation:
		return config.Errorf("--leaders = %q: want %s or %s", o.Leaders, config.LeadersRoundRobin, config.LeadersReputation)
	case o.Cores < 1 || o.Cores > coresMax:
		return config.Errorf("--cores = %d: want 1 to %d", o.Cores, coresMax)
	case o.Bandwidth < 1 || o.Bandwidth > bandwidthMax:
		return config.Errorf("--bandwidth = %d: want 1 to %d Mbit/s", o.Bandwidth, bandwidthMax)
	case o.BaseTimeout != 0 && (o.BaseTimeout < time.Millisecond || o.BaseTimeout > config.Default().Pacemaker.MaxTimeout):
		return config.Errorf("--base-timeout = %s: want 1ms to %s", o.BaseTimeout, config.Default().Pacemaker.MaxTimeout)
	}
	return nil
}

// loadAfter is when clients begin: connections and first timeouts are over by then in most networks.
const loadAfter = time.Second

// dead draws which replicas are.
func (o *Options) dead() (ids []qc.NodeID) {
	const stream = 1000 // apart from the simulator's own
	for _, i := range rand.New(rand.NewPCG(o.Seed, stream)).Perm(o.Nodes)[:o.Faults] {
		ids = append(ids, qc.NodeID(i))
	}
	slices.Sort(ids)
	return ids
}

// pacemaker is the replicas' settings. The base timeout follows the times that views take only as long as these take less
// than half of it: so it must be right from the start.
func (o *Options) pacemaker() config.Pacemaker {
	p := config.Default().Pacemaker
	if o.BaseTimeout != 0 {
		p.BaseTimeout = o.BaseTimeout
		return p
	}
	const round = 50 * time.Millisecond
	for _, row := range o.Sites.OneWay {
		p.BaseTimeout = max(p.BaseTimeout, (4*slices.Max(row)+round-1)/round*round)
	}
	p.BaseTimeout = min(p.BaseTimeout, p.MaxTimeout)
	return p
}

// config is the run that answers the question.
func (o *Options) config(at []int, dead []qc.NodeID) sim.Config {
	costs := o.Costs.Costs
	costs.Workers = max(1, o.Cores-1)
	c := sim.Calm(o.Seed, o.Nodes)
	c.Leaders, c.Dead, c.Duration = o.Leaders, dead, ticks(o.Duration)
	c.Pacemaker, c.Mempool = o.pacemaker(), config.Default().Mempool
	c.Latency = sim.Latency{Matrix: o.Sites.matrix(at), Jitter: ticks(o.Sites.Jitter)}
	c.Uplink = qc.Ticks(o.Bandwidth) * 1_000_000 / 8
	c.SyncTime, c.ApplyTime = max(1, ticks(o.Costs.Sync)), 1
	c.Costs, c.Events = &costs, math.MaxInt
	c.Clients = sim.Clients{After: ticks(loadAfter), Open: true, Steady: true, Bytes: o.Bytes}
	if live := o.Nodes - len(dead); o.Rate > 0 {
		c.Clients.Count = min(live, o.Rate)
		c.Clients.Think = max(1, qc.TicksPerSecond*qc.Ticks(c.Clients.Count)/qc.Ticks(o.Rate))
	}
	return c
}

// Run plays the deployment and returns what was seen. The same options give the same report.
// Expected errors: *config.UserError for options that cannot be; *sim.Failure, which is a fault of the engine.
func Run(o Options) (*Report, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	at, dead := o.Sites.place(o.Nodes), o.dead()
	w := newWatch(&o)
	c := o.config(at, dead)
	c.Observer = w
	result := sim.Run(c, nil)
	if w.overloaded(result.Failure) {
		r := w.report(at, dead)
		r.Overloaded = true
		return r, nil
	}
	if result.Failure != nil {
		return nil, fmt.Errorf("the run broke a rule of docs/guarantees.md, which is a fault of the engine: %w", result.Failure)
	}
	return w.report(at, dead), nil
}

// overloaded tells whether a run failed only because its load could not be worked off in the time that the simulator gives
// for that, after the load has ended: clients had by far not all their answers when it did.
func (w *watch) overloaded(err error) bool {
	var failure *sim.Failure
	if !errors.As(err, &failure) || failure.Rule != "L7" || failure.At <= ticks(w.o.Duration) {
		return false
	}
	asked := float64(w.o.Rate) * (w.o.Duration - loadAfter).Seconds()
	return float64(len(w.answers)) < asked/2
}

// Watch plays any run, and tells what was seen of it: its sites are not known, so all replicas are at one. lines gets each
// event in words.
func Watch(c sim.Config, lines func(string)) (sim.Result, *Report) {
	o := Options{Nodes: c.Nodes, Faults: len(c.Dead), Seed: c.Seed, Duration: duration(c.Duration), Bytes: c.Clients.Bytes,
		Leaders: c.Leaders, BaseTimeout: c.Pacemaker.BaseTimeout, Cores: 1,
		Sites: Sites{Names: []string{"all"}, OneWay: [][]time.Duration{{0}}, Source: "as the seed draws it"}}
	w := newWatch(&o)
	c.Observer = w
	result := sim.Run(c, lines)
	return result, w.report(o.Sites.place(c.Nodes), c.Dead)
}
