package sim_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/hotstuffd/hotstuffd/config"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/sim"
)

// placement is where f of n replicas are faulty.
type placement struct {
	name string
	ids  []qc.NodeID
}

// placements are all in a row; as far from each other as can be, so that but one run of live leaders has three; and
// drawn.
func placements(n, drawn int) []placement {
	f := (n - 1) / 3
	row, spread := placement{name: "in a row"}, placement{name: "spread"}
	for i := range f {
		row.ids = append(row.ids, qc.NodeID(n-1-i))
		spread.ids = append(spread.ids, qc.NodeID(i*n/f))
	}
	out := []placement{row, spread}
	for seed := range uint64(drawn) {
		p := placement{name: fmt.Sprintf("drawn by %d", seed)}
		for _, id := range rand.New(rand.NewPCG(seed, uint64(n))).Perm(n)[:f] {
			p.ids = append(p.ids, qc.NodeID(id))
		}
		out = append(out, p)
	}
	return out
}

// sizes are the numbers of replicas that are tried: all small ones, and each f up to 10; in everybody's run some.
func sizes() []int {
	return ofCampaign([]int{4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 16, 19, 22, 25, 28, 31}, []int{4, 5, 7, 10})
}

// schedules are the leader schedules. With a fixed leader only the others may be faulty: it is for tests, and n0
// leads.
var schedules = []string{config.LeadersRoundRobin, config.LeadersReputation, config.LeadersFixed}

// liveRun is a configuration in which nothing goes wrong but that some replicas are faulty.
type liveRun struct {
	name string
	sim.Config
}

// faulty returns runs of each size, placement and schedule, with the faulty replicas dead (0) or Byzantine as behaves
// says.
func faulty(sizes []int, drawn int, behaves sim.Behaviors) (runs []liveRun) {
	for _, n := range sizes {
		for _, p := range placements(n, drawn) {
			for _, leaders := range schedules {
				if leaders == config.LeadersFixed && slices.Contains(p.ids, 0) {
					continue
				}
				c := sim.Calm(uint64(n), n)
				c.Latency = sim.Latency{Min: 5, Max: 100, Jitter: 20} // replicas enter and leave views apart
				c.Duration, c.Clients.Think, c.Leaders = 3*qc.TicksPerSecond, qc.TicksPerSecond/10, leaders
				if behaves == 0 {
					c.Dead = p.ids
				} else {
					c.Byzantine = map[qc.NodeID]sim.Behaviors{}
					for _, id := range p.ids {
						c.Byzantine[id] = behaves
					}
				}
				runs = append(runs, liveRun{fmt.Sprintf("n=%d, %d faulty %s, %s", n, len(p.ids), p.name, leaders), c})
			}
		}
	}
	return runs
}

// rotate plays runs, and fails for each that is longer without a commit than it may be.
func rotate(t *testing.T, runs []liveRun) {
	t.Helper()
	most := make(map[int][2]uint64) // by size: without a commit, and the bound
	began := time.Now()
	var total sim.Counts
	play(len(runs), func(i int) sim.Config { return runs[i].Config }, func(i int, r sim.Result) bool {
		limit := uint64(runs[i].ViewsMax())
		if r.Failure != nil || r.Counts.LongestGap > limit || r.Counts.Commits < 3 {
			t.Errorf("%s: %d commits, %d views without one, want at most %d; %v",
				runs[i].name, r.Counts.Commits, r.Counts.LongestGap, limit, r.Failure)
		}
		n := runs[i].Nodes
		most[n] = [2]uint64{max(most[n][0], r.Counts.LongestGap), max(most[n][1], limit)}
		total.Add(r.Counts)
		return true
	})
	for _, n := range slices.Sorted(maps.Keys(most)) {
		t.Logf("n=%d: at most %d views from one commit to the next; the bound is %d", n, most[n][0], most[n][1])
	}
	summary(t, "runs", len(runs), total, began)
}

// TestDeadLeaders: with any f replicas dead, blocks commit in every rotation (L1, L15).
func TestDeadLeaders(t *testing.T) {
	rotate(t, append(faulty(sizes(), ofCampaign(2, 1), 0), faulty(ofCampaign(nil, []int{31}), 0, 0)...))
}

// TestEarlyTimeouts: f replicas that vote to nobody and time out at once, with empty timeouts, do not keep blocks
// from committing in every rotation (L14).
func TestEarlyTimeouts(t *testing.T) {
	rotate(t, faulty(sizes(), ofCampaign(2, 1), sim.EarlyTimeout|sim.WithholdVote|sim.Swallow))
}

// TestHostileLeaders: neither do f replicas that time out at once as well, vote when it suits them, and propose: to
// some, two blocks, blocks on old certificates, or late (L14). A commit comes in every second rotation at the least.
func TestHostileLeaders(t *testing.T) {
	for _, h := range []struct {
		name    string
		behaves sim.Behaviors
	}{
		{"to some", sim.WithholdProposal | sim.WithholdCert | sim.WithholdVote | sim.EarlyTimeout},
		{"two blocks", sim.Equivocate | sim.WithholdCert | sim.WithholdVote | sim.EarlyTimeout},
		{"anything", sim.ForgeProposal | sim.Swallow | sim.StaleCert | sim.WithholdVote | sim.EarlyTimeout},
		{"late", sim.Dawdle | sim.WithholdCert | sim.WithholdVote | sim.EarlyTimeout},
	} {
		t.Run(h.name, func(t *testing.T) { rotate(t, faulty(sizes(), ofCampaign(1, 0), h.behaves)) })
	}
}

// TestThirdCertificateIsRebuilt is the attack for which votes travel in timeouts, count after their view was left,
// and are released by whoever leaves a view by others' timeouts (L14; PROTOCOL §3). The Byzantine replicas stand so
// that one run of live leaders has three, and the others two. After the third of the three one of them takes the
// votes and gives nothing, and all time out at once, with empty timeouts. f correct replicas, the late ones, hear the
// third leader so late that the timeouts of the other f+1 and of the Byzantine ones are a certificate before they
// have signed theirs; and they hear the Byzantine ones too late to join. So there are but f+1 votes in timeouts, and
// f to be released.
func TestThirdCertificateIsRebuilt(t *testing.T) {
	var runs []liveRun
	for _, n := range ofCampaign([]int{4, 7, 10, 13, 16, 19, 22, 25, 28, 31}, []int{4, 7, 10, 31}) {
		c := sim.Calm(uint64(n), n)
		c.Pacemaker.MaxTimeout = c.Pacemaker.BaseTimeout // the same for all, always
		c.Byzantine = map[qc.NodeID]sim.Behaviors{}
		f, isLate := (n-1)/3, make([]bool, n)
		for i := range f {
			c.Byzantine[qc.NodeID(3*i+3)] = sim.EarlyTimeout | sim.WithholdVote | sim.Swallow
			isLate[3*i+1] = true
		}
		timeout := qc.Ticks(c.Pacemaker.BaseTimeout.Seconds() * float64(qc.TicksPerSecond))
		c.Latency = sim.Latency{Jitter: 1, Matrix: make([][]qc.Ticks, n)}
		for from := range n {
			c.Latency.Matrix[from] = slices.Repeat([]qc.Ticks{10}, n)
			for to := range n {
				switch {
				case isLate[to] && from == 2:
					c.Latency.Matrix[from][to] = timeout / 2
				case isLate[to] && c.Byzantine[qc.NodeID(from)] != 0:
					c.Latency.Matrix[from][to] = timeout * 2
				}
			}
		}
		c.Duration, c.Clients.Think = 5*qc.TicksPerSecond, qc.TicksPerSecond/10
		runs = append(runs, liveRun{fmt.Sprintf("n=%d", n), c})
	}
	rotate(t, runs)
}

// TestCommitAfterFaults: when partitions, lost messages and crashes end, a commit follows within a number of views,
// however short timeouts have been, with f replicas dead or Byzantine (L7).
func TestCommitAfterFaults(t *testing.T) {
	var runs []liveRun
	for _, n := range ofCampaign([]int{4, 7, 10, 13, 31}, []int{4, 7, 13}) {
		for seed := range ofCampaign(6, 3) {
			for _, behaves := range []sim.Behaviors{
				0,
				sim.EarlyTimeout | sim.WithholdVote | sim.Swallow,
				sim.EarlyTimeout | sim.WithholdVote | sim.WithholdCert | sim.WithholdProposal,
				sim.Equivocate | sim.WithholdVote | sim.WithholdCert,
			} {
				for _, r := range faulty([]int{n}, 0, behaves) {
					c := &r.Config
					c.Seed = uint64(1000*n + seed)
					c.Latency = sim.Latency{Min: 10, Max: []qc.Ticks{30, 300, 1500}[seed%3], Jitter: 30}
					c.Pacemaker.BaseTimeout, c.Pacemaker.Heartbeat = 20*time.Millisecond, 200*time.Millisecond
					c.Loss, c.Crashes = 0.1, sim.Rate{Every: 5000, For: 2000}
					c.Partitions, c.OneWay = sim.Rate{Every: 10_000, For: 5000}, sim.Rate{Every: 10_000, For: 5000}
					c.Duration = 2 * qc.TicksPerSecond
					runs = append(runs, r)
				}
			}
		}
	}
	most := make(map[int][2]uint64)
	began := time.Now()
	var total sim.Counts
	play(len(runs), func(i int) sim.Config { return runs[i].Config }, func(i int, r sim.Result) bool {
		if r.Failure != nil { // the run itself keeps the bound
			t.Errorf("%s, seed %d: %v", runs[i].name, runs[i].Seed, r.Failure)
		}
		n := runs[i].Nodes
		most[n] = [2]uint64{max(most[n][0], r.Counts.HealedViews), max(most[n][1], uint64(runs[i].HealedViewsMax()))}
		total.Add(r.Counts)
		return true
	})
	for _, n := range slices.Sorted(maps.Keys(most)) {
		t.Logf("n=%d: at most %d views from the end of the faults to a commit; the bound is %d", n, most[n][0], most[n][1])
	}
	summary(t, "runs", len(runs), total, began)
}

// TestIdleIsQuiet: with nothing to do, views pass by heartbeats alone: no view times out (PROTOCOL §5).
func TestIdleIsQuiet(t *testing.T) {
	for n := 4; n <= 13; n++ {
		c := sim.Calm(uint64(n), n)
		c.Clients.Count, c.Duration = 0, 30*qc.TicksPerSecond
		r := sim.Run(c, nil)
		// While connections come up, each replica may leave a view or two by a timeout.
		if r.Failure != nil || r.Counts.ViewChanges > uint64(2*n) || r.Counts.Commits < 20 {
			t.Errorf("n=%d: %d view changes, %d commits, %v", n, r.Counts.ViewChanges, r.Counts.Commits, r.Failure)
		}
	}
}

// TestLoneCommands: a command that comes alone is answered after some message delays, long before a heartbeat or a
// timeout (L8, L9).
func TestLoneCommands(t *testing.T) {
	for n := 4; n <= 13; n++ {
		c := sim.Calm(uint64(n), n)
		c.Clients.Count, c.Clients.Pipeline, c.Clients.Think, c.Duration = 1, 1, qc.TicksPerSecond, 30*qc.TicksPerSecond
		c.Clients.After = qc.TicksPerSecond / 2 // when all connections are up
		r := sim.Run(c, nil)
		if r.Failure != nil || r.Counts.Requests < 15 || r.Counts.SlowestAnswer > qc.TicksPerSecond/20 {
			t.Errorf("n=%d: the slowest of %d answers took %d ticks, %v", n, r.Counts.Requests, r.Counts.SlowestAnswer, r.Failure)
		}
	}
}

// TestSlowNetworkAndDeadLeader: where messages take longer than the base timeout and one leader is dead, the backoff
// grows until views last long enough, although certificates come between the timeouts (L7). It used to shrink with
// each of them, and nothing committed for minutes.
func TestSlowNetworkAndDeadLeader(t *testing.T) {
	for seed := uint64(1); seed <= 12; seed++ {
		c := sim.Calm(seed, 4)
		c.Latency = sim.Latency{Min: 200, Max: 1500, Jitter: 300}
		c.Pacemaker.BaseTimeout, c.Pacemaker.Heartbeat = 60*time.Millisecond, 60*time.Millisecond
		c.Dead, c.Duration = []qc.NodeID{qc.NodeID(seed % 4)}, 20*qc.TicksPerSecond
		if r := sim.Run(c, nil); r.Failure != nil || r.Counts.LongestGap > 40 {
			t.Errorf("seed %d: at most %d views between two commits, %v", seed, r.Counts.LongestGap, r.Failure)
		}
	}
}
