package cutdisk

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// Loss is what a cut takes of the changes that no sync has made certain.
type Loss int

// The losses. Each takes from what is not durable alone.
const (
	Everything Loss = iota // nothing survives that need not
	Nothing                // all survives: a kill of the process
	Names                  // the data survive, the changes to directories do not
	Data                   // the changes to directories survive, the data do not
	Grown                  // as Data, but files have the size that they would have with it: zeros
	Suffix                 // what was done last is lost; the write before it is torn
	Prefix                 // what was done last survives alone
	Mixed                  // each change, and each sector of a write, has a fate of its own
	Losses                 // their number
)

var lossNames = [...]string{"everything", "nothing", "names", "data", "grown", "suffix", "prefix", "mixed"}

func (l Loss) String() string { return lossNames[l] }

// Cut returns the disk as it may be found after the power went off now, and the fates of what was not durable: two cuts
// at one place with the same fates give the same disk, but for rubbish. The disk itself stays as it is.
func (d *Disk) Cut(kind Loss, seed uint64) (found *Disk, fates string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := newLoss(kind, seed)
	l.choose(d)
	found = New()
	found.last = d.last
	d.survive(found, rootNode, l)
	return found, string(l.fates)
}

// Kill returns the disk as the next process finds it after the one that used it was killed: everything is there, and what
// was not durable still is not.
func (d *Disk) Kill() *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.clone()
}

// survive puts what is left of a node, and of all below it, into another disk.
func (d *Disk) survive(found *Disk, id int, l *loss) {
	n := d.nodes[id]
	if !n.dir {
		left := l.file(n)
		found.nodes[id] = &node{now: left, safe: left.clone()}
		return
	}
	names := maps.Clone(n.durable)
	for _, m := range n.moved {
		if l.moved(m) {
			set(names, m)
		}
	}
	found.nodes[id] = &node{dir: true, names: names, durable: maps.Clone(names)}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if child := names[name]; found.nodes[child] == nil {
			d.survive(found, child, l)
		}
	}
}

// loss decides, change by change. keep is the share of changes that Mixed keeps; limit is the operation that Suffix and
// Prefix turn at.
type loss struct {
	kind  Loss
	rng   *rand.Rand
	keep  float64
	limit int64
	fates []byte
}

func newLoss(kind Loss, seed uint64) *loss {
	rng := rand.New(rand.NewPCG(seed, uint64(kind)))
	return &loss{kind: kind, rng: rng, keep: []float64{0.2, 0.5, 0.8}[rng.IntN(3)]}
}

// choose sets the limit to an operation that is not durable: the newest one half of the time.
func (l *loss) choose(d *Disk) {
	var at []int64
	for _, n := range d.nodes {
		for _, x := range n.dirty {
			at = append(at, x.at)
		}
		for _, m := range n.moved {
			at = append(at, m.at)
		}
	}
	if len(at) == 0 {
		return
	}
	slices.Sort(at)
	if l.limit = at[len(at)-1]; l.rng.IntN(2) == 0 {
		l.limit = at[l.rng.IntN(len(at))]
	}
}

// Fates of a change or a sector.
const (
	lost byte = iota
	kept
	torn   // its first bytes, then what was there
	zeroed // zeros
	spoilt // rubbish
	grown  // the file's size, without the data
)

func (l *loss) moved(m move) bool {
	fate := lost
	switch l.kind {
	case Nothing, Data, Grown:
		fate = kept
	case Suffix:
		if m.at <= l.limit {
			fate = kept
		}
	case Prefix:
		if m.at >= l.limit {
			fate = kept
		}
	case Mixed:
		if l.rng.Float64() < l.keep {
			fate = kept
		}
	}
	l.fates = append(l.fates, fate)
	return fate == kept
}

// file returns what is left of a file.
func (l *loss) file(n *node) content {
	left := n.safe.clone()
	for _, x := range n.dirty {
		fate := l.fate(x)
		l.fates = append(l.fates, fate)
		switch {
		case fate == kept:
			left.apply(x)
		case fate == grown && x.kind == opWrite:
			left.size = max(left.size, x.off+int64(len(x.data)))
		case fate == torn && x.kind == opWrite:
			l.tear(&left, x)
		}
	}
	return left
}

// fate decides about a whole change; a torn write is decided about by sectors.
func (l *loss) fate(x change) byte {
	switch l.kind {
	case Nothing, Names:
		return kept
	case Grown:
		return grown
	case Suffix:
		if x.at < l.limit {
			return kept
		} else if x.at == l.limit {
			return torn
		}
	case Prefix:
		if x.at >= l.limit {
			return kept
		}
	case Mixed:
		return []byte{lost, kept, torn, torn, torn, grown}[l.rng.IntN(6)]
	}
	return lost
}

// tear writes some of a write's sectors. Suffix keeps a run of bytes from the start, as long as it pleases; what follows
// is as it was, zeros or rubbish. Mixed gives each sector its own fate.
func (l *loss) tear(left *content, x change) {
	if l.kind == Suffix {
		whole := l.rng.IntN(len(x.data) + 1)
		rest := []byte{lost, zeroed, spoilt}[l.rng.IntN(3)]
		left.write(x.data[:whole], x.off)
		l.put(left, rest, x.off+int64(whole), x.data[whole:])
		l.fates = append(l.fates, byte(whole), byte(whole>>8), byte(whole>>16))
		return
	}
	x.sectors(func(off int64, data []byte) {
		fate := []byte{lost, torn, zeroed, spoilt}[l.rng.IntN(4)]
		if l.rng.Float64() < l.keep {
			fate = kept
		}
		l.put(left, fate, off, data)
	})
}

func (l *loss) put(left *content, fate byte, off int64, data []byte) {
	l.fates = append(l.fates, fate)
	switch fate {
	case kept:
		left.write(data, off)
	case torn:
		left.write(data[:l.rng.IntN(len(data)+1)], off)
	case zeroed:
		left.write(make([]byte, len(data)), off)
	case spoilt:
		left.write(rubbish(l.rng, len(data)), off)
	}
}
