package plan

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/hotstuffd/hotstuffd/config"
)

// Text writes the report for people.
func (r *Report) Text(out io.Writer) error {
	var t text
	t.head(r)
	t.costs(r.o)
	t.latency(r)
	t.throughput(r)
	t.messages(r)
	t.replicas(r)
	t.leftOut(r)
	_, err := io.WriteString(out, t.String())
	return err
}

type text struct{ strings.Builder }

func (t *text) line(format string, args ...any) {
	t.WriteString(strings.TrimRight(fmt.Sprintf(format, args...), " ") + "\n")
}

func (t *text) section(format string, args ...any) {
	t.line("")
	t.line(format, args...)
}

func (t *text) head(r *Report) {
	t.line("%d replicas at %s, %s; a quorum is %d", r.Nodes, plural(r.Sites, "site"), deadWords(r), r.Quorum)
	t.line("latency    %s", r.Source)
	t.line("load       %d commands a second of %d bytes, over all live replicas", r.Rate, r.Bytes)
	t.line("machines   %s each, %s up, %s for a synced write", plural(r.Cores, "core"), bits(r.Bandwidth), r.o.Costs.Sync)
	p := r.o.pacemaker()
	chosen := ""
	if r.o.BaseTimeout == 0 && p.BaseTimeout != config.Default().Pacemaker.BaseTimeout {
		chosen = " (chosen for these latencies)"
	}
	t.line("settings   leaders %s, base_timeout %s%s, heartbeat %s, min_view %s", r.Leaders, p.BaseTimeout, chosen, p.Heartbeat, p.MinView)
	t.line("run        %s of virtual time, seed %d", r.o.Duration, r.Seed)
	if r.Overloaded {
		t.section("OVERLOAD   The replicas cannot take this load: it was not worked off two minutes after it ended. Answers came for the little")
		t.line("           that is shown below.")
	}
}

func deadWords(r *Report) string {
	switch len(r.Dead) {
	case 0:
		return fmt.Sprintf("none of them dead (they bear %d)", r.Faults)
	case 1:
		return fmt.Sprintf("1 of them dead (they bear %d)", r.Faults)
	}
	return fmt.Sprintf("%d of them dead (they bear %d)", len(r.Dead), r.Faults)
}

// costs shows the table in two columns.
func (t *text) costs(o *Options) {
	t.section("COSTS")
	lines := o.Costs.lines()
	half := (len(lines) + 1) / 2
	cell := func(l cost) string {
		return fmt.Sprintf("%-15s %7s%-3s %s", l.key, l.value.String(), l.unit, l.meaning)
	}
	for i := range half {
		second := ""
		if half+i < len(lines) {
			second = cell(lines[half+i])
		}
		t.line("%-80s%s", cell(lines[i]), second)
	}
}

func (t *text) latency(r *Report) {
	t.section("LATENCY, ms%33s %9s %9s %9s %9s", "p50", "p90", "p99", "max", "samples")
	row := func(name string, p Percentiles) {
		if p.N == 0 {
			t.line("%-34s%10s %9s %9s %9s %9d", name, "-", "-", "-", "-", 0)
			return
		}
		t.line("%-34s%10.1f %9.1f %9.1f %9.1f %9d", name, p.P50, p.P90, p.P99, p.Max, p.N)
	}
	row("a command, asked to answered", r.Commands.Latency)
	row("a block, proposed to applied", r.Blocks.Latency)
	if len(r.BySite) < 2 {
		return
	}
	for _, s := range r.BySite {
		name := fmt.Sprintf("  clients at %s (%d)", s.Name, s.Nodes)
		if s.Dead > 0 {
			name = fmt.Sprintf("  clients at %s (%d, %d dead)", s.Name, s.Nodes, s.Dead)
		}
		row(name, s.Latency)
	}
}

func (t *text) throughput(r *Report) {
	t.section("THROUGHPUT%24s %9s", "total", "a second")
	row := func(name string, total int, rate float64, format string, args ...any) {
		t.line("%-24s%10d %9.1f   %s", name, total, rate, fmt.Sprintf(format, args...))
	}
	row("commands answered", r.Commands.Answered, r.Commands.PerSecond, "%d refused", r.Commands.Refused)
	row("blocks committed", r.Blocks.Committed, r.Blocks.PerSecond, "%.1f commands each; every live replica led %s", r.Blocks.Commands, span(r.Views.Fewest, r.Views.Most))
	row("views", r.Views.Entered, r.Views.PerSecond, "%d left by timeout, %.1f %%", r.Views.TimedOut, 100*float64(r.Views.TimedOut)/float64(max(1, r.Views.Entered)))
	row("view changes", r.Views.Changes, float64(r.Views.Changes)/r.Seconds, "times that a replica left a view by a timeout")
}

func (t *text) messages(r *Report) {
	t.section("MESSAGES%26s %12s %12s %12s %12s", "total", "a second", "a block", "bytes each", "bytes/block")
	row := func(m Traffic) {
		t.line("%-20s%14d %12.1f %12.1f %12.0f %12.0f", m.Kind, m.Messages, float64(m.Messages)/r.Seconds, m.PerBlock, float64(m.Bytes)/float64(max(1, m.Messages)), m.BytesPerBlock)
	}
	all := Traffic{Kind: "all"}
	for _, m := range r.Traffic {
		row(m)
		all.Messages, all.Bytes = all.Messages+m.Messages, all.Bytes+m.Bytes
		all.PerBlock, all.BytesPerBlock = all.PerBlock+m.PerBlock, all.BytesPerBlock+m.BytesPerBlock
	}
	row(all)
}

func (t *text) replicas(r *Report) {
	t.section("A LIVE REPLICA%20s %12s %12s", "least", "median", "most")
	row := func(name string, of func(Node) float64) {
		var values []float64
		for _, n := range r.ByNode {
			if !n.Dead {
				values = append(values, of(n))
			}
		}
		slices.SortFunc(values, cmp.Compare)
		t.line("%-20s%14.2f %12.2f %12.2f", name, values[0], values[len(values)/2], values[len(values)-1])
	}
	const megabit = 8.0 / 1e6
	row("sends, Mbit/s", func(n Node) float64 { return n.Sent * megabit })
	row("receives, Mbit/s", func(n Node) float64 { return n.Received * megabit })
	row("sends, messages/s", func(n Node) float64 { return n.Messages })
	row("loop busy, %", func(n Node) float64 { return 100 * n.Loop })
	row("other cores busy, %", func(n Node) float64 { return 100 * n.Workers })
	for _, m := range r.Traffic {
		if m.Kind == "proposal" {
			t.line("Who leads a view sends %.0f KB more in it than the others: its proposal to each of them.", float64(m.Bytes)/float64(max(1, m.Messages))*float64(r.Nodes-1)/1000)
		}
	}
}

func (t *text) leftOut(r *Report) {
	t.section("WHAT THE MODEL LEAVES OUT")
	t.line("Lost packets and congestion between sites, slow disks and stalls, what the application itself takes (0.1 ms a block is")
	t.line("assumed), garbage collection, and everything else that runs on the machines. Time passes in steps of 0.1 ms. Dead replicas")
	t.line("are dead from the start. Every rule of docs/guarantees.md was checked during the run, and none was broken.")
	if r.Commands.Refused > 0 {
		t.line("Commands were refused: the load is more than the replicas take. Latencies are of those that were answered.")
	}
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func span(a, b int) string {
	if a == b {
		return fmt.Sprint(a)
	}
	return fmt.Sprintf("%d to %d", a, b)
}

func bits(megabits int) string {
	if megabits%1000 == 0 {
		return fmt.Sprintf("%d Gbit/s", megabits/1000)
	}
	return fmt.Sprintf("%d Mbit/s", megabits)
}
