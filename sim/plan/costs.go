package plan

import (
	"bufio"
	_ "embed"
	"io"
	"strings"
	"time"

	"github.com/hotstuffd/hotstuffd/config"
	"github.com/hotstuffd/hotstuffd/sim"
)

// Costs is what work costs a replica.
type Costs struct {
	sim.Costs
	Sync time.Duration // one synced write
}

//go:embed costs.txt
var costTable string

// DefaultCosts is the table that was measured.
func DefaultCosts() Costs {
	c, err := ReadCosts("costs.txt", strings.NewReader(costTable), Costs{})
	if err != nil {
		panic(err) // the package's own table
	}
	return c
}

// cost is one line of the table.
type cost struct {
	key, unit, meaning string
	value              *time.Duration
}

// lines are those of the table, in its order.
func (c *Costs) lines() []cost {
	return []cost{
		{"bls.sign", "", "sign a vote or a timeout", &c.Sign},
		{"bls.verify", "", "check a certificate", &c.Verify},
		{"bls.distinct", "", "each further high-QC view in a timeout certificate", &c.Distinct},
		{"bls.key", "", "each signer of a certificate", &c.Key},
		{"bls.sum", "", "each vote that is summed", &c.Sum},
		{"ed25519.sign", "", "sign a proposal or a batch", &c.EdSign},
		{"ed25519.verify", "", "check one", &c.EdVerify},
		{"hash.mb", "/MB", "hash", &c.HashMB},
		{"step", "", "the protocol's own work for an event", &c.Step},
		{"message", "", "a message, on either side", &c.Message},
		{"message.mb", "/MB", "its bytes, on either side", &c.MessageMB},
		{"disk.sync", "", "a synced write", &c.Sync},
	}
}

// costMax bounds the price of anything.
const costMax = 10 * time.Second

// ReadCosts reads lines such as "bls.verify = 0.79ms" over the table that is given; what is not in the file keeps its
// value. # begins a comment. name is for errors.
// Expected errors: *config.UserError, one line for the first mistake; and those of r.
func ReadCosts(name string, r io.Reader, c Costs) (Costs, error) {
	values := make(map[string]*time.Duration)
	var keys []string
	for _, l := range c.lines() {
		values[l.key] = l.value
		keys = append(keys, l.key)
	}
	seen := make(map[string]int)
	in := bufio.NewScanner(r)
	for n := 1; in.Scan(); n++ {
		text, _, _ := strings.Cut(in.Text(), "#")
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		key, value, ok := strings.Cut(text, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if !ok {
			return c, config.Errorf("%s:%d: %q: write a name, = and a time, such as bls.verify = 0.79ms", name, n, text)
		}
		if values[key] == nil {
			return c, config.Errorf("%s:%d: unknown cost %q: the names are %s", name, n, key, strings.Join(keys, ", "))
		}
		if first := seen[key]; first > 0 {
			return c, config.Errorf("%s:%d: %s stands in line %d already: give it once", name, n, key, first)
		}
		seen[key] = n
		d, err := time.ParseDuration(value)
		if err != nil || d < 0 || d > costMax {
			return c, config.Errorf("%s:%d: %s = %q: want a time such as 790us or 1.3ms, at most 10s", name, n, key, value)
		}
		*values[key] = d
	}
	return c, in.Err()
}
