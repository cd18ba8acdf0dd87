package plan

import (
	"fmt"
	"slices"

	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/sim"
	"github.com/hotstuffd/hotstuffd/sim/picture"
)

// closeUpViews are shown in a row: the first one's block is committed by the certificate of the third, which the fourth's
// proposal carries.
const closeUpViews = 5

// closeUpRows is how many replicas are shown at most.
const closeUpRows = 7

// closeUp is a stretch of the run in which views follow each other as they should.
type closeUp struct {
	first    qc.View
	ids      []qc.NodeID
	from, to qc.Ticks
}

// stretch finds the first views in a row, among those that were noted, in which nothing went wrong.
func (w *watch) stretch() (c closeUp, ok bool) {
	for v := w.zoomFrom; v > 0 && v < w.zoomFrom+zoomViews-closeUpViews; v++ {
		if w.regular(v) {
			c = closeUp{first: v, from: w.views[v].proposed}
			break
		}
	}
	if c.first == 0 {
		return c, false
	}
	for v := c.first; v < c.first+closeUpViews; v++ {
		if id := w.views[v].leader; !slices.Contains(c.ids, id) {
			c.ids = append(c.ids, id)
		}
	}
	for _, m := range w.marks { // whoever applied the block, and led none of these views
		if m.view == c.first && !slices.Contains(c.ids, m.id) && len(c.ids) < closeUpRows {
			c.ids = append(c.ids, m.id)
		}
	}
	for _, m := range w.marks {
		if m.view == c.first && slices.Contains(c.ids, m.id) {
			c.to = max(c.to, m.at)
		}
	}
	c.to += (c.to - c.from) / 12
	return c, c.to > c.from
}

func (w *watch) regular(first qc.View) bool {
	for v := first; v < first+closeUpViews; v++ {
		if int(v+1) >= len(w.views) || w.views[v].proposed == 0 || w.timedOut(int(v)) || v < first+2 && !w.views[v].committed {
			return false
		}
	}
	return true
}

// zoomed shows, in a plot over the run's time, where the close-up is.
func (d *drawing) zoomed(top, height float64) {
	if c, ok := d.r.w.stretch(); ok {
		x := d.x(d.seconds(c.from))
		d.Rect("zoom", x, top-2, max(3, d.x(d.seconds(c.to))-x), height+4)
	}
}

// closeUp draws messages between the leaders of some views in a row, and a few other replicas.
func (d *drawing) closeUp() {
	const row, inset = 44.0, 26.0
	c, ok := d.r.w.stretch()
	top := d.y + panelGap
	if !ok {
		d.Text("head", "start", plotLeft, top-12, "Close-up")
		d.Text("soft", "start", plotLeft, top+8, fmt.Sprintf("Between %s and the end there were no %d views in a row without a timeout.", picture.Num(zoomAt*d.length)+" s", closeUpViews))
		d.y = top + 20
		return
	}
	height := row*float64(len(c.ids)-1) + 2*inset
	d.Text("head", "start", plotLeft, top-12, fmt.Sprintf("Close-up: views %d to %d, from %s s", c.first, c.first+closeUpViews-1, picture.Num(d.seconds(c.from))))
	d.Text("soft", "end", plotRight, top-12, "milliseconds since the first proposal; the shaded stretch above")
	span := milliseconds(c.to - c.from)
	x := func(t qc.Ticks) float64 { return plotLeft + 16 + (plotWidth-16)*float64(t-c.from)/float64(c.to-c.from) }
	step := picture.NiceStep(span, 10)
	for ms := 0.0; ms <= span; ms += step {
		at := plotLeft + 16 + (plotWidth-16)*ms/span
		d.Line("grid", at, top, at, top+height)
		d.Text("soft", "middle", at, top+height+16, picture.Num(ms)+" ms")
	}
	y := make(map[qc.NodeID]float64)
	for i, id := range c.ids {
		y[id] = top + inset + row*float64(i)
		d.Line("axis", plotLeft, y[id], plotRight, y[id])
		d.Text("text", "end", plotLeft-10, y[id]+1, fmt.Sprintf("n%d", id))
		if d.r.Sites > 1 {
			d.Text("soft", "end", plotLeft-10, y[id]+15, d.r.o.Sites.Names[d.site[id]])
		}
	}
	d.messages(c, x, y)
	d.closeUpKey(d.tint(c.ids[0]), top+height+40)
	d.y = top + height + 52
}

// messages draws votes first, proposals over them, and blocks on top.
func (d *drawing) messages(c closeUp, x func(qc.Ticks) float64, y map[qc.NodeID]float64) {
	within := func(m sim.Message, kind sim.Kind) bool {
		_, from := y[m.From]
		_, to := y[m.To]
		return m.Kind == kind && from && to && m.View >= c.first && m.View < c.first+closeUpViews && m.Arrives <= c.to
	}
	for _, m := range d.r.w.arrows {
		if within(m, sim.KindVote) {
			d.Line("vote", x(m.Sent), y[m.From], x(m.Arrives), y[m.To])
		}
	}
	for _, m := range d.r.w.arrows {
		if within(m, sim.KindProposal) {
			d.Add(`<line class="send" stroke="%s" x1="%s" y1="%s" x2="%s" y2="%s"/>`,
				d.tint(m.From), picture.Num(x(m.Sent)), picture.Num(y[m.From]), picture.Num(x(m.Arrives)), picture.Num(y[m.To]))
			d.Add(`<circle fill="%s" cx="%s" cy="%s" r="2.4"/>`, d.tint(m.From), picture.Num(x(m.Arrives)), picture.Num(y[m.To]))
		}
	}
	for _, m := range d.r.w.marks {
		if at, shown := y[m.id]; shown && m.view >= c.first && m.view < c.first+closeUpViews && m.at <= c.to {
			px := x(m.at)
			d.Add(`<path class="commit" d="M%s %sl6 6l-6 6l-6 -6z"/>`, picture.Num(px), picture.Num(at-6))
		}
	}
	for v := c.first; v < c.first+closeUpViews; v++ {
		n := d.r.w.views[v]
		if n.proposed > c.to {
			continue
		}
		word := fmt.Sprint(v)
		wide := 12 + 7*float64(len(word))
		px, py := x(n.proposed), y[n.leader]
		d.Add(`<rect fill="%s" x="%s" y="%s" width="%s" height="18" rx="4"/>`, d.tint(n.leader), picture.Num(px-wide/2), picture.Num(py-9), picture.Num(wide))
		d.Text("tag", "middle", px, py+4, word)
	}
}

func (d *drawing) closeUpKey(first string, y float64) {
	x := plotLeft
	d.Add(`<rect fill="%s" x="%s" y="%s" width="22" height="14" rx="4"/>`, first, picture.Num(x), picture.Num(y-11))
	d.Text("soft", "start", x+30, y, "a view's proposal leaves, with the certificate of the one before")
	x += 396
	d.Add(`<line class="send" stroke="%s" x1="%s" y1="%s" x2="%s" y2="%s"/>`, first, picture.Num(x), picture.Num(y-4), picture.Num(x+24), picture.Num(y-4))
	d.Text("soft", "start", x+32, y, "proposal")
	x += 112
	d.Line("vote", x, y-4, x+24, y-4)
	d.Text("soft", "start", x+32, y, "vote, to the next leader")
	x += 196
	d.Add(`<path class="commit" d="M%s %sl6 6l-6 6l-6 -6z"/>`, picture.Num(x+6), picture.Num(y-10))
	d.Text("soft", "start", x+18, y, "block committed and applied")
}
