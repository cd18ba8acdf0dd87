package kv_test

import (
	"strings"
	"testing"

	"github.com/hotstuffd/hotstuffd/app/kv"
)

func glob(pattern, text string) bool {
	steps := 1 << 20
	return kv.Glob([]byte(pattern), []byte(text), &steps)
}

func TestGlob(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"", "", true}, {"", "a", false}, {"*", "", true}, {"*", "abc", true}, {"?", "", false}, {"?", "a", true},
		{"h?llo", "hello", true}, {"h?llo", "hllo", false}, {"h*llo", "heeeello", true}, {"h*llo", "hllo", true},
		{"h[ae]llo", "hallo", true}, {"h[ae]llo", "hillo", false}, {"h[^e]llo", "hallo", true}, {"h[^e]llo", "hello", false},
		{"h[a-b]llo", "hbllo", true}, {"h[b-a]llo", "hallo", true}, {"h[a-b]llo", "hcllo", false},
		{`h\?llo`, "h?llo", true}, {`h\?llo`, "hello", false}, {`\`, `\`, true}, {`a\`, `a\`, true},
		{`[\]]`, "]", true}, {`[\-a]`, "-", true}, {"[a-]", "_", true}, {"[abc", "b", true}, {"[", "a", false}, {"[^", "a", true},
		{"[]", "a", false}, {"[^]", "a", true}, {"[]a", "a", false},
		{"*a*b*c", "xxaxxbxxc", true}, {"*a*b*c", "xxaxxbxx", false}, {"a*a", "a", false}, {"**a", "a", true},
		{"*.txt", "a.txt.txt", true}, {"a**", "a", true}, {"*?", "", false}, {"\xff?", "\xff\x00", true},
	} {
		if got := glob(c.pattern, c.text); got != c.want {
			t.Errorf("%q on %q: %v", c.pattern, c.text, got)
		}
	}
}

// Stars must not multiply: backtracking into each of them takes exponential time.
func TestGlobWorkIsBounded(t *testing.T) {
	pattern, text := strings.Repeat("a*", 50)+"b", strings.Repeat("a", 10_000)
	steps := 1 << 30
	kv.Glob([]byte(pattern), []byte(text), &steps)
	if used := 1<<30 - steps; used > 2*len(pattern)*len(text) {
		t.Errorf("%d steps for %d times %d bytes", used, len(pattern), len(text))
	}
	steps = 10
	if kv.Glob([]byte("a*"), []byte(text), &steps) || steps != 0 {
		t.Errorf("a match beyond the budget, %d steps left", steps)
	}
}

// A hostile pattern over long keys is quadratic: the budget ends it with an error, and SCAN never gets stuck on it.
func TestPatternThatTakesTooMuchWork(t *testing.T) {
	s := newStore(t)
	pattern := "*" + strings.Repeat("a", 30_000) + "b"
	do(t, s, "SET", strings.Repeat("a", 60_000), "")
	for _, words := range [][]string{{"KEYS", pattern}, {"SCAN", "0", "MATCH", pattern}} {
		if got := do(t, s, words...); !strings.HasPrefix(got, "-ERR the pattern takes too much work") {
			t.Errorf("%s: %.100q", words[0], got)
		}
	}
}

func FuzzGlob(f *testing.F) {
	f.Add("a*[b-d]?", "aaaacx")
	f.Add(`\*[^]\`, "*")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		steps := 1 << 30
		got := kv.Glob([]byte(pattern), []byte(text), &steps)
		if used := 1<<30 - steps; used > (len(pattern)+2)*(len(text)+2)*2 {
			t.Fatalf("%d steps", used)
		}
		if len(pattern) < 12 && len(text) < 30 {
			if want := plainGlob([]byte(pattern), []byte(text)); got != want {
				t.Fatalf("%q on %q: %v, want %v", pattern, text, got, want)
			}
		}
	})
}

// plainGlob matches by recursion, without regard for time.
func plainGlob(p, s []byte) bool {
	switch {
	case len(p) == 0:
		return len(s) == 0
	case p[0] == '*':
		return plainGlob(p[1:], s) || len(s) > 0 && plainGlob(p, s[1:])
	case len(s) == 0:
		return false
	case p[0] == '?':
		return plainGlob(p[1:], s[1:])
	case p[0] == '\\' && len(p) > 1:
		return p[1] == s[0] && plainGlob(p[2:], s[1:])
	case p[0] != '[':
		return p[0] == s[0] && plainGlob(p[1:], s[1:])
	}
	p = p[1:]
	not := len(p) > 0 && p[0] == '^'
	if not {
		p = p[1:]
	}
	in := false
	for len(p) > 0 && p[0] != ']' {
		switch {
		case p[0] == '\\' && len(p) > 1:
			in, p = in || p[1] == s[0], p[2:]
		case len(p) > 2 && p[1] == '-':
			in, p = in || min(p[0], p[2]) <= s[0] && s[0] <= max(p[0], p[2]), p[3:]
		default:
			in, p = in || p[0] == s[0], p[1:]
		}
	}
	if len(p) > 0 {
		p = p[1:]
	}
	return in != not && plainGlob(p, s[1:])
}
