package scripts

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// root is the repository, seen from this package.
const root = ".."

// module is this repository's import path.
const module = "github.com/hotstuffd/hotstuffd"

// source is one Go file, whatever it is built for.
type source struct {
	path      string // from the root, with slashes
	pkg       string // its folder: the package's path in the module
	syntax    *ast.File
	own       []string // packages of this module that it imports, by their folders
	foreign   []string // what else it imports
	lines     int
	test      bool
	generated bool
}

// readSources parses every Go file of the repository. It looks at files, not at what one platform builds, so that a
// file for another system is held to the same rules.
func readSources(t *testing.T) (files []source, fset *token.FileSet) {
	t.Helper()
	fset = token.NewFileSet()
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if base := entry.Name(); name != root && (strings.HasPrefix(base, ".") || base == "testdata") {
				return fs.SkipDir
			}
			if _, err := os.Stat(filepath.Join(name, "go.mod")); name != root && err == nil {
				return fs.SkipDir // a module of its own: nothing of ours imports it
			}
			return nil
		}
		if filepath.Ext(name) != ".go" {
			return nil
		}
		syntax, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		files = append(files, newSource(filepath.ToSlash(rel), syntax, fset))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("no Go files found: run the rules from inside the repository")
	}
	return files, fset
}

func newSource(name string, syntax *ast.File, fset *token.FileSet) source {
	s := source{path: name, pkg: path.Dir(name), syntax: syntax, lines: fset.File(syntax.Pos()).LineCount(),
		test: strings.HasSuffix(name, "_test.go"), generated: ast.IsGenerated(syntax)}
	for _, spec := range syntax.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			panic(err) // the parser has taken it for a string
		}
		if folder, ok := strings.CutPrefix(imported, module+"/"); ok {
			s.own = append(s.own, folder)
		} else {
			s.foreign = append(s.foreign, imported)
		}
	}
	return s
}

// standard tells whether an import is of the standard library: its first element has no dot.
func standard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".")
}
