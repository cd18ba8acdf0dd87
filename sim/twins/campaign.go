package twins

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/hotstuffd/hotstuffd/qc"
)

// Report is what a campaign has come to. The same scenarios give the same report, on any number of processors.
type Report struct {
	Run       int        // scenarios played
	Commits   int        // blocks committed, each once
	Early     int        // scenarios that commit before the tail
	Forks     int        // scenarios in which a certified block lost to another
	Restarts  int        // of twins, see doc.go
	Delivered int        // messages
	TailViews qc.View    // the most that passed until an honest replica had committed a block of the tail
	TailTime  qc.Ticks   // the most that passed until all had
	Digest    uint64     // of all committed chains
	Found     *Violation // that of the lowest index; then the counts mean nothing
}

// String tells the counts.
func (r Report) String() string {
	return fmt.Sprintf("%d played, %d blocks committed, %d with commits before the tail, %d with a certified block that lost, "+
		"%d restarts of twins, %d messages, at most %d views and %d ms to the tail's commits, digest %016x",
		r.Run, r.Commits, r.Early, r.Forks, r.Restarts, r.Delivered, r.TailViews, 1000*r.TailTime/qc.TicksPerSecond, r.Digest)
}

// chunk is how many scenarios a worker takes at a time: neighbours, which propose many of the same blocks.
const chunk = 256

// Run plays scenarios 0 to count−1 on all processors.
func Run(count int, scenario func(i int) *Scenario) Report {
	c := campaign{count: count, scenario: scenario}
	c.lowest.Store(int64(count))
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(c.work)
	}
	wg.Wait()
	if c.report.Found != nil {
		s := c.report.Found.Scenario
		c.report.Found = newWorld(s.Replicas).tell(s)
	}
	return c.report
}

type campaign struct {
	count    int
	scenario func(i int) *Scenario
	next     atomic.Int64 // the first index that nobody has taken
	lowest   atomic.Int64 // the lowest index that broke a rule: nothing above it need be played

	mu     sync.Mutex
	report Report
}

// work takes chunks in ascending order, so that whatever lies below the lowest violation was taken by somebody.
func (c *campaign) work() {
	worlds := map[int]*world{}
	var sum Report
	for {
		from := c.next.Add(chunk) - chunk
		if from >= c.lowest.Load() {
			break
		}
		for i := from; i < min(from+chunk, c.lowest.Load()); i++ {
			s := c.scenario(int(i))
			w := worlds[s.Replicas]
			if w == nil {
				w = newWorld(s.Replicas)
				worlds[s.Replicas] = w
			}
			if found := w.play(s); found != nil {
				c.found(i, found)
				break
			}
			sum.add(w)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report.merge(&sum)
}

func newWorld(n int) *world { return &world{fixture: newFixture(n)} }

func (c *campaign) found(i int64, v *Violation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i < c.lowest.Load() {
		c.lowest.Store(i)
		c.report.Found = v
	}
}

// add counts a run that broke no rule.
func (r *Report) add(w *world) {
	r.Run++
	r.Commits += len(w.chain) - 1
	if w.early > 0 {
		r.Early++
	}
	r.Restarts += w.restarts
	r.Delivered += w.delivered
	if w.forked() {
		r.Forks++
	}
	r.TailViews = max(r.TailViews, w.tailViews)
	r.TailTime = max(r.TailTime, w.tailTime)
	for _, id := range w.chain {
		r.Digest += mix(w.scenario.Number ^ binary.BigEndian.Uint64(id[:]))
	}
}

func (r *Report) merge(o *Report) {
	r.Run += o.Run
	r.Commits += o.Commits
	r.Early += o.Early
	r.Restarts += o.Restarts
	r.Delivered += o.Delivered
	r.Forks += o.Forks
	r.TailViews = max(r.TailViews, o.TailViews)
	r.TailTime = max(r.TailTime, o.TailTime)
	r.Digest += o.Digest
}
