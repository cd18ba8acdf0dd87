package scripts

import (
	"go/ast"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	rowID     = regexp.MustCompile(`^\| \*?\*?([SL][0-9]+)\*?\*? \|`)
	namedTest = regexp.MustCompile("`([a-z/]+)\\.((?:Test|Fuzz)[A-Za-z0-9_]*)(?:/([a-z_]+))?`")
)

// guarantees are the ids that comments cite; each has one row in docs/guarantees.md.
var guarantees = []string{
	"S1", "S2", "S3", "S4", "S5", "S6", "S7", "S8", "S9", "S10", "S11", "S12", "S13", "S14", "S15", "S16", "S17",
	"L1", "L2", "L3", "L4", "L5", "L6", "L7", "L8", "L9", "L10", "L11", "L12", "L13", "L14", "L15",
}

// Every guarantee has one row, which names a test, or says that it is not yet shown and what is missing; and every test
// named there exists.
func TestGuaranteesNameTheirTests(t *testing.T) {
	known := findTests(t)
	rows := map[string]int{}
	const page = "docs/guarantees.md"
	for line := range strings.Lines(documents(t)[page]) {
		named := known.named(t, page, line)
		id := rowID.FindStringSubmatch(line)
		if id == nil {
			continue
		}
		rows[id[1]]++
		if named == 0 && !strings.Contains(line, "not yet shown") {
			t.Errorf("docs/guarantees.md names no test for %s: name the one that fails when it is broken, or say that it is not yet shown and what is missing", id[1])
		}
	}
	for _, id := range guarantees {
		if rows[id] != 1 {
			t.Errorf("docs/guarantees.md has %d rows for %s, want one", rows[id], id)
		}
		delete(rows, id)
	}
	for id := range rows {
		t.Errorf("docs/guarantees.md has a row %s, which is none of the guarantees in scripts/docs_test.go: add it there", id)
	}
}

// Every fault that was found by simulation has a line that names the test which keeps it away.
func TestFoundFaultsNameTheirTests(t *testing.T) {
	known := findTests(t)
	const page = "docs/found-by-simulation.md"
	lines := 0
	for line := range strings.Lines(documents(t)[page]) {
		if !strings.HasPrefix(line, "| **") {
			continue
		}
		lines++
		if known.named(t, page, line) == 0 {
			t.Errorf("%s has a line without a test: %.60s", page, line)
		}
	}
	if lines == 0 {
		t.Errorf("%s has no lines", page)
	}
}

// foundTests are the tests and fuzz targets of each package, and the stories in its testdata.
type foundTests struct{ tests, stories map[string][]string }

// named returns how many tests a line of a document names, all of which must exist.
func (f foundTests) named(t *testing.T, page, line string) int {
	named := namedTest.FindAllStringSubmatch(line, -1)
	for _, m := range named {
		pkg, name, story := m[1], m[2], m[3]
		if !slices.Contains(f.tests[pkg], name) {
			t.Errorf("%s names %s.%s, which does not exist: name the test that fails when the rule is broken", page, pkg, name)
		}
		if story != "" && !slices.Contains(f.stories[pkg], story) {
			t.Errorf("%s names the story %s of %s.%s, which does not exist in %s/testdata", page, story, pkg, name, pkg)
		}
	}
	return len(named)
}

// findTests returns the tests and fuzz targets of each package, and the stories in its testdata.
func findTests(t *testing.T) foundTests {
	tests, stories := map[string][]string{}, map[string][]string{}
	files, _ := readSources(t)
	for _, f := range files {
		if !f.test {
			continue
		}
		for _, declared := range f.syntax.Decls {
			if function, ok := declared.(*ast.FuncDecl); ok && function.Recv == nil {
				tests[f.pkg] = append(tests[f.pkg], function.Name.Name)
			}
		}
		if stories[f.pkg] != nil {
			continue
		}
		names, err := filepath.Glob(filepath.Join(root, f.pkg, "testdata", "*.txt"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			stories[f.pkg] = append(stories[f.pkg], strings.TrimSuffix(filepath.Base(name), ".txt"))
		}
	}
	return foundTests{tests, stories}
}
