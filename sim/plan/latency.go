package plan

import (
	_ "embed"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hotstuffd/hotstuffd/config"
	"github.com/hotstuffd/hotstuffd/qc"
)

// Sites are places and how long messages travel between them.
type Sites struct {
	Names  []string
	OneWay [][]time.Duration // by sender and receiver; within a site on the diagonal
	Jitter time.Duration     // what a message may take longer, drawn evenly
	Source string            // where the times come from, for the report
}

//go:embed aws.csv
var awsTable string

// AWS is 21 regions of Amazon's cloud.
func AWS() Sites {
	s, err := ReadLatency("aws.csv", strings.NewReader(awsTable))
	if err != nil {
		panic(err) // the package's own table
	}
	s.Source, s.Jitter = "aws: medians of a year between 21 regions, cloudping.co, 2022-04-08", time.Millisecond
	return s
}

// LAN is one rack: a fifth of a millisecond there and back.
func LAN() Sites {
	return Sites{Names: []string{"rack"}, OneWay: [][]time.Duration{{100 * time.Microsecond}},
		Source: "lan: one rack, 0.2 ms there and back"}
}

// latencyMax bounds a time between two places.
const latencyMax = 10 * time.Second

// ReadLatency reads a table of times in milliseconds, as docs/simulation.md describes it. name is for errors and for the
// report.
// Expected errors: *config.UserError, one line for the first mistake; and those of r.
func ReadLatency(name string, r io.Reader) (Sites, error) {
	t := latencyTable{name: name, csv: csv.NewReader(r)}
	t.csv.Comment, t.csv.FieldsPerRecord, t.csv.TrimLeadingSpace, t.csv.ReuseRecord = '#', -1, true, false
	if err := t.head(); err != nil {
		return Sites{}, err
	}
	for {
		row, err := t.csv.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Sites{}, t.syntax(err)
		}
		if err := t.row(row); err != nil {
			return Sites{}, err
		}
	}
	return t.finish()
}

// latencyTable is a table while it is read.
type latencyTable struct {
	name  string
	csv   *csv.Reader
	share time.Duration // how much of a number is one way
	names []string
	times [][]time.Duration
	given [][]bool
}

func (t *latencyTable) syntax(err error) error {
	var p *csv.ParseError
	if errors.As(err, &p) {
		return config.Errorf("%s:%d:%d: %v: separate cells by commas and use no quotes", t.name, p.Line, p.Column, p.Err)
	}
	return err
}

// errorf names the line and column of a cell of the row last read.
func (t *latencyTable) errorf(cell int, format string, args ...any) error {
	line, column := t.csv.FieldPos(cell)
	return config.Errorf("%s:%d:%d: "+format, append([]any{t.name, line, column}, args...)...)
}

func (t *latencyTable) head() error {
	row, err := t.csv.Read()
	if errors.Is(err, io.EOF) {
		return config.Errorf("%s: no table: begin with a line such as \"rtt, paris, tokyo\"", t.name)
	}
	if err != nil {
		return t.syntax(err)
	}
	switch kind := strings.TrimSpace(row[0]); kind {
	case "rtt":
		t.share = time.Millisecond / 2
	case "one-way":
		t.share = time.Millisecond
	default:
		return t.errorf(0, "%q: begin the first line with rtt or one-way, to tell what the milliseconds are", kind)
	}
	for i, cell := range row[1:] {
		name := strings.TrimSpace(cell)
		switch {
		case name == "":
			return t.errorf(i+1, "a place without a name: name it, or take the comma away")
		case slices.Contains(t.names, name):
			return t.errorf(i+1, "%q is named twice: name each place once", name)
		}
		t.names = append(t.names, name)
	}
	if len(t.names) == 0 {
		return t.errorf(0, "no places: name them in the first line, such as \"rtt, paris, tokyo\"")
	}
	return nil
}

func (t *latencyTable) row(row []string) error {
	i := len(t.times)
	if i == len(t.names) {
		return t.errorf(0, "a row too many: the first line names %d places", len(t.names))
	}
	if name := strings.TrimSpace(row[0]); name != t.names[i] {
		return t.errorf(0, "row of %q, want that of %q: put the rows in the order of the first line", name, t.names[i])
	}
	if len(row) != len(t.names)+1 {
		return t.errorf(len(row)-1, "%d cells after the name, want %d: one for each place, empty for \"as in the other direction\"",
			len(row)-1, len(t.names))
	}
	times, given := make([]time.Duration, len(t.names)), make([]bool, len(t.names))
	for j, cell := range row[1:] {
		text := strings.TrimSpace(cell)
		if text == "" {
			continue
		}
		ms, err := strconv.ParseFloat(text, 64)
		if err != nil || ms < 0 || ms*float64(t.share) > float64(latencyMax) || ms != ms {
			return t.errorf(j+1, "%q from %s to %s: want milliseconds such as 74.5, at most 10 s one way",
				text, t.names[i], t.names[j])
		}
		times[j], given[j] = time.Duration(ms*float64(t.share)), true
	}
	t.times, t.given = append(t.times, times), append(t.given, given)
	return nil
}

// finish takes what was left empty from the other direction.
func (t *latencyTable) finish() (Sites, error) {
	if n := len(t.times); n < len(t.names) {
		return Sites{}, config.Errorf("%s: no row of %q: add one for each place in the first line", t.name, t.names[n])
	}
	for i := range t.names {
		for j := range t.names {
			switch {
			case t.given[i][j]:
			case t.given[j][i]:
				t.times[i][j] = t.times[j][i]
			default:
				return Sites{}, config.Errorf("%s: no time from %s to %s, nor back: fill one of the two cells",
					t.name, t.names[i], t.names[j])
			}
		}
	}
	return Sites{Names: t.names, OneWay: t.times, Source: t.name, Jitter: time.Millisecond}, nil
}

// place spreads n replicas over the sites, one to each in turns.
func (s Sites) place(n int) []int {
	at := make([]int, n)
	for i := range at {
		at[i] = i % len(s.Names)
	}
	return at
}

// matrix is the times between replicas that are placed so. The network adds one tick to each message.
func (s Sites) matrix(at []int) [][]qc.Ticks {
	m := make([][]qc.Ticks, len(at))
	for i := range m {
		m[i] = make([]qc.Ticks, len(at))
		for j := range m[i] {
			m[i][j] = max(1, ticks(s.OneWay[at[i]][at[j]])) - 1
		}
	}
	return m
}

func ticks(d time.Duration) qc.Ticks {
	const tick = time.Second / time.Duration(qc.TicksPerSecond)
	return qc.Ticks((d + tick/2) / tick)
}
