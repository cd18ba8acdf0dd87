package scripts

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// documents are what readers of the project start from.
func documents(t *testing.T) map[string]string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, name := range append(names, filepath.Join(root, "README.md")) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			t.Fatal(err)
		}
		texts[filepath.ToSlash(rel)] = string(text)
	}
	return texts
}

var (
	link    = regexp.MustCompile(`\]\(([^)#]+)(#[^)]*)?\)|(?:src|srcset|href)="([^"#]+)"`)
	outside = regexp.MustCompile(`^[a-z]+:`)
)

// A link to a file of the repository leads somewhere.
func TestLinksLeadSomewhere(t *testing.T) {
	for name, text := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target := m[1] + m[3]
			if outside.MatchString(target) {
				continue
			}
			if _, err := os.Stat(filepath.Join(root, path.Dir(name), target)); err != nil {
				t.Errorf("%s links to %s, which does not exist: mend the link", name, target)
			}
		}
	}
}

var (
	citation = regexp.MustCompile(`PROTOCOL ((?:§[0-9.]+(?:, | and | to )?)+)`)
	section  = regexp.MustCompile(`§([0-9]+)`)
)

// Comments cite the protocol by section: each is a heading of docs/protocol.md.
func TestCitedSectionsExist(t *testing.T) {
	protocol := documents(t)["docs/protocol.md"]
	files, _ := readSources(t)
	for _, f := range files {
		for _, group := range f.syntax.Comments {
			for _, cited := range citation.FindAllStringSubmatch(group.Text(), -1) {
				for _, number := range section.FindAllStringSubmatch(cited[1], -1) {
					if !strings.Contains(protocol, "\n## "+number[1]+" ") {
						t.Errorf("%s cites PROTOCOL §%s, but docs/protocol.md has no such section: cite the one that has the rule", f.path, number[1])
					}
				}
			}
		}
	}
}
