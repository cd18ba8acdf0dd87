package twins

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hotstuffd/hotstuffd/pacemaker"
	"github.com/hotstuffd/hotstuffd/qc"
)

// Scenario is one attack: who has twins, and for each round who leads and who hears whom. It determines a run to the byte.
//
// Instances are numbered: instance i < Replicas is replica i, the first instance of it if it has two; Replicas+k is the
// second instance of replica Twins[k].
type Scenario struct {
	Number   uint64      // its name: a raw number (exhaustive.go) or a seed (sample.go)
	Replicas int         // n
	Twins    []qc.NodeID // ascending, at most f: the Byzantine replicas, each running twice under one key
	Rounds   []Round     // round r, counted from 1, is view r
	Hasty    bool        // the timers of a view fire at the end of its own round, not in the next one
	TailLead qc.NodeID   // leads the first view after the rounds; then the roster in order
	Tail     Tail
}

// Round is the leader and the network of one view.
type Round struct {
	Leader qc.NodeID // both instances of a twinned replica
	Sets   []uint8   // by instance: the set of the partition that it is in
}

// Tail is what the twins do once the network is whole: anything a Byzantine replica may, so that all four are tried.
type Tail uint8

// The tails.
const (
	BothGoOn Tail = iota
	FirstGoesOn
	SecondGoesOn
	BothSilent
	tails = 4
)

func (t Tail) String() string {
	return [...]string{"both twins go on", "the first twin goes on", "the second twin goes on", "the twins are silent"}[t]
}

// instances returns the number of instances.
func (s *Scenario) instances() int { return s.Replicas + len(s.Twins) }

// identity returns the replica that an instance runs as.
func (s *Scenario) identity(instance int) qc.NodeID {
	if instance < s.Replicas {
		return qc.NodeID(instance)
	}
	return s.Twins[instance-s.Replicas]
}

// instanceName is n2, or, for the instances of a twinned replica, n0 and n0'.
func (s *Scenario) instanceName(instance int) string {
	name := s.identity(instance).String()
	if instance >= s.Replicas {
		name += "'"
	}
	return name
}

// silent tells whether an instance says nothing in the tail, and hears nothing.
func (s *Scenario) silent(instance int) bool {
	if !slices.Contains(s.Twins, s.identity(instance)) {
		return false
	}
	second := instance >= s.Replicas
	return s.Tail == BothSilent || s.Tail == FirstGoesOn && second || s.Tail == SecondGoesOn && !second
}

// Leader implements hotstuff.Leaders: the script, then the roster.
func (s *Scenario) Leader(v qc.View, _ pacemaker.Branch) qc.NodeID {
	if v <= qc.View(len(s.Rounds)) {
		return s.Rounds[max(v, 1)-1].Leader
	}
	return qc.NodeID((uint64(s.TailLead) + uint64(v) - uint64(len(s.Rounds)) - 1) % uint64(s.Replicas))
}

// Depth implements hotstuff.Leaders. The script reads no block; a few are kept, as in production.
func (s *Scenario) Depth() int { return 4 }

// String tells the scenario as one line.
func (s *Scenario) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "scenario %d of %d replicas:", s.Number, s.Replicas)
	for i, r := range s.Rounds {
		fmt.Fprintf(&b, " round %d led by %v, ", i+1, r.Leader)
		for set := range slices.Max(r.Sets) + 1 {
			var names []string
			for x, in := range r.Sets {
				if in == set {
					names = append(names, s.instanceName(x))
				}
			}
			fmt.Fprintf(&b, "{%s}", strings.Join(names, " "))
		}
		b.WriteString(";")
	}
	if s.Hasty {
		b.WriteString(" hasty timers;")
	}
	fmt.Fprintf(&b, " then %v", s.Tail)
	return b.String()
}
