package scripts

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// folders are the top-level folders, and there are no others.
var folders = []string{
	"hotstuff", "pacemaker", "blocktree", "qc", "net", "mempool", "node", "config", "scripts", // the engine
	"cmd", "app", "api", "client", "store", "sim", "docs", // the binary, what runs on it, its edges and its proofs
}

// linesMax is how long a file may be that people wrote: one idea each.
const linesMax = 600

func TestTopLevelFolders(t *testing.T) {
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	ignored := ignoredFolders(t)
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() && !strings.HasPrefix(name, ".") && !slices.Contains(ignored, name) && !slices.Contains(folders, name) {
			t.Errorf("%s/ is no folder of the architecture: put what is in it where it belongs (docs/design.md), or into .gitignore if it was made by a run", name)
		}
	}
}

// ignoredFolders returns the folders at the top that .gitignore names: what runs make.
func ignoredFolders(t *testing.T) (names []string) {
	text, err := os.ReadFile(filepath.Join(root, ".gitignore"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutSuffix(strings.TrimSpace(line), "/"); ok {
			names = append(names, strings.TrimPrefix(name, "/"))
		}
	}
	return names
}

// A newcomer to a package starts with its doc.go; to a command, with its main.go.
func TestEveryPackageHasItsDocumentation(t *testing.T) {
	files, _ := readSources(t)
	documented, written := map[string]bool{}, map[string]bool{}
	for _, f := range files {
		if f.generated {
			continue
		}
		written[f.pkg] = true
		place := "doc.go"
		if f.syntax.Name.Name == "main" {
			place = "main.go"
		}
		if path.Base(f.path) == place && f.syntax.Doc != nil {
			documented[f.pkg] = true
		}
	}
	for pkg := range written {
		if !documented[pkg] {
			t.Errorf("package %s has no doc.go with a package comment (a command: main.go): say what it is for, what it never does and where to start", pkg)
		}
	}
}

func TestFilesAreShort(t *testing.T) {
	files, _ := readSources(t)
	for _, f := range files {
		if !f.generated && f.lines > linesMax {
			t.Errorf("%s has %d lines, more than %d: split it by ideas, and name each file by its idea", f.path, f.lines, linesMax)
		}
	}
}
