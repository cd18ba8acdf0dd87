package main

import (
	"embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

//go:embed bugs/*.txt
var bugs embed.FS

// mutant is one seeded bug.
type mutant struct {
	name   string
	rule   string   // which rule it breaks, by its place in docs/protocol.md or its id in docs/guarantees.md
	bug    string   // what is wrong
	opens  string   // which execution that opens
	edits  []edit   // each applies exactly once
	checks []*check // what must notice it, in order
}

// edit replaces text in one source file.
type edit struct{ file, from, to string }

// check is something that must fail.
type check struct {
	pkg   string // import path from the root: "./sim"
	test  string
	seeds uint64 // of the mixed seeds; 0: the test says by itself
}

func (c *check) String() string {
	if c.seeds > 0 {
		return fmt.Sprintf("%d mixed seeds", c.seeds)
	}
	return c.pkg[len("./"):] + "." + c.test
}

func describeChecks(checks []*check) string {
	words := make([]string, len(checks))
	for i, c := range checks {
		words[i] = c.String()
	}
	return strings.Join(words, ", then ")
}

// readMutants reads bugs/, in order of names.
func readMutants() (mutants []*mutant, err error) {
	files, err := bugs.ReadDir("bugs")
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		text, err := bugs.ReadFile("bugs/" + f.Name())
		if err != nil {
			return nil, err
		}
		m, err := parse(strings.TrimSuffix(f.Name(), ".txt"), string(text))
		if err != nil {
			return nil, fmt.Errorf("bugs/%s: %w", f.Name(), err)
		}
		mutants = append(mutants, m)
	}
	return mutants, nil
}

// parse reads one mutant: lines of "key: text", and for each "file: path" the old text between <<<< and ====, and the
// new one up to >>>>, each on lines of their own.
func parse(name, text string) (*mutant, error) {
	m := &mutant{name: name}
	for text != "" {
		line, rest, _ := strings.Cut(text, "\n")
		for strings.HasPrefix(rest, "  ") { // an indented line goes on with the text before it
			more, after, _ := strings.Cut(rest, "\n")
			line, rest = line+" "+strings.TrimSpace(more), after
		}
		text = rest
		key, value, ok := strings.Cut(line, ": ")
		switch {
		case line == "":
		case !ok:
			return nil, fmt.Errorf("%q is no line of \"key: text\"", line)
		case key == "rule":
			m.rule = value
		case key == "bug":
			m.bug = value
		case key == "opens":
			m.opens = value
		case key == "check":
			c, err := parseCheck(value)
			if err != nil {
				return nil, err
			}
			m.checks = append(m.checks, c)
		case key == "file":
			e := edit{file: value}
			var found bool
			if e.from, e.to, text, found = parseEdit(text); !found {
				return nil, fmt.Errorf("file %s: want <<<<, old text, ====, new text, >>>>", value)
			}
			m.edits = append(m.edits, e)
		default:
			return nil, fmt.Errorf("unknown key %q: want rule, bug, opens, check or file", key)
		}
	}
	if m.rule == "" || m.bug == "" || m.opens == "" || len(m.checks) == 0 || len(m.edits) == 0 {
		return nil, errors.New("want a rule, a bug, what it opens, a check and a change of a file")
	}
	return m, nil
}

func parseEdit(text string) (from, to, rest string, ok bool) {
	text, opened := strings.CutPrefix(text, "<<<<\n")
	from, text, split := strings.Cut(text, "====\n")
	to, rest, closed := strings.Cut(text, ">>>>\n")
	return from, to, rest, opened && split && closed
}

func parseCheck(text string) (*check, error) {
	switch words := strings.Fields(text); {
	case len(words) == 2 && words[0] == "seeds":
		n, err := strconv.ParseUint(words[1], 10, 32)
		if err != nil || n == 0 {
			return nil, fmt.Errorf("check %q: want a number of seeds", text)
		}
		return &check{pkg: "./sim", test: "TestMixedSeeds", seeds: n}, nil
	case len(words) == 3 && words[0] == "test" && strings.HasPrefix(words[1], "./"):
		return &check{pkg: words[1], test: words[2]}, nil
	}
	return nil, fmt.Errorf(`check %q: want "seeds 300" or "test ./folder TestName"`, text)
}

// apply returns the changed files by their paths below root.
func (m *mutant) apply(root string) (map[string]string, error) {
	changed := make(map[string]string)
	for _, e := range m.edits {
		text, ok := changed[e.file]
		if !ok {
			data, err := os.ReadFile(filepath.Join(root, e.file))
			if err != nil {
				return nil, err
			}
			text = string(data)
		}
		switch n := strings.Count(text, e.from); {
		case e.from == e.to:
			return nil, fmt.Errorf("%s: %s is changed into itself", m.name, e.file)
		case n != 1:
			return nil, fmt.Errorf("%s: its old text is in %s %d times, want once: bring bugs/%s.txt up to date\n%s",
				m.name, e.file, n, m.name, e.from)
		}
		changed[e.file] = strings.Replace(text, e.from, e.to, 1)
	}
	return changed, nil
}
