package twins

import (
	"slices"

	"github.com/hotstuffd/hotstuffd/qc"
)

// The exhaustive setting: four replicas, one of them (replica 0) twice.
const (
	replicas   = 4
	instances  = replicas + 1
	setsMax    = 3
	roundsEach = 3

	// partitions of five instances into at most three sets: S(5,1) + S(5,2) + S(5,3), Stirling numbers of the second kind.
	partitions = 1 + 15 + 25
	// symbols is in how many ways one round can go: any of the replicas leads, the twinned one included.
	symbols = replicas * partitions
	// Raw is the number of scenarios of three rounds.
	Raw = symbols * symbols * symbols
)

// alphabet lists the ways in which one round can go: symbol leader·41 + partition.
func alphabet() []Round {
	var out []Round
	for leader := range qc.NodeID(replicas) {
		for _, sets := range allPartitions() {
			out = append(out, Round{leader, sets})
		}
	}
	return out
}

// allPartitions lists the partitions of the instances into at most setsMax sets, in lexicographic order. Sets are numbered in
// order of their first instance, so that each partition is listed once.
func allPartitions() (out [][]uint8) {
	var extend func(sets []uint8, used uint8)
	extend = func(sets []uint8, used uint8) {
		if len(sets) == instances {
			out = append(out, slices.Clone(sets))
			return
		}
		for set := range min(used+1, setsMax) {
			extend(append(sets, set), max(used, set+1))
		}
	}
	extend(nil, 0)
	return out
}

// renamings lists the symmetries of the setting: the honest replicas 1, 2 and 3 in any order, the two instances of replica 0
// swapped or not. Each maps instances to instances.
func renamings() (out [][instances]int) {
	for _, h := range [][3]int{{1, 2, 3}, {1, 3, 2}, {2, 1, 3}, {2, 3, 1}, {3, 1, 2}, {3, 2, 1}} {
		out = append(out, [instances]int{0, h[0], h[1], h[2], 4}, [instances]int{4, h[0], h[1], h[2], 0})
	}
	return out
}

// rename returns the symbol that a renaming makes of another one.
func rename(alphabet []Round, symbol int, to [instances]int) int {
	r := alphabet[symbol]
	leader := r.Leader
	if leader != 0 { // replica 0 stays itself, whichever instance is called the first
		leader = qc.NodeID(to[leader])
	}
	moved := make([]uint8, instances)
	for x, set := range r.Sets {
		moved[to[x]] = set
	}
	renumber(moved)
	return slices.IndexFunc(alphabet, func(o Round) bool { return o.Leader == leader && slices.Equal(o.Sets, moved) })
}

// renumber numbers sets in order of their first instance.
func renumber(sets []uint8) {
	number := map[uint8]uint8{}
	for x, set := range sets {
		if _, ok := number[set]; !ok {
			number[set] = uint8(len(number))
		}
		sets[x] = number[set]
	}
}

// renamed returns, by renaming, what it makes of each symbol.
func renamed() [][]int {
	rounds := alphabet()
	var out [][]int
	for _, to := range renamings() {
		row := make([]int, symbols)
		for s := range row {
			row[s] = rename(rounds, s, to)
		}
		out = append(out, row)
	}
	return out
}

// Canonical lists the raw numbers of the scenarios, one of each set that renamings map onto each other: the lowest. A raw
// number has the rounds' symbols as its digits, the first round's first.
func Canonical() []uint32 {
	tables := renamed()
	var out []uint32
	for raw := range uint32(Raw) {
		if isLowest(raw, tables) {
			out = append(out, raw)
		}
	}
	return out
}

func isLowest(raw uint32, tables [][]int) bool {
	a, b, c := digits(raw)
	for _, to := range tables {
		switch { // the digits decide in order; those that are equal leave it to the next
		case to[a] != a:
			if to[a] < a {
				return false
			}
		case to[b] != b:
			if to[b] < b {
				return false
			}
		case to[c] < c:
			return false
		}
	}
	return true
}

func digits(raw uint32) (a, b, c int) {
	return int(raw / symbols / symbols), int(raw / symbols % symbols), int(raw % symbols)
}

// Exhaustive returns the scenario of a raw number. Who leads the first view of the tail, to whom the votes of the last round
// go, and what the twins do in the tail, is drawn from the number.
func Exhaustive(raw uint32) *Scenario {
	a, b, c := digits(raw)
	drawn := mix(uint64(raw))
	return &Scenario{Number: uint64(raw), Replicas: replicas, Twins: []qc.NodeID{0}, Rounds: []Round{everyRound[a], everyRound[b], everyRound[c]},
		TailLead: qc.NodeID(drawn % replicas), Tail: Tail(drawn / replicas % tails)}
}

var everyRound = alphabet()

// mix spreads the bits of x (SplitMix64), so that what is drawn from a number does not follow its digits.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
