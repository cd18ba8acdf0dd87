package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/hotstuffd/hotstuffd/cmd/internal/witness"
)

// Bounds. A cycle that misses one has failed.
const (
	healsWithin    = 20 * time.Second // from when all nodes run until each client was served
	agreesWithin   = 20 * time.Second // from when the clients are silent until all nodes agree
	checksWithin   = time.Minute      // for the reads of a check
	decidesWithin  = 20 * time.Second // for porcupine, for each key
	returnsWithin  = time.Minute      // for all nodes, after the last kill of all
	progressCycles = 5                // a line each so many
)

// trial is one run of the program.
type trial struct {
	o       options
	out     io.Writer
	began   time.Time
	cluster *cluster
	outage  *outage
	numbers [counters]*witness.Numbered
	writes  [writers]*witness.Writes

	cycles  int // that held
	checked witness.Checked
	present int // acknowledged writes that were found
}

func newTrial(o options, out io.Writer) *trial {
	t := &trial{o: o, out: out, began: time.Now(), outage: &outage{}}
	t.cluster = newCluster(o, t.outage)
	for i := range t.writes {
		t.writes[i] = &witness.Writes{Name: fmt.Sprint("w", i)}
	}
	return t
}

// run runs all cycles, and then kills and checks everything once more.
func (t *trial) run(ctx context.Context) error {
	fmt.Fprintf(t.out, "killtest: %d cycles, --seed %d, nodes in %s\n", t.o.cycles, t.o.seed, t.o.dir)
	if err := t.cluster.make(ctx); err != nil {
		return err
	}
	if err := t.cluster.do(step{action: start, nodes: everyone}); err != nil {
		return err
	}
	for number := 1; number <= t.o.cycles; number++ {
		p := newPlan(t.o.seed, number)
		if err := t.cycle(ctx, number, p); err != nil {
			return fmt.Errorf("cycle %d (%v): %w", number, p, err)
		}
		if t.cycles++; number%progressCycles == 0 {
			fmt.Fprintf(t.out, "%5.0fs  %s\n", time.Since(t.began).Seconds(), t.counts())
		}
	}
	if err := t.last(ctx); err != nil {
		return fmt.Errorf("after the last cycle: %w", err)
	}
	return nil
}

var everyone = []int{0, 1, 2, 3}

// cycle does what is planned, under load, and checks what came of it.
func (t *trial) cycle(ctx context.Context, number int, p plan) (err error) {
	random := rand.New(rand.NewPCG(t.o.seed, uint64(number)<<8))
	l := &load{cycle: number, cluster: t.cluster, history: witness.NewHistory(), outage: t.outage, numbers: &t.numbers, writes: &t.writes}
	var from [writers]int
	for i, w := range t.writes {
		from[i] = w.Len()
	}
	l.begin(ctx, t.o.seed)
	defer func() {
		if err != nil { // nobody is at work any more when it returns
			t.cluster.killAll()
			<-l.end()
		}
	}()
	for _, s := range p {
		if err := t.await(ctx, l, nil, s.after); !errors.Is(err, errLate) {
			return err
		}
		if err := t.cluster.do(s); err != nil {
			return err
		}
	}
	if err := t.await(ctx, l, l.all(), healsWithin); err != nil {
		return fmt.Errorf("all nodes run again, and not every client was served: %w", err)
	}
	if err := t.await(ctx, l, l.end(), patience+healsWithin); err != nil {
		return fmt.Errorf("clients wait without end: %w", err)
	}
	t.cluster.retire()
	within, cancel := context.WithTimeout(ctx, agreesWithin)
	defer cancel()
	if err := t.cluster.agree(within); err != nil {
		return err
	}
	return t.check(ctx, l, random, from)
}

// errLate is await's when the time is over.
var errLate = errors.New("too late")

// await waits for something, for so long, while nothing goes wrong.
func (t *trial) await(ctx context.Context, l *load, done <-chan struct{}, within time.Duration) error {
	late := time.NewTimer(within)
	defer late.Stop()
	select {
	case <-done:
		return nil
	case <-late.C:
		return fmt.Errorf("%w after %v", errLate, within)
	case err := <-l.failed:
		return err
	case err := <-t.cluster.fallen:
		return err
	case <-ctx.Done():
		return errors.New("interrupted")
	}
}

// check checks what a cycle's clients were told, and what the nodes' logs show.
func (t *trial) check(ctx context.Context, l *load, random *rand.Rand, from [writers]int) error {
	ctx, cancel := context.WithTimeout(ctx, checksWithin)
	defer cancel()
	select {
	case err := <-l.failed: // it may have come last
		return err
	default:
	}
	if err := l.lastReads(ctx, random); err != nil {
		return fmt.Errorf("the last reads: %w", err)
	}
	n, err := l.history.Check(decidesWithin)
	t.checked.Operations += n.Operations
	t.checked.Histories += n.Histories
	t.checked.Swaps += n.Swaps
	t.checked.Open += n.Open
	if err != nil {
		return err
	}
	if _, err := t.checkWrites(ctx, random, from); err != nil {
		return err
	}
	for _, n := range t.numbers {
		nodes := t.cluster.clients(random.IntN(nodes))
		if err := n.Check(ctx, nodes[0], nodes[1]); err != nil {
			return err
		}
	}
	return t.cluster.read()
}

// checkWrites reads each writer's keys from a number up, at any node, and returns how many acknowledged ones are there.
func (t *trial) checkWrites(ctx context.Context, random *rand.Rand, from [writers]int) (present int, err error) {
	for i, w := range t.writes {
		count, err := w.Check(ctx, t.cluster.clients(random.IntN(nodes))[0], from[i])
		if present += count; err != nil {
			return present, err
		}
	}
	return present, nil
}

// last kills all nodes once more and checks, on what their disks hold, everything that was acknowledged in all cycles. Then
// they must end in order.
func (t *trial) last(ctx context.Context) error {
	for _, s := range []step{{action: kill, nodes: everyone}, {action: start, nodes: everyone}} {
		if err := t.cluster.do(s); err != nil {
			return err
		}
	}
	within, cancel := context.WithTimeout(ctx, returnsWithin)
	defer cancel()
	if err := t.cluster.agree(within); err != nil {
		return err
	}
	within, cancel = context.WithTimeout(ctx, checksWithin)
	defer cancel()
	random := rand.New(rand.NewPCG(t.o.seed, 0))
	var err error
	if t.present, err = t.checkWrites(within, random, [writers]int{}); err != nil {
		return err
	}
	for _, n := range t.numbers {
		nodes := t.cluster.clients(random.IntN(nodes))
		if err := n.Check(within, nodes[0], nodes[1]); err != nil {
			return err
		}
	}
	if err := t.cluster.agree(within); err != nil {
		return err
	}
	if err := t.cluster.do(step{action: end, nodes: everyone}); err != nil {
		return err
	}
	for _, m := range t.cluster.members {
		if len(m.ballots.votes) == 0 {
			return fmt.Errorf("node %d: its log shows no vote: is log.level debug and log.format json?", m.id)
		}
	}
	return nil
}

// counts tells what was done so far, and what was checked.
func (t *trial) counts() string {
	c := t.cluster
	votes, timeouts, shown, sent, increments, resent := 0, 0, 0, 0, int64(0), 0
	for _, m := range c.members {
		votes, timeouts, shown = votes+len(m.ballots.votes), timeouts+len(m.ballots.timeouts), shown+m.ballots.shown
	}
	for _, w := range t.writes {
		sent += w.Acknowledged()
	}
	for _, n := range t.numbers {
		if n != nil {
			increments, resent = increments+n.Count(), resent+n.Resent
		}
	}
	longest, blameless := t.outage.worst()
	return fmt.Sprintf("%d cycles, %d kills (%d of one, %d of two, %d of all), %d pauses, %d ended, %d restarts; "+
		"%d acknowledged writes, %d operations in %d histories (%d outcomes unknown), %d increments (%d sent again), "+
		"%d votes and %d timeouts in %d messages; height %d; longest unavailability %.1f s, with three nodes running %.1f s",
		t.cycles, c.struck[1]+c.struck[2]+c.struck[3]+c.struck[4], c.struck[1], c.struck[2], c.struck[3]+c.struck[4], c.done[pause], c.done[end], c.done[start]-nodes,
		sent, t.checked.Operations, t.checked.Histories, t.checked.Open, increments, resent,
		votes, timeouts, shown, c.applied, longest.Seconds(), blameless.Seconds())
}
