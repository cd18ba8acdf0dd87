package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// suggest says what to do about an unknown name: take the known one that is most like it, or else what otherwise says.
func suggest(wrong string, names []string, otherwise string) string {
	if name := nearest(wrong, names); name != "" {
		return fmt.Sprintf("did you mean %s?", name)
	}
	return otherwise
}

// quoteOdd quotes a foreign name unless it is made of letters, digits, dots and underscores.
func quoteOdd(name string) string {
	odd := func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.", r)
	}
	if name == "" || strings.ContainsFunc(name, odd) {
		return strconv.Quote(name)
	}
	return name
}

// nearest returns the name most like a misspelt one, to suggest it; "" if none is like it.
func nearest(wrong string, names []string) string {
	if len(wrong) > 100 {
		return ""
	}
	best, bestDistance := "", 1+len(wrong)/3 // more changes than that are another word
	for _, name := range slices.Sorted(slices.Values(names)) {
		if d := distance(strings.ToLower(wrong), strings.ToLower(name)); d <= bestDistance && (best == "" || d < bestDistance) {
			best, bestDistance = name, d
		}
	}
	return best
}

// distance counts the insertions, deletions and replacements of bytes that turn a into b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
