package outage

import (
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hotstuffd/hotstuffd/sim"
)

// campaign is whether the full campaign is asked for, minutes of two processors, not a newcomer's run.
var campaign = os.Getenv("CI") != "" && !raceDetector

// TestMain lets the heap grow: a run makes much that soon goes, and keeps little.
func TestMain(m *testing.M) {
	flag.Parse()
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}

// ofCampaign returns one number for the full campaign and another one for everybody's run.
func ofCampaign[T any](full, short T) T {
	if campaign {
		return full
	}
	return short
}

// again is the one run that is to be played again: what its failure has printed.
var again = flag.String("outage.run", "", "play this one run of a campaign again, as its failure has named it, and print its trace")

// played is a run that is over.
type played struct {
	sim.Result
	*site
}

// play plays a run on real stores. It lets the bubble's time pass that LevelDB's last goroutines take to end; no clock is
// waited for.
func play(t *testing.T, c sim.Config, s *site) (p played) {
	synctest.Test(t, func(t *testing.T) {
		var lines func(string)
		if s.outage.name != "" && *again == s.outage.name {
			lines = func(line string) { fmt.Println(line) }
		}
		c.Devices = s
		p = played{sim.Run(c, lines), s}
		s.close()
		time.Sleep(time.Minute)
	})
	return p
}

// check fails the test if the run has failed, and keeps what there is to look at.
func (p played) check(t *testing.T) {
	t.Helper()
	if p.Failure == nil {
		return
	}
	dir, err := os.MkdirTemp("", "hotstuffd-outage-")
	for i, f := range p.found {
		if err == nil {
			err = f.image.Save(fmt.Sprintf("%s/%d-%v", dir, i, f.replica))
		}
	}
	var told strings.Builder
	for i, f := range p.found {
		fmt.Fprintf(&told, "\n%d: life %d of %v was cut (%s) after:\n\t%s", i, f.life, f.replica, f.loss, strings.Join(f.recent, "\n\t"))
	}
	t.Fatalf("%s: %v\nagain: go test ./store/internal/outage -run '%s' -outage.run=%s\nwhat was found after each cut is in %s (%v)%s",
		p.outage.name, p.Failure, t.Name(), p.outage.name, dir, err, told.String())
}
