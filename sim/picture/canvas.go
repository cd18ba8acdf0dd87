package picture

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Canvas is a picture while it grows. The classes of what is drawn are those of the style.
type Canvas struct {
	strings.Builder
}

// Add appends a piece of SVG.
func (c *Canvas) Add(format string, args ...any) {
	fmt.Fprintf(c, format+"\n", args...)
}

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")

// Text writes words at a place: anchor is start, middle or end.
func (c *Canvas) Text(class, anchor string, x, y float64, words string) {
	c.Add(`<text class="%s" text-anchor="%s" x="%s" y="%s">%s</text>`, class, anchor, Num(x), Num(y), escaper.Replace(words))
}

// Line draws a straight line.
func (c *Canvas) Line(class string, x1, y1, x2, y2 float64) {
	c.Add(`<line class="%s" x1="%s" y1="%s" x2="%s" y2="%s"/>`, class, Num(x1), Num(y1), Num(x2), Num(y2))
}

// Rect draws a rectangle.
func (c *Canvas) Rect(class string, x, y, width, height float64) {
	c.Add(`<rect class="%s" x="%s" y="%s" width="%s" height="%s"/>`, class, Num(x), Num(y), Num(width), Num(height))
}

// Path draws a line through points, which are x and y in turns.
func (c *Canvas) Path(class string, points ...float64) {
	if len(points) == 0 {
		return
	}
	var b strings.Builder
	for i := 0; i+1 < len(points); i += 2 {
		verb := "L"
		if i == 0 {
			verb = "M"
		}
		b.WriteString(verb + Num(points[i]) + " " + Num(points[i+1]))
	}
	c.Add(`<path class="%s" d="%s"/>`, class, b.String())
}

// Scale draws a vertical axis from 0 to at least most, with lines from left to right, and returns what one unit is worth.
func (c *Canvas) Scale(left, right, top, height, most float64, unit string) float64 {
	step := NiceStep(max(most, 1e-9), 4)
	end := step * math.Ceil(max(most, 1e-9)/step-1e-9)
	for v := 0.0; v <= end+step/1000; v += step {
		y := top + height - height*v/end
		c.Line("grid", left, y, right, y)
		c.Text("soft", "end", left-8, y+4, strconv.FormatFloat(v, 'f', -1, 64)+unit)
	}
	return height / end
}

// Num writes a coordinate, to a tenth.
func Num(v float64) string {
	return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64)
}

// NiceStep is 1, 2 or 5 times a power of ten, so that whole is at most so many steps.
func NiceStep(whole float64, steps int) float64 {
	raw := whole / float64(steps)
	power := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, m := range []float64{1, 2, 5} {
		if m*power >= raw*(1-1e-9) {
			return m * power
		}
	}
	return 10 * power
}

const style = `<style>
.page { fill: #ffffff; } .text { fill: #1f2328; font-size: 13px; } .soft { fill: #59636e; font-size: 12px; } .head { fill: #1f2328; font-size: 15px; font-weight: 600; }
.title { fill: #1f2328; font-size: 20px; font-weight: 600; } .grid { stroke: #d8dee4; stroke-width: 1; fill: none; } .axis { stroke: #8c959f; stroke-width: 1; fill: none; }
.lane { fill: #f6f8fa; } .bar { fill: #54aeff; } .p50 { stroke: #0969da; stroke-width: 2; fill: none; } .p99 { stroke: #bc4c00; stroke-width: 2; fill: none; }
.late { fill: #cf222e; } .dead { fill: #cf222e; font-size: 12px; } .vote { stroke: #6e7781; stroke-width: 1.1; fill: none; stroke-dasharray: 4 3; opacity: 0.85; }
.send { stroke-width: 1.6; fill: none; } .zoom { fill: #54aeff; opacity: 0.25; } .commit { fill: #1a7f37; } .tag { fill: #ffffff; font-size: 11px; font-weight: 600; }
@media (prefers-color-scheme: dark) {
.page { fill: #0d1117; } .text, .head, .title { fill: #f0f6fc; } .soft { fill: #9198a1; } .grid { stroke: #2a313c; } .axis { stroke: #656c76; } .lane { fill: #151b23; }
.bar { fill: #1f6feb; } .p50 { stroke: #4493f8; } .p99 { stroke: #f0883e; } .late, .dead { fill: #f85149; } .vote { stroke: #9198a1; } .commit { fill: #3fb950; }
}
</style>`

// Page puts the page around what was drawn. The title and the description are for who cannot see it.
func (c *Canvas) Page(width, height float64, title, description string) string {
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %s %s" role="img" aria-labelledby="title desc" font-family="ui-sans-serif, -apple-system, 'Segoe UI', Helvetica, Arial, 'DejaVu Sans', sans-serif">
<title id="title">%s</title>
<desc id="desc">%s</desc>
%s
<rect class="page" width="%s" height="%s"/>
%s</svg>
`, Num(width), Num(height), escaper.Replace(title), escaper.Replace(description), style, Num(width), Num(height), c.String())
}
