package plan

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/sim/picture"
)

// SVG draws the run: what clients saw over time, who led when and how it went, and a close-up of some views in a row.
func (r *Report) SVG(out io.Writer) error {
	d := newDrawing(r)
	d.heading()
	d.throughput()
	d.latency()
	d.leaders()
	d.closeUp()
	_, err := io.WriteString(out, d.finish())
	return err
}

// Measures of the drawing, in its own units.
const (
	pageWidth  = 1200.0
	plotLeft   = 172.0
	plotRight  = 1172.0
	plotWidth  = plotRight - plotLeft
	panelGap   = 58.0
	rowsMax    = 24 // lanes of leaders
	columnWide = 1.0
)

// colours are those of sites, far apart for neighbours in the table, and readable on white and on black.
var colours = []string{
	"#2f81f7", "#d29922", "#2da44e", "#db61a2", "#8957e5", "#1b9aaa", "#e16f24", "#6e7781", "#bc4c00", "#3fb950", "#a371f7", "#bf3989",
	"#0969da", "#9a6700", "#1a7f37", "#cf5ea8", "#6639ba", "#0f7b8a", "#c8601c", "#57606a", "#54aeff",
}

func colour(site int) string { return colours[site%len(colours)] }

// tint is the colour of a replica: its site's, or its own where all are at one.
func (d *drawing) tint(id qc.NodeID) string {
	if d.r.Sites == 1 {
		return colour(int(id))
	}
	return colour(d.site[id])
}

// drawing is the picture while it grows downwards.
type drawing struct {
	picture.Canvas
	r      *Report
	site   []int // of each replica
	y      float64
	length float64 // of the run, seconds
}

func newDrawing(r *Report) *drawing {
	return &drawing{r: r, site: r.o.Sites.place(r.Nodes), length: r.Seconds}
}

// finish puts the page around what was drawn.
func (d *drawing) finish() string {
	return d.Page(pageWidth, d.y+16, fmt.Sprintf("%d replicas for %s", d.r.Nodes, d.r.o.Duration),
		"Over time: commands answered in each second; their latency, median and 99th percentile; which site led each view, and which views timed out. Below, a close-up of some views in a row with their proposals, votes and commits.")
}

func (d *drawing) heading() {
	r := d.r
	d.Text("title", "start", 28, 40, fmt.Sprintf("%d replicas at %s, %s", r.Nodes, plural(r.Sites, "site"), deadWords(r)))
	load := ""
	if r.Rate > 0 {
		load = fmt.Sprintf("   ·   %d commands/s of %d bytes", r.Rate, r.Bytes)
	}
	d.Text("soft", "start", 28, 62, fmt.Sprintf("%s%s   ·   leaders %s   ·   base_timeout %s   ·   seed %d",
		r.Source, load, r.Leaders, r.o.pacemaker().BaseTimeout, r.Seed))
	c, b := r.Commands.Latency, r.Blocks
	commands := "no command was answered"
	if c.N > 0 {
		commands = fmt.Sprintf("commands: p50 %.0f ms, p90 %.0f ms, p99 %.0f ms", c.P50, c.P90, c.P99)
	}
	d.Text("text", "start", 28, 84, fmt.Sprintf("%s   ·   blocks: %.1f/s, %.0f ms from proposal to applied (p50)   ·   views: %.1f/s, %d of %d left by timeout",
		commands, b.PerSecond, b.Latency.P50, r.Views.PerSecond, r.Views.TimedOut, r.Views.Entered))
	d.y = 96
}

// x is where a second of the run is.
func (d *drawing) x(second float64) float64 { return plotLeft + plotWidth*second/d.length }

// panel begins a plot over the run's time, and returns its top.
func (d *drawing) panel(title, note string, height float64) (top float64) {
	top = d.y + panelGap - 8
	d.Text("head", "start", plotLeft, top-12, title)
	d.Text("soft", "end", plotRight, top-12, note)
	step := picture.NiceStep(d.length, 12)
	for s := 0.0; s <= d.length+1e-9; s += step {
		d.Line("grid", d.x(s), top, d.x(s), top+height)
		d.Text("soft", "middle", d.x(s), top+height+16, picture.Num(s)+" s")
	}
	d.y = top + height + 18
	return top
}

// scale draws the vertical axis from 0 to at least most, and returns what one unit is worth.
func (d *drawing) scale(top, height, most float64, unit string) float64 {
	return d.Scale(plotLeft, plotRight, top, height, most, unit)
}

// bySecond groups the answers by the second in which they came.
func (d *drawing) bySecond() [][]qc.Ticks {
	groups := make([][]qc.Ticks, int(math.Ceil(d.length)))
	for _, a := range d.r.w.answers {
		if s := int(a.at / qc.TicksPerSecond); s < len(groups) {
			groups[s] = append(groups[s], a.took)
		}
	}
	return groups
}

func (d *drawing) throughput() {
	const height = 96
	top := d.panel("Commands answered", "in each second", height)
	groups := d.bySecond()
	most := 0
	for _, g := range groups {
		most = max(most, len(g))
	}
	unit := d.scale(top, height, float64(max(1, most)), "/s")
	wide := d.x(1) - d.x(0)
	for s, g := range groups {
		if h := unit * float64(len(g)); h > 0 {
			x := d.x(float64(s))
			d.Rect("bar", x+wide*0.08, top+height-h, min(wide, plotRight-x)*0.84, h)
		}
	}
	d.Line("axis", plotLeft, top+height, plotRight, top+height)
}

func (d *drawing) latency() {
	const height = 120
	top := d.panel("Latency of commands", "asked to answered, at the client's replica", height)
	type point struct{ s, p50, p99 float64 }
	var points []point
	most := 1.0
	for s, g := range d.bySecond() {
		if len(g) > 0 {
			p := percentiles(g)
			points = append(points, point{float64(s) + 0.5, p.P50, p.P99})
			most = max(most, p.P99)
		}
	}
	unit := d.scale(top, height, most, " ms")
	path := func(class string, of func(point) float64) {
		var line []float64
		for _, p := range points {
			line = append(line, d.x(min(p.s, d.length)), top+height-unit*of(p))
		}
		d.Path(class, line...)
	}
	path("p99", func(p point) float64 { return p.p99 })
	path("p50", func(p point) float64 { return p.p50 })
	d.Line("axis", plotLeft, top+height, plotRight, top+height)
	if len(points) > 0 {
		d.legend(top+height+16, []string{"p50", "p99"}, []string{"median", "99th percentile"})
	}
}

// legend explains lines, at the right, under a plot.
func (d *drawing) legend(y float64, classes, words []string) {
	x := 28.0
	for i := range classes {
		yy := y - 90 + 20*float64(i)
		d.Line(classes[i], x, yy-4, x+18, yy-4)
		d.Text("soft", "start", x+24, yy, words[i])
	}
}

// lane is a row of the plot of leaders: a site, or one replica where there are few.
type lane struct {
	name  string
	site  int
	nodes []int
	dead  int
}

func (d *drawing) lanes() (lanes []lane) {
	if d.r.Nodes <= rowsMax && d.r.Sites >= d.r.Nodes || d.r.Sites == 1 && d.r.Nodes <= rowsMax {
		for id := range d.r.Nodes {
			name := fmt.Sprintf("n%d", id)
			if d.r.Sites > 1 {
				name = d.r.o.Sites.Names[d.site[id]]
			}
			lanes = append(lanes, lane{name: name, site: id, nodes: []int{id}}) // the site's index is the replica's
		}
	} else {
		for s := range min(d.r.Sites, 2*rowsMax) {
			lanes = append(lanes, lane{name: d.r.o.Sites.Names[s], site: s})
		}
		for id, s := range d.site {
			if s < len(lanes) {
				lanes[s].nodes = append(lanes[s].nodes, id)
			}
		}
	}
	for i := range lanes {
		for _, id := range lanes[i].nodes {
			if slices.Contains(d.r.Dead, id) {
				lanes[i].dead++
			}
		}
	}
	return lanes
}

// timedOut tells whether most replicas left a view by a timeout.
func (w *watch) timedOut(v int) bool {
	return v+1 < len(w.views) && 2*w.views[v+1].byTimeouts > w.views[v+1].entered
}

// leaders draws who led when: a lane for each site, and one for views that timed out.
func (d *drawing) leaders() {
	const row = 15.0
	lanes := d.lanes()
	height := row * float64(len(lanes)+1)
	note := "each view from its proposal to the next; at the left the replicas of each site, less those that are dead"
	if len(lanes) == d.r.Nodes {
		note = "each view from its proposal to the next"
	}
	top := d.panel("Leaders", note, height)
	of := make([]int, d.r.Nodes)
	for i, l := range lanes {
		y := top + row*float64(i)
		d.Rect("lane", plotLeft, y+1, plotWidth, row-2)
		d.Add(`<rect fill="%s" x="28" y="%s" width="9" height="9" rx="2"/>`, colour(l.site), picture.Num(y+3))
		d.Text("text", "start", 43, y+11.5, l.name)
		switch {
		case len(l.nodes) == 1 && l.dead == 0:
		case len(l.nodes) == 1:
			d.Text("dead", "end", plotLeft-6, y+11.5, "dead")
		case l.dead > 0:
			d.Text("dead", "end", plotLeft-6, y+11.5, fmt.Sprintf("%d−%d", len(l.nodes), l.dead))
		default:
			d.Text("soft", "end", plotLeft-6, y+11.5, strconv.Itoa(len(l.nodes)))
		}
		for _, id := range l.nodes {
			of[id] = i
		}
	}
	runs := make([][]float64, len(lanes)) // from, to, from, to: what is filled of a lane
	for v, n := range d.r.w.views {
		if n.proposed == 0 {
			continue
		}
		from, to := d.seconds(n.proposed), d.length
		if v+1 < len(d.r.w.views) && d.r.w.views[v+1].entered > 0 {
			to = max(from, d.seconds(d.r.w.views[v+1].first))
		}
		runs[of[n.leader]] = extend(runs[of[n.leader]], d.x(min(from, d.length)), d.x(min(to, d.length)))
	}
	for i, run := range runs {
		var path strings.Builder
		y := top + row*float64(i)
		for j := 0; j+1 < len(run); j += 2 {
			wide := picture.Num(max(columnWide, run[j+1]-run[j]))
			fmt.Fprintf(&path, "M%s %sh%sv%sh-%sz", picture.Num(run[j]), picture.Num(y+2), wide, picture.Num(row-4), wide)
		}
		if path.Len() > 0 {
			d.Add(`<path fill="%s" d="%s"/>`, colour(lanes[i].site), path.String())
		}
	}
	d.timeouts(top+row*float64(len(lanes)), row)
	d.Line("axis", plotLeft, top+height, plotRight, top+height)
	d.zoomed(top, height)
}

func (d *drawing) seconds(t qc.Ticks) float64 { return float64(t) / float64(qc.TicksPerSecond) }

// extend adds a piece to what is filled, or lengthens the last one if there is less than half a unit between.
func extend(run []float64, from, to float64) []float64 {
	if n := len(run); n > 0 && from-run[n-1] < columnWide/2 {
		run[n-1] = max(run[n-1], to)
		return run
	}
	return append(run, from, to)
}

// timeouts marks when views ended by timeouts.
func (d *drawing) timeouts(y, row float64) {
	d.Text("dead", "start", 43, y+11.5, "timed out")
	d.Add(`<rect class="late" x="28" y="%s" width="9" height="9" rx="2"/>`, picture.Num(y+3))
	d.Text("dead", "end", plotLeft-6, y+11.5, strconv.Itoa(d.r.Views.TimedOut))
	var run []float64
	for v := range d.r.w.views {
		if d.r.w.timedOut(v) {
			x := d.x(min(d.length, d.seconds(d.r.w.views[v+1].first)))
			run = extend(run, x-1, x+1)
		}
	}
	for j := 0; j+1 < len(run); j += 2 {
		d.Rect("late", run[j], y+2, run[j+1]-run[j], row-4)
	}
}
