package plan

import (
	"time"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/sim"
)

// watch is a sim.Observer that notes what a report is made of.
type watch struct {
	o     *Options
	now   qc.Ticks
	told  int // percents of progress
	over  bool
	usage []sim.Usage

	views    []viewNotes // by view
	kinds    [sim.Kinds]traffic
	seconds  []secondNotes
	nodes    []nodeNotes
	answers  []answer
	refused  int
	commits  []commitNotes // by height, from 1
	applied  []qc.Ticks    // from a block's proposal to its execution, at every replica
	zoomFrom qc.View       // of the close-up; 0: it has not begun
	arrows   []sim.Message
	marks    []mark
}

// viewNotes is what became of one view.
type viewNotes struct {
	leader     qc.NodeID
	proposed   qc.Ticks // its proposal begins to leave; 0: none did
	first      qc.Ticks // the first replica entered it
	entered    int      // replicas
	byTimeouts int      // of them, those who entered by a timeout certificate
	committed  bool
}

// traffic is messages and their bytes.
type traffic struct{ Messages, Bytes int64 }

func (t *traffic) add(bytes int) { t.Messages++; t.Bytes += int64(bytes) }

// secondNotes is one second of the run.
type secondNotes struct{ all, timeouts traffic }

type nodeNotes struct{ sent, received traffic }

// answer is one command that was answered.
type answer struct {
	node qc.NodeID
	at   qc.Ticks
	took qc.Ticks
}

// commitNotes is a committed block, when the first replica had applied it.
type commitNotes struct {
	at       qc.Ticks
	view     qc.View
	commands int
}

// mark is a block that a replica has applied, in the close-up.
type mark struct {
	id   qc.NodeID
	view qc.View
	at   qc.Ticks
}

// The close-up is of some views in a row, after so much of the run.
const (
	zoomAt    = 0.6
	zoomViews = 24 // that are noted, so that some without a fault can be found among them
)

func newWatch(o *Options) *watch {
	return &watch{o: o, nodes: make([]nodeNotes, o.Nodes), commits: make([]commitNotes, 1)}
}

// tick is the time of an event. It is false when the watch is over.
func (w *watch) tick(at qc.Ticks) bool {
	if w.over {
		return false
	}
	w.now = at
	if percent := int(100 * at / ticks(w.o.Duration)); w.o.Progress != nil && percent > w.told {
		w.told = percent
		w.o.Progress(float64(percent) / 100)
	}
	return true
}

// viewsAhead is how far above all views that are known a proposal may be. Only a liar goes further: in views that nobody
// enters, and without this bound there would be notes of all views up to his.
const viewsAhead = 1 << 10

func (w *watch) view(v qc.View) *viewNotes {
	for qc.View(len(w.views)) <= v {
		w.views = append(w.views, viewNotes{})
	}
	return &w.views[v]
}

func (w *watch) second(at qc.Ticks) *secondNotes {
	i := int(at / qc.TicksPerSecond)
	for len(w.seconds) <= i {
		w.seconds = append(w.seconds, secondNotes{})
	}
	return &w.seconds[i]
}

// Sent implements sim.Observer.
func (w *watch) Sent(m sim.Message) {
	if w.over {
		return
	}
	w.kinds[m.Kind].add(m.Bytes)
	s := w.second(w.now)
	if s.all.add(m.Bytes); m.Kind == sim.KindTimeout {
		s.timeouts.add(m.Bytes)
	}
	w.nodes[m.From].sent.add(m.Bytes)
	w.nodes[m.To].received.add(m.Bytes)
	if m.Kind == sim.KindProposal && m.View < qc.View(len(w.views)+viewsAhead) {
		if v := w.view(m.View); v.proposed == 0 {
			v.leader, v.proposed = m.From, max(1, m.Sent)
		}
	}
	if (m.Kind == sim.KindProposal || m.Kind == sim.KindVote) && w.zoomed(m.View) {
		w.arrows = append(w.arrows, m)
	}
}

func (w *watch) zoomed(v qc.View) bool {
	return w.zoomFrom > 0 && v >= w.zoomFrom && v < w.zoomFrom+zoomViews
}

// Entered implements sim.Observer.
func (w *watch) Entered(_ qc.NodeID, v qc.View, byTimeout bool, at qc.Ticks) {
	if !w.tick(at) {
		return
	}
	if w.zoomFrom == 0 && float64(at) >= zoomAt*float64(ticks(w.o.Duration)) {
		w.zoomFrom = v + 1
	}
	n := w.view(v)
	if n.entered++; n.entered == 1 {
		n.first = at
	}
	if byTimeout {
		n.byTimeouts++
	}
}

// Executed implements sim.Observer.
func (w *watch) Executed(id qc.NodeID, b *blocktree.Block, commands int, at qc.Ticks) {
	if !w.tick(at) {
		return
	}
	v := w.view(b.View)
	if int(b.Height) == len(w.commits) {
		w.commits = append(w.commits, commitNotes{at, b.View, commands})
		v.committed = true
	}
	if v.proposed > 0 {
		w.applied = append(w.applied, at-v.proposed)
	}
	if w.zoomed(b.View) {
		w.marks = append(w.marks, mark{id, b.View, at})
	}
}

// Answered implements sim.Observer.
func (w *watch) Answered(id qc.NodeID, asked, at qc.Ticks, err error) {
	switch {
	case !w.tick(at):
	case err != nil:
		w.refused++
	default:
		w.answers = append(w.answers, answer{id, at, at - asked})
	}
}

// Over implements sim.Observer.
func (w *watch) Over(usage []sim.Usage) { w.over, w.usage = true, usage }

func duration(t qc.Ticks) time.Duration {
	return time.Duration(t) * (time.Second / time.Duration(qc.TicksPerSecond))
}
