package twins

import (
	"slices"
	"testing"
)

// closedCount is the number of classes of scenarios by Burnside's lemma, as doc.go derives it.
const closedCount = 393_812

// The enumeration of canonical scenarios agrees with the closed count, and their classes make up all raw scenarios.
func TestCanonicalCount(t *testing.T) {
	if Raw != 4_410_944 {
		t.Errorf("%d raw scenarios, want 4,410,944", Raw)
	}
	tables := renamed()
	sum := 0
	for _, to := range tables {
		kept := 0
		for s, image := range to {
			if image == s {
				kept++
			}
		}
		sum += kept * kept * kept
	}
	if sum%len(tables) != 0 || sum/len(tables) != closedCount {
		t.Errorf("Burnside's sum is %d over %d symmetries, want %d times as many", sum, len(tables), closedCount)
	}
	canonical := Canonical()
	if len(canonical) != closedCount {
		t.Errorf("%d canonical scenarios, want %d", len(canonical), closedCount)
	}
	raw := 0
	for _, number := range canonical {
		raw += classSize(number, tables)
	}
	if raw != Raw {
		t.Errorf("the classes hold %d scenarios, want all %d", raw, Raw)
	}
}

// classSize counts the distinct images of a scenario.
func classSize(raw uint32, tables [][]int) int {
	a, b, c := digits(raw)
	var images []int
	for _, to := range tables {
		images = append(images, (to[a]*symbols+to[b])*symbols+to[c])
	}
	slices.Sort(images)
	return len(slices.Compact(images))
}

// The symmetries are permutations of the rounds that keep sizes of sets and never rename the twinned replica.
func TestRenamingsAreSymmetries(t *testing.T) {
	rounds := alphabet()
	for g, to := range renamed() {
		seen := make([]bool, symbols)
		for s, image := range to {
			if image < 0 || seen[image] {
				t.Fatalf("symmetry %d maps two rounds onto %d, or one nowhere", g, image)
			}
			seen[image] = true
			if !slices.Equal(setSizes(rounds[s]), setSizes(rounds[image])) || (rounds[s].Leader == 0) != (rounds[image].Leader == 0) {
				t.Fatalf("symmetry %d maps %v to %v", g, rounds[s], rounds[image])
			}
		}
	}
}

func setSizes(r Round) []int {
	sizes := make([]int, setsMax)
	for _, set := range r.Sets {
		sizes[set]++
	}
	slices.Sort(sizes)
	return sizes
}
