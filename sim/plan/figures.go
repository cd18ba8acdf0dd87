package plan

import (
	"cmp"
	"slices"
	"time"

	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/sim"
)

// Report is what was seen. Times are milliseconds, rates are a second, and shares are from 0 to 1.
type Report struct {
	Nodes     int     `json:"nodes"`
	Sites     int     `json:"sites"` // that have a replica
	Source    string  `json:"latency"`
	Dead      []int   `json:"dead"`
	Faults    int     `json:"faults_max"` // f
	Quorum    int     `json:"quorum"`
	Seed      uint64  `json:"seed"`
	Seconds   float64 `json:"seconds"`
	Rate      int     `json:"rate"`
	Bytes     int     `json:"command_bytes"`
	Leaders   string  `json:"leaders"`
	Bandwidth int     `json:"bandwidth_mbits"`
	Cores     int     `json:"cores"`

	Costs map[string]string `json:"costs"`

	Overloaded bool `json:"overloaded"` // the load was not worked off two minutes after it ended

	Commands Commands  `json:"commands"`
	Blocks   Blocks    `json:"blocks"`
	Views    Views     `json:"views"`
	Traffic  []Traffic `json:"messages"` // by kind, the most bytes first
	BySite   []Site    `json:"by_site"`
	ByNode   []Node    `json:"by_node"`

	o *Options
	w *watch
}

// Percentiles are of times in milliseconds.
type Percentiles struct {
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
	N   int     `json:"n"`
}

// Commands is what became of clients' commands.
type Commands struct {
	Answered  int         `json:"answered"`
	Refused   int         `json:"refused"` // turned away: the replica had too much to do
	PerSecond float64     `json:"per_second"`
	Latency   Percentiles `json:"latency_ms"` // from asking to the answer, both at the client's replica
}

// Blocks is what was committed.
type Blocks struct {
	Committed int         `json:"committed"`
	PerSecond float64     `json:"per_second"`
	Commands  float64     `json:"commands_per_block"`
	Latency   Percentiles `json:"latency_ms"` // from a proposal's leaving to its being applied, at every replica
}

// Views is how time passed.
type Views struct {
	Entered   int     `json:"entered"`
	PerSecond float64 `json:"per_second"`
	TimedOut  int     `json:"timed_out"` // most replicas left them by a timeout certificate
	Changes   int     `json:"changes"`   // times that a replica left a view so
	Fewest    int     `json:"fewest_led"`
	Most      int     `json:"most_led"` // committed blocks of one live replica
}

// Traffic is the messages of one kind.
type Traffic struct {
	Kind           string  `json:"kind"`
	Messages       int64   `json:"messages"`
	Bytes          int64   `json:"bytes"`
	PerBlock       float64 `json:"messages_per_block"`
	BytesPerBlock  float64 `json:"bytes_per_block"`
	BytesPerSecond float64 `json:"bytes_per_second"`
}

// Site is what clients of one place saw.
type Site struct {
	Name    string      `json:"name"`
	Nodes   int         `json:"nodes"`
	Dead    int         `json:"dead"`
	Latency Percentiles `json:"latency_ms"`
}

// Node is what one replica had to do.
type Node struct {
	ID       int     `json:"id"`
	Site     string  `json:"site"`
	Dead     bool    `json:"dead"`
	Led      int     `json:"led"` // committed blocks
	Sent     float64 `json:"sent_bytes_per_second"`
	Received float64 `json:"received_bytes_per_second"`
	Messages float64 `json:"messages_sent_per_second"`
	Loop     float64 `json:"loop_busy"`
	Workers  float64 `json:"workers_busy"`
}

// report makes figures of what was noted.
func (w *watch) report(at []int, dead []qc.NodeID) *Report {
	o := w.o
	r := &Report{Nodes: o.Nodes, Sites: min(o.Nodes, len(o.Sites.Names)), Source: o.Sites.Source,
		Faults: (o.Nodes - 1) / 3, Seed: o.Seed, Seconds: o.Duration.Seconds(), Rate: o.Rate, Bytes: o.Bytes,
		Leaders: o.Leaders, Bandwidth: o.Bandwidth, Cores: o.Cores, Costs: make(map[string]string), Dead: []int{}, o: o, w: w}
	r.Quorum = (o.Nodes + r.Faults + 2) / 2
	for _, id := range dead {
		r.Dead = append(r.Dead, int(id))
	}
	for _, l := range o.Costs.lines() {
		r.Costs[l.key] = l.value.String()
	}
	loaded := max(1, r.Seconds-loadAfter.Seconds())
	r.Commands = Commands{Answered: len(w.answers), Refused: w.refused, PerSecond: float64(len(w.answers)) / loaded,
		Latency: w.latencies(func(answer) bool { return true })}
	committed := len(w.commits) - 1
	r.Blocks = Blocks{Committed: committed, PerSecond: float64(committed) / r.Seconds, Latency: percentiles(w.applied)}
	for _, c := range w.commits {
		r.Blocks.Commands += float64(c.commands) / float64(max(1, r.Blocks.Committed))
	}
	r.nodes(at, dead)
	r.views()
	r.traffic()
	r.sites(at)
	return r
}

func (w *watch) latencies(of func(answer) bool) Percentiles {
	var took []qc.Ticks
	for _, a := range w.answers {
		if of(a) {
			took = append(took, a.took)
		}
	}
	return percentiles(took)
}

// percentiles sorts times, and returns the nearest ranks.
func percentiles(times []qc.Ticks) (p Percentiles) {
	if len(times) == 0 {
		return p
	}
	slices.Sort(times)
	rank := func(share float64) float64 {
		return milliseconds(times[max(0, int(share*float64(len(times))+0.999999)-1)])
	}
	return Percentiles{P50: rank(0.5), P90: rank(0.9), P99: rank(0.99), Max: rank(1), N: len(times)}
}

func milliseconds(t qc.Ticks) float64 { return float64(duration(t)) / float64(time.Millisecond) }

func (r *Report) nodes(at []int, dead []qc.NodeID) {
	for id := range r.o.Nodes {
		n, seconds := r.w.nodes[id], r.Seconds
		u := sim.Usage{}
		if r.w.usage != nil {
			u = r.w.usage[id]
		}
		r.ByNode = append(r.ByNode, Node{ID: id, Site: r.o.Sites.Names[at[id]], Dead: slices.Contains(dead, qc.NodeID(id)),
			Sent: float64(n.sent.Bytes) / seconds, Received: float64(n.received.Bytes) / seconds,
			Messages: float64(n.sent.Messages) / seconds, Loop: u.Loop.Seconds() / seconds,
			Workers: u.Workers.Seconds() / seconds / float64(max(1, r.o.Cores-1))})
	}
	for _, v := range r.w.views {
		if v.committed {
			r.ByNode[v.leader].Led++
		}
	}
}

func (r *Report) views() {
	v := &r.Views
	for i, n := range r.w.views {
		if n.entered == 0 || i == 0 {
			continue
		}
		v.Entered++
		v.Changes += n.byTimeouts
		if n.byTimeouts*2 > n.entered {
			v.TimedOut++
		}
	}
	v.PerSecond = float64(v.Entered) / r.Seconds
	first := true
	for _, n := range r.ByNode {
		if n.Dead {
			continue
		}
		if first || n.Led < v.Fewest {
			v.Fewest = n.Led
		}
		v.Most = max(v.Most, n.Led)
		first = false
	}
}

func (r *Report) traffic() {
	blocks := float64(max(1, r.Blocks.Committed))
	for k, t := range r.w.kinds {
		if t.Messages > 0 {
			r.Traffic = append(r.Traffic, Traffic{Kind: sim.Kind(k).String(), Messages: t.Messages, Bytes: t.Bytes,
				PerBlock: float64(t.Messages) / blocks, BytesPerBlock: float64(t.Bytes) / blocks,
				BytesPerSecond: float64(t.Bytes) / r.Seconds})
		}
	}
	slices.SortStableFunc(r.Traffic, func(a, b Traffic) int { return cmp.Compare(b.Bytes, a.Bytes) })
}

func (r *Report) sites(at []int) {
	for i := range r.Sites {
		s := Site{Name: r.o.Sites.Names[i], Latency: r.w.latencies(func(a answer) bool { return at[a.node] == i })}
		for id, n := range r.ByNode {
			if at[id] == i {
				s.Nodes++
				if n.Dead {
					s.Dead++
				}
			}
		}
		r.BySite = append(r.BySite, s)
	}
}
