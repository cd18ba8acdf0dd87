package load

import (
	"io"
	"math"
	"slices"
	"strconv"

	"github.com/hotstuffd/hotstuffd/sim/picture"
)

// Measures of the picture, in its own units.
const (
	pictureWidth, pictureHeight           = 900.0, 480.0
	plotLeft, plotTop, plotWide, plotHigh = 88.0, 84.0, 780.0, 320.0
	dot                                   = 3.5
)

// Picture draws latency against throughput: a point for each result, its median and its 99th percentile. Latency has a
// logarithmic scale, for it grows by itself where the servers are saturated.
func Picture(out io.Writer, title, note string, results []*Result) error {
	points := slices.Clone(results)
	least, most, fastest := math.Inf(1), 0.0, 1.0
	points = slices.DeleteFunc(points, func(r *Result) bool { return r.Commands == 0 })
	for _, r := range points {
		least, most, fastest = min(least, r.Latency.P50), max(most, r.Latency.P99), max(fastest, r.PerSecond)
	}
	if len(points) == 0 {
		least, most = 1, 10
	}
	// A thousandth of a millisecond is the finest that is measured.
	low, high := decade(max(least, 0.001), math.Floor), decade(max(most, 0.001), math.Ceil)
	if low == high {
		high *= 10
	}
	var c picture.Canvas
	c.Text("title", "start", 28, 36, title)
	c.Text("soft", "start", 28, 58, note)
	y := func(ms float64) float64 {
		return plotTop + plotHigh*(1-math.Log10(max(ms, low)/low)/math.Log10(high/low))
	}
	for ms := low; ms <= high*1.001; ms *= 10 {
		for _, m := range []float64{1, 2, 5} {
			if v := ms * m; v <= high*1.001 {
				c.Line("grid", plotLeft, y(v), plotLeft+plotWide, y(v))
				c.Text("soft", "end", plotLeft-8, y(v)+4, strconv.FormatFloat(math.Round(v*1e6)/1e6, 'f', -1, 64)+" ms")
			}
		}
	}
	step := picture.NiceStep(fastest, 8)
	end := step * math.Ceil(fastest/step*1.02)
	x := func(rate float64) float64 { return plotLeft + plotWide*rate/end }
	for v := 0.0; v <= end+step/1000; v += step {
		c.Line("grid", x(v), plotTop, x(v), plotTop+plotHigh)
		c.Text("soft", "middle", x(v), plotTop+plotHigh+18, strconv.FormatFloat(v, 'f', -1, 64)+"/s")
	}
	c.Line("axis", plotLeft, plotTop+plotHigh, plotLeft+plotWide, plotTop+plotHigh)
	curves(&c, points, x, y)
	_, err := io.WriteString(out, c.Page(pictureWidth, pictureHeight, title, "Latency against throughput: the median and the 99th percentile for each load. "+note))
	return err
}

// decade is the power of ten at or beside a number.
func decade(v float64, round func(float64) float64) float64 {
	return math.Pow(10, round(math.Log10(v)))
}

// curves draws both lines, in the order of the runs: past saturation they turn back.
func curves(c *picture.Canvas, points []*Result, x, y func(float64) float64) {
	var p50, p99 []float64
	for _, r := range points {
		p50 = append(p50, x(r.PerSecond), y(r.Latency.P50))
		p99 = append(p99, x(r.PerSecond), y(r.Latency.P99))
	}
	c.Path("p99", p99...)
	c.Path("p50", p50...)
	for i, r := range points {
		for _, line := range []struct {
			class string
			at    []float64
		}{{"p99", p99}, {"p50", p50}} {
			c.Add(`<circle class="%s" cx="%s" cy="%s" r="%s"/>`, line.class, picture.Num(line.at[2*i]), picture.Num(line.at[2*i+1]), picture.Num(dot))
		}
		c.Text("soft", "middle", p99[2*i], p99[2*i+1]-10, r.Load())
	}
	const under = plotTop + plotHigh + 46
	for i, words := range []string{"median", "99th percentile"} {
		left := plotLeft + 140*float64(i)
		c.Line([]string{"p50", "p99"}[i], left, under-4, left+18, under-4)
		c.Text("soft", "start", left+24, under, words)
	}
	c.Text("soft", "end", plotLeft+plotWide, under, "commands answered a second; beside each point its load")
}
