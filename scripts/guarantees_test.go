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
	tests, stories := findTests(t)
	rows := map[string]int{}
	for line := range strings.Lines(documents(t)["docs/guarantees.md"]) {
		named := namedTest.FindAllStringSubmatch(line, -1)
		for _, m := range named {
			pkg, name, story := m[1], m[2], m[3]
			if !slices.Contains(tests[pkg], name) {
				t.Errorf("docs/guarantees.md names %s.%s, which does not exist: name the test that fails when the rule is broken", pkg, name)
			}
			if story != "" && !slices.Contains(stories[pkg], story) {
				t.Errorf("docs/guarantees.md names the story %s of %s.%s, which does not exist in %s/testdata", story, pkg, name, pkg)
			}
		}
		id := rowID.FindStringSubmatch(line)
		if id == nil {
			continue
		}
		rows[id[1]]++
		if len(named) == 0 && !strings.Contains(line, "not yet shown") {
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

// findTests returns the tests and fuzz targets of each package, and the stories in its testdata.
func findTests(t *testing.T) (tests, stories map[string][]string) {
	tests, stories = map[string][]string{}, map[string][]string{}
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
	return tests, stories
}
