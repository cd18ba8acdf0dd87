package plan_test

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hotstuffd/hotstuffd/config"
	"github.com/hotstuffd/hotstuffd/sim/plan"
)

// The compiled table holds what was measured, half a round trip one way, the same both ways.
func TestAWS(t *testing.T) {
	s := plan.AWS()
	if len(s.Names) != 21 {
		t.Fatalf("%d regions", len(s.Names))
	}
	at := func(name string) int { return slices.Index(s.Names, name) }
	for _, test := range []struct {
		from, to string
		oneWay   time.Duration
	}{
		{"us-east-1", "eu-west-1", 34 * time.Millisecond},
		{"us-west-2", "ap-northeast-1", 49650 * time.Microsecond},
		{"ap-southeast-2", "af-south-1", 206650 * time.Microsecond},
		{"eu-central-1", "eu-central-1", 1600 * time.Microsecond},
	} {
		for _, d := range []time.Duration{s.OneWay[at(test.from)][at(test.to)], s.OneWay[at(test.to)][at(test.from)]} {
			if d < test.oneWay-100*time.Microsecond || d > test.oneWay+100*time.Microsecond {
				t.Errorf("%s to %s takes %v, want %v", test.from, test.to, d, test.oneWay)
			}
		}
	}
	for i, row := range s.OneWay {
		for j, d := range row {
			if d <= 0 || d > 250*time.Millisecond || i != j && d < 4*time.Millisecond {
				t.Errorf("%s to %s takes %v", s.Names[i], s.Names[j], d)
			}
		}
	}
}

func TestReadLatency(t *testing.T) {
	for _, text := range []string{
		"rtt,a,b\na,1,10\nb,10,2\n",
		"# comment\nrtt, a, b\n\na , 1 , 10\nb,  , 2",
		"one-way,a,b\na,0.5,\nb,5,1",
	} {
		s, err := plan.ReadLatency("t.csv", strings.NewReader(text))
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		want := [][]time.Duration{{500 * time.Microsecond, 5 * time.Millisecond}, {5 * time.Millisecond, time.Millisecond}}
		if !slices.Equal(s.Names, []string{"a", "b"}) || !slices.EqualFunc(s.OneWay, want, slices.Equal) {
			t.Errorf("%q gives %v %v", text, s.Names, s.OneWay)
		}
	}
}

// Each mistake has one line, with its place and its mend.
func TestLatencyMistakes(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"", `t.csv: no table: begin with a line such as "rtt, paris, tokyo"`},
		{"ms,a\na,1\n", `t.csv:1:1: "ms": begin the first line with rtt or one-way, to tell what the milliseconds are`},
		{"rtt\n", `t.csv:1:1: no places: name them in the first line, such as "rtt, paris, tokyo"`},
		{"rtt,a,\n", `t.csv:1:7: a place without a name: name it, or take the comma away`},
		{"rtt,a,a\n", `t.csv:1:7: "a" is named twice: name each place once`},
		{"rtt,a,b\nb,1,2\n", `t.csv:2:1: row of "b", want that of "a": put the rows in the order of the first line`},
		{"rtt,a,b\na,1\n", `t.csv:2:3: 1 cells after the name, want 2: one for each place, empty for "as in the other direction"`},
		{"rtt,a,b\na,1,x\n", `t.csv:2:5: "x" from a to b: want milliseconds such as 74.5, at most 10 s one way`},
		{"rtt,a,b\na,1,-3\n", `t.csv:2:5: "-3" from a to b: want milliseconds such as 74.5, at most 10 s one way`},
		{"rtt,a,b\na,1,NaN\n", `t.csv:2:5: "NaN" from a to b: want milliseconds such as 74.5, at most 10 s one way`},
		{"rtt,a,b\na,1,20001\n", `t.csv:2:5: "20001" from a to b: want milliseconds such as 74.5, at most 10 s one way`},
		{"rtt,a,b\na,1,2\n", `t.csv: no row of "b": add one for each place in the first line`},
		{"rtt,a\na,1\nb,2\n", `t.csv:3:1: a row too many: the first line names 1 places`},
		{"rtt,a,b\na,1,\nb,,1\n", `t.csv: no time from a to b, nor back: fill one of the two cells`},
		{"rtt,a,b\na,1,\"2\n", `t.csv:2:8: extraneous or missing " in quoted-field: separate cells by commas and use no quotes`},
	} {
		_, err := plan.ReadLatency("t.csv", strings.NewReader(test.text))
		var user *config.UserError
		if !errors.As(err, &user) || err.Error() != test.want {
			t.Errorf("%q: %v\nwant %s", test.text, err, test.want)
		}
	}
}

func TestCostMistakes(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"bls.verify 1ms", `t:1: "bls.verify 1ms": write a name, = and a time, such as bls.verify = 0.79ms`},
		{"# x\nbls.verfy = 1ms", `t:2: unknown cost "bls.verfy": the names are bls.sign, bls.verify, bls.distinct, bls.key, bls.sum, ed25519.sign, ed25519.verify, hash.mb, step, message, message.mb, disk.sync`},
		{"step = 1us\n\nstep = 2us", `t:3: step stands in line 1 already: give it once`},
		{"step = 1", `t:1: step = "1": want a time such as 790us or 1.3ms, at most 10s`},
		{"step = -1us # less", `t:1: step = "-1us": want a time such as 790us or 1.3ms, at most 10s`},
		{"step = 11s", `t:1: step = "11s": want a time such as 790us or 1.3ms, at most 10s`},
	} {
		_, err := plan.ReadCosts("t", strings.NewReader(test.text), plan.DefaultCosts())
		var user *config.UserError
		if !errors.As(err, &user) || err.Error() != test.want {
			t.Errorf("%q: %v\nwant %s", test.text, err, test.want)
		}
	}
}

// A file of costs changes what it names and nothing else.
func TestReadCosts(t *testing.T) {
	want := plan.DefaultCosts()
	want.Verify, want.Sync = 2*time.Millisecond, 0
	got, err := plan.ReadCosts("t", strings.NewReader("# ours\nbls.verify = 2ms # slower\ndisk.sync=0s"), plan.DefaultCosts())
	if err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	broken := errors.New("broken")
	if _, err := plan.ReadCosts("t", io.MultiReader(strings.NewReader("step = 1us\n"), errorReader{broken}), want); !errors.Is(err, broken) {
		t.Errorf("a file that cannot be read: %v", err)
	}
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }
